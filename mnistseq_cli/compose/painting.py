"""Paste digits into rows, and bring rows to a width."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.compose.samples import Inks
from mnistseq_cli.glyphs.glyph_set import GlyphInk
from mnistseq_cli.glyphs.resize import ALONE, WINDOW_PARTS, weigh_windows
from mnistseq_cli.glyphs.stamps import Stamps, view_windows
from mnistseq_cli.pixels import Bools, Ints, Pixels, find_different

LARGEST_SCALE = 2  # of rows that are to fill a height; what is low as a dash stays small
_SCALE_PARTS = 16  # of a pixel, to which the size of cells is rounded up
_CHUNK_PX = 2**17  # what the cache of a processor holds, as floating point
_SCALES = 4.0 ** np.arange(1, 9)  # rows are resampled together with those of like scales
_ALMOST_1 = np.float32(1 - 1 / WINDOW_PARTS**2)

_Weights: TypeAlias = NDArray[np.float32]  # see `weigh_windows`


def fill_height(
    ink: GlyphInk, places: tuple[Ints, Ints], above_px: Ints, below_px: Ints
) -> tuple[GlyphInk, Ints]:
    """Scale digits with their rows, so that so much paper is left above and below, (N,) each.

    Return them, and how high, and wide, the cell of each has become. `places` are the row of each
    digit, and which digit of it that is.
    """
    row, _ = places
    page_px, widest_px = ink.images.shape[1], max(1, int(ink.width_px.max()))
    top_px, bottom_px = np.full(len(above_px), page_px), np.zeros(len(above_px), np.int64)
    np.minimum.at(top_px, row, ink.top_px)
    np.maximum.at(bottom_px, row, ink.top_px + ink.height_px)
    row_px = np.maximum(bottom_px - top_px, 1)
    free_px = page_px - above_px - below_px
    filled_px = np.minimum(free_px, LARGEST_SCALE * row_px)
    above_px = above_px + (free_px - filled_px) // 2
    scale, none = (row_px, filled_px), np.zeros_like(row_px)
    columns = weigh_windows(*scale, (none, none), (widest_px, LARGEST_SCALE * (widest_px + 1)))
    rows = weigh_windows(*scale, (-top_px, -above_px), (page_px, page_px))
    from_top_px = np.arange(page_px) - above_px[:, None]
    rows *= ((from_top_px >= 0) & (from_top_px < filled_px[:, None]))[:, None]
    extent = ink.top_px, ink.height_px
    images = _resample(ink.images, extent, places, (np.arange(len(none)), columns, rows))
    _, width_px = _find_reach(columns, row, 0 * row, ink.width_px)
    start_px, end_px = _find_reach(rows, row, *extent)
    had, have = row_px[row], filled_px[row]
    images, left_px = images[:, :, : width_px.max(initial=1)], ink.left_px * have // had
    filled = GlyphInk(images, left_px, start_px, width_px, end_px - start_px, ink.steepness)
    return filled, page_px * have // had


def fit_stamps(
    stamps: Stamps, row_px: Ints, fitted_px: Ints, page_px: int, *, keep_height: bool
) -> Stamps:
    """Resample digits from the width of their row, shape (N,), to another.

    A digit begins at the pixel in which its left edge comes to lie. The height shrinks with the
    width, around the middle of the page, unless it is to be kept.
    """
    # Short rows become many times as wide: the digits of long ones need no images of such a size.
    size = np.searchsorted(_SCALES, fitted_px / row_px)
    if size.min() == size.max():
        return _fit_alike(stamps, row_px, fitted_px, page_px, keep_height=keep_height)
    parts: list[tuple[Ints, Stamps]] = []
    for one in find_different(size):
        rows, chosen = np.flatnonzero(size == one), np.flatnonzero(size[stamps.sample] == one)
        own = {name: value[chosen] for name, value in vars(stamps).items()}
        own["sample"] = np.searchsorted(rows, own["sample"])
        lengths_px = row_px[rows], fitted_px[rows], page_px
        parts.append((chosen, _fit_alike(Stamps(**own), *lengths_px, keep_height=keep_height)))
    wide_px = max(part.images.shape[2] for _, part in parts)
    images = np.zeros((*stamps.images.shape[:2], wide_px), np.uint8)
    x_px, boxes = np.empty_like(stamps.x_px), np.empty_like(stamps.boxes)
    for chosen, part in parts:
        images[chosen, :, : part.images.shape[2]] = part.images
        x_px[chosen], boxes[chosen] = part.x_px, part.boxes
    return replace(stamps, images=images, x_px=x_px, boxes=boxes)


def _fit_alike(
    stamps: Stamps, row_px: Ints, fitted_px: Ints, page_px: int, *, keep_height: bool
) -> Stamps:
    """Do so with rows that change their widths by about as much."""
    row = stamps.sample
    _, top_px, width_px, height_px = stamps.boxes.T
    cell = _SCALE_PARTS * page_px
    cells = -(-cell * fitted_px // row_px)
    scaled = find_different(cells)  # rows of one scale have the same weights
    kind, had, none = np.searchsorted(scaled, cells), np.full_like(scaled, cell), 0 * scaled
    widest_px = max(1, int(width_px.max()))  # blank digits have no width
    twice_px = 2 * widest_px * scaled + np.maximum(0, scaled - had)  # with a soft edge behind
    n_columns = int(min((-(-twice_px // (2 * had))).max(), fitted_px.max()))
    columns = weigh_windows(had, scaled, (none, none), (widest_px, n_columns))
    rows = None
    if not keep_height:
        page, high_px = np.full_like(had, page_px), (2 * scaled // _SCALE_PARTS + 1) // 2
        rows = weigh_windows(page, high_px, (none, -((page - high_px) // 2)), (page_px, page_px))
    places, extent = (row, stamps.place), (top_px, height_px)
    images = _resample(stamps.images, extent, places, (kind, columns, rows))
    kind, end_px = kind[row], fitted_px[row]
    _, right_px = _find_reach(columns, kind, 0 * row, width_px)
    if rows is not None:
        top_px, bottom_px = _find_reach(rows, kind, *extent)
        height_px = bottom_px - top_px
    x_px = stamps.x_px * end_px // row_px[row]
    # Beyond the end of a row is the soft edge of its last digit, and a part of a column of ink.
    cut = np.flatnonzero(x_px + right_px > end_px)
    images[cut] *= (np.arange(n_columns) < (end_px - x_px)[cut, None])[:, None]
    width_px = np.minimum(right_px, end_px - x_px)
    boxes = np.stack([0 * row, top_px, width_px, height_px], axis=1)
    return replace(stamps, images=images, x_px=x_px, boxes=boxes)


def _resample(
    images: Pixels,
    extent: tuple[Ints, Ints],
    places: tuple[Ints, Ints],
    weights: tuple[Ints, _Weights, _Weights | None],
) -> Pixels:
    """Resample digits, shape (M, H, W), whose ink begins in a row, and is so high: `extent`.

    `places` are the sample of each, and which digit of it that is. `weights` are the kind of each
    sample, what columns of a kind give, shape (K, w, columns), and rows, (K, H, H), if they do
    not stay. Means are rounded up: where a window meets ink, there is ink.
    """
    kind, columns, rows = weights
    low, high, reached, (_, width, n_columns) = 0, images.shape[1], slice(None), columns.shape
    if rows is not None:
        low, high = int(extent[0].min()), max(1, int((extent[0] + extent[1]).max()))
        rows = rows[:, low:high]
        inked = np.flatnonzero(rows.any(axis=(0, 1)))
        reached = slice(inked[0], inked[-1] + 1)
        rows = np.ascontiguousarray(rows[:, :, reached].transpose(0, 2, 1))
    digits = np.full((len(kind), int(places[1].max()) + 1), -1)
    digits[places] = np.arange(len(images))
    result = np.zeros((len(images) + 1, images.shape[1], n_columns), np.uint8)  # and one for -1
    n_beside = max(1, min(digits.shape[1], ALONE // ((high - low) * width * n_columns)))
    n_samples = max(1, _CHUNK_PX // ((high - low) * n_beside * n_columns))
    for first in range(0, len(kind), n_samples):
        here = kind[first : first + n_samples]
        for place in range(0, digits.shape[1], n_beside):
            some = digits[first : first + n_samples, place : place + n_beside]
            ink = images[some][:, :, low:high, :width]
            if rows is None:
                ink = ink.astype(np.float32).reshape(len(some), -1, width)
                means = np.matmul(ink, columns[here]).reshape(*some.shape, -1, n_columns)
            else:  # the digits of a sample side by side, so that products are of two matrices
                ink = ink.swapaxes(1, 2).astype(np.float32, order="C")
                ink = np.matmul(rows[here], ink.reshape(len(some), high - low, -1))
                means = np.matmul(ink.reshape(len(some), -1, width), columns[here])
                means = means.reshape(len(some), -1, some.shape[1], n_columns).swapaxes(1, 2)
            means += _ALMOST_1
            result[some, reached] = means.astype(np.uint8)
    return result[:-1]


def _find_reach(weights: _Weights, kind: Ints, start_px: Ints, size_px: Ints) -> tuple[Ints, Ints]:
    """Return where ink begins, and ends, that did so in lines of a kind, shape (M,) each.

    What is blank begins and ends at 0.
    """
    gives, last_px = weights > 0, np.maximum(start_px + size_px - 1, 0)
    first, beyond = gives.argmax(axis=2), weights.shape[2] - gives[:, :, ::-1].argmax(axis=2)
    return first[kind, start_px] * (size_px > 0), beyond[kind, last_px] * (size_px > 0)


def paint(stamps: Stamps, shape: tuple[int, int], page_px: tuple[int, int]) -> tuple[Pixels, Ints]:
    """Put digits on pages, from left to right; `shape` is (N, n), pages and places on each.

    Where ink meets the darker pixel wins; the paper on the right of a digit is painted over by the
    next one. Return the images, and boxes on the page, shape (N, n, 4), zeros after the end of a
    text.
    """
    (height_px, width_px), (_, high_px, wide_px) = page_px, stamps.images.shape
    place, pages_px = (stamps.sample, stamps.place), shape[0] * height_px * width_px
    on_page = stamps.boxes.copy()
    on_page[:, 0] += stamps.x_px
    boxes = np.zeros((*shape, 4), np.int64)
    boxes[place] = on_page
    reached_px = np.zeros((shape[0], shape[1] + 1), np.int64)  # by the ink of digits before
    np.maximum.accumulate(boxes[:, :, 0] + boxes[:, :, 2], axis=1, out=reached_px[:, 1:])
    canvas = np.zeros(pages_px + high_px * width_px + wide_px, np.uint8)
    windows = view_windows(canvas, (high_px, wide_px), width_px)
    rows = np.ascontiguousarray(stamps.images).view(windows.dtype)[:, :, 0]
    y_px = stamps.sample * height_px + np.clip(stamps.boxes[:, 1], 0, height_px - high_px)
    at_px = y_px * width_px + stamps.x_px
    # What reaches over the right edge, into the next rows, or meets ink is put there later.
    met = (stamps.x_px > width_px - wide_px) | (reached_px[place] > stamps.x_px)
    windows[np.where(met, pages_px, at_px)] = rows
    later = np.flatnonzero(met)
    later = later[np.argsort(stamps.place[later], kind="stable")]
    for some in np.split(later, np.flatnonzero(np.diff(stamps.place[later])) + 1):
        ink = windows[at_px[some]].view(np.uint8)
        windows[at_px[some]] = np.maximum(ink, rows[some].view(np.uint8)).view(rows.dtype)
    return canvas[:pages_px].reshape(-1, height_px, width_px), boxes


def gather_inks(stamps: Stamps, widths_px: Ints, marked: Bools | None) -> Inks:
    """Return the ink of digits on pages of these widths, and which one of its sample each is.

    `marked`, shape (N, n), says which of the places on a page have marks, if any have.
    """
    columns = stamps.x_px[:, None] + np.arange(stamps.images.shape[2])
    is_on_page = (columns >= 0) & (columns < widths_px[stamps.sample, None])
    instance = stamps.place
    if marked is not None:
        n_before: Ints = np.cumsum(marked, axis=1) - marked
        n_text = np.bincount(stamps.sample, minlength=len(marked)) - marked.sum(axis=1)
        places = np.arange(marked.shape[1])
        numbers = np.where(marked, n_text[:, None] + n_before, places - n_before)
        instance = numbers[stamps.sample, stamps.place]
    images = np.where(is_on_page[:, None], stamps.images, np.uint8(0))
    return Inks(images, stamps.sample, instance, stamps.x_px)
