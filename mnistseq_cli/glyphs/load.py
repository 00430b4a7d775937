"""A name, a path or a mix of these, such as ``mnist=2,strokes=1``, becomes a `GlyphSet`."""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from mnistseq_cli.errors import CacheError, DownloadError, GlyphError, UsageError
from mnistseq_cli.glyphs import cache
from mnistseq_cli.glyphs.catalog import (
    DATASETS,
    HASTY,
    MNIST,
    SPLITS,
    STROKES,
    DataFile,
    Dataset,
    Progress,
    SplitName,
    SplitNames,
    Warn,
)
from mnistseq_cli.glyphs.glyph_set import GlyphSet, hash_glyphs
from mnistseq_cli.glyphs.idx import read_idx
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.writers import Writers, join_writers
from mnistseq_cli.pixels import Array, Pixels
from mnistseq_cli.validation import suggest

AUTO = "auto"
_WEIGHT_LIMIT = 1_000_000
_FAILED_FILE = ".mnist-unreachable"  # its age says when MNIST was asked for in vain
_ASK_AGAIN_AFTER_S = 3600
_WRITER = 2  # the column of QMNIST's labels that says who wrote a glyph


def load_glyphs(
    dataset: str,
    split: str = "train",
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
    *,
    polarity: str = "auto",
) -> GlyphSet:
    """Load the glyphs of a data set.

    Files that are in the cache are mapped into memory: only their headers and the labels are
    read, and no socket is opened. Those that are not are downloaded first.

    Parameters
    ----------
    dataset : str
        A name of the catalogue, a path (see `read_local`), "auto", or a mix of names and paths by
        weight, such as "mnist=2,strokes=1".
    split : {"train", "test", "all"}
        Which glyphs; "all" is train and then test, ids going on.
    data_dir : path, optional
        Folder of the cache, see `find_data_dir`.
    progress : callable, optional
        Is told the name of a file, how many of its bytes have come, and how many there are.
    warn : callable, optional
        Is given the error that did not matter: why "auto" is not MNIST, or why glyphs that are
        drawn are not kept.
    polarity : {"auto", "dark-ink", "light-ink"}
        Of glyphs from a path; "auto" looks at the paper around the ink.

    Raises
    ------
    UsageError
        The data set or the split is not known.
    GlyphError
        Files cannot be found, had or read, or hold no glyphs.
    """
    if split not in {*SPLITS, "all"}:
        raise UsageError(f"unknown split {split!r}; expected train, test or all")
    names = tuple(name for name in SPLITS if split in {name, "all"})
    name = resolve_dataset(dataset, data_dir, progress, warn)
    if known := DATASETS.get(name):
        if polarity == "dark-ink":
            raise UsageError(
                f"is {polarity!r}, but {name} is known to be light ink on dark paper",
                "Leave it out: it is for glyphs of your own",
                field="polarity",
            )
        sets = _read_known(known, names, data_dir, progress, warn)
    elif members := find_members(name):
        said = {one: "auto" if one in DATASETS else polarity for one in members}
        sets = [
            load_glyphs(one, split, data_dir, progress, warn, polarity=polarity)
            for one, polarity in said.items()
        ]
        return _join_sets(sets, name, split, tuple(members.values()))
    else:
        from mnistseq_cli.glyphs.local import read_local  # noqa: PLC0415 - readers of all kinds

        sets = read_local(Path(name), names, polarity)
    if len({one.alphabet for one in sets}) > 1:
        classes = " and ".join(one.alphabet for one in sets)
        raise GlyphError(f"{name}: train and test have different classes: {classes}")
    # A path without splits is one set, which stands for all.
    return sets[0] if len(sets) == 1 else _join_sets(sets, name, split)


def resolve_dataset(
    name: str,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
) -> str:
    """Turn the name of a data set into one that is concrete: a name of the catalogue or a path.

    "auto" is MNIST if it is in the cache or can be had without waiting long, and otherwise the
    built-in pen; `warn` is given the reason. A path becomes absolute, so that a recipe that names
    it can be used from every folder.
    """
    if name == AUTO:
        return _find_auto(data_dir, progress, warn)
    if name in DATASETS:
        return name
    if members := find_members(name):
        resolved = {resolve_dataset(one): weight for one, weight in members.items()}
        if len(resolved) == 1:
            return next(iter(resolved))
        return ",".join(f"{one}={weight}" for one, weight in resolved.items())
    try:
        path = Path(name).expanduser()
        if name and path.exists():
            # Without .. only where there is one: other links in a path are names of people.
            return str(path.resolve() if ".." in path.parts else path.absolute())
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, no such ~user
        raise GlyphError(f"{name!r:.200} is not a path: {error}") from error
    if os.sep in name or path.suffix:
        raise GlyphError(
            f"there is no file or folder {name}, which the recipe or --dataset names",
            "If it has moved: sequence, phone and batch take its new place as --dataset PATH",
        )
    raise unknown_dataset(name)


