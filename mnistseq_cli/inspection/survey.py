"""A survey of a dataset: one pass over its samples.

Memory does not grow with samples, but for 16 bytes each to find equal images and texts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.remake import ASPECTS
from mnistseq_cli.errors import OutputError
from mnistseq_cli.inspection.dataset import Dataset, Filler, open_dataset
from mnistseq_cli.inspection.figures import (
    GapFigures,
    GlyphFigures,
    Source,
    Spread,
    Survey,
)
from mnistseq_cli.inspection.gap_test import GapRule, GapTally
from mnistseq_cli.inspection.ink import EqualTally, PictureTally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample

__all__ = ["GapFigures", "GlyphFigures", "Spread", "Survey", "survey"]

N_SAMPLES_KEPT = 240
_CHUNK_SIZE = 256  # its images stay in the cache of a core
_MOST_USED = 10


def survey(
    folder: Path,
    tell: Callable[[int], None] = lambda _: None,
    n_kept: int = N_SAMPLES_KEPT,
    watch: Callable[[LoadedSample], None] | None = None,
    data_dir: Path | None = None,
) -> Survey:
    """Survey a dataset.

    What a dataset of ours does not hold of its samples is taken from its recipe, where the glyphs
    are at hand.

    Parameters
    ----------
    folder : Path
    tell : callable
        Is told now and then how many samples were read.
    n_kept : int
        How many samples, at most, to keep for the eye.
    watch : callable, optional
        Is given each sample, in order, for what else is to be found out in the same pass.
    data_dir : Path, optional
        Where glyphs are cached; none are fetched.

    Raises
    ------
    OutputError
        There is no dataset in the folder, it is empty, or a file of it is damaged.
    UsageError
        A library that its format needs is not installed.
    """
    dataset = open_dataset(folder)
    filler = Filler(dataset, data_dir)
    surveyor = _Surveyor(dataset, filler, n_kept)
    samples = dataset.read()
    while chunk := filler.fill(list(islice(samples, _CHUNK_SIZE))):
        surveyor.add(chunk)
        if watch:
            for seen in chunk:
                watch(seen)
        tell(surveyor.n_samples)
    if not surveyor.n_samples:
        raise OutputError(
            f"{folder} holds no samples; its format seems to be {dataset.format_name}"
        )
    return surveyor.finish()


class _Surveyor:
    """Gathers what is to be known of a dataset, chunk by chunk."""

    def __init__(self, dataset: Dataset, filler: Filler, n_kept: int) -> None:
        recipe = dataset.recipe
        self._dataset = dataset
        self._filler = filler
        self._samples = _Evenly(n_kept)
        self._splits: Counter[str] = Counter()
        self._digits: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._glyphs: Counter[int] = Counter()
        self._texts = EqualTally()
        self._pictures = PictureTally(recipe.get("ink", "black") if recipe else None)
        self._gaps = GapTally(GapRule.from_recipe(recipe) if recipe else None)
        self._known: Counter[str] = Counter()
        self.n_samples = 0

    def add(self, samples: list[LoadedSample]) -> None:
        """Look at some samples."""
        texts = [seen.text for seen in samples]
        self._splits.update(seen.split for seen in samples)
        self._digits.update("".join(texts))
        self._lengths.update(map(len, texts))
        for text in texts:
            self._texts.add(text.encode())
        self._pictures.add(samples)
        self._gaps.add(samples)
        glyphs = [seen.glyphs for seen in samples if seen.glyphs is not None]
        if glyphs:
            self._glyphs.update(np.concatenate(glyphs).tolist())
        for aspect in ASPECTS:
            self._known[aspect] += sum(getattr(seen, aspect) is not None for seen in samples)
        self._samples.add(samples)
        self.n_samples += len(samples)

    def finish(self) -> Survey:
        """Give what was found."""
        pictures = self._pictures
        counts = self._filler.counts
        n_labels = {aspect: self._known[aspect] - counts[aspect] for aspect in ASPECTS}
        samples = tuple(self._filler.fill(self._samples.choose(), boxes=True))
        sources = {aspect: Source(n_labels[aspect], counts[aspect]) for aspect in ASPECTS}
        return Survey(
            folder=self._dataset.folder,
            format_name=self._dataset.format_name,
            is_finished=self._dataset.is_finished,
            recipe=self._dataset.recipe,
            n_samples=self.n_samples,
            splits=dict(self._splits),
            sizes=dict(pictures.sizes.most_common()),
            digits=dict(sorted(self._digits.items())),
            lengths=dict(sorted(self._lengths.items())),
            has_boxes=any(vars(sources["boxes"]).values()),
            gaps=self._gaps.figures(),
            glyphs=self._describe_glyphs(),
            sources=sources,
            why_not_recalled=self._filler.why_not,
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

    def _describe_glyphs(self) -> GlyphFigures | None:
        if not self._known["glyphs"]:
            return None
        uses = self._glyphs.values()
        spread = Spread(min(uses), sum(uses) / len(uses), max(uses)) if uses else Spread(0, 0, 0)
        ordered = sorted(self._glyphs.items(), key=lambda pair: (-pair[1], pair[0]))
        return GlyphFigures(len(uses), spread, dict(ordered[:_MOST_USED]))


class _Evenly:
    """Keeps evenly spaced samples of a stream whose length is not known.

    Parameters
    ----------
    n_kept : int
        How many to keep, at most.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._step = 1
        self._n = 0
        self._kept: list[LoadedSample] = []

    def add(self, samples: list[LoadedSample]) -> None:
        """Take some samples."""
        if self._n_kept < 1:
            return
        for place in range(-self._n % self._step, len(samples), self._step):
            seen = samples[place]
            self._kept.append(_copy(seen))
        self._n += len(samples)
        while len(self._kept) > 2 * self._n_kept:
            self._kept = self._kept[::2]
            self._step *= 2

    def choose(self) -> list[LoadedSample]:
        """Give those to show."""
        n_kept = min(self._n_kept, len(self._kept))
        return [self._kept[place * len(self._kept) // n_kept] for place in range(n_kept)]


def _copy(seen: LoadedSample) -> LoadedSample:
    """Let go of the arrays that a sample is a view of."""
    copies: dict[str, Any] = {
        name: value.copy() for name, value in vars(seen).items() if isinstance(value, np.ndarray)
    }
    return replace(seen, **copies)
