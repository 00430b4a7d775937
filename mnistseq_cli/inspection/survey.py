"""A survey of a dataset: one pass over its samples.

Memory does not grow with samples, but for 24 bytes each to find equal images and texts.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.remake import ASPECTS
from mnistseq_cli.bulk.split_overlap import OverlapTally
from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.files import find_inside
from mnistseq_cli.inspection.dataset import Filler, StoredDataset, count_known, open_dataset
from mnistseq_cli.inspection.figures import (
    Source,
    Spread,
    Survey,
    UseFigures,
    copy_sample,
    pick_evenly,
)
from mnistseq_cli.inspection.gap_test import GapRule, GapTally
from mnistseq_cli.inspection.tally import EqualTally, LabelTally, PictureTally
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
    return GapRule(dataset.recipe, texts)


class _Surveyor:
    """Gathers what is to be known of a dataset, chunk by chunk."""

    def __init__(self, dataset: StoredDataset, filler: Filler, n_kept: int) -> None:
        recipe = dataset.recipe
        self._dataset = dataset
        self._filler = filler
        self._kept = _EvenSample(n_kept)
        # By what is counted: of characters, glyphs and writers how often each occurs, …
        self._counts: defaultdict[str, Counter[Any]] = defaultdict(Counter)
        self._texts = EqualTally()
        self._labels = LabelTally(is_ours=recipe is not None)
        self._pictures = PictureTally(recipe.get("ink", "black") if recipe else None)
        self._gaps = GapTally(_find_rule(dataset))
        self._overlap = OverlapTally()
        self.n_samples = 0

    def add(self, samples: list[LoadedSample]) -> list[LoadedSample]:
        """Look at some samples; return them with what they lack."""
        samples = self._filler.fill(samples)
        counts = self._counts
        counts["known"] += count_known(samples)
        by_split: defaultdict[str, list[LoadedSample]] = defaultdict(list)
        for sample in samples:
            by_split[sample.split].append(sample)
        for split, inside in by_split.items():
            texts = [it.text for it in inside]
            glyphs = [it.glyphs for it in inside if it.glyphs is not None]
            ids = np.concatenate(glyphs).tolist() if glyphs else []
            writers = [it.writers for it in inside if it.writers is not None]
            names = [*chain.from_iterable(writers)]
            counts["splits"][split] += len(inside)
            counts["digits"].update("".join(texts))
            counts["lengths"].update(map(len, texts))
            counts["glyphs"].update(ids)
            counts["writers"].update(filter(None, names))
            for text in texts:
                self._texts.add(text.encode())
            if split:
                self._overlap.add(
                    split,
                    texts,
                    glyphs=ids if len(glyphs) == len(inside) else None,
                    writers=names if len(writers) == len(inside) else None,
                )
        counts["marks"][""] += sum(
            len(it.mark_boxes) for it in samples if it.mark_boxes is not None
        )
        self._labels.add(samples)
        self._pictures.add(samples)
        self._gaps.add(samples)
        self._kept.add(samples)
        self.n_samples += len(samples)
        return samples

    def finish(self) -> Survey:
        """Return what was found."""
        pictures, counts = self._pictures, self._counts
        of_labels = counts["known"] - self._filler.counts
        samples = tuple(self._filler.fill(self._kept.choose(), boxes=True))  # it counts these too
        of_recipe = self._filler.counts
        sources = {aspect: Source(of_labels[aspect], of_recipe[aspect]) for aspect in ASPECTS}
        return Survey(
            folder=self._dataset.folder,
            format_name=self._dataset.format_name,
            is_finished=self._dataset.is_finished,
            recipe=self._dataset.recipe,
            n_samples=self.n_samples,
            splits=dict(counts["splits"]),
            overlaps={f"{it.one}, {it.other}": it for it in self._overlap.overlaps()},
            sizes=dict(pictures.sizes.most_common()),
            n_marks=counts["marks"].total(),
            digits=dict(sorted(counts["digits"].items())),
            lengths=dict(sorted(counts["lengths"].items())),
            has_boxes=sources["boxes"].n_known > 0,
            gaps=self._gaps.figures(),
            glyphs=_describe_uses(counts["glyphs"]) if sources["glyphs"].n_known else None,
            writers=_describe_uses(counts["writers"]) if counts["writers"] else None,
            sources=sources,
            samples=samples,
            why_not_recalled=self._filler.why_not,
            damage=self._labels.find(pictures.equal.count() - pictures.equal_pairs.count()),
            ink=pictures.ink,
            ink_share=pictures.ink_share(),
            ink_histogram=pictures.histogram,
            left_margin_px=pictures.left_px.spread(),
            right_margin_px=pictures.right_px.spread(),
            n_equal_images=pictures.equal.count(),
            n_equal_texts=self._texts.count(),
            heat_map=pictures.heat_map(),
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
        self._kept += map(copy_sample, samples[-self._n_seen % self._step :: self._step])
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
