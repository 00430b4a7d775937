"""Gaps against the distribution that they were drawn from."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from mnistseq_cli.compose.gaps import count_gaps
from mnistseq_cli.compose.layout import GapRanges, find_ranges
from mnistseq_cli.compose.patterns import Form, parse_pattern
from mnistseq_cli.compose.texts import Roles, find_roles
from mnistseq_cli.distortions.pipeline import make_pipeline
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.inspection.figures import GapFigures
from mnistseq_cli.pixels import Ints
from mnistseq_cli.recipe import Recipe

Counts: TypeAlias = "defaultdict[str, Counter[Any]]"  # by what is counted
LEAST_EXPECTED = 5.0  # in a bin, as Cochran's rule has it
_PRECISION = 1e-16  # of a float: what is smaller does not change a sum of 1


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
    """Return Pearson's statistic, degrees of freedom and p-value; None for less than two bins."""
    values = sorted(expected)
    # Neighbours are counted together until enough are expected.
    starts, in_bin = [], LEAST_EXPECTED
    for place, value in enumerate(values):
        if in_bin >= LEAST_EXPECTED:
            starts.append(place)
            in_bin = 0.0
        in_bin += expected[value]
    if in_bin < LEAST_EXPECTED:  # too little for a bin of its own
        starts = starts[:1] + starts[1:-1]
    degrees = len(starts) - 1
    if degrees < 1:
        return None
    found = np.add.reduceat([counts.get(value, 0) for value in values], starts)
    awaited = np.add.reduceat([expected[value] for value in values], starts)
    statistic = float(((found - awaited) ** 2 / awaited).sum())
    return statistic, degrees, find_p_value(statistic, degrees)


