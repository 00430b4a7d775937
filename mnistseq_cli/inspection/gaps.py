"""Gaps counted, and compared with the rule they were drawn by."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import LayoutError
from mnistseq_cli.inspection.figures import GapFigures
from mnistseq_cli.inspection.gap_odds import GapOdds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.formats.reading import Seen
    from mnistseq_cli.inspection.gap_rule import GapRule

_MOST_VALUES = 1000  # of a gap: the covariance has as many rows and columns
_MOST_KINDS = 4000  # of rows that must fit: one takes up to a millisecond
_BOX_NUMBERS = 4


@dataclass(frozen=True)
class _Rows:
    """Rows with equally many gaps, as the rule sees them: each array of shape (N, n)."""

    gaps_px: NDArray[np.int64]
    lowest_px: NDArray[np.int64]
    sizes: NDArray[np.int64]
    slack_px: NDArray[np.int64] | None


class GapTally:
    """Counts gaps, chunk by chunk.

    Parameters
    ----------
    rule : GapRule or None
        None where nothing is known of how they were drawn.
    """

    def __init__(self, rule: GapRule | None) -> None:
        self._rule = rule
        self._counts: Counter[int] = Counter()
        self._compared: Counter[int] = Counter()
        self._free: Counter[tuple[int, ...]] = Counter()  # lowest, size
        self._bound: Counter[tuple[int, ...]] = Counter()  # lowest, size, gaps, slack
        self._n_outside = 0
        self._is_blind = False

    def add(self, samples: list[Seen]) -> None:
        """Count the gaps of some samples."""
        alike: defaultdict[int, list[Seen]] = defaultdict(list)
        for seen in samples:
            if seen.gaps is not None and len(seen.gaps):
                alike[len(seen.gaps)].append(seen)
        for rows in alike.values():
            gaps_px = np.concatenate([seen.gaps for seen in rows if seen.gaps is not None])
            gaps_px = gaps_px.reshape(len(rows), -1)
            if self._rule is None:
                _count(self._counts, gaps_px)
            else:
                self._add_rows(self._rule, gaps_px, rows)

    def figures(self) -> GapFigures | None:
        """Give what was found; None where there are no gaps."""
        if not self._counts:
            return None
        if self._rule is None:
            low, high = min(self._counts), max(self._counts)
            self._free[low, high - low + 1] = self._counts.total()
            self._compared = self._counts
            words = (
                f"the uniform distribution from {low} to {high}, the smallest gap and the largest"
                " that there are, as nothing says how they were drawn"
            )
        else:
            words = self._rule.explain()
        return self._compare(words)

    def _add_rows(self, rule: GapRule, gaps_px: NDArray[np.int64], samples: list[Seen]) -> None:
        n_digits = gaps_px.shape[1] + (-1 if rule.recipe.edges else 1)
        widths_px = _find_widths(rule, samples, n_digits)
        known_px = np.full((len(samples), n_digits), 1) if widths_px is None else widths_px
        ranges = rule.find_ranges(known_px)
        is_gap = ranges.is_gap[0]
        gaps_px = gaps_px - ranges.extra_px[:, is_gap]
        lowest_px = ranges.lowest_px[:, is_gap]
        highest_px = ranges.highest_px[:, is_gap]
        if rule.is_shared:
            gaps_px, lowest_px = gaps_px[:, :1], lowest_px.max(axis=1, keepdims=True)
            highest_px = np.maximum(lowest_px, rule.recipe.spacing_px[1])
        _count(self._counts, gaps_px)
        if rule.is_given or (rule.needs_widths and widths_px is None):
            self._is_blind = True
            return
        slack_px = rule.find_slack(known_px, ranges)
        self._sort(_Rows(gaps_px, lowest_px, highest_px - lowest_px + 1, slack_px))

    def _sort(self, rows: _Rows) -> None:
        """Tell rows whose gaps are free of each other from those that must fit."""
        n_gaps = rows.sizes.shape[1]
        is_free = np.full(len(rows.sizes), rows.slack_px is None)
        if rows.slack_px is not None:
            is_free |= rows.sizes.sum(axis=1) - n_gaps <= rows.slack_px
        free = np.stack([rows.lowest_px[is_free].ravel(), rows.sizes[is_free].ravel()], axis=1)
        _count_rows(self._free, free)
        self._observe(rows, is_free)
        is_even = (rows.sizes == rows.sizes[:, :1]) & (rows.lowest_px == rows.lowest_px[:, :1])
        is_bound = ~is_free & is_even.all(axis=1)
        if rows.slack_px is not None and is_bound.any():
            first = rows.lowest_px[:, 0], rows.sizes[:, 0], np.full(len(is_free), n_gaps)
            kinds = np.stack([*first, rows.slack_px], axis=1)
            for place in np.flatnonzero(is_bound):  # of a new kind, when there are enough
                kind = tuple(kinds[place].tolist())
                is_bound[place] = kind in self._bound or len(self._bound) < _MOST_KINDS
                self._bound[kind] += int(is_bound[place])
            self._observe(rows, is_bound)

    def _observe(self, rows: _Rows, chosen: NDArray[np.bool_]) -> None:
        over_px = rows.gaps_px[chosen] - rows.lowest_px[chosen]
        self._n_outside += int(((over_px < 0) | (over_px >= rows.sizes[chosen])).sum())
        _count(self._compared, rows.gaps_px[chosen])

    def _compare(self, words: str) -> GapFigures:
        counts = dict(sorted(self._counts.items()))
        kinds = [*self._free, *self._bound]
        if not kinds:
            return GapFigures(
                counts, {}, f"nothing: {self._explain_blindness()}", None, None, None, 0
            )
        low = min(chain(self._compared, (kind[0] for kind in kinds)))
        high = max(chain(self._compared, (kind[0] + kind[1] - 1 for kind in kinds)))
        if high - low >= _MOST_VALUES:
            words = f"nothing: there are more than {_MOST_VALUES} values"
            return GapFigures(counts, {}, words, None, None, None, 0)
        odds = GapOdds(low, high)
        for (lowest, size), n_gaps in self._free.items():
            odds.add_free(lowest, size, n_gaps)
        try:
            for (lowest, size, n, slack_px), n_rows in self._bound.items():
                odds.add_bound(lowest, size, n, slack_px, n_rows)
        except LayoutError as error:
            return GapFigures(counts, {}, f"nothing: {error.message}", None, None, None, 0)
        expected = {low + at: float(value) for at, value in enumerate(odds.expected)}
        observed = np.array([self._compared[gap] for gap in expected])
        statistic, degrees, p_value = odds.compare(observed) or (None, None, None)
        if self._n_outside:
            words, p_value = f"{words}, which {self._n_outside:,} gaps break", 0.0
        n_compared = self._compared.total()
        return GapFigures(counts, expected, words, statistic, degrees, p_value, n_compared)

    def _explain_blindness(self) -> str:
        if self._rule is not None and self._rule.is_given:
            return "the width decides them"
        return "how wide digits were when gaps were drawn is not known"


def _find_widths(rule: GapRule, samples: list[Seen], n_digits: int) -> NDArray[np.int64] | None:
    """Give the widths of digits, shape (N, n); None where they are not known."""
    shape = (n_digits, _BOX_NUMBERS)
    if rule.recipe.measure == "cell" and not rule.cells_tell:
        return None
    if rule.recipe.measure == "cell":
        return rule.measure(np.zeros((len(samples), *shape), np.int64))
    boxes = [seen.boxes for seen in samples if seen.boxes is not None]
    if not rule.boxes_tell or len(boxes) < len(samples) or {box.shape for box in boxes} != {shape}:
        return None
    return rule.measure(np.stack(boxes))


def _count(counter: Counter[int], numbers: NDArray[np.int64]) -> None:
    values, counts = np.unique(numbers, return_counts=True)
    counter.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _count_rows(counter: Counter[tuple[int, ...]], rows: NDArray[np.int64]) -> None:
    values, counts = np.unique(rows, axis=0, return_counts=True)
    counter.update(dict(zip(map(tuple, values.tolist()), counts.tolist(), strict=True)))