def find_members(name: str) -> dict[str, int]:
    """Return the data sets of a mix and their weights; empty for one, or for an existing path."""
    if name in DATASETS or not {",", "="} & {*name}:
        return {}
    with suppress(OSError, ValueError, RuntimeError):
        if Path(name).expanduser().exists():
            return {}
    members: dict[str, int] = {}
    for piece in name.split(","):
        member, _, weight = piece.strip().partition("=")
        if not re.fullmatch("[0-9]{0,7}", weight) or not 1 <= int(weight or 1) <= _WEIGHT_LIMIT:
            raise UsageError(
                f"a data set of a mix is {piece!r:.100}; expected NAME=WEIGHT, such as mnist=2, "
                f"with a weight from 1 to {_WEIGHT_LIMIT:,}"
            )
        if not member or member == "auto" or member in members:
            raise UsageError(
                f"the mix {name!r:.100} has {member!r:.60} twice, or as no data set of its own",
                "Name each once, such as mnist=2,strokes=1",
            )
        members[member] = int(weight or 1)
    return members


def unknown_dataset(name: str) -> UsageError:
    """Return the error for a name that is not in the catalogue, with the nearest that is."""
    problem = f"unknown data set {name!r:.60}; expected {', '.join(DATASETS)}"
    return UsageError(problem, suggest(name.lower(), DATASETS))


def _find_auto(data_dir: str | Path | None, progress: Progress | None, warn: Warn | None) -> str:
    """Return MNIST if it can be had; who is offline is not kept waiting each time."""
    failed = cache.find_data_dir(data_dir) / _FAILED_FILE
    missed: GlyphError = DownloadError("MNIST is not cached")
    is_hopeless = False
    with suppress(OSError):
        is_hopeless = 0 <= time.time() - failed.stat().st_mtime < _ASK_AGAIN_AFTER_S
    try:
        if cache.is_cached(MNIST, data_dir) or cache.is_offline() or not is_hopeless:
            cache.ensure_cached(MNIST, data_dir, progress=progress, patience=HASTY)
            return MNIST.name
    except CacheError as error:
        missed = error
    except DownloadError as error:
        if not cache.is_offline():
            missed = error
            with suppress(OSError):
                failed.parent.mkdir(parents=True, exist_ok=True)
                failed.touch()
    if warn:
        warn(missed)
    return STROKES.name


def _join_sets(
    sets: list[GlyphSet], name: str, split: str, weights: tuple[int, ...] = ()
) -> GlyphSet:
    """Return a union of sets, ids going on, glyphs as large as the largest, drawn by weight."""
    alphabet = "".join(dict.fromkeys(one for each in sets for one in each.alphabet))
    side_px = max(one.images.shape[1] for one in sets)
    sizes = [len(one.labels) for one in sets]
    starts = np.cumsum([0, *sizes[:-1]])
    said = weights or [""] * len(sets)
    parts = [f"{one.sha256}{weight}" for one, weight in zip(sets, said, strict=True)]
    classes = [np.array([*map(alphabet.index, one.alphabet)], np.uint8) for one in sets]
    return GlyphSet(
        np.concatenate([resize(one.images, side_px) for one in sets]),
        np.concatenate([of[one.labels] for of, one in zip(classes, sets, strict=True)]),
        name=name,
        split=split,
        licence=" and ".join(dict.fromkeys(one.licence for one in sets)),
        sha256=hashlib.sha256("".join(parts).encode()).hexdigest(),
        alphabet=alphabet,
        ids=np.concatenate([one.ids + start for one, start in zip(sets, starts, strict=True)]),
        writers=join_writers((one.writers, len(one.labels)) for one in sets),
        is_test=np.concatenate([one.is_test | (one.split == "test") for one in sets]),
        pen_ids=np.concatenate([one.pen_ids for one in sets]),
        set_of=np.repeat(np.arange(len(sets)) * bool(weights), sizes),
        weights=weights or (1,),
    )


