"""The cache: find, check, adopt and put in place the files of a data set."""

from __future__ import annotations

import gzip
import hashlib
import os
import shlex
import time
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from platformdirs import user_data_path

from mnistseq_cli.errors import CacheError, DownloadError, GlyphError
from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.catalog import SPLITS
from mnistseq_cli.glyphs.download import PATIENT
from mnistseq_cli.glyphs.idx import encode_idx
from mnistseq_cli.glyphs.local import read_npz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.glyphs.catalog import DataFile, Dataset, SplitName
    from mnistseq_cli.glyphs.download import Patience, Progress

_BLOCK_BYTES = 1 << 20


class Action(Enum):
    """What to do about a file."""

    USE = auto()
    UNPACK = auto()
    FETCH = auto()
    DRAW = auto()


@dataclass(frozen=True)
class Found:
    """What is in the cache of one file.

    Parameters
    ----------
    unpacked : bool
        The unpacked file is there and, as far as was looked, right.
    packed : bool or None
        The same for the gzip file; None if it is not there or was not looked at.
    """

    unpacked: bool
    packed: bool | None = None


def find_data_dir(data_dir: Path | None = None) -> Path:
    """Give the folder of the cache: the one named, else MNISTSEQ_DATA_DIR, else the user's."""
    named = data_dir or os.environ.get("MNISTSEQ_DATA_DIR")
    return Path(named) if named else user_data_path("mnistseq")


def is_offline() -> bool:
    """Tell whether MNISTSEQ_OFFLINE forbids to open sockets; empty and 0 do not."""
    return os.environ.get("MNISTSEQ_OFFLINE", "") not in {"", "0"}


def find_raw_dir(dataset: Dataset, data_dir: Path | None = None) -> Path:
    """Give the folder of the files of a data set."""
    return find_data_dir(data_dir) / dataset.folder / "raw"


def is_cached(dataset: Dataset, data_dir: Path | None = None) -> bool:
    """Tell whether all files of a data set are there, unpacked and as long as they should be."""
    folder = find_raw_dir(dataset, data_dir)
    return all(look(file, folder).unpacked for file in dataset.files())


def ensure_cached(
    dataset: Dataset,
    data_dir: Path | None = None,
    *,
    splits: tuple[SplitName, ...] = SPLITS,
    mirrors: tuple[str, ...] = (),
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    verify: bool = False,
    force: bool = False,
) -> dict[str, Action]:
    """See to it that the files of a data set are in the cache.

    Parameters
    ----------
    dataset : Dataset
        What to have.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.
    splits : tuple of str
        The splits that are needed.
    mirrors : tuple of str
        Mirrors to try before those of the data set.
    progress : Progress, optional
        Is told about downloads.
    patience : Patience
        How long to wait for mirrors.
    verify : bool
        Read and hash every byte; otherwise sizes are compared.
    force : bool
        Fetch everything again.

    Returns
    -------
    dict of str to Action
        What was done about each file.

    Raises
    ------
    DownloadError
        A file is missing and no mirror gave it, or MNISTSEQ_OFFLINE is set.
    CacheError
        The cache cannot be read or written.
    """
    folder = find_raw_dir(dataset, data_dir)
    order = (*mirrors, *dataset.mirrors)
    deadline = time.monotonic() + patience.deadline_s
    done = {}
    for file in dataset.files(splits):
        action = decide(look(file, folder, verify=verify), force=force)
        if action is Action.UNPACK and not unpack(file, folder):
            action = Action.FETCH
        if action is Action.FETCH:
            if is_offline():
                raise _offline(dataset, file, folder, data_dir)
            from mnistseq_cli.glyphs.download import fetch_file  # noqa: PLC0415 - a warm start needs no network

            try:
                mirror = fetch_file(
                    file,
                    folder,
                    mirrors=order,
                    progress=progress,
                    patience=patience,
                    deadline=deadline,
                )
            except DownloadError as error:
                by_hand = download_command(dataset.name, data_dir, "--from FOLDER")
                raise DownloadError(
                    error.message,
                    f"Try again later, name another --mirror URL, or bring the files: {by_hand}",
                ) from error
            # The mirror that worked comes first for the next file, also after a slow one.
            order = (mirror, *(other for other in order if other != mirror))
            unpack(file, folder)
        done[file.name] = action
    return done


def decide(found: Found, *, force: bool = False) -> Action:
    """Decide what to do about a file."""
    if force:
        return Action.FETCH
    if found.unpacked and found.packed is not False:
        return Action.USE
    return Action.UNPACK if found.packed else Action.FETCH


