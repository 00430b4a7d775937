"""Margins and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.spacing import Digits, choose_gaps, find_ranges
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.randomness import Use, draw_words, scale_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.recipe import Recipe

SMALLEST_SCALE = 8  # digits of 28 px become 3.5 px high, the least that shows a shape


@dataclass(frozen=True)
class Layout:
    """Where the digits of some samples stand.

    Parameters
    ----------
    x_px : ndarray of int64, shape (N, n)
        Left edge of each digit in its row.
    gaps_px : ndarray of int64, shape (N, n + 1)
        Gap before digit 0, 1, …, and after the last one; 0 where there is none.
    row_px : ndarray of int64, shape (N,)
        Width of each row before it is fitted to the page.
    fitted_px : ndarray of int64, shape (N,)
        Width of each row on the page.
    offset_px : ndarray of int64, shape (N,)
        Left edge of each row on the page.
    page_px : ndarray of int64, shape (N,)
        Width of each page.
    """

    x_px: NDArray[np.int64]
    gaps_px: NDArray[np.int64]
    row_px: NDArray[np.int64]
    fitted_px: NDArray[np.int64]
    offset_px: NDArray[np.int64]
    page_px: NDArray[np.int64]


def lay_out(recipe: Recipe, digits: Digits, page_px: int | None) -> Layout:
    """Draw the gaps of some samples and place their digits.

    Parameters
    ----------
    recipe : Recipe
    digits : Digits
    page_px : int or None
        Width of the pages; None lets each page end where its row ends.

    Raises
    ------
    LayoutError
        Digits and gaps do not fit into the page, or cannot share it equally.
    """
    gaps_px = choose_gaps(recipe, digits)
    ends_px = np.cumsum(digits.widths_px + gaps_px[:, :-1], axis=1)
    row_px = digits.widths_px.sum(axis=1) + gaps_px.sum(axis=1)
    pages_px = row_px if page_px is None else np.full_like(row_px, page_px)
    fitted_px = pages_px if recipe.fit == "stretch" else np.minimum(row_px, pages_px)
    _check_scale(digits.start, row_px, fitted_px)
    return Layout(
        x_px=ends_px - digits.widths_px,
        gaps_px=gaps_px,
        row_px=row_px,
        fitted_px=fitted_px,
        offset_px=_align(recipe, digits.start, pages_px - fitted_px),
        page_px=pages_px,
    )


def surely_fits(recipe: Recipe, digits: Digits, page_px: int) -> NDArray[np.bool_]:
    """Tell which samples `lay_out` places whatever gaps are drawn, shape (N,).

    It also places them where digits are narrower than these.
    """
    ranges = find_ranges(recipe, digits)
    gaps_px, room_px = ranges.highest_px, SMALLEST_SCALE * page_px
    if recipe.fit == "pad":
        gaps_px, room_px = ranges.lowest_px, page_px
    row_px = digits.widths_px.sum(axis=1) + ranges.extra_px.sum(axis=1)
    row_px += np.maximum(gaps_px, 0).sum(axis=1)
    must_share = recipe.fit == "pad" and recipe.spacing_mode == "fixed"
    fits: NDArray[np.bool_] = (row_px <= room_px) & (not must_share)
    return fits


def _check_scale(start: int, row_px: NDArray[np.int64], fitted_px: NDArray[np.int64]) -> None:
    for bad in np.flatnonzero(row_px > SMALLEST_SCALE * fitted_px)[:1]:
        raise LayoutError(
            f"sample {start + bad}: a row of {row_px[bad]} px in {fitted_px[bad]} px cannot be "
            f"read; allowed is a scale down to 1/{SMALLEST_SCALE}"
        )


def _align(recipe: Recipe, start: int, margin_px: NDArray[np.int64]) -> NDArray[np.int64]:
    if recipe.align == "left":
        return np.zeros_like(margin_px)
    if recipe.align == "right":
        return margin_px
    if recipe.align == "center":
        return margin_px // 2
    words = draw_words(recipe.seed, Use.ALIGN, start, start + len(margin_px), 1)[:, 0]
    return scale_words(words, margin_px + 1)
