"""Gaps against the distribution they were drawn from."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mnistseq_cli.compose.gaps import count_gaps
from mnistseq_cli.compose.layout import Digits, find_ranges
from mnistseq_cli.compose.patterns import parse_pattern
from mnistseq_cli.distortions import make_plan
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.glyphs.glyph_set import SIDE_PX
from mnistseq_cli.inspection.figures import GapFigures
from mnistseq_cli.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.layout import GapRanges
    from mnistseq_cli.formats.base import LoadedSample

_TINY = 1e-300
_CLOSE = 1e-16
_MOST_STEPS = 100_000


def find_p_value(statistic: float, degrees: int) -> float:
    """Give the probability of a statistic as large or larger, by chance alone.

    Parameters
    ----------
    statistic : float
        0 or more.
    degrees : int
        Degrees of freedom, 1 or more.
    """
    return upper_gamma(degrees / 2, statistic / 2)


def upper_gamma(a: float, x: float) -> float:
    """Give the upper regularised incomplete gamma function Q(a, x), for a > 0 and x >= 0.

    The relative error is below 1e-11 for a up to 1000, wherever Q is not below 1e-290.

    Raises
    ------
    ValueError
        `a` or `x` is out of range.
    """
    if not (a > 0 and x >= 0):
        raise ValueError(f"Q({a}, {x}): allowed are a > 0 and x >= 0")
    if x == 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return max(0.0, 1.0 - scale * _sum_series(a, x))
    return min(1.0, scale * _evaluate_fraction(a, x))


def _sum_series(a: float, x: float) -> float:
    """Sum x^n / (a (a + 1) … (a + n)) over n from 0 on."""
    term = total = 1.0 / a
    for n in range(1, _MOST_STEPS):
        term *= x / (a + n)
        total += term
        if term < total * _CLOSE:
            break
    return total


def _evaluate_fraction(a: float, x: float) -> float:
    """Evaluate 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - …)))."""
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    value = d
    for n in range(1, _MOST_STEPS):
        numerator = -n * (n - a)
        b += 2.0
        d = 1.0 / _keep_off_zero(numerator * d + b)
        c = _keep_off_zero(b + numerator / c)
        value *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            break
    return value


def _keep_off_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY


LEAST_EXPECTED = 5.0  # in a bin, as Cochran's rule has it
_LEAST_VARIANCE = 1e-9  # of the largest: less is rounding


class GapOdds:
    """Expected counts of gaps, and their covariance.

    Parameters
    ----------
    low, high : int
        The smallest and the largest gap there can be.

    Attributes
    ----------
    expected : ndarray of float64, shape (high - low + 1,)
    covariance : ndarray of float64, shape (high - low + 1, high - low + 1)
    """

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self.expected = np.zeros(high - low + 1)
        self.covariance = np.zeros((high - low + 1, high - low + 1))

    def add_free(self, lowest: int, size: int, count: int) -> None:
        """Add gaps that are drawn on their own, from `size` values."""
        inside = slice(lowest - self._low, lowest - self._low + size)
        self.expected[inside] += count / size
        self.covariance[inside, inside] += count * (np.eye(size) / size - 1 / size**2)

    def add_bound(self, lowest: int, size: int, n_gaps: int, slack_px: int, count: int) -> None:
        """Add rows of equally large gaps that may not add up to more than the slack.

        Raises
        ------
        LayoutError
            The combinations are too many to count.
        """
        table = count_gaps((size,) * n_gaps)
        total = table.ways(0, slack_px)
        alone = np.array([table.ways(1, slack_px - gap) / total for gap in range(size)])
        inside = slice(lowest - self._low, lowest - self._low + size)
        covariance = n_gaps * np.diag(alone) - n_gaps**2 * np.outer(alone, alone)
        if n_gaps > 1:
            sums = [table.ways(2, slack_px - both) / total for both in range(2 * size - 1)]
            both = np.add.outer(np.arange(size), np.arange(size))
            covariance += n_gaps * (n_gaps - 1) * np.array(sums)[both]
        self.expected[inside] += count * n_gaps * alone
        self.covariance[inside, inside] += count * covariance

    def compare(self, observed: NDArray[np.int64]) -> tuple[float, int, float] | None:
        """Compare with counts: statistic, degrees of freedom and p-value.

        Neighbouring gaps are counted together until at least `LEAST_EXPECTED` are expected. None
        where too few are left to compare.
        """
        bins = self._gather()
        difference = bins @ (observed - self.expected)
        variances, axes = np.linalg.eigh(bins @ self.covariance @ bins.T)
        varies = variances > _LEAST_VARIANCE * max(variances.max(initial=0.0), LEAST_EXPECTED)
        if not varies.any():
            return None
        statistic = float(((axes[:, varies].T @ difference) ** 2 / variances[varies]).sum())
        degrees = int(varies.sum())
        return statistic, degrees, find_p_value(statistic, degrees)

    def _gather(self) -> NDArray[np.float64]:
        """Give which gaps are counted together, shape (bins, gaps)."""
        bin_of, gathered, n_bins = [], 0.0, 0
        for expected in self.expected.tolist():
            bin_of.append(n_bins)
            gathered += expected
            if gathered >= LEAST_EXPECTED:
                gathered, n_bins = 0.0, n_bins + 1
        last = max(0, n_bins - 1)  # what is left at the end is too little for a bin of its own
        is_in: NDArray[np.bool_] = np.arange(last + 1)[:, None] == np.minimum(bin_of, last)
        return is_in.astype(np.float64)


@dataclass(frozen=True)
class GapRule:
    """How the gaps of a dataset were drawn.

    Parameters
    ----------
    recipe : Recipe
        Its texts do not matter.
    grouped : ndarray of bool, shape (longest,)
        Whether a group begins at each place; empty without groups.
    boxes_tell : bool
        Whether the boxes of digits are as wide as the digits were when gaps were drawn.
    cells_tell : bool
        Whether all cells are 28 px wide; those of distorted digits grow.
    """

    recipe: Recipe
    grouped: NDArray[np.bool_]
    boxes_tell: bool
    cells_tell: bool

    @classmethod
    def from_recipe(cls, values: dict[str, Any]) -> Self:
        """Read the rule from a recipe as ``dataset.json`` has it."""
        if "texts" in values:
            values = values | {"texts": ["0"]}
        recipe = Recipe.from_dict(values)
        grouped = parse_pattern(recipe.pattern).grouped if recipe.pattern else ()
        plan = make_plan(recipe.augment, recipe.augment_prob)
        is_scaled = recipe.fit != "pad" and recipe.width_px != "natural"
        boxes_tell = not is_scaled and not plan.at("line", "lens")
        cells_tell = recipe.spacing_mode == "fixed" or not plan.at("geometry", "shape")
        return cls(recipe, np.array(grouped, np.bool_), boxes_tell, cells_tell)

    @property
    def is_shared(self) -> bool:
        """Whether all gaps of a row are one draw."""
        return self.recipe.spacing_mode == "fixed"

    @property
    def is_given(self) -> bool:
        """Whether the width decides the gaps, so that nothing is drawn."""
        return self.is_shared and self.has_width

    @property
    def has_width(self) -> bool:
        """Whether gaps must fit into a width."""
        return isinstance(self.recipe.width_px, int) and self.recipe.fit == "pad"

    @property
    def needs_widths(self) -> bool:
        """Whether gaps depend on how wide digits are."""
        return self.has_width or self.recipe.spacing_px[0] < 0

    def measure(self, boxes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the widths of digits from their boxes, shape (N, n, 4), for the layout."""
        if self.recipe.measure == "cell":
            return np.full(boxes.shape[:2], SIDE_PX)
        return boxes[:, :, 2]

    def find_ranges(self, widths_px: NDArray[np.int64]) -> GapRanges:
        """Find what gaps between digits of some widths, shape (N, n), can be."""
        n_rows, n_digits = widths_px.shape
        grouped = np.zeros(n_digits, np.bool_)
        grouped[: len(self.grouped)] = self.grouped[:n_digits]
        lengths = np.full(n_rows, n_digits)
        return find_ranges(self.recipe, Digits(0, lengths, widths_px, grouped))

    def find_slack(
        self, widths_px: NDArray[np.int64], ranges: GapRanges
    ) -> NDArray[np.int64] | None:
        """Give what gaps may add up to over their smallest, shape (N,); None if all they can."""
        if not self.has_width:
            return None
        taken = widths_px.sum(axis=1) + (ranges.extra_px + ranges.lowest_px).sum(axis=1)
        slack_px: NDArray[np.int64] = int(str(self.recipe.width_px)) - taken
        return slack_px

    def explain(self) -> str:
        """Say in words what gaps are compared with."""
        low, high = self.recipe.spacing_px
        words = f"the uniform distribution from {low} to {high}"
        if self.is_shared:
            words += ", one gap for each row"
        if low < 0:
            words += ", but no gap smaller than its digits allow"
        if self.has_width:
            words += f", conditioned on fitting into {self.recipe.width_px} px"
        return words


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

    def add(self, samples: list[LoadedSample]) -> None:
        """Count the gaps of some samples."""
        alike: defaultdict[int, list[LoadedSample]] = defaultdict(list)
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

    def _add_rows(
        self, rule: GapRule, gaps_px: NDArray[np.int64], samples: list[LoadedSample]
    ) -> None:
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


def _find_widths(
    rule: GapRule, samples: list[LoadedSample], n_digits: int
) -> NDArray[np.int64] | None:
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
