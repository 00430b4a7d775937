"""Paste digits into rows, and bring rows to a width."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.compose.samples import Inks
from mnistseq_cli.glyphs.glyph_set import GlyphInk, measure_ink, move_left

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.layout import Layout
    from mnistseq_cli.glyphs.stamps import Stamps


def resample(
    images: NDArray[np.uint8],
    start_px: NDArray[np.int64],
    row_px: NDArray[np.int64],
    fitted_px: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Resample columns of images, shape (M, H, W), that are parts of rows from `start_px` on.

    Paper is 0, in them and around them. `row_px` and `fitted_px` are the widths of the row before
    and after; each of shape (M,). Return the parts, shape (M, H, V), V being enough for all, and
    the columns of the resampled rows at which they begin.
    """
    part_px = images.shape[2]
    wider_px = np.maximum(row_px, fitted_px)
    first = np.maximum(0, (2 * start_px * fitted_px - wider_px) // (2 * row_px))
    n_columns = int(((part_px * fitted_px + wider_px) // row_px).max()) + 3
    shares = _share_columns(
        first[:, None] + np.arange(n_columns), np.arange(part_px), start_px, row_px, fitted_px
    )
    # All terms and sums are whole numbers far below 2**53: floating point adds them exactly, in
    # whatever order, and rounds no quotient across a whole number.
    total = np.matmul(images.astype(np.float64), shares.transpose(0, 2, 1))
    window = 2.0 * wider_px[:, None, None]
    return np.floor((2 * total + window) / (2 * window)).astype(np.uint8), first


def _share_columns(
    column: NDArray[np.int64],
    source: NDArray[np.int64],
    start_px: NDArray[np.int64],
    row_px: NDArray[np.int64],
    fitted_px: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return how much of each source column lies in the window of each new one, shape (M, V, W).

    Places are counted in units of 1 / (2 * fitted_px) source pixels, which makes them whole.
    """
    unit, wider = 2 * fitted_px[:, None], np.maximum(row_px, fitted_px)[:, None]
    centre = ((2 * column + 1) * row_px[:, None] - start_px[:, None] * unit)[..., None]
    left = (source * unit).astype(np.float64)[:, None]
    right = left + unit[..., None]
    shares: NDArray[np.float64] = np.minimum(centre + wider[..., None], right) - np.maximum(
        centre - wider[..., None], left
    )
    np.maximum(shares, 0, out=shares)
    shares[column >= fitted_px[:, None]] = 0
    return shares


LARGEST_SCALE = 2  # of rows that are to fill a height; what is low as a dash stays small


def fill_height(
    ink: GlyphInk, row: NDArray[np.int64], above_px: NDArray[np.int64], below_px: NDArray[np.int64]
) -> tuple[GlyphInk, NDArray[np.int64]]:
    """Scale digits with their rows, so that so much paper is left above and below.

    Parameters
    ----------
    ink : GlyphInk
        M digits.
    row : ndarray of int64, shape (M,)
        The row of each.
    above_px, below_px : ndarray of int64, shape (N,)
        For each row.

    Returns
    -------
    ink : GlyphInk
    cells_px : ndarray of int64, shape (M,)
        How high, and wide, the cells of digits have become.
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
    columns, _ = resample(ink.images.transpose(0, 2, 1), -top, had, have)
    images = _place_rows(columns, above_px[row], page_px)
    # So far along a row of any length that all columns are in it.
    many = -(-images.shape[2] // had)
    images, _ = resample(images, np.zeros_like(top), many * had, many * have)
    left, top, width, height = measure_ink(images).T
    images = move_left(images, left)[:, :, : width.max(initial=1)]
    left = left + ink.left_px * have // had
    return GlyphInk(images, left, top, width, height), page_px * have // had


def fit_stamps(stamps: Stamps, layout: Layout, *, keep_height: bool) -> Stamps:
    """Resample digits from the width of their row to its width on the page.

    Their `x_px` then counts from the left edge of the page. The height shrinks with the width,
    around the middle, unless it is to be kept.
    """
    row_px, fitted_px = layout.row_px[stamps.sample], layout.fitted_px[stamps.sample]
    images, x_px = resample(stamps.images, stamps.x_px, row_px, fitted_px)
    if not keep_height:
        images = _shrink_height(images, row_px, fitted_px)
    x_px = x_px + layout.offset_px[stamps.sample]
    return replace(stamps, images=images, x_px=x_px, boxes=measure_ink(images))


def paint(
    stamps: Stamps, shape: tuple[int, int], width_px: int, *, blend: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Put digits on pages, from left to right; `shape` is (N, n), pages and places on each.

    With `blend` the darker pixel wins. It must where images overlap; otherwise the paper on the
    right of each image is painted over by the next one.

    Returns
    -------
    images : ndarray of uint8, shape (N, height, width_px)
    boxes : ndarray of int64, shape (N, n, 4)
        On the page; zeros after the end of a text.
    """
    _, height_px, stamp_px = stamps.images.shape
    canvas = np.zeros((shape[0], height_px, width_px + stamp_px), np.uint8)
    windows = sliding_window_view(canvas, stamp_px, axis=2, writeable=True)
    ends = np.cumsum(np.bincount(stamps.place)).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        sample, x_px = stamps.sample[start:end], stamps.x_px[start:end]
        images = stamps.images[start:end]
        windows[sample, :, x_px] = (
            np.maximum(windows[sample, :, x_px], images) if blend else images
        )
    boxes = np.zeros((*shape, 4), np.int64)
    boxes[stamps.sample, stamps.place] = stamps.boxes
    boxes[stamps.sample, stamps.place, 0] += stamps.x_px
    return canvas[:, :, :width_px], boxes


def gather_inks(
    stamps: Stamps, widths_px: NDArray[np.int64], marked: NDArray[np.bool_] | None
) -> Inks:
    """Return the ink of digits on pages of these widths, and which one of its sample each is.

    `marked`, shape (N, n), says which of the places on a page have marks, if any have.
    """
    columns = stamps.x_px[:, None] + np.arange(stamps.images.shape[2])
    is_on_page = (columns >= 0) & (columns < widths_px[stamps.sample, None])
    instance = stamps.place
    if marked is not None:
        n_before: NDArray[np.int64] = np.cumsum(marked, axis=1) - marked
        n_text = np.bincount(stamps.sample, minlength=len(marked)) - marked.sum(axis=1)
        places = np.arange(marked.shape[1])
        numbers = np.where(marked, n_text[:, None] + n_before, places - n_before)
        instance = numbers[stamps.sample, stamps.place]
    images = np.where(is_on_page[:, None], stamps.images, np.uint8(0))
    return Inks(images, stamps.sample, instance, stamps.x_px)


def _shrink_height(
    images: NDArray[np.uint8], row_px: NDArray[np.int64], fitted_px: NDArray[np.int64]
) -> NDArray[np.uint8]:
    page_px = images.shape[1]
    height_px = np.maximum(1, (2 * page_px * fitted_px + row_px) // (2 * row_px))
    columns, _ = resample(
        images.transpose(0, 2, 1),
        np.zeros_like(height_px),
        np.full_like(height_px, page_px),
        height_px,
    )
    return _place_rows(columns, (page_px - height_px) // 2, page_px)


def _place_rows(
    columns: NDArray[np.uint8], top_px: NDArray[np.int64], page_px: int
) -> NDArray[np.uint8]:
    """Put columns, shape (M, W, V), on pages from some rows on, shape (M, page_px, W)."""
    rows = np.zeros((len(columns), page_px, columns.shape[1]), np.uint8)
    for top in np.unique(top_px):
        chosen = top_px == top
        placed = columns[chosen, :, : page_px - top].transpose(0, 2, 1)
        rows[chosen, top : top + placed.shape[1]] = placed
    return rows
