"""Where digits stand in a row: margins, ranges of gaps, positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnistseq_cli.compose.choice import APART_PX, Chosen, Digits, find_group_gap
from mnistseq_cli.compose.gaps import draw_gaps
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.pixels import Bools, Ints, Words
from mnistseq_cli.randomness import Use, draw_for, scale_words
from mnistseq_cli.recipe import Recipe
from mnistseq_cli.validation import count

SMALLEST_SCALE = 8  # digits of 28 px become 3.5 px high, the least that shows a shape


@dataclass(frozen=True)
class GapRanges:
    """What the gaps can be before digit 0, 1, …, and after the last place, each (N, n + 1)."""

    is_gap: Bools
    lowest_px: Ints  # 0 where there is no gap, as the others
    highest_px: Ints
    extra_px: Ints  # what is added where a group begins
    settled: Bools | None  # whether digits touch there, if any may


@dataclass(frozen=True)
class Layout:
    """Where the digits of some samples stand."""

    x_px: Ints  # (N, n), left edge of each digit in its row
    gaps_px: Ints  # (N, n + 1), before digit 0, 1, …, and after the last one
    row_px: Ints  # (N,), width of each row before it is fitted to the page
    fitted_px: Ints  # (N,), width of each row on the page
    offset_px: Ints  # (N,), left edge of each row on the page
    page_px: Ints  # (N,), width of each page


def lay_out(recipe: Recipe, digits: Digits, page_px: int | None) -> Layout:
    """Draw gaps and place digits; without a width each page ends where its row ends."""
    gaps_px = _choose_gaps(recipe, digits)
    ends_px = np.cumsum(digits.widths_px + gaps_px[:, :-1], axis=1)
    row_px = digits.widths_px.sum(axis=1) + gaps_px.sum(axis=1)
    pages_px = row_px if page_px is None else np.full_like(row_px, page_px)
    fitted_px = pages_px if recipe.fit == "stretch" else np.minimum(row_px, pages_px)
    for bad in np.flatnonzero(row_px > SMALLEST_SCALE * fitted_px)[:1]:
        raise LayoutError(
            f"sample {digits.chosen.index(bad)}: a row of {row_px[bad]} px in {fitted_px[bad]} "
            f"px cannot be read; expected a scale of 1/{SMALLEST_SCALE} or more"
        )
    return Layout(
        x_px=ends_px - digits.widths_px,
        gaps_px=gaps_px,
        row_px=row_px,
        fitted_px=fitted_px,
        offset_px=_align(recipe, digits.chosen, pages_px - fitted_px),
        page_px=pages_px,
    )


def surely_fits(recipe: Recipe, digits: Digits, page_px: int) -> Bools:
    """Return which samples `lay_out` places whatever gaps are drawn, shape (N,).

    It also places them where digits are narrower than these.
    """
    texts = digits.chosen.texts
    ranges = find_ranges(recipe, texts.lengths, digits.widths_px, texts.grouped)
    gaps_px, room_px = ranges.highest_px, SMALLEST_SCALE * page_px
    if recipe.fit == "pad":
        gaps_px, room_px = ranges.lowest_px, page_px
    row_px = digits.widths_px.sum(axis=1) + ranges.extra_px.sum(axis=1)
    row_px += np.maximum(gaps_px, 0).sum(axis=1)
    must_share = recipe.fit == "pad" and recipe.spacing_mode == "fixed"
    return np.asarray((row_px <= room_px) & (not must_share))


def _choose_gaps(recipe: Recipe, digits: Digits) -> Ints:
    """Choose the gaps before digit 0, 1, …, and after the last one, shape (N, n + 1)."""
    texts, widths_px = digits.chosen.texts, digits.widths_px
    ranges = find_ranges(recipe, texts.lengths, widths_px, texts.grouped, digits.touch_px)
    room_px = None
    if isinstance(recipe.width_px, int) and recipe.fit == "pad":
        room_px = recipe.width_px - (widths_px + ranges.extra_px[:, :-1]).sum(axis=1)
    choose = _draw_each if recipe.spacing_mode == "variable" else _draw_equal
    return choose(recipe, digits, ranges, room_px) + ranges.extra_px


def find_ranges(
    recipe: Recipe, lengths: Ints, widths_px: Ints, grouped: Bools, touch_px: Ints | None = None
) -> GapRanges:
    """Find what the gaps of some samples can be.

    A digit must begin and end further right than its neighbour, or the label would no longer say
    what is seen: an overlap is at most one pixel less than the narrower of the two. Where gaps
    are measured between cells, this is so for cells; the ink in them may stand in another order.
    """
    places = np.arange(widths_px.shape[1] + 1)
    is_gap = (places > 0) & (places < lengths[:, None])
    if recipe.edges:
        is_gap = places <= lengths[:, None]
    least_px = np.full(is_gap.shape, recipe.spacing_px[0])
    if recipe.spacing_px[0] < 0:
        narrower_px = np.minimum(widths_px[:, :-1], widths_px[:, 1:])
        np.maximum(least_px[:, 1:-1], 1 - narrower_px, out=least_px[:, 1:-1])
    most_px = np.maximum(recipe.spacing_px[1], least_px)
    extra_px = np.zeros(is_gap.shape, np.int64)
    extra_px[:, :-1] = is_gap[:, :-1] * grouped * find_group_gap(recipe)
    settled = None
    if touch_px is not None:
        settled = np.pad(touch_px < APART_PX, ((0, 0), (0, 1)))
        least_px[settled] = most_px[settled] = touch_px[settled[:, :-1]]
    return GapRanges(is_gap, least_px * is_gap, most_px * is_gap, extra_px, settled)


def _draw_each(recipe: Recipe, digits: Digits, ranges: GapRanges, room_px: Ints | None) -> Ints:
    sizes = ranges.highest_px - ranges.lowest_px + 1
    slack_px = sizes.sum(axis=1) if room_px is None else room_px - ranges.lowest_px.sum(axis=1)
    _check_room(recipe, digits, slack_px)
    words = _draw_words(recipe, digits.chosen)[:, : sizes.shape[1]]
    if ranges.settled is None:
        return ranges.lowest_px + draw_gaps(words, sizes, slack_px)
    # Settled gaps last: ways are counted for each number of them, not for each set of places.
    order = np.argsort(ranges.settled, axis=1, kind="stable")
    words, sizes = np.take_along_axis(words, order, 1), np.take_along_axis(sizes, order, 1)
    drawn_px = np.empty_like(sizes)
    np.put_along_axis(drawn_px, order, draw_gaps(words, sizes, slack_px), 1)
    return ranges.lowest_px + drawn_px


def _draw_equal(recipe: Recipe, digits: Digits, ranges: GapRanges, room_px: Ints | None) -> Ints:
    """Return one width for all gaps of a sample: drawn, or what a given width leaves for each."""
    least_px, most_px = recipe.spacing_px
    lowest_px = np.where(ranges.is_gap, ranges.lowest_px, least_px).max(axis=1)
    highest_px = np.maximum(lowest_px, most_px)
    if room_px is None:
        words = _draw_words(recipe, digits.chosen)[:, 0]
        shared_px = lowest_px + scale_words(words, highest_px - lowest_px + 1)
        return np.where(ranges.is_gap, shared_px[:, None], 0)
    n_gaps = ranges.is_gap.sum(axis=1)
    _check_room(recipe, digits, room_px - n_gaps * lowest_px)
    share_px, rest_px = np.divmod(room_px, np.maximum(n_gaps, 1))
    is_bad = (rest_px > 0) | (share_px > highest_px)
    for bad in np.flatnonzero(is_bad & (n_gaps > 0))[:1]:
        n, room, low, high = (int(a[bad]) for a in (n_gaps, room_px, lowest_px, highest_px))
        shares = "one gap" if n == 1 else f"{n} equal gaps, {round(room / n, 2):g} px each"
        raise LayoutError(
            f"sample {digits.chosen.index(bad)}: width {recipe.width_px} leaves {room} px for "
            f"{shares}; expected a whole number from {low} to {high}"
        )
    return np.where(ranges.is_gap, share_px[:, None], 0)


def _draw_words(recipe: Recipe, chosen: Chosen) -> Words:
    return draw_for(recipe.seed, Use.GAP, chosen.samples, chosen.longest + 1)


def _check_room(recipe: Recipe, digits: Digits, slack_px: Ints) -> None:
    for bad in np.flatnonzero(slack_px < 0)[:1]:
        needed_px = int(str(recipe.width_px)) - int(slack_px[bad])
        n_digits, row_px = digits.chosen.texts.lengths[bad], digits.widths_px[bad].sum()
        raise LayoutError(
            f"sample {digits.chosen.index(bad)} needs at least {needed_px} px: "
            f"{count(n_digits, 'digit')}, together {row_px} px wide, and the smallest gaps; the "
            f"width is {recipe.width_px}"
        )


def _align(recipe: Recipe, chosen: Chosen, margin_px: Ints) -> Ints:
    if recipe.align == "random":
        words = draw_for(recipe.seed, Use.ALIGN, chosen.samples, 1)[:, 0]
        return scale_words(words, margin_px + 1)
    return margin_px * {"left": 0, "center": 1, "right": 2}[recipe.align] // 2
