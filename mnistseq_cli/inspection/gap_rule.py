"""The rule that the gaps of a dataset were drawn by, from its recipe.

Each gap of a row has so many values, from its smallest on; where the row has a binding width, the
gaps may not take more than the slack. See `mnistseq_cli.compose.spacing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mnistseq_cli.compose.augment import make_plan
from mnistseq_cli.compose.phone import parse_pattern
from mnistseq_cli.compose.spacing import Digits, find_ranges
from mnistseq_cli.glyphs.glyphset import SIDE_PX
from mnistseq_cli.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.spacing import GapRanges


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
