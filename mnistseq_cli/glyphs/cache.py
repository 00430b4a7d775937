"""The cache: find, check and put in place the files of a data set."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from mnistseq_cli.errors import CacheError, DownloadError, GlyphError
from mnistseq_cli.files import naming_damage, place_file
from mnistseq_cli.glyphs.catalog import (
    DATASETS,
    PATIENT,
    SPLITS,
    DataFile,
    Dataset,
    Patience,
    Progress,
    SplitName,
    SplitNames,
)
from mnistseq_cli.glyphs.idx import encode_idx, unpacking
from mnistseq_cli.pixels import Pixels
from mnistseq_cli.validation import check_local

_BLOCK_BYTES = 1 << 20
_GLYPHS_PER_STEP = 1000  # of the pen, between two steps of a bar


class Action(StrEnum):
    """What was done about a file."""

    USED = "in the cache"
    UNPACKED = "unpacked"
    DOWNLOADED = "downloaded"
    DRAWN = "drawn"


def find_data_dir(data_dir: str | Path | None = None) -> Path:
    """Return the folder of the cache: the one named, else MNISTSEQ_DATA_DIR, else the user's."""
    named = data_dir or os.environ.get("MNISTSEQ_DATA_DIR")
    if not named:
        from platformdirs import user_data_path  # noqa: PLC0415 - only where none is named

        return user_data_path("mnistseq")
    check_local("the folder of data sets", named)
    return Path(named)


def is_offline() -> bool:
    """Whether MNISTSEQ_OFFLINE forbids to open sockets; empty and 0 do not."""
    return os.environ.get("MNISTSEQ_OFFLINE", "") not in {"", "0"}


def find_raw_dir(dataset: Dataset, data_dir: str | Path | None = None) -> Path:
    """Return the folder of the files of a data set."""
    return find_data_dir(data_dir) / dataset.folder / "raw"


def is_cached(
    dataset: Dataset,
    data_dir: str | Path | None = None,
    splits: SplitNames = SPLITS,
    *,
    only_labels: bool = False,
) -> bool:
    """Whether all files of some splits are there, unpacked and as long as they should be."""
    folder = find_raw_dir(dataset, data_dir)
    files = dataset.files(splits, only_labels=only_labels)
    return all(_is_in_place(file, folder) for file in files)


def ensure_cached(
    dataset: Dataset,
    data_dir: str | Path | None = None,
    *,
    splits: SplitNames = SPLITS,
    only_labels: bool = False,
    mirrors: tuple[str, ...] = (),  # tried before those of the data set
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    verify: bool = False,  # hash every byte, where otherwise sizes are compared
    force: bool = False,  # make everything again
) -> dict[str, Action]:
    """See to it that files of some splits are in the cache; return what was done about each."""
    folder = find_raw_dir(dataset, data_dir)
    done: dict[str, Action] = {}
    missing: list[DataFile] = []
    for file in dataset.files(splits, only_labels=only_labels):
        if not force and _is_in_place(file, folder, verify=verify):
            done[file.name] = Action.USED
        elif not force and unpack(file, folder):
            done[file.name] = Action.UNPACKED
        else:
            missing.append(file)
    if missing and dataset.is_drawn:
        for split in SPLITS:
            files = dataset.files((split,))
            if not set(files).isdisjoint(missing):
                draw = cache(partial(draw_split, dataset, split, progress))
                for place, file in enumerate(files):  # where none can be kept, none is drawn
                    place_file(folder / file.name, (encode_idx(draw()[one]) for one in [place]))
    elif missing:
        _fetch(dataset, missing, data_dir, mirrors, patience, progress)
        if not only_labels:
            with suppress(DownloadError):  # glyphs are of use without
                options = {"mirrors": mirrors, "patience": patience, "progress": progress}
                ensure_writers(dataset, data_dir, **options)
    action = Action.DRAWN if dataset.is_drawn else Action.DOWNLOADED
    return done | {file.name: action for file in missing}


def ensure_writers(
    dataset: Dataset,
    data_dir: str | Path | None = None,
    **options: Any,  # noqa: ANN401 - those of `ensure_cached`
) -> dict[str, Action]:
    """Do as `ensure_cached` for labels of another data set that name the writers, if any do."""
    if dataset.writers_from in {"", dataset.name}:
        return {}
    return ensure_cached(DATASETS[dataset.writers_from], data_dir, only_labels=True, **options)