def look(file: DataFile, folder: Path, *, verify: bool = False) -> Found:
    """Look for a file in the cache: at its size, or with `verify` at every byte."""
    packed, unpacked = folder / file.gzip_name, folder / file.name
    try:
        if not verify:
            if _size_bytes(unpacked) == file.unpacked_size_bytes:
                return Found(unpacked=True)
            return Found(unpacked=False, packed=_size_bytes(packed) == file.size_bytes)
        data = packed.read_bytes() if packed.is_file() else None
        packed_ok = None if data is None else hashlib.sha256(data).hexdigest() == file.sha256
        wanted = _hash(_unpack(data)) if data and packed_ok else file.unpacked_sha256
        return Found(
            unpacked=unpacked.is_file() and wanted == _hash(_read(unpacked)), packed=packed_ok
        )
    except OSError as error:
        raise CacheError(f"cannot read {error.filename or folder}: {error.strerror}") from error


def unpack(file: DataFile, folder: Path) -> bool:
    """Unpack the gzip file beside itself if its hash is right; tell whether it was."""
    try:
        data = (folder / file.gzip_name).read_bytes()
    except OSError as error:
        raise CacheError(f"cannot read {error.filename}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        return False
    place_file(folder / file.name, _unpack(data))
    return True


def _unpack(data: bytes) -> Iterator[bytes]:
    """Give the contents of a gzip file whose hash is right, so that it can be trusted."""
    yield gzip.decompress(data)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _hash(blocks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _size_bytes(path: Path) -> int:
    """Give the size of a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def download_command(name: str, data_dir: Path | None, options: str = "") -> str:
    """Give the command that mends a data set, for the folder in use."""
    words = ["mnistseq download", name, options]
    if data_dir is not None:
        words.append(f"--data-dir {shlex.quote(str(data_dir))}")
    return " ".join(filter(None, words))


def _offline(
    dataset: Dataset, file: DataFile, folder: Path, data_dir: Path | None
) -> DownloadError:
    is_there = (folder / file.name).exists() or (folder / file.gzip_name).exists()
    by_hand = download_command(dataset.name, data_dir, "--from FOLDER")
    return DownloadError(
        f"{folder / file.name} is {'damaged' if is_there else 'missing'}, and MNISTSEQ_OFFLINE "
        "forbids to fetch it",
        f"Unset MNISTSEQ_OFFLINE, or bring the files from elsewhere: {by_hand}",
    )


def adopt(dataset: Dataset, source: Path, data_dir: Path | None = None) -> Path:
    """Copy the files of a data set into the cache, each only if its hash is right.

    Parameters
    ----------
    dataset : Dataset
        What to bring.
    source : Path
        A folder with the gzip files or the unpacked IDX files, a root folder of torchvision, or
        a Keras `mnist.npz`.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.

    Returns
    -------
    Path
        The folder that has them now.

    Raises
    ------
    GlyphError
        A file is not there, or is not the one that the catalogue knows.
    CacheError
        The cache cannot be written.
    """
    folder = find_raw_dir(dataset, data_dir)
    if source.is_file():
        _adopt_npz(dataset, source, folder)
    elif source.is_dir():
        for file in dataset.files():
            _adopt_file(file, dataset, source, folder)
    else:
        raise GlyphError(f"there is no file or folder {source}")
    return folder


def _adopt_file(file: DataFile, dataset: Dataset, source: Path, folder: Path) -> None:
    places = (source, source / dataset.folder / "raw", source / "raw")
    packed = [place / file.gzip_name for place in places]
    unpacked = [place / file.name for place in places]
    if there := _first_file(packed):
        if _copy(there, file.sha256, folder / file.gzip_name):
            unpack(file, folder)
            return
    elif there := _first_file(unpacked):
        if not file.unpacked_sha256:
            raise _unproved(dataset, there)
        if _copy(there, file.unpacked_sha256, folder / file.name):
            return
    else:
        raise GlyphError(f"{source} has neither {file.gzip_name} nor {file.name}")
    raise GlyphError(f"{there} is not the file that {dataset.name} has: its SHA-256 differs")


def _adopt_npz(dataset: Dataset, source: Path, folder: Path) -> None:
    if not dataset.train.images.unpacked_sha256:
        raise _unproved(dataset, source)
    found = {}
    for name in SPLITS:
        images, labels = read_npz(source, name)
        found[dataset.split(name).images] = encode_idx(images)
        found[dataset.split(name).labels] = encode_idx(labels.astype(np.uint8))
    for file, data in found.items():
        if hashlib.sha256(data).hexdigest() != file.unpacked_sha256:
            raise GlyphError(f"{source} does not hold the {file.name} that {dataset.name} has")
    for file, data in found.items():
        place_file(folder / file.name, [data])


def _first_file(paths: list[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _copy(source: Path, sha256: str, path: Path) -> bool:
    """Copy a file if its hash is right; tell whether it was."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise GlyphError(f"cannot read {source}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        return False
    place_file(path, [data])
    return True


def _unproved(dataset: Dataset, source: Path) -> GlyphError:
    return GlyphError(
        f"{source} cannot be checked: of {dataset.name}, only the hashes of the gzip files "
        "are known",
        "Bring the .gz files, or fetch them: mnistseq download " + dataset.name,
    )
