"""Paste digits into rows, and bring rows to a width."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.glyphs.glyph_set import measure_ink

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
    rows = np.zeros_like(images)
    top_px = (page_px - height_px) // 2
    for top in np.unique(top_px):
        chosen = top_px == top
        shrunk = columns[chosen, :, : page_px - top].transpose(0, 2, 1)
        rows[chosen, top : top + shrunk.shape[1]] = shrunk
    return rows
