"""A name or a path becomes a `GlyphSet`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import CacheError, DownloadError, GlyphError, UsageError
from mnistseq_cli.glyphs.cache import (
    Action,
    download_command,
    ensure_cached,
    find_data_dir,
    find_raw_dir,
)
from mnistseq_cli.glyphs.catalog import DATASETS, DIGITS, DRAWN, MNIST, SPLITS
from mnistseq_cli.glyphs.download import HASTY
from mnistseq_cli.glyphs.glyph_set import SIDE_PX, GlyphSet
from mnistseq_cli.glyphs.idx import read_idx, write_idx

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.catalog import DataFile, Dataset, SplitName
    from mnistseq_cli.glyphs.download import Progress

LICENCE = "none needed"
_BLOCK = 1000  # glyphs between two steps of a bar
_PREFIXES = {"train": "train", "test": "t10k"}


def ensure_drawn(
    name: str,
    data_dir: Path | None = None,
    *,
    splits: tuple[SplitName, ...] = SPLITS,
    progress: Progress | None = None,
    verify: bool = False,
    force: bool = False,
) -> dict[str, Action]:
    """See to it that the files of a drawn data set are in the cache.

    Parameters
    ----------
    name : str
        A name of `DRAWN`.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.
    splits : tuple of str
        The splits that are needed.
    progress : Progress, optional
        Is told about bytes drawn.
    verify : bool
        Hash what is there; otherwise its headers and sizes are checked.
    force : bool
        Draw again.

    Returns
    -------
    dict of str to Action
        What was done about each split.

    Raises
    ------
    GlyphError
        This machine draws something else than it should.
    CacheError
        The cache cannot be written.
    """
    done: dict[str, Action] = {}
    for split in splits:
        there = not force and is_drawn(name, split, data_dir)
        if there and verify:
            there = _hash(*read_drawn(name, split, data_dir)) == find_drawn_sha256(name, split)
        if not there:
            arrays = draw_split(name, split, progress)
            for path, array in zip(_find_files(name, split, data_dir), arrays, strict=True):
                write_idx(path, array)
            if progress:
                progress.finish(_name_bar(name, split))
        done[split] = Action.USE if there else Action.DRAW
    return done


def is_drawn(name: str, split: SplitName, data_dir: Path | None = None) -> bool:
    """Tell whether the files of a split are there, of the shapes they should have."""
    n_glyphs = n_drawn(name)[split]
    try:
        images, labels = read_drawn(name, split, data_dir)
    except GlyphError:
        return False
    return images.shape == (n_glyphs, SIDE_PX, SIDE_PX) and labels.shape == (n_glyphs,)


def n_drawn(name: str) -> dict[SplitName, int]:
    """Give the number of glyphs of each split."""
    numbers: dict[SplitName, int] = import_module(DRAWN[name]).N_GLYPHS
    return numbers


def find_drawn_sha256(name: str, split: SplitName) -> str:
    """Give the hash of a split: of all its images, then all its labels."""
    sha256: str = import_module(DRAWN[name]).SHA256[split]
    return sha256


def find_drawn_dir(name: str, data_dir: Path | None = None) -> Path:
    """Give the folder of the files of a drawn data set."""
    return find_data_dir(data_dir) / name.capitalize() / "raw"


def read_drawn(
    name: str, split: SplitName, data_dir: Path | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Map the images and labels of a split."""
    images_path, labels_path = _find_files(name, split, data_dir)
    return read_idx(images_path), read_idx(labels_path)


def find_writers(name: str, split: SplitName) -> NDArray[np.int64]:
    """Tell who wrote each glyph of a split."""
    writers: NDArray[np.int64] = import_module(DRAWN[name]).hand_of(
        np.arange(n_drawn(name)[split])
    )
    return writers