class GapRule:
    """How gaps were drawn, by the recipe in ``dataset.json`` and the texts that this names."""

    def __init__(self, values: dict[str, Any], texts: tuple[str, ...] = ()) -> None:
        recipe = Recipe.from_dict(values | ({"texts": ["0"]} if "texts" in values else {}))
        roles = find_roles(recipe, "")
        pattern = parse_pattern(recipe.pattern).forms if recipe.pattern else ()
        self.recipe = recipe
        self._forms = [_read_form(form, roles) for form in pattern]
        self._groups = _find_groups(texts or (recipe.digits or "",), roles)
        self.is_shared = recipe.spacing_mode == "fixed"  # all gaps of a row are one draw
        self.room_px: int | None = None  # what digits and gaps must fit into
        if isinstance(recipe.width_px, int) and recipe.fit == "pad":
            self.room_px = recipe.width_px
        plan = make_pipeline(recipe.augment, recipe.augment_prob)
        # Whether boxes or cells are as wide as the digits were when gaps were drawn.
        self._keeps_boxes = not plan.at("line", "lens") and (
            recipe.fit == "pad" or recipe.width_px == "natural"
        )
        is_rigid = self.is_shared or not plan.at("geometry", "shape")  # other cells grow
        self._keeps_cells = is_rigid and recipe.margin_px is None
        self.obstacle = ""  # to any comparison
        if recipe.touching:
            self.obstacle = "those of digits that touch follow from their ink"
        if self.is_shared and self.room_px is not None:
            self.obstacle = "the width decides them"

    def measure(self, samples: list[LoadedSample], n_digits: int) -> Ints | None:
        """Return how wide digits were, shape (N, n); None where that is not known."""
        shape = len(samples), n_digits
        if self.recipe.measure == "cell":
            return np.full(shape, self.recipe.height_px) if self._keeps_cells else None
        boxes = [it.boxes for it in samples if it.boxes is not None and len(it.boxes) == n_digits]
        return np.stack(boxes)[:, :, 2] if self._keeps_boxes and len(boxes) == shape[0] else None

    def find_groups(self, text: str) -> tuple[bool, ...] | None:
        """Return where groups begin in what is written of a text; None where that is not known."""
        if not self._forms:
            return self._groups.get(text, ())
        found = {groups for form, groups in self._forms if form.fullmatch(text)}
        return found.pop() if len(found) == 1 else None

    def find_ranges(self, samples: list[LoadedSample], widths_px: Ints) -> GapRanges:
        """Find what gaps between digits of some widths, shape (N, n), can be."""
        n_rows, n_digits = widths_px.shape
        grouped = np.zeros(widths_px.shape, np.bool_)
        if self._groups or self._forms:
            for row, seen in zip(grouped, samples, strict=True):
                begins = (self.find_groups(seen.text) or ())[:n_digits]
                row[: len(begins)] = begins
        return find_ranges(self.recipe, np.full(n_rows, n_digits), widths_px, grouped)

    def __str__(self) -> str:
        low, high = self.recipe.spacing_px
        words = f"the uniform distribution from {low} to {high}"
        if self.is_shared:
            words += ", one gap for each row"
        if low < 0:
            words += ", but no gap smaller than its digits allow"
        if self.room_px is not None:
            words += f", conditioned on fitting into {self.room_px} px"
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
    """Counts gaps; those of rows with room for the largest are independent, and are tested."""

    # Of rows that must fit into a width only the expected counts are known to be right.

    def __init__(self, counts: Counts, rule: GapRule | None) -> None:
        self._rule = rule  # None where nothing is known of how they were drawn
        # Counted are gaps, all and those that can be compared; "free gaps" and "tight rows" by
        # lowest, size, gaps and slack.
        self._counts = counts

    def add(self, samples: list[LoadedSample]) -> None:
        """Count the gaps of some samples."""
        alike: defaultdict[int, list[LoadedSample]] = defaultdict(list)
        for seen in samples:
            is_known = self._rule is None or self._rule.find_groups(seen.text) is not None
            if seen.gaps is not None and len(seen.gaps) and is_known:
                alike[len(seen.gaps)].append(seen)
        found: defaultdict[str, list[Ints]] = defaultdict(list)
        for rows in alike.values():
            gaps_px = np.stack([seen.gaps for seen in rows if seen.gaps is not None])
            if self._rule is None:
                found["gaps"].append(gaps_px.ravel())
            else:
                self._add_rows(self._rule, gaps_px, rows, found)
        for name, values in found.items():
            joined = np.concatenate(values).T.tolist()  # rows of numbers become tuples
            self._counts[name].update(joined if values[0].ndim == 1 else zip(*joined, strict=True))

    def figures(self) -> GapFigures | None:
        """Return what was found; None where there are no gaps."""
        gaps, tested, free_gaps = (self._counts[it] for it in ("gaps", "tested gaps", "free gaps"))
        if not gaps:
            return None
        rule = str(self._rule)
        if self._rule is None:
            low, high = min(gaps), max(gaps)
            tested, free_gaps = gaps, Counter({(low, high - low + 1, 1, high - low): gaps.total()})
            rule = (
                f"the uniform distribution from {low} to {high}, the smallest and the largest gap "
                "found, because no recipe says how they were drawn"
            )
        counts = dict(sorted(gaps.items()))
        try:
            free, tight = _expect(free_gaps), _expect(self._counts["tight rows"])
        except LayoutError as error:
            return GapFigures(counts, {}, f"nothing: {error.message}")
        if not free and not tight:
            why = self._rule.obstacle if self._rule else ""
            why = why or "how wide digits were when gaps were drawn is not known"
            return GapFigures(counts, {}, f"nothing: {why}")
        both = tested + self._counts["fitted gaps"]
        every = sorted({*free, *tight, *both})
        expected = {gap: free.get(gap, 0.0) + tight.get(gap, 0.0) for gap in every}
        statistic, degrees, p = compare_counts(tested, free) or (None, None, None)
        if n_outside := self._counts["gaps outside"].total():
            rule, p = f"{rule}, which {n_outside:,} gaps break", 0.0
        n_tested = tested.total() if degrees else 0
        return GapFigures(counts, expected, rule, statistic, degrees, p, both.total(), n_tested)

    def _add_rows(
        self,
        rule: GapRule,
        gaps_px: Ints,
        samples: list[LoadedSample],
        found: defaultdict[str, list[Ints]],
    ) -> None:
        recipe = rule.recipe
        n_digits = gaps_px.shape[1] + (-1 if recipe.edges else 1)
        measured_px = rule.measure(samples, n_digits)
        widths_px = np.ones((len(samples), n_digits), np.int64)
        widths_px = widths_px if measured_px is None else measured_px
        ranges = rule.find_ranges(samples, widths_px)
        is_gap = ranges.is_gap[0]
        gaps_px = gaps_px - ranges.extra_px[:, is_gap]
        lowest_px, highest_px = ranges.lowest_px[:, is_gap], ranges.highest_px[:, is_gap]
        if rule.is_shared:
            gaps_px, lowest_px = gaps_px[:, :1], lowest_px.max(axis=1, keepdims=True)
            highest_px = np.maximum(lowest_px, recipe.spacing_px[1])
        found["gaps"].append(gaps_px.ravel())
        needs_widths = rule.room_px is not None or recipe.spacing_px[0] < 0
        if rule.obstacle or (needs_widths and measured_px is None):
            return
        sizes = highest_px - lowest_px + 1
        slack_px = sizes.sum(axis=1)  # room for any gap
        if rule.room_px is not None:
            taken_px = widths_px.sum(axis=1) + (ranges.extra_px + ranges.lowest_px).sum(axis=1)
            slack_px = rule.room_px - taken_px
        is_free = (sizes - 1).sum(axis=1) <= slack_px
        is_even = (sizes == sizes[:, :1]) & (lowest_px == lowest_px[:, :1])
        is_tight = ~is_free & is_even.all(axis=1) & (slack_px >= 0)  # others are too many kinds
        free = lowest_px[is_free].ravel(), sizes[is_free].ravel()
        found["free gaps"].append(np.stack([*free, np.ones_like(free[0]), free[1] - 1], axis=1))
        n_gaps = np.full_like(slack_px, sizes.shape[1])
        tight = np.stack([lowest_px[:, 0], sizes[:, 0], n_gaps, slack_px], axis=1)
        found["tight rows"].append(tight[is_tight])
        found["tested gaps"].append(gaps_px[is_free].ravel())
        found["fitted gaps"].append(gaps_px[is_tight].ravel())
        is_outside = (gaps_px < lowest_px) | (gaps_px > highest_px)
        self._counts["gaps outside"][""] += int(is_outside[is_free | is_tight].sum())


def _expect(kinds: Counter[tuple[int, ...]]) -> dict[int, float]:
    """Return how often each gap is expected in rows of some kinds."""
    expected: defaultdict[int, float] = defaultdict(float)
    for (lowest, size, n_gaps, slack_px), n_rows in sorted(kinds.items()):
        table = count_gaps((size,) * n_gaps)
        total = table.ways(0, slack_px)
        for gap in range(size):  # equally likely for each of the gaps
            expected[lowest + gap] += n_rows * n_gaps * table.ways(1, slack_px - gap) / total
    return expected