def draw_split(
    dataset: Dataset, split: SplitName, progress: Progress | None = None
) -> tuple[Pixels, Pixels]:
    """Draw the images and labels of a split with the built-in pen."""
    from mnistseq_cli.glyphs import strokes  # noqa: PLC0415 - a warm start draws nothing

    files, bar = dataset.split(split), f"{dataset.name} {split}"
    images, labels = (np.empty(file.shape, np.uint8) for file in (files.images, files.labels))
    tell = progress or (lambda *_: None)
    for start in range(0, files.n_glyphs, _GLYPHS_PER_STEP):
        tell(bar, images[:start].nbytes, images.nbytes)
        ids = np.arange(start, min(start + _GLYPHS_PER_STEP, files.n_glyphs))
        images[ids], labels[ids] = strokes.draw_glyphs(split, ids)
    tell(bar, images.nbytes, images.nbytes)
    sha256 = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    if sha256 != files.sha256:
        raise GlyphError(
            f"{dataset.name} came out wrong on this machine: SHA-256 of {split} is {sha256}, not "
            f"{files.sha256}",
            "Please report this with the version of NumPy. Another data set: --dataset mnist",
        )
    return images, labels


def download_command(name: str, data_dir: str | Path | None, options: str = "") -> str:
    """Return the command that mends a data set, for the folder in use."""
    words = ["mnistseq download", name, options]
    if data_dir is not None:
        words.append(f"--data-dir {shlex.quote(str(data_dir))}")
    return " ".join(filter(None, words))


def _is_in_place(file: DataFile, folder: Path, *, verify: bool = False) -> bool:
    """Whether the unpacked file is right, and with `verify` the gzip file too if there is one."""
    packed, unpacked = folder / file.packed_name, folder / file.name
    with naming_damage(folder, CacheError):
        is_there = unpacked.is_file() and (
            not file.is_known or unpacked.stat().st_size == file.unpacked_size_bytes
        )
        if not (is_there and verify and file.is_known):
            return is_there
        sha256 = _hash(unpacked)
        if not packed.is_file():
            return sha256 == file.unpacked_sha256
        # What has the right hash can be trusted to unpack to a size that is known.
        return _hash(packed) == file.sha256 and _hash(packed, unpack=True) == sha256


def unpack(file: DataFile, folder: Path) -> bool:
    """Unpack a packed file beside itself if its hash is right; return whether it was."""
    packed = folder / file.packed_name
    with naming_damage(folder, CacheError):
        if not file.sha256 or not packed.is_file() or _hash(packed) != file.sha256:
            return False
        with packed.open("rb") as stream, unpacking(stream, packed.name) as unpacked:
            place_file(folder / file.name, iter(lambda: unpacked.read(_BLOCK_BYTES), b""))
    return True


def _fetch(  # noqa: PLR0917 - what `ensure_cached` is given
    dataset: Dataset,
    missing: list[DataFile],
    data_dir: str | Path | None,
    mirrors: tuple[str, ...],
    patience: Patience,
    progress: Progress | None,
) -> None:
    if is_offline() or not missing[0].sha256:
        raise _missing(dataset, missing[0], data_dir)
    from mnistseq_cli.glyphs.download import fetch_file  # noqa: PLC0415 - a warm start needs no network

    folder = find_raw_dir(dataset, data_dir)
    mirrors = (*mirrors, *dataset.mirrors)
    deadline = time.monotonic() + patience.deadline_s
    for file in missing:
        left = replace(patience, deadline_s=deadline - time.monotonic())
        try:
            mirror = fetch_file(file, folder, mirrors, progress=progress, patience=left)
        except DownloadError as error:
            by_hand = download_command(dataset.name, data_dir, "--from FOLDER")
            raise DownloadError(
                error.message,
                f"Try again later, name another --mirror URL, or bring the files: {by_hand}",
            ) from error
        unpack(file, folder)
        # The mirror that worked comes first for the next file, also after a slow one.
        mirrors = (mirror, *(other for other in mirrors if other != mirror))


def _missing(dataset: Dataset, file: DataFile, data_dir: str | Path | None) -> DownloadError:
    path = find_raw_dir(dataset, data_dir) / file.name
    is_there = path.exists() or path.with_name(file.packed_name).exists()
    reason = "MNISTSEQ_OFFLINE forbids downloads"
    mend = "Unset MNISTSEQ_OFFLINE, or bring the files from elsewhere"
    if not dataset.mirrors:
        reason = f"no mirror has the files of {dataset.name} one by one"
        mend = "Unpack gzip.zip of the EMNIST dataset (nist.gov), then"
    by_hand = download_command(dataset.name, data_dir, "--from FOLDER")
    return DownloadError(
        f"{path} is {'damaged' if is_there else 'missing'}, and {reason}", f"{mend}: {by_hand}"
    )


def _hash(path: Path, *, unpack: bool = False) -> str:
    """Return the SHA-256 of a file, or of what it unpacks to."""
    with path.open("rb") as stream, unpacking(stream, path.name if unpack else "") as content:
        return hashlib.file_digest(cast("Any", content), "sha256").hexdigest()