def draw_split(
    name: str, split: SplitName, progress: Progress | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the images and labels of a split.

    Raises
    ------
    GlyphError
        This machine draws something else than it should.
    """
    images, labels = _draw_blocks(name, split, progress)
    sha256, wanted = _hash(images, labels), find_drawn_sha256(name, split)
    if sha256 != wanted:
        raise GlyphError(
            f"{name} came out wrong on this machine: SHA-256 of {split} is {sha256}, not {wanted}",
            "Please report this with the version of NumPy. Another data set: --dataset mnist",
        )
    return images, labels


def _draw_blocks(
    name: str, split: SplitName, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    draw_glyphs, n_glyphs = import_module(DRAWN[name]).draw_glyphs, n_drawn(name)[split]
    bar = _name_bar(name, split)
    if progress:
        progress.start(bar, n_glyphs * SIDE_PX * SIDE_PX)
    blocks = []
    for start in range(0, n_glyphs, _BLOCK):
        blocks.append(draw_glyphs(split, start, min(start + _BLOCK, n_glyphs)))
        if progress:
            progress.advance(bar, blocks[-1][0].nbytes)
    images, labels = zip(*blocks, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _name_bar(name: str, split: SplitName) -> str:
    return f"{name} {split}"


def _find_files(name: str, split: SplitName, data_dir: Path | None) -> tuple[Path, Path]:
    folder, prefix = find_drawn_dir(name, data_dir), _PREFIXES[split]
    return folder / f"{prefix}-images-idx3-ubyte", folder / f"{prefix}-labels-idx1-ubyte"


def _hash(images: NDArray[Any], labels: NDArray[Any]) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


AUTO = "auto"
FALLBACK = "strokes"


@dataclass(frozen=True)
class _Part:
    """The glyphs of one split."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sha256: str
    alphabet: str
    writers: NDArray[np.int64] | None = None


def load_glyphs(
    dataset: str,
    split: str = "train",
    data_dir: Path | None = None,
    progress: Progress | None = None,
    warn: Callable[[GlyphError], None] | None = None,
) -> GlyphSet:
    """Load the glyphs of a data set.

    Files that are in the cache are mapped into memory: only their headers and the labels are
    read, and no socket is opened. Those that are not are downloaded first.

    Parameters
    ----------
    dataset : str
        A name of the catalogue, a path (see `read_local`), or "auto".
    split : {"train", "test", "all"}
        Which glyphs; "all" is train and then test, ids going on.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.
    progress : Progress, optional
        Is told about downloads.
    warn : callable, optional
        Is given the error that did not matter: why "auto" is not MNIST, or why glyphs that are
        drawn are not kept.

    Raises
    ------
    UsageError
        The data set or the split is not known.
    GlyphError
        Files cannot be found, had or read, or hold no glyphs.
    """
    if split not in {*SPLITS, "all"}:
        raise UsageError(f"unknown split {split!r}; allowed are train, test and all")
    names = tuple(name for name in SPLITS if split in {name, "all"})
    name = resolve_dataset(dataset, data_dir, progress, warn)
    known = DATASETS.get(name)
    if known:
        ensure_cached(known, data_dir, splits=names, progress=progress)
        parts = [_read_cached(known, split_name, data_dir) for split_name in names]
    elif name in DRAWN:
        parts = [_draw(name, split_name, data_dir, progress, warn) for split_name in names]
    else:
        from mnistseq_cli.glyphs.local import has_splits  # noqa: PLC0415 - readers of all kinds

        path = Path(name)
        names = names if has_splits(path) else names[:1]
        parts = [_read_path(path, split_name) for split_name in names]
    whole = _join(parts, name)
    return GlyphSet(
        whole.images,
        whole.labels,
        name=name,
        split=split,
        licence=known.licence if known else LICENCE if name in DRAWN else "not stated",
        sha256=whole.sha256,
        alphabet=whole.alphabet,
        writers=whole.writers,
    )


def resolve_dataset(
    name: str,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    warn: Callable[[GlyphError], None] | None = None,
) -> str:
    """Turn the name of a data set into one that is concrete: a name of the catalogue or a path.

    A path becomes absolute, so that a recipe that names it can be used from every folder.

    Parameters
    ----------
    name : str
        "auto" is MNIST if it is in the cache or can be had without waiting long, and the
        built-in pen otherwise.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.
    progress : Progress, optional
        Is told about downloads.
    warn : callable, optional
        Is given the error for which "auto" is not MNIST.

    Raises
    ------
    UsageError
        The name is not known, and there is no such path.
    GlyphError
        It can only be a path, and there is no such file or folder.
    """
    if name == AUTO:
        try:
            ensure_cached(MNIST, data_dir, progress=progress, patience=HASTY)
        except (DownloadError, CacheError) as error:
            if warn:
                warn(error)
            return FALLBACK
        return MNIST.name
    if name in DATASETS or name in DRAWN:
        return name
    path = Path(name).expanduser()
    if name and path.exists():
        # Without .. only where there is one: other links in a path are names that people chose.
        return str(path.resolve() if ".." in path.parts else path.absolute())
    if os.sep in name or path.suffix:
        raise GlyphError(
            f"there is no file or folder {name}, which the recipe or --dataset names",
            "If it has moved: sequence, phone and batch take its new place as --dataset PATH",
        )
    raise unknown_dataset(name)


def unknown_dataset(name: str) -> UsageError:
    """Give the error for a name that is not in the catalogue, with the nearest that is."""
    import difflib  # noqa: PLC0415 - only when there is an error

    known = [*DATASETS, *DRAWN]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else ""
    return UsageError(f"unknown data set {name!r}; known are {', '.join(known)}", hint)


def _read_cached(dataset: Dataset, name: SplitName, data_dir: Path | None) -> _Part:
    split = dataset.split(name)
    folder = find_raw_dir(dataset, data_dir)
    images = _read_file(split.images, dataset, data_dir)
    labels = _read_file(split.labels, dataset, data_dir)
    # QMNIST has eight numbers for each glyph: the class, and where it comes from.
    classes = labels[:, 0] if labels.ndim > 1 else labels
    if not 0 <= int(classes.min()) <= int(classes.max()) < len(dataset.alphabet):
        raise _damaged(
            f"{folder / split.labels.name} has labels from {classes.min()} to {classes.max()}",
            dataset,
            data_dir,
        )
    sha256 = hashlib.sha256(f"{split.images.sha256}{split.labels.sha256}".encode()).hexdigest()
    return _Part(images, classes.astype(np.uint8), sha256, dataset.alphabet)


def _read_file(file: DataFile, dataset: Dataset, data_dir: Path | None) -> NDArray[Any]:
    path = find_raw_dir(dataset, data_dir) / file.name
    try:
        array = read_idx(path)
    except GlyphError as error:
        raise _damaged(error.message, dataset, data_dir) from error
    if array.shape != file.shape:
        raise _damaged(f"{path} holds an array of shape {array.shape}", dataset, data_dir)
    return array


def _damaged(reason: str, dataset: Dataset, data_dir: Path | None) -> GlyphError:
    return GlyphError(
        f"a file of {dataset.name} is damaged: {reason}",
        f"Make it again: {download_command(dataset.name, data_dir, '--verify')}",
    )


def _draw(
    name: str,
    split: SplitName,
    data_dir: Path | None,
    progress: Progress | None,
    warn: Callable[[GlyphError], None] | None,
) -> _Part:
    """Map a drawn split from the cache; where that cannot be written, hold it in memory."""
    try:
        ensure_drawn(name, data_dir, splits=(split,), progress=progress)
        images, labels = read_drawn(name, split, data_dir)
    except CacheError as error:
        if warn:
            warn(error)
        images, labels = draw_split(name, split, progress)
    sha256, writers = find_drawn_sha256(name, split), find_writers(name, split)
    return _Part(images, np.asarray(labels), sha256, DIGITS, writers)


def _read_path(path: Path, name: SplitName) -> _Part:
    from mnistseq_cli.glyphs.local import read_local  # noqa: PLC0415 - readers of all kinds

    images, labels, alphabet = read_local(path, name)
    digest = hashlib.sha256(f"{images.shape} {alphabet}".encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(labels.data)
    return _Part(images, labels, digest.hexdigest(), alphabet)


def _join(parts: list[_Part], name: str) -> _Part:
    if len(parts) == 1:
        return parts[0]
    if len({part.alphabet for part in parts}) > 1:
        raise GlyphError(
            f"{name}: train and test have different classes: "
            f"{' and '.join(part.alphabet for part in parts)}"
        )
    return _Part(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest(),
        parts[0].alphabet,
        _join_writers([part.writers for part in parts if part.writers is not None]),
    )


def _join_writers(parts: list[NDArray[np.int64]]) -> NDArray[np.int64] | None:
    """Give the writers of all parts numbers of their own: no writer is in two parts."""
    if not parts:
        return None
    firsts = accumulate((int(part.max()) + 1 for part in parts), initial=0)
    return np.concatenate([part + first for part, first in zip(parts, firsts, strict=False)])
