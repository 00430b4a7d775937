"""A survey of a dataset: one pass over its samples, by one process or several.

Memory does not grow with samples, but for 24 bytes each to find equal images and texts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np

from mnistseq_cli.bulk.remake import ASPECTS
from mnistseq_cli.bulk.workers import count_cores, map_unordered
from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.files import find_inside
from mnistseq_cli.formats.base import ChosenPlaces, LoadedSample, rank_split
from mnistseq_cli.inspection.dataset import Filler, StoredDataset, count_known, open_dataset
from mnistseq_cli.inspection.figures import INK_BINS, Source, Spread, Survey, UseFigures
from mnistseq_cli.inspection.gap_test import GapRule
from mnistseq_cli.inspection.predictions import ReaderTally
from mnistseq_cli.inspection.tally import SHARE_UNITS, Tally
from mnistseq_cli.recipe import COUNT_LIMIT, TEXTS_FILE, Ink, read_texts

N_SAMPLES_KEPT = 240
_FEW_SAMPLES = 20_000  # looked at before workers have started
_CHUNK_SIZE = 256  # its images stay in the cache of a core
_STRIPE_SIZE = 16 * _CHUNK_SIZE  # consecutive samples that one worker looks at
_CHUNK_BYTES = 1 << 25
_MOST_USED = 10
_HALF = 128  # a level of paper that is white, or more


def survey(
    folder: Path,
    on_progress: Callable[[int], None] = lambda _: None,  # is told how many were looked at
    n_kept: int = N_SAMPLES_KEPT,  # samples, at most, to keep for the eye
    reader: ReaderTally | None = None,  # counts in the same pass how well samples are read
    data_dir: Path | None = None,  # where glyphs are cached; none are fetched
    *,
    n_samples: int | None = None,  # to look at, at most, evenly spaced; by default all
    workers: int | None = None,  # 0: this process; else as many as usable cores, if there is much
) -> Survey:
    """Survey a dataset.

    What a dataset of ours does not hold of its samples is taken from its recipe, where the glyphs
    are at hand. Findings do not depend on the number of workers.
    """
    dataset = open_dataset(folder)
    n_all = 1 if n_samples is None else _count(dataset)
    if workers is None:
        n_read = min(dataset.n_samples or 0, n_samples or COUNT_LIMIT)
        workers = count_cores() if n_read > _FEW_SAMPLES else 0
    predictions = reader.predictions if reader else None
    look = _Look(
        dataset=dataset,
        filler=Filler(dataset, data_dir),
        spread=partial(_spread, n_looked_at=min(n_samples or 1, n_all), n_all=n_all),
        n_shares=max(1, workers),
        open_tally=partial(Tally, _find_ink(dataset), _find_rule(dataset), n_kept, predictions),
    )
    found = look.by_workers(workers, on_progress)
    if found.failure:  # what is lacking is filled in everywhere or nowhere
        look = replace(look, filler=Filler(dataset, data_dir, why_not=found.failure[1]))
        found = look.by_workers(workers, on_progress)
    if not found.n_samples:
        raise _explain_emptiness(dataset)
    if reader and found.reader:
        reader.merge(found.reader)
    return look.describe(found)


def pick_samples(folder: Path, n_picked: int, data_dir: Path | None = None) -> list[LoadedSample]:
    """Return evenly spaced samples of a dataset, with their boxes, without reading the others."""
    dataset = open_dataset(folder)
    n_all = _count(dataset)
    if not n_all:
        raise _explain_emptiness(dataset)
    samples = list(dataset.read(_spread(count(), min(n_picked, n_all), n_all)))
    return Filler(dataset, data_dir).fill(samples, boxes=True)


def _count(dataset: StoredDataset) -> int:
    """Count the samples that are there."""
    none = ChosenPlaces(())
    deque(dataset.read(none), maxlen=0)
    return none.n_seen


def _list_places(share: int, n_shares: int) -> Iterator[int]:
    """Yield the places of a share of the samples that are looked at."""
    return (place for place in count() if place // _STRIPE_SIZE % n_shares == share)


def _spread(places: Iterable[int], n_looked_at: int, n_all: int) -> ChosenPlaces:
    """Choose the samples at places among so many that are evenly spaced among all."""
    return ChosenPlaces(place * n_all // n_looked_at for place in places)


def _explain_emptiness(dataset: StoredDataset) -> OutputError:
    return OutputError(
        f"{dataset.folder} holds no samples; its format seems to be {dataset.format_name}"
    )


def _take_chunks(
    samples: Iterable[LoadedSample], places: Iterator[int]
) -> Iterator[tuple[int, list[LoadedSample]]]:
    """Put consecutive samples together, few of them where images are large; yield where."""
    # Where chunks begin does not depend on the number of shares.
    chunk: list[LoadedSample] = []
    n_bytes = start = 0
    for sample, place in zip(samples, places, strict=False):
        if chunk and (place % _CHUNK_SIZE == 0 or n_bytes >= _CHUNK_BYTES):
            yield start, chunk
            chunk, n_bytes = [], 0
        start = start if chunk else place
        chunk.append(sample)
        n_bytes += sample.image.nbytes
    if chunk:
        yield start, chunk


def _find_ink(dataset: StoredDataset) -> Ink:
    """Return the ink of a recipe, or what the borders of the first images look like."""
    if dataset.recipe:
        return cast("Ink", dataset.recipe.get("ink", "black"))
    _, first = next(_take_chunks(dataset.read(), count()), (0, []))
    borders = [np.concatenate([seen.image[0], seen.image[-1]]) for seen in first]
    return "black" if not borders or np.median(np.concatenate(borders)) >= _HALF else "white"


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


@dataclass(frozen=True)
class _Look:
    """Looks at a share of the samples; a `Work`."""

    dataset: StoredDataset
    filler: Filler
    spread: Callable[[Iterable[int]], ChosenPlaces]
    n_shares: int
    open_tally: Callable[[], Tally]

    def by_workers(self, n_workers: int, on_progress: Callable[[int], None]) -> Tally:
        """Look at all samples; return what was found."""
        done: Counter[int] = Counter()

        def report(share: int, n_done: int) -> None:
            done[share] = n_done
            on_progress(done.total())

        found = self.open_tally()
        work, shares = partial(replace, self), range(self.n_shares)
        with closing(map_unordered(work, shares, n_workers, report=report)) as tallies:
            for one in tallies:
                found.merge(one)
        return found

    def __call__(self, share: int, report: Callable[[int], None]) -> Tally:
        """Look, until something that is to be filled in cannot be."""
        found, chosen = self.open_tally(), self.spread(_list_places(share, self.n_shares))
        places = _list_places(share, self.n_shares)
        is_filling = not self.filler.why_not
        for start, chunk in _take_chunks(self.dataset.read(chosen), places):
            held, samples = count_known(chunk), self.filler.fill(chunk)
            if is_filling and self.filler.why_not:
                found.failure = start, self.filler.why_not
                break
            found.add(samples, start)
            found.counts["from labels"].update(held)
            found.counts["known"].update(held if samples is chunk else count_known(samples))
            report(found.n_samples)
        found.counts["seen"][share] = chosen.n_seen
        return found

    def describe(self, found: Tally) -> Survey:
        """Return what was found, with the samples that were kept as whole as can be."""
        counts, kept = found.counts, found.kept.choose()
        samples = self.filler.fill(kept, boxes=True)
        held = counts["from labels"]
        known = counts["known"] + count_known(samples) - count_known(kept)
        histogram = np.zeros(INK_BINS, np.int64)
        for share, n in counts["ink"].items():
            histogram[min(share * INK_BINS // SHARE_UNITS, INK_BINS - 1)] += n
        return Survey(
            folder=self.dataset.folder,
            format_name=self.dataset.format_name,
            is_finished=self.dataset.is_finished,
            recipe=self.dataset.recipe,
            n_samples=found.n_samples,
            n_left_out=max(counts["seen"].values()) - found.n_samples,
            splits=dict(sorted(counts["splits"].items(), key=lambda pair: rank_split(pair[0]))),
            overlaps={f"{it.one}, {it.other}": it for it in found.overlap.overlaps()},
            sizes=dict(sorted(counts["sizes"].items(), key=lambda pair: (-pair[1], pair[0]))),
            n_marks=counts["marks"].total(),
            digits=dict(sorted(counts["digits"].items())),
            lengths=dict(sorted(counts["lengths"].items())),
            has_boxes=known["boxes"] > 0,
            gaps=found.gaps.figures(),
            glyphs=_describe_uses(found.overlap.count_uses("glyphs")),
            writers=_describe_uses(found.overlap.count_uses("writers")),
            sources={name: Source(held[name], known[name] - held[name]) for name in ASPECTS},
            samples=tuple(samples),
            why_not_recalled=self.filler.why_not,
            damage=found.damage(),
            ink=found.ink,
            ink_share=_find_spread(counts["ink"], SHARE_UNITS),
            digit_ink_px=_find_spread(counts["digit ink"]) if counts["digit ink"] else None,
            ink_histogram=histogram,
            left_margin_px=_find_spread(counts["left"]),
            right_margin_px=_find_spread(counts["right"]),
            n_equal_images=found.n_equal("images"),
            n_equal_texts=found.overlap.n_equal_texts(),
            heat_map=found.heat_map(),
        )


def _find_spread(counts: Counter[int], unit: int = 1) -> Spread:
    if not counts:
        return Spread(0, 0, 0)
    mean = sum(value * n for value, n in counts.items()) / counts.total()
    return Spread(min(counts) / unit, mean / unit, max(counts) / unit)


def _describe_uses(used: Counter[Any]) -> UseFigures | None:
    if not used:
        return None
    ordered = sorted(used.items(), key=lambda pair: (-pair[1], pair[0]))
    return UseFigures(len(used), _find_spread(Counter(used.values())), dict(ordered[:_MOST_USED]))
