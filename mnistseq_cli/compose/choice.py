"""From texts to digits: which glyphs write them, distorted, before they are laid out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.layout import GROUP_GAP_PX, Digits
from mnistseq_cli.compose.painting import Stamps
from mnistseq_cli.distortions import (
    GROW_PX,
    augment_digits,
    bound_digits,
    widest_cell_px,
    widest_px,
)
from mnistseq_cli.glyphs.glyph_set import SIDE_PX
from mnistseq_cli.glyphs.writers import find_hands
from mnistseq_cli.randomness import Use, draw_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.texts import TextSource
    from mnistseq_cli.distortions import Plan
    from mnistseq_cli.distortions.pipeline import Draw
    from mnistseq_cli.glyphs.glyph_set import GlyphSet, Ink
    from mnistseq_cli.glyphs.writers import Hands
    from mnistseq_cli.recipe import Recipe


@dataclass(frozen=True)
class Chosen:
    """The texts of some samples and the glyphs that write them.

    Parameters
    ----------
    start : int
        Index of the first sample.
    lengths : ndarray of int64, shape (N,)
        Number of digits of each sample; the arrays below hold zeros after them.
    classes : ndarray of uint8, shape (N, n)
    glyphs : ndarray of int64, shape (N, n)
    inside : ndarray of bool, shape (N, n)
        Whether a place holds a digit.
    """

    start: int
    lengths: NDArray[np.int64]
    classes: NDArray[np.uint8]
    glyphs: NDArray[np.int64]
    inside: NDArray[np.bool_]


class Writer:
    """Chooses texts and glyphs, and cuts the digits out.

    Parameters
    ----------
    recipe : Recipe
    glyphs : GlyphSet
    plan : Plan
        The distortions of the recipe.
    source : TextSource

    Attributes
    ----------
    longest : int
        Number of digits of the longest text.
    """

    def __init__(self, recipe: Recipe, glyphs: GlyphSet, plan: Plan, source: TextSource) -> None:
        self._recipe = recipe
        self._glyphs = glyphs
        self._plan = plan
        self._source = source
        self.longest = len(self._source.grouped)
        self._alphabet = np.array([*glyphs.alphabet, ""])

    def choose(self, start: int, stop: int) -> Chosen:
        """Choose the texts and glyphs of samples start..stop-1."""
        texts = self._source.texts(start, stop)
        inside = np.arange(texts.classes.shape[1]) < texts.lengths[:, None]
        words = self._draw(Use.GLYPH, start, stop, self.longest)[:, : inside.shape[1]]
        if self._recipe.one_hand:
            hand_words = self._draw(Use.HAND, start, stop, 1)[:, 0]
            glyphs = self._hands.choose(texts.classes, hand_words, words)
        else:
            glyphs = self._glyphs.choose(texts.classes, words)
        return Chosen(start, texts.lengths, texts.classes, glyphs * inside, inside)

    def spell(self, chosen: Chosen) -> NDArray[np.str_]:
        """Give the texts, shape (N,)."""
        beyond = len(self._alphabet) - 1
        characters = self._alphabet[np.where(chosen.inside, chosen.classes, beyond)]
        return characters.view(f"U{characters.shape[1]}")[:, 0]

    def cut(self, chosen: Chosen) -> tuple[Stamps, Digits]:
        """Cut the digits out, distort them, and measure them for the layout.

        The stamps' `x_px` counts from where the layout puts the digit.
        """
        place, sample = np.nonzero(chosen.inside.T)
        ink = self._distort(self._glyphs.cut_out(chosen.glyphs[sample, place]), chosen)
        boxes = np.stack([np.zeros_like(ink.top_px), ink.top_px, ink.width_px, ink.height_px], 1)
        x_px, digits = self._stand(chosen, ink.left_px, ink.width_px)
        return Stamps(ink.images, sample, place, x_px, boxes), digits

    def measure(self, chosen: Chosen) -> Digits:
        """Measure digits for the layout, without their images where there is no need of them."""
        if self._plan.at("geometry", "shape"):
            return self.cut(chosen)[1]
        widths_px = np.full(chosen.inside.shape, SIDE_PX) * chosen.inside
        if self._recipe.measure == "ink":
            widths_px[chosen.inside] = self._glyphs.measure(chosen.glyphs[chosen.inside])[:, 2]
        return Digits(chosen.start, chosen.lengths, widths_px, self._source.grouped)

    def bound(self, chosen: Chosen) -> Digits:
        """Give digits that are no narrower than those of `measure`, in a tenth of the time."""
        if not self._plan.at("geometry", "shape"):
            return self.measure(chosen)
        place, sample = np.nonzero(chosen.inside.T)
        ink = self._glyphs.cut_out(chosen.glyphs[sample, place])
        draw = self._draw_digits(chosen)
        return self._stand(chosen, *bound_digits(ink, self._plan, draw, self._grow_px))[1]

    def widest_row_px(self, gap_px: int) -> int:
        """Give the width of the widest row that there can be, with all gaps of one width."""
        class_px = self._bound_digits()
        lengths, digits_px = self._source.widest(class_px)
        n_gaps = lengths + 1 if self._recipe.edges else lengths - 1
        groups_px = int(self._source.grouped.sum()) * GROUP_GAP_PX
        return int((digits_px + n_gaps * gap_px).max()) + groups_px

    @cached_property
    def _hands(self) -> Hands:
        return find_hands(self._glyphs)

    def _bound_digits(self) -> NDArray[np.int64]:
        """Give the width of the widest digit of each class, or of its cell, shape (classes,)."""
        cells_px = np.full(len(self._glyphs.alphabet), SIDE_PX)
        if self._recipe.measure == "ink":
            glyphs_px = self._glyphs.widest_px
            return widest_px(self._plan, glyphs_px, cells_px) * (glyphs_px > 0)
        if self._plan.at("geometry", "shape") and self._grow_px:
            cells_px[:] = widest_cell_px(self._plan, int(self._glyphs.widest_px.max()))
        return cells_px

    @property
    def _grow_px(self) -> int:
        """How far cells grow to either side; where gaps are equal, cells stay equally wide."""
        is_grid = self._recipe.measure == "cell" and self._recipe.spacing_mode == "fixed"
        return 0 if is_grid else GROW_PX

    def _distort(self, ink: Ink, chosen: Chosen) -> Ink:
        if not self._plan.at("geometry", "shape"):
            return ink
        return augment_digits(ink, self._plan, self._draw_digits(chosen), self._grow_px)

    def _stand(
        self, chosen: Chosen, left_px: NDArray[np.int64], width_px: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Digits]:
        """Give where ink begins in what the layout places, and how wide that is."""
        place, sample = np.nonzero(chosen.inside.T)
        x_px = np.zeros_like(left_px)
        if self._recipe.measure == "cell":
            start_px = np.minimum(left_px, 0)
            x_px = left_px - start_px
            width_px = np.maximum(left_px + width_px, SIDE_PX) - start_px
        widths_px = np.zeros(chosen.inside.shape, np.int64)
        widths_px[sample, place] = width_px
        return x_px, Digits(chosen.start, chosen.lengths, widths_px, self._source.grouped)

    def _draw_digits(self, chosen: Chosen) -> Draw:
        """Give the source of the words of each digit."""
        place, sample = np.nonzero(chosen.inside.T)
        stop = chosen.start + len(chosen.inside)

        def draw(use: int, n_words: int) -> NDArray[np.uint64]:
            words = self._draw(use, chosen.start, stop, self.longest * n_words)
            return words.reshape(-1, self.longest, n_words)[sample, place]

        return draw

    def _draw(self, use: int, start: int, stop: int, n_words: int) -> NDArray[np.uint64]:
        return draw_words(self._recipe.seed, use, start, stop, n_words)
