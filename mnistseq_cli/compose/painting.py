"""Paste digits into rows, and bring rows to a width."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.compose.samples import Inks
from mnistseq_cli.glyphs.glyph_set import GlyphInk, measure_ink, move_left
from mnistseq_cli.pixels import Bools, Ints, Pixels, split_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.stamps import Stamps


_CHUNK_PX = 2**17  # what the cache of a processor holds, with its sums


def resample(images: Pixels, start_px: Ints, row_px: Ints, fitted_px: Ints) -> tuple[Pixels, Ints]:
    """Resample columns of images, shape (M, H, W), that are parts of rows from `start_px` on.

    Paper is 0, in them and around them. `row_px` and `fitted_px` are the widths of the row before
    and after; each of shape (M,). Return the parts, shape (M, H, V), V being enough for all, and
    the columns of the resampled rows at which they begin.
    """
    n, height, part_px = images.shape
    wider_px = np.maximum(row_px, fitted_px)
    first = np.maximum(0, (2 * start_px * fitted_px - wider_px) // (2 * row_px))
    n_columns = int(((part_px * fitted_px + wider_px) // row_px).max()) + 3
    column = first + np.arange(n_columns + 1)[:, None]
    parts = np.zeros((n, height, n_columns), np.uint8)
    for some in split_up(parts if n_columns > part_px else images, _CHUNK_PX):
        seen = np.bitwise_or.reduce(images[some], axis=0)
        rows, columns = np.flatnonzero(seen.max(axis=1)), np.flatnonzero(seen.max(axis=0))
        if rows.size:
            ink = images[some, rows[0] : rows[-1] + 1, : columns[-1] + 1]
            of_row = (places[some] for places in (start_px, row_px, fitted_px))
            parts[some, rows[0] : rows[-1] + 1] = _resample(ink, column[:, some], *of_row)
    return parts, first


def _resample(
    images: Pixels, column: Ints, start_px: Ints, row_px: Ints, fitted_px: Ints
) -> Pixels:
    """Return the columns of the resampled rows that have these numbers, (V, M), less the last."""
    # Places are counted in units of 1 / (2 * fitted_px) source pixels, which makes them whole. So
    # are all sums; no sum and no quotient is rounded across a whole number.
    wider: NDArray[Any] = np.maximum(row_px, fitted_px)
    largest = max(int((wider * fitted_px).max()), 255 * 2 * int(wider.max()))
    dtype = np.float32 if largest < 2**22 else np.float64
    start, row, fitted, wider = np.stack([start_px, row_px, fitted_px, wider]).astype(dtype)
    unit = 2 * fitted
    columns = column.astype(dtype)
    if (row >= fitted).all():  # where a window ends, the next one begins
        ends = np.minimum(columns, fitted) * (2 * row) - start * unit
        covered = _cover(images.shape[2], ends, unit)
        shares = covered[:, 1:] - covered[:, :-1]
    else:
        left = (2 * columns[:-1] + 1) * row - wider - start * unit
        right = np.where(columns[:-1] < fitted, left + 2 * wider, left)
        shares = _cover(images.shape[2], right, unit) - _cover(images.shape[2], left, unit)
    total = np.matmul(images.astype(dtype), np.ascontiguousarray(shares.transpose(2, 0, 1)))
    total += (wider + 0.5)[:, None, None]
    total *= (1 / (2 * wider)).astype(dtype)[:, None, None]
    resampled: Pixels = total.astype(np.uint8)
    return resampled


def _cover(n_sources: int, places: NDArray[Any], unit: NDArray[Any]) -> NDArray[Any]:
    """Return how much of each source pixel lies before a place, shape (W, V, M)."""
    covered: NDArray[Any] = places - np.arange(n_sources, dtype=unit.dtype)[:, None, None] * unit
    np.maximum(covered, 0, out=covered)
    np.minimum(covered, unit, out=covered)
    return covered


LARGEST_SCALE = 2  # of rows that are to fill a height; what is low as a dash stays small


def fill_height(ink: GlyphInk, row: Ints, above_px: Ints, below_px: Ints) -> tuple[GlyphInk, Ints]:
    """Scale digits with their rows, so that so much paper is left above and below, (N,) each.

    Return them, and how high, and wide, the cell of each has become. `row` is that of each digit.
    """
    page_px = ink.images.shape[1]
    top_px, bottom_px = np.full(len(above_px), page_px), np.zeros(len(above_px), np.int64)
    np.minimum.at(top_px, row, ink.top_px)
    np.maximum.at(bottom_px, row, ink.top_px + ink.height_px)
    row_px = np.maximum(bottom_px - top_px, 1)
    free_px = page_px - above_px - below_px
    filled_px = np.minimum(free_px, LARGEST_SCALE * row_px)
    above_px = above_px + (free_px - filled_px) // 2
    top, had, have = top_px[row], row_px[row], filled_px[row]
    images = _resample_rows(ink.images, -top, had, have, above_px[row])
    # So far along a row of any length that all columns are in it.
    many = -(-images.shape[2] // had)
    images, _ = resample(images, np.zeros_like(top), many * had, many * have)
    left, top, width, height = measure_ink(images).T
    images = move_left(images, left)[:, :, : width.max(initial=1)]
    left = left + ink.left_px * have // had
    return GlyphInk(images, left, top, width, height), page_px * have // had


def fit_stamps(stamps: Stamps, row_px: Ints, fitted_px: Ints, *, keep_height: bool) -> Stamps:
    """Resample digits from the width of their row, shape (M,), to another.

    The height shrinks with the width, around the middle, unless it is to be kept.
    """
    widest_px = int((stamps.boxes[:, 0] + stamps.boxes[:, 2]).max())
    images, x_px = resample(stamps.images[:, :, :widest_px], stamps.x_px, row_px, fitted_px)
    if not keep_height:
        page_px = np.full_like(row_px, images.shape[1])
        height_px = np.maximum(1, (2 * page_px * fitted_px + row_px) // (2 * row_px))
        top_px = (page_px - height_px) // 2
        images = _resample_rows(images, np.zeros_like(row_px), page_px, height_px, top_px)
    return replace(stamps, images=images, x_px=x_px, boxes=measure_ink(images))


def _resample_rows(
    images: Pixels, start_px: Ints, row_px: Ints, fitted_px: Ints, top_px: Ints
) -> Pixels:
    """Resample rows as `resample` does columns, and put them where they are to begin."""
    columns, _ = resample(images.transpose(0, 2, 1), start_px, row_px, fitted_px)
    rows = np.zeros_like(images)
    for top in np.unique(top_px):
        chosen = top_px == top
        placed = columns[chosen, :, : images.shape[1] - top].transpose(0, 2, 1)
        rows[chosen, top : top + placed.shape[1]] = placed
    return rows


def paint(
    stamps: Stamps, shape: tuple[int, int], width_px: int, *, blend: bool
) -> tuple[Pixels, Ints]:
    """Put digits on pages, from left to right; `shape` is (N, n), pages and places on each.

    With `blend` the darker pixel wins. It must where images overlap; otherwise the paper on the
    right of each image is painted over by the next one. Return the images, and boxes on the page,
    shape (N, n, 4), zeros after the end of a text.
    """
    _, height_px, stamp_px = stamps.images.shape
    canvas = np.zeros((shape[0], height_px, width_px + stamp_px), np.uint8)
    windows = sliding_window_view(canvas, stamp_px, axis=2, writeable=True)
    ends = np.cumsum(np.bincount(stamps.place)).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        sample, x_px = stamps.sample[start:end], stamps.x_px[start:end]
        images = stamps.images[start:end]
        if blend:
            images = np.maximum(windows[sample, :, x_px], images)
        windows[sample, :, x_px] = images
    boxes = np.zeros((*shape, 4), np.int64)
    boxes[stamps.sample, stamps.place] = stamps.boxes
    boxes[stamps.sample, stamps.place, 0] += stamps.x_px
    return canvas[:, :, :width_px], boxes


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