def _read_known(
    dataset: Dataset,
    names: SplitNames,
    data_dir: str | Path | None,
    progress: Progress | None,
    warn: Warn | None,
) -> list[GlyphSet]:
    """Map splits from the cache; what the pen draws is held in memory if it cannot be kept."""
    drawn: dict[SplitName, tuple[Pixels, Pixels]] = {}
    try:
        cache.ensure_cached(dataset, data_dir, splits=names, progress=progress)
    except CacheError as error:
        if not dataset.is_drawn:
            raise
        if warn:
            warn(error)
        drawn = {name: cache.draw_split(dataset, name, progress) for name in names}
    folder = cache.find_raw_dir(dataset, data_dir)
    sets = []
    try:
        for name in names[:1] if dataset.test_writers else names:
            files = dataset.files((name,))
            images, labels = drawn.get(name) or [_read_file(file, folder) for file in files]
            sets.append(_make_set(dataset, name, images, labels, data_dir))
    except GlyphError as error:
        option = "--verify" if dataset.mirrors or dataset.is_drawn else "--from FOLDER"
        raise GlyphError(
            f"a file of {dataset.name} is damaged: {error.message}",
            f"Make it again: {cache.download_command(dataset.name, data_dir, option)}",
        ) from error
    return [_cut_split(dataset, names, sets[0])] if dataset.test_writers else sets


def _find_writers(
    dataset: Dataset, name: SplitName, labels: Array, data_dir: str | Path | None
) -> Writers | None:
    """Return who wrote the glyphs of a split, where that is known."""
    if per_writer := dataset.glyphs_per_writer:
        first = 0 if name == "train" else dataset.train.n_glyphs  # no writer is in both splits
        return Writers(np.arange(first, first + len(labels)) // per_writer, dataset.name)
    if dataset.writers_from == dataset.name:
        return Writers(labels[:, _WRITER], "nist")
    source = DATASETS.get(dataset.writers_from)
    if source and cache.is_cached(source, data_dir, only_labels=True):
        with suppress(GlyphError):  # what is damaged is not known
            rows = _read_file(source.split(name).labels, cache.find_raw_dir(source, data_dir))
            return Writers(rows[: len(labels), _WRITER], "nist")
    return None


def _cut_split(dataset: Dataset, names: SplitNames, whole: GlyphSet) -> GlyphSet:
    """Return the glyphs of a split, or of both, where one pair of files holds all."""
    numbers = whole.writers.numbers if whole.writers else np.zeros(0)
    is_test = np.isin(numbers, np.concatenate(dataset.test_writers))
    split = names[0] if len(names) == 1 else "all"
    return replace(
        whole,
        split=split,
        sha256=hashlib.sha256(f"{whole.sha256}{split}".encode()).hexdigest(),
        ids=whole.ids if split == "all" else np.flatnonzero(is_test == (split == "test")),
        is_test=is_test,
    )


def _read_file(file: DataFile, folder: Path) -> Array:
    array = read_idx(folder / file.name)
    expected = file.shape if file.is_known else (len(array), *file.shape[1:])
    if array.shape != expected:
        raise GlyphError(f"{folder / file.name} holds an array of shape {array.shape}")
    return array


def _make_set(
    dataset: Dataset, name: SplitName, images: Array, labels: Array, data_dir: str | Path | None
) -> GlyphSet:
    split = dataset.split(name)
    # QMNIST has eight numbers for each glyph: the class, and where it comes from.
    classes = (labels[:, 0] if labels.ndim > 1 else labels).astype(np.int64) - dataset.first_label
    if len(classes) != len(images):
        raise GlyphError(f"{split.labels.name} has {len(classes):,} labels, not {len(images):,}")
    if not 0 <= classes.min() <= classes.max() < len(dataset.alphabet):
        low, high = labels.min(), labels.max()
        raise GlyphError(f"{split.labels.name} has labels from {low} to {high}")
    first_id = dataset.train.n_glyphs if name == "test" else 0
    return GlyphSet(
        images.transpose(0, 2, 1) if dataset.is_transposed else images,
        classes.astype(np.uint8),
        name=dataset.name,
        split=name,
        licence=dataset.licence,
        sha256=split.sha256 or hash_glyphs(images, labels, dataset.alphabet),
        alphabet=dataset.alphabet,
        writers=_find_writers(dataset, name, labels, data_dir),
        pen_ids=np.where(dataset.is_drawn, first_id + np.arange(len(classes)), -1),
    )
