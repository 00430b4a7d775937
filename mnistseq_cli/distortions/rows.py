"""What happens to a row on its page: digits joined by strokes of the pen, an edge that cuts it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.distortions.geometry import slide
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.stamps import Stamps
from mnistseq_cli.pixels import Bools, Floats, Ints, Pixels, Words
from mnistseq_cli.randomness import expand, scale_words, to_fractions

_REACH_PX, _SAG_PX = 12, 3  # of a stroke, on a page of 28 px
_PARTS = 16  # of a pixel: places and distances are whole numbers of them
_N_POINTS = 24  # of a stroke, closer to each other than a pen is wide


def join(stamps: Stamps, _: Ints, strengths: Floats, keys: Words, scale: float) -> Stamps:
    """Let the pen run on from a digit into the next one, for a fraction of neighbours, (N, 1).

    A stroke as wide and dark as the left digit, and ink of it, leads from where that ends in a
    row of pixels to where the right one begins, near the tops or the feet of both. Neighbours
    that are far apart, or hardly side by side, as a digit and a comma, are not joined, nor are
    mere strokes, which would make 4 of 11; and the left one still ends before the right one.
    """
    pairs, words = _choose_pairs(stamps, strengths, keys)
    rows, can_join = _choose_rows(stamps, pairs, words)
    begin, end = _find_ink(stamps, pairs[0], rows[0], -1), _find_ink(stamps, pairs[1], rows[1], 1)
    reach_px, most_px = (round(scale * px) for px in (_REACH_PX, _SAG_PX))
    chosen = can_join & (begin >= 0) & (end > begin) & (end <= begin + reach_px)
    if not chosen.any():
        return stamps
    (left, right), rows, begin, end = pairs[:, chosen], rows[:, chosen], begin[chosen], end[chosen]
    sag_px = scale_words(words[chosen, 3], 2 * most_px + 1) - most_px
    radius = _measure_pen(stamps.images[left])
    window_px = reach_px + int(radius.max()) // _PARTS + 2
    shape = stamps.images.shape[1], window_px
    strokes = _draw_strokes(shape, end - begin, rows, sag_px, radius)
    last = stamps.x_px[right] + stamps.boxes[right, 0] + stamps.boxes[right, 2] - 1
    strokes *= (begin[:, None] + np.arange(window_px) < last[:, None])[:, None]
    strokes = strokes * stamps.images[left].max(axis=(1, 2))[:, None, None] // 255
    return _add_ink(stamps, left, begin, strokes.astype(np.uint8))


def _add_ink(stamps: Stamps, chosen: Ints, x_px: Ints, ink: Pixels) -> Stamps:
    """Add ink, shape (P, H, W), to digits from columns of their pages on."""
    images = np.pad(stamps.images, ((0, 0), (0, 0), (0, ink.shape[2])))
    windows = sliding_window_view(images, ink.shape[2], axis=2, writeable=True)
    start = x_px - stamps.x_px[chosen]
    windows[chosen, :, start] = np.maximum(windows[chosen, :, start], ink)
    boxes = measure_ink(images)
    width_px = max(stamps.images.shape[2], int((boxes[:, 0] + boxes[:, 2]).max()))
    return replace(stamps, images=images[:, :, :width_px], boxes=boxes)


def _choose_pairs(stamps: Stamps, strengths: Floats, keys: Words) -> tuple[Ints, Words]:
    """Return the left and the right digit of joins, shape (2, P), and words of each, (P, 4)."""
    digit = np.full((len(keys), int(stamps.place.max(initial=0)) + 2), -1)
    digit[stamps.sample, stamps.place] = np.arange(len(stamps.sample))
    words = expand(keys, digit.shape[1] - 1, 4)
    is_joined = (digit[:, 1:] >= 0) & (to_fractions(words[..., 0]) < strengths)
    return np.stack([digit[:, :-1][is_joined], digit[:, 1:][is_joined]]), words[is_joined]


def _choose_rows(stamps: Stamps, pairs: Ints, words: Words) -> tuple[Ints, Bools]:
    """Return the rows where joins leave and enter, shape (2, P), and which pairs can have one.

    They are in the upper third of the rows that both digits have, or in the lower one.
    """
    _, tops, widths, heights = np.moveaxis(stamps.boxes[pairs], 2, 0)
    top, bottom = tops.max(axis=0), (tops + heights).min(axis=0)
    inside = scale_words(words[:, 1:3].T, np.maximum(1, (bottom - top) // 3))
    is_high = (words[:, 0] & np.uint64(1)) == 0
    rows = np.where(is_high, top + inside, bottom - 1 - inside)
    are_beside = 2 * (bottom - top) >= heights.max(axis=0)
    return rows, are_beside & (3 * widths >= heights).all(axis=0)


def _find_ink(stamps: Stamps, chosen: Ints, rows: Ints, step: int) -> Ints:
    """Return the first (step 1) or last (-1) dark column of digits in a row; -1 for none."""
    is_dark = stamps.images[chosen, rows] > stamps.images[chosen].max(axis=(1, 2))[:, None] // 2
    column = is_dark[:, ::step].argmax(axis=1)
    if step < 0:
        column = is_dark.shape[1] - 1 - column
    return np.where(is_dark.any(axis=1), stamps.x_px[chosen] + column, -1)


def _measure_pen(images: Pixels) -> Ints:
    """Return the radius of the pen: ink over all steps between pixels, as of a stroke."""
    ink = np.pad(images.astype(np.int64), ((0, 0), (0, 0), (0, 1)))  # edges at its end, too
    down, across = (np.abs(np.diff(ink, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
    radius: Ints = _PARTS * ink.sum(axis=(1, 2)) // np.maximum(1, down + across)
    return np.maximum(_PARTS, radius)


def _draw_strokes(
    shape: tuple[int, int], length_px: Ints, rows: Ints, sag_px: Ints, radius: Ints
) -> Ints:
    """Draw arcs from the left edge of windows, 0 to 255, shape (P, H, W).

    They begin and end in `rows`, shape (2, P), hang through by `sag_px`, and have soft edges.
    """
    far = np.full((len(radius), *shape), 2**30, np.int32)
    y, x = (np.arange(n, dtype=np.int32) * _PARTS for n in shape)
    for point in range(_N_POINTS + 1):
        rest = _N_POINTS - point
        height = rows[0] * rest + rows[1] * point + 4 * sag_px * point * rest // _N_POINTS
        down = y - (height * _PARTS // _N_POINTS)[:, None].astype(np.int32)
        across = x - (length_px * _PARTS * point // _N_POINTS)[:, None].astype(np.int32)
        np.minimum(far, (down**2)[:, :, None] + (across**2)[:, None], out=far)
    radius = radius[:, None, None]
    edge = 2 * _PARTS * radius
    ink: Ints = np.clip((radius + _PARTS // 2) ** 2 - far, 0, edge)
    return 255 * ink // edge


def crop(stamps: Stamps, widths_px: Ints, strengths: Floats, keys: Words, _: float) -> Stamps:
    """Move rows over an edge of the page, as far as no digit loses more than a fraction, (N, 1).

    At the left and the right the outermost digit alone loses ink: the order of digits stays.
    """
    side = scale_words(keys, 4)
    depth = _find_depths(stamps, widths_px, side[stamps.sample], strengths[stamps.sample, 0])
    room = np.full(len(widths_px), 2**31)
    np.minimum.at(room, stamps.sample, depth)
    room = np.where(strengths[:, 0] > 0, np.maximum(room, 0), 0)
    right, down = np.stack([[0, 0, -1, 1], [-1, 1, 0, 0]])[:, side] * room
    return _move(stamps, widths_px, right[stamps.sample], down[stamps.sample])


def _find_depths(stamps: Stamps, widths_px: Ints, side: Ints, strengths: Floats) -> Ints:
    """Return how far the top, bottom, left or right edge may come into each page for a digit."""
    is_last = stamps.place == np.bincount(stamps.sample)[stamps.sample] - 1
    is_outer = np.choose(side, [True, True, stamps.place == 0, is_last])
    ink = stamps.images.sum(axis=2, dtype=np.int64), stamps.images.sum(axis=1, dtype=np.int64)
    share = np.rint(np.maximum(strengths, 0) * 2**16).astype(np.int64)
    allowed = ink[0].sum(axis=1) * share * is_outer >> 16
    depths = [
        (lines.cumsum(axis=1) <= allowed[:, None]).sum(axis=1)
        for one in ink
        for lines in (one, one[:, ::-1])
    ]
    depths[2] += stamps.x_px
    depths[3] += widths_px[stamps.sample] - stamps.x_px - stamps.images.shape[2]
    return np.asarray(np.choose(side, depths) - ~is_outer)


def _move(stamps: Stamps, widths_px: Ints, right_px: Ints, down_px: Ints) -> Stamps:
    """Move digits on their pages, beyond which there is no ink."""
    height, width = stamps.images.shape[1:]
    x_px = stamps.x_px + right_px
    rows, columns = np.arange(height) + down_px[:, None], np.arange(width) + x_px[:, None]
    are_rows = (rows >= 0) & (rows < height)
    are_columns = (columns >= 0) & (columns < widths_px[stamps.sample, None])
    images = stamps.images * (are_rows[:, :, None] & are_columns[:, None])
    images = slide(images, np.minimum(x_px, 0), down_px)
    return replace(stamps, images=images, x_px=np.maximum(x_px, 0), boxes=measure_ink(images))
