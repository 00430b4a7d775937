"""A survey of a dataset: one pass over its samples.

Memory does not grow with samples, but for 24 bytes each to find equal images and texts.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.remake import ASPECTS
from mnistseq_cli.bulk.split_overlap import OverlapTally
from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.files import find_inside
from mnistseq_cli.inspection.dataset import Filler, StoredDataset, open_dataset
from mnistseq_cli.inspection.figures import Source, Spread, Survey, UseFigures, pick_evenly
from mnistseq_cli.inspection.gap_test import GapRule, GapTally
from mnistseq_cli.inspection.ink import EqualTally, PictureTally
from mnistseq_cli.inspection.label_damage import LabelTally
from mnistseq_cli.recipe import TEXTS_FILE, read_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample, Wanted

N_SAMPLES_KEPT = 240
_CHUNK_SIZE = 256  # its images stay in the cache of a core
_CHUNK_BYTES = 1 << 25
_KEPT_BYTES = 1 << 26
_MOST_USED = 10


def survey(
    folder: Path,
    on_progress: Callable[[int], None] = lambda _: None,
    n_kept: int = N_SAMPLES_KEPT,
    watch: Callable[[LoadedSample], None] | None = None,
    data_dir: Path | None = None,
    *,
    n_samples: int | None = None,
) -> Survey:
    """Survey a dataset.

    What a dataset of ours does not hold of its samples is taken from its recipe, where the glyphs
    are at hand.

    Parameters
    ----------
    folder : Path
    on_progress : callable
        Called now and then with how many samples were read.
    n_kept : int
        How many samples, at most, to keep for the eye.
    watch : callable, optional
        Is given each sample, in order, for what else is to be found out in the same pass.
    data_dir : Path, optional
        Where glyphs are cached; none are fetched.
    n_samples : int, optional
        How many samples, at most, to look at, evenly spaced; by default all.
    """
    dataset = open_dataset(folder)
    wanted, n_all = (None, 0) if n_samples is None else _choose(dataset, n_samples)
    surveyor = _Surveyor(dataset, Filler(dataset, data_dir), n_kept)
    for chunk in _take_chunks(dataset.read(wanted)):
        for sample in surveyor.add(chunk):
            if watch:
                watch(sample)
        on_progress(surveyor.n_samples)
    if not surveyor.n_samples:
        raise _explain_emptiness(dataset)
    return replace(surveyor.finish(), n_left_out=max(0, n_all - surveyor.n_samples))


def pick_samples(folder: Path, n_picked: int, data_dir: Path | None = None) -> list[LoadedSample]:
    """Return evenly spaced samples of a dataset, with their boxes, without reading the others."""
    dataset = open_dataset(folder)
    wanted, _ = _choose(dataset, n_picked)
    samples = pick_evenly(list(dataset.read(wanted)), n_picked)
    if not samples:
        raise _explain_emptiness(dataset)
    return Filler(dataset, data_dir).fill(samples, boxes=True)


def _choose(dataset: StoredDataset, n_chosen: int) -> tuple[Wanted, int]:
    """Choose samples, evenly spaced, by their names; also return how many there are."""
    names: dict[str, None] = {}
    deque(dataset.read(lambda name: bool(names.setdefault(name))), maxlen=0)
    return set(pick_evenly(list(names), n_chosen)).__contains__, len(names)


def _explain_emptiness(dataset: StoredDataset) -> OutputError:
    return OutputError(
        f"{dataset.folder} holds no samples; its format seems to be {dataset.format_name}"
    )


def _take_chunks(samples: Iterable[LoadedSample]) -> Iterator[list[LoadedSample]]:
    """Put samples together, few of them where images are large."""
    chunk: list[LoadedSample] = []
    n_bytes = 0
    for sample in samples:
        chunk.append(sample)
        n_bytes += sample.image.nbytes
        if len(chunk) == _CHUNK_SIZE or n_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, n_bytes = [], 0
    if chunk:
        yield chunk


def _find_rule(dataset: StoredDataset) -> GapRule | None:
    """Return how gaps were drawn; without its file of texts, as if these had no groups."""
    if not dataset.recipe:
        return None
    texts: tuple[str, ...] = ()
    path = find_inside(dataset.folder, TEXTS_FILE)
    if "texts" in dataset.recipe and path:
        with suppress(MnistseqError):
            texts = read_texts(path)
    return GapRule.from_recipe(dataset.recipe, texts)


class _Surveyor:
    """Gathers what is to be known of a dataset, chunk by chunk."""

    def __init__(self, dataset: StoredDataset, filler: Filler, n_kept: int) -> None:
        recipe = dataset.recipe
        self._dataset = dataset
        self._filler = filler
        self._kept = _EvenSample(n_kept)
        self._splits: Counter[str] = Counter()
        self._digits: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._glyphs: Counter[int] = Counter()
        self._writers: Counter[str] = Counter()
        self._texts = EqualTally()
        self._labels = LabelTally(is_ours=recipe is not None)
        self._pictures = PictureTally(recipe.get("ink", "black") if recipe else None)
        self._gaps = GapTally(_find_rule(dataset))
        self._known: Counter[str] = Counter()
        self._overlap = OverlapTally()
        self._n_marks = 0
        self.n_samples = 0

    def add(self, samples: list[LoadedSample]) -> list[LoadedSample]:
        """Look at some samples; return them with what they lack."""
        samples = self._filler.fill(samples)
        texts = [sample.text for sample in samples]
        self._splits.update(sample.split for sample in samples)
        self._digits.update("".join(texts))
        self._lengths.update(map(len, texts))
        for text in texts:
            self._texts.add(text.encode())
        self._n_marks += sum(len(it.mark_boxes) for it in samples if it.mark_boxes is not None)
        self._labels.add(samples)
        self._pictures.add(samples)
        self._gaps.add(samples)
        glyphs = [sample.glyphs for sample in samples if sample.glyphs is not None]
        if glyphs:
            self._glyphs.update(np.concatenate(glyphs).tolist())
        for sample in samples:
            self._writers.update(filter(None, sample.writers or ()))
        for split in dict.fromkeys(sample.split for sample in samples if sample.split):
            inside = [sample for sample in samples if sample.split == split]
            glyphs = [one.glyphs.tolist() for one in inside if one.glyphs is not None]
            writers = [one.writers for one in inside if one.writers is not None]
            self._overlap.add(
                split,
                [one.text for one in inside],
                glyphs=chain.from_iterable(glyphs) if len(glyphs) == len(inside) else None,
                writers=chain.from_iterable(writers) if len(writers) == len(inside) else None,
            )
        for aspect in ASPECTS:
            self._known[aspect] += sum(getattr(one, aspect) is not None for one in samples)
        self._kept.add(samples)
        self.n_samples += len(samples)
        return samples

    def finish(self) -> Survey:
        """Return what was found."""
        pictures, counts = self._pictures, self._filler.counts
        n_labels = {aspect: self._known[aspect] - counts[aspect] for aspect in ASPECTS}
        samples = tuple(self._filler.fill(self._kept.choose(), boxes=True))
        overlaps = self._overlap.overlaps()
        sources = {aspect: Source(n_labels[aspect], counts[aspect]) for aspect in ASPECTS}
        return Survey(
            folder=self._dataset.folder,
            format_name=self._dataset.format_name,
            is_finished=self._dataset.is_finished,
            recipe=self._dataset.recipe,
            n_samples=self.n_samples,
            splits=dict(self._splits),
            overlaps={f"{it.one}, {it.other}": it for it in overlaps},
            sizes=dict(pictures.sizes.most_common()),
            n_marks=self._n_marks,
            digits=dict(sorted(self._digits.items())),
            lengths=dict(sorted(self._lengths.items())),
            has_boxes=sources["boxes"].n_known > 0,
            gaps=self._gaps.figures(),
            glyphs=_describe_uses(self._glyphs) if self._known["glyphs"] else None,
            writers=_describe_uses(self._writers) if self._writers else None,
            sources=sources,
            why_not_recalled=self._filler.why_not,
            damage=self._labels.find(pictures.equal.count() - pictures.equal_pairs.count()),
            ink=pictures.ink,
            ink_share=pictures.share.spread(),
            ink_histogram=pictures.histogram,
            left_margin_px=pictures.left_px.spread(),
            right_margin_px=pictures.right_px.spread(),
            n_equal_images=pictures.equal.count(),
            n_equal_texts=self._texts.count(),
            heat_map=pictures.heat_map(),
            samples=samples,
        )


def _describe_uses(used: Counter[Any]) -> UseFigures:
    uses = used.values()
    spread = Spread(min(uses), sum(uses) / len(uses), max(uses)) if uses else Spread(0, 0, 0)
    ordered = sorted(used.items(), key=lambda pair: (-pair[1], pair[0]))
    return UseFigures(len(uses), spread, dict(ordered[:_MOST_USED]))


class _EvenSample:
    """Keeps evenly spaced samples of a stream whose length is not known."""

    def __init__(self, n_most: int) -> None:
        self._n_most = n_most
        self._step = 1
        self._n_seen = 0
        self._kept: list[LoadedSample] = []

    def add(self, samples: list[LoadedSample]) -> None:
        """Take some samples."""
        if self._n_most < 1:
            return
        self._kept += map(_copy, samples[-self._n_seen % self._step :: self._step])
        self._n_seen += len(samples)
        while len(self._kept) > 1 and (
            len(self._kept) > 2 * self._n_most
            or sum(sample.image.nbytes for sample in self._kept) > _KEPT_BYTES
        ):
            self._kept = self._kept[::2]
            self._step *= 2

    def choose(self) -> list[LoadedSample]:
        """Return those to show."""
        return pick_evenly(self._kept, self._n_most)


def _copy(sample: LoadedSample) -> LoadedSample:
    """Let go of the arrays that a sample is a view of."""
    copies: dict[str, Any] = {
        name: value.copy() for name, value in vars(sample).items() if isinstance(value, np.ndarray)
    }
    return replace(sample, **copies)
