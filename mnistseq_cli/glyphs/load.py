"""A name or a path becomes a `GlyphSet`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import CacheError, DownloadError, GlyphError, UsageError
from mnistseq_cli.glyphs.cache import (
    download_command,
    draw_split,
    ensure_cached,
    find_raw_dir,
)
from mnistseq_cli.glyphs.catalog import DATASETS, MNIST, SPLITS, STROKES
from mnistseq_cli.glyphs.download import HASTY
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.idx import read_idx

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.catalog import DataFile, Dataset, SplitName
    from mnistseq_cli.glyphs.download import Progress

AUTO = "auto"


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
        parts = _read_known(known, names, data_dir, progress, warn)
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
        licence=known.licence if known else "not stated",
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
            return STROKES.name
        return MNIST.name
    if name in DATASETS:
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

    near = difflib.get_close_matches(name.lower(), DATASETS, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else ""
    return UsageError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}", hint)


def _read_known(
    dataset: Dataset,
    names: tuple[SplitName, ...],
    data_dir: Path | None,
    progress: Progress | None,
    warn: Callable[[GlyphError], None] | None,
) -> list[_Part]:
    """Map splits from the cache; what the pen draws is held in memory if it cannot be kept."""
    try:
        ensure_cached(dataset, data_dir, splits=names, progress=progress)
    except CacheError as error:
        if not dataset.is_drawn:
            raise
        if warn:
            warn(error)
        return [_make_part(dataset, name, *draw_split(dataset, name, progress)) for name in names]
    try:
        return [
            _make_part(
                dataset,
                name,
                *(_read_file(file, dataset, data_dir) for file in dataset.files((name,))),
            )
            for name in names
        ]
    except GlyphError as error:
        raise GlyphError(
            f"a file of {dataset.name} is damaged: {error.message}",
            f"Make it again: {download_command(dataset.name, data_dir, '--verify')}",
        ) from error


def _make_part(
    dataset: Dataset, name: SplitName, images: NDArray[Any], labels: NDArray[Any]
) -> _Part:
    split = dataset.split(name)
    # QMNIST has eight numbers for each glyph: the class, and where it comes from.
    classes = labels[:, 0] if labels.ndim > 1 else labels
    if not 0 <= int(classes.min()) <= int(classes.max()) < len(dataset.alphabet):
        raise GlyphError(f"{split.labels.name} has labels from {classes.min()} to {classes.max()}")
    hashes = f"{split.images.sha256}{split.labels.sha256}"
    writers = None
    if dataset.is_drawn:
        from mnistseq_cli.glyphs.strokes import hand_of  # noqa: PLC0415 - for the pen only

        writers = hand_of(np.arange(len(classes)))
    return _Part(
        images,
        classes.astype(np.uint8),
        split.sha256 or hashlib.sha256(hashes.encode()).hexdigest(),
        dataset.alphabet,
        writers,
    )


def _read_file(file: DataFile, dataset: Dataset, data_dir: Path | None) -> NDArray[Any]:
    path = find_raw_dir(dataset, data_dir) / file.name
    array = read_idx(path)
    if array.shape != file.shape:
        raise GlyphError(f"{path} holds an array of shape {array.shape}")
    return array


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
