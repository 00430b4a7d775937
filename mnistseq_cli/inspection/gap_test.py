"""Gaps against the distribution that they were drawn from."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mnistseq_cli.compose.gaps import count_gaps
from mnistseq_cli.compose.layout import find_ranges
from mnistseq_cli.compose.patterns import parse_pattern
from mnistseq_cli.compose.texts import find_roles
from mnistseq_cli.distortions import make_pipeline
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.inspection.figures import GapFigures
from mnistseq_cli.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnistseq_cli.compose.layout import GapRanges
    from mnistseq_cli.compose.patterns import Form
    from mnistseq_cli.compose.texts import Roles
    from mnistseq_cli.formats.base import LoadedSample

LEAST_EXPECTED = 5.0  # in a bin, as Cochran's rule has it
_PRECISION = 1e-16  # of a float: what is smaller does not change a sum of 1
_BOX_NUMBERS = 4


def find_p_value(statistic: float, degrees: int) -> float:
    """Return the probability of a chi-square statistic at least as large, by chance alone.

    One minus the series of the incomplete gamma function (DLMF 8.11.4), which is exact to about
    1e-13; where the bound of Chernoff is below the precision of a float it is 0.
    """
    a, x = degrees / 2, statistic / 2
    if x == 0:
        return 1.0
    if x > a and a * math.log(x / a) + a - x < math.log(_PRECISION):
        return 0.0
    term = total = math.exp(a * math.log(x) - x - math.lgamma(a + 1))
    while term > total * _PRECISION:
        a += 1
        term *= x / a
        total += term
    return max(0.0, 1.0 - total)


def compare_counts(
    counts: Mapping[int, int], expected: Mapping[int, float]
) -> tuple[float, int, float] | None:
    """Compare counts with those expected, as Pearson did.

    Neighbours are counted together until at least `LEAST_EXPECTED` are expected.
    Returned are the statistic, degrees of freedom and p-value; None for fewer than two bins.
    """
    bins: list[list[float]] = []
    is_full = True
    for value in sorted(expected):
        if is_full:
            bins.append([0.0, 0.0])
        bins[-1][0] += counts.get(value, 0)
        bins[-1][1] += expected[value]
        is_full = bins[-1][1] >= LEAST_EXPECTED
    if not is_full and len(bins) > 1:  # too little for a bin of its own
        rest = bins.pop()
        bins[-1] = [bins[-1][0] + rest[0], bins[-1][1] + rest[1]]
    degrees = len(bins) - 1
    if degrees < 1:
        return None
    statistic = sum((n - awaited) ** 2 / awaited for n, awaited in bins)
    return statistic, degrees, find_p_value(statistic, degrees)


@dataclass(frozen=True)
class GapRule:
    """How the gaps of a dataset were drawn."""

    recipe: Recipe  # its texts do not matter
    groups: dict[str, tuple[bool, ...]]  # by text, whether a group begins at each place
    forms: tuple[tuple[re.Pattern[str], tuple[bool, ...]], ...]  # of a pattern, and their groups
    keeps_boxes: bool  # whether boxes are as wide as the digits were when gaps were drawn
    keeps_cells: bool  # whether all cells are of the usual width; those of distorted digits grow

    @classmethod
    def from_recipe(cls, values: dict[str, Any], texts: tuple[str, ...] = ()) -> Self:
        """Read the rule from a recipe as ``dataset.json`` has it, and the texts of its file."""
        if "texts" in values:
            values = values | {"texts": ["0"]}
        recipe = Recipe.from_dict(values)
        roles = find_roles(recipe, "")
        groups = _find_groups(texts or (recipe.digits or "",), roles)
        pattern = parse_pattern(recipe.pattern) if recipe.pattern else None
        forms = tuple(_read_form(form, roles) for form in pattern.forms) if pattern else ()
        plan = make_pipeline(recipe.augment, recipe.augment_prob)
        is_scaled = recipe.fit != "pad" and recipe.width_px != "natural"
        keeps_boxes = not is_scaled and not plan.at("line", "lens")
        keeps_cells = recipe.spacing_mode == "fixed" or not plan.at("geometry", "shape")
        keeps_cells &= recipe.margin_px is None
        return cls(recipe, groups, forms, keeps_boxes, keeps_cells)

    @property
    def is_shared(self) -> bool:
        """Whether all gaps of a row are one draw."""
        return self.recipe.spacing_mode == "fixed"

    @property
    def has_width(self) -> bool:
        """Whether gaps must fit into a width."""
        return isinstance(self.recipe.width_px, int) and self.recipe.fit == "pad"

    @property
    def is_given(self) -> bool:
        """Whether the width decides the gaps, so that nothing is drawn."""
        return self.is_shared and self.has_width

    def measure(self, samples: list[LoadedSample], n_digits: int) -> NDArray[np.int64] | None:
        """Return how wide digits were, shape (N, n); None where that is not known."""
        if self.recipe.measure == "cell":
            return (
                np.full((len(samples), n_digits), self.recipe.height_px)
                if self.keeps_cells
                else None
            )
        boxes = [seen.boxes for seen in samples if seen.boxes is not None]
        is_known = len(boxes) == len(samples) and self.keeps_boxes
        if not is_known or {box.shape for box in boxes} != {(n_digits, _BOX_NUMBERS)}:
            return None
        widths_px: NDArray[np.int64] = np.stack(boxes)[:, :, 2]
        return widths_px

    def find_ranges(self, widths_px: NDArray[np.int64], texts: list[str]) -> GapRanges:
        """Find what gaps between digits of some widths, shape (N, n), can be."""
        n_rows, n_digits = widths_px.shape
        grouped = np.zeros(widths_px.shape, np.bool_)
        if self.groups or self.forms:
            for row, text in enumerate(texts):
                groups = (self.find_groups(text) or ())[:n_digits]
                grouped[row, : len(groups)] = groups
        return find_ranges(self.recipe, np.full(n_rows, n_digits), widths_px, grouped)

    def find_groups(self, text: str) -> tuple[bool, ...] | None:
        """Return where groups begin in what is written of a text; None where that is not known."""
        if not self.forms:
            return self.groups.get(text, ())
        found = {groups for form, groups in self.forms if form.fullmatch(text)}
        return found.pop() if len(found) == 1 else None

    def find_slack(self, widths_px: NDArray[np.int64], ranges: GapRanges) -> NDArray[np.int64]:
        """Return what gaps may add up to over their smallest, shape (N,)."""
        if not self.has_width:
            return np.full(len(widths_px), np.iinfo(np.int64).max)
        taken_px = widths_px.sum(axis=1) + (ranges.extra_px + ranges.lowest_px).sum(axis=1)
        slack_px: NDArray[np.int64] = int(str(self.recipe.width_px)) - taken_px
        return slack_px

    def explain(self) -> str:
        """Describe in words what gaps are compared with."""
        low, high = self.recipe.spacing_px
        words = f"the uniform distribution from {low} to {high}"
        if self.is_shared:
            words += ", one gap for each row"
        if low < 0:
            words += ", but no gap smaller than its digits allow"
        if self.has_width:
            words += f", conditioned on fitting into {self.recipe.width_px} px"
        return words


def _find_groups(texts: tuple[str, ...], roles: Roles) -> dict[str, tuple[bool, ...]]:
    """Return the groups of texts that have some, by what is read of them."""
    groups = {}
    to_spaces = dict.fromkeys(map(ord, roles.gaps), " ")
    for text in texts:
        pieces = text.translate(to_spaces).split()
        if len(pieces) > 1:
            begins = [place == 0 for piece in pieces for place in range(len(piece))]
            groups[roles.read(text)] = (False, *begins[1:])
    return groups


def _read_form(form: Form, roles: Roles) -> tuple[re.Pattern[str], tuple[bool, ...]]:
    """Return what is read of the numbers of a form, and where groups begin in what is written."""
    label, groups, after_gap = "", list[bool](), False
    for column in form.list_columns():
        if column <= {*roles.gaps}:
            after_gap = bool(groups)
            continue
        groups.append(after_gap)
        after_gap = False
        if not column <= {*roles.marks}:
            label += f"[{re.escape(''.join(sorted(column)))}]"
    return re.compile(label), tuple(groups)


class GapTally:
    """Counts gaps, chunk by chunk.

    Gaps of rows that have room for the largest of them are independent of each other and are
    tested. Of rows that must fit into a width only the expected counts are known to be right.
    """

    def __init__(self, rule: GapRule | None) -> None:
        self._rule = rule  # None where nothing is known of how they were drawn
        self._counts: Counter[int] = Counter()
        self._tested: Counter[int] = Counter()
        self._fitted: Counter[int] = Counter()
        self._free: Counter[tuple[int, ...]] = Counter()  # lowest, size
        self._tight: Counter[tuple[int, ...]] = Counter()  # lowest, size, gaps, slack
        self._n_outside = 0

    def add(self, samples: list[LoadedSample]) -> None:
        """Count the gaps of some samples."""
        alike: defaultdict[int, list[LoadedSample]] = defaultdict(list)
        for seen in samples:
            is_known = self._rule is None or self._rule.find_groups(seen.text) is not None
            if seen.gaps is not None and len(seen.gaps) and is_known:
                alike[len(seen.gaps)].append(seen)
        for rows in alike.values():
            gaps_px = np.stack([seen.gaps for seen in rows if seen.gaps is not None])
            if self._rule is None:
                _count(self._counts, gaps_px)
            else:
                self._add_rows(self._rule, gaps_px, rows)

    def figures(self) -> GapFigures | None:
        """Return what was found; None where there are no gaps."""
        if not self._counts:
            return None
        if self._rule is not None:
            return self._compare(self._rule.explain())
        low, high = min(self._counts), max(self._counts)
        self._free[low, high - low + 1] = self._counts.total()
        self._tested = self._counts
        return self._compare(
            f"the uniform distribution from {low} to {high}, the smallest and the largest gap "
            "found, because no recipe says how they were drawn"
        )

    def _add_rows(
        self, rule: GapRule, gaps_px: NDArray[np.int64], samples: list[LoadedSample]
    ) -> None:
        n_digits = gaps_px.shape[1] + (-1 if rule.recipe.edges else 1)
        widths_px = rule.measure(samples, n_digits)
        known_px = np.full((len(samples), n_digits), 1) if widths_px is None else widths_px
        ranges = rule.find_ranges(known_px, [seen.text for seen in samples])
        is_gap = ranges.is_gap[0]
        gaps_px = gaps_px - ranges.extra_px[:, is_gap]
        lowest_px, highest_px = ranges.lowest_px[:, is_gap], ranges.highest_px[:, is_gap]
        if rule.is_shared:
            gaps_px, lowest_px = gaps_px[:, :1], lowest_px.max(axis=1, keepdims=True)
            highest_px = np.maximum(lowest_px, rule.recipe.spacing_px[1])
        _count(self._counts, gaps_px)
        needs_widths = rule.has_width or rule.recipe.spacing_px[0] < 0
        is_known = not (needs_widths and widths_px is None) and not rule.recipe.touching
        if not rule.is_given and is_known:
            slack_px = rule.find_slack(known_px, ranges)
            self._sort(gaps_px, lowest_px, highest_px - lowest_px + 1, slack_px)

    def _sort(
        self,
        gaps_px: NDArray[np.int64],
        lowest_px: NDArray[np.int64],
        sizes: NDArray[np.int64],
        slack_px: NDArray[np.int64],
    ) -> None:
        """Separate rows that have room for any gap from those that must fit."""
        n_gaps = sizes.shape[1]
        is_free = sizes.sum(axis=1) - n_gaps <= slack_px
        is_even = (sizes == sizes[:, :1]) & (lowest_px == lowest_px[:, :1])
        is_tight = ~is_free & is_even.all(axis=1) & (slack_px >= 0)  # others are too many kinds
        kinds = np.stack([lowest_px[is_free].ravel(), sizes[is_free].ravel()], axis=1)
        _count_rows(self._free, kinds)
        first = [lowest_px[:, 0], sizes[:, 0], np.full(len(sizes), n_gaps), slack_px]
        _count_rows(self._tight, np.stack(first, axis=1)[is_tight])
        _count(self._tested, gaps_px[is_free])
        _count(self._fitted, gaps_px[is_tight])
        over_px = (gaps_px - lowest_px)[is_free | is_tight]
        is_outside = (over_px < 0) | (over_px >= sizes[is_free | is_tight])
        self._n_outside += int(is_outside.sum())

    def _compare(self, rule: str) -> GapFigures:
        counts = dict(sorted(self._counts.items()))
        try:
            free, tight = self._expect_free(), self._expect_tight()
        except LayoutError as error:
            return GapFigures(counts, {}, f"nothing: {error.message}")
        if not free and not tight:
            why = "how wide digits were when gaps were drawn is not known"
            if self._rule is not None and self._rule.is_given:
                why = "the width decides them"
            elif self._rule is not None and self._rule.recipe.touching:
                why = "those of digits that touch follow from their ink"
            return GapFigures(counts, {}, f"nothing: {why}")
        both = self._tested + self._fitted
        every = sorted({*free, *tight, *both})
        expected = {gap: free.get(gap, 0.0) + tight.get(gap, 0.0) for gap in every}
        statistic, degrees, p_value = compare_counts(self._tested, free) or (None, None, None)
        if self._n_outside:
            rule, p_value = f"{rule}, which {self._n_outside:,} gaps break", 0.0
        n_tested = self._tested.total() if degrees else 0
        return GapFigures(
            counts, expected, rule, statistic, degrees, p_value, both.total(), n_tested
        )

    def _expect_free(self) -> dict[int, float]:
        expected: defaultdict[int, float] = defaultdict(float)
        for (lowest, size), n_gaps in self._free.items():
            for gap in range(lowest, lowest + size):
                expected[gap] += n_gaps / size
        return expected

    def _expect_tight(self) -> dict[int, float]:
        expected: defaultdict[int, float] = defaultdict(float)
        for (lowest, size, n_gaps, slack_px), n_rows in self._tight.items():
            table = count_gaps((size,) * n_gaps)
            total = table.ways(0, slack_px)
            for gap in range(size):  # equally likely for each of the gaps
                expected[lowest + gap] += n_rows * n_gaps * table.ways(1, slack_px - gap) / total
        return expected


def _count(counter: Counter[int], numbers: NDArray[np.int64]) -> None:
    values, counts = np.unique(numbers, return_counts=True)
    counter.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _count_rows(counter: Counter[tuple[int, ...]], rows: NDArray[np.int64]) -> None:
    values, counts = np.unique(rows, axis=0, return_counts=True)
    counter.update(dict(zip(map(tuple, values.tolist()), counts.tolist(), strict=True)))
