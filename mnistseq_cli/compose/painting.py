"""Paste digits into rows, and bring rows to a width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mnistseq_cli.compose.samples import Inks
from mnistseq_cli.glyphs.glyph_set import GlyphInk, measure_ink, move_left
from mnistseq_cli.glyphs.stamps import Stamps
from mnistseq_cli.pixels import Array, Bools, Ints, Pixels, split_up

_OfRow: TypeAlias = tuple[Ints, Ints, Ints]  # where parts start, widths before and after
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
    last = (2 * (start_px + part_px) * fitted_px + wider_px) // (2 * row_px)
    n_columns = int((np.minimum(last, fitted_px - 1) - first).max(initial=0)) + 1
    n_columns += -n_columns % 4  # whole words are faster
    parts = np.empty((n, height, n_columns), np.uint8)
    lengths, each, half = _measure(first, (start_px, row_px, fitted_px), (part_px, n_columns))
    for some in split_up(parts if n_columns > part_px else images, _CHUNK_PX):
        shares = _share(lengths[:, some], each[some], (part_px, n_columns)).transpose(1, 0, 2)
        total = np.matmul(images[some].astype(shares.dtype), shares)
        parts[some] = np.add(total, half, out=total)
    at_end = np.flatnonzero(first + n_columns > fitted_px)
    parts[at_end] *= (np.arange(n_columns) < (fitted_px - first)[at_end, None])[:, None]
    return parts, first


def _measure(
    first: Ints, of_row: _OfRow, shape: tuple[int, int]
) -> tuple[Ints, NDArray[Any], np.floating[Any]]:
    """Return what `_share` needs: lengths of parts, shape (4, M), and what a unit gives, (M,).

    The sum of what is given, and the third value, less its fraction, is a resampled pixel.
    """
    start_px, row_px, fitted_px = of_row
    wider_px = np.maximum(row_px, fitted_px)
    n_met = int((row_px // fitted_px).max(initial=0)) + 2  # pixels that a window can meet
    # A mean is a multiple of 1 / (2 * wider_px). It may be wrong by less than half of that, for
    # each of which n_met + 4 roundings may be: no mean is rounded across a whole number.
    is_small = int(wider_px.max(initial=1)) * (n_met + 4) < 2**14
    real = np.float32 if is_small else np.float64
    # In units of 1 / (2 * fitted_px) source pixels they are whole; short numbers are faster.
    middle = (2 * first + 1) * row_px - (2 * start_px + 1) * fitted_px
    lengths = np.array([middle, 2 * row_px, 2 * fitted_px, wider_px + fitted_px])
    far, step, unit, reach = np.abs(lengths).max(axis=1, initial=0)
    far += max(unit * shape[0], step * shape[1], reach)
    lengths = lengths.astype(np.min_scalar_type(-int(far)))
    return lengths, (1 / (2 * wider_px)).astype(real), real(0.5 + 0.25 / wider_px.max(initial=1))


def _share(lengths: Ints, each: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return what source pixels give to resampled ones, shape (sources, M, columns)."""
    middle, step, *others = lengths
    source, column = (np.arange(n, dtype=lengths.dtype) for n in shape)
    unit, reach = np.repeat(others, len(column), axis=1)
    overlap = source[:, None] * unit
    overlap -= (step[:, None] * column + middle[:, None]).reshape(-1)
    np.minimum(np.abs(overlap, out=overlap), reach, out=overlap)
    np.subtract(reach, overlap, out=overlap)
    if (step > others[0]).any():  # what is wider than a pixel may hold a whole one
        np.minimum(overlap, unit, out=overlap)
    shares: NDArray[Any] = overlap.astype(each.dtype)
    shares *= np.repeat(each, len(column))
    return shares.reshape(len(source), -1, len(column))


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
    had, have = row_px[row], filled_px[row]
    images = _resample_rows(ink.images, row, (-top_px, row_px, filled_px), above_px)
    # So far along a row of any length that all columns are in it, and what becomes of their edges.
    many = images.shape[2] // had + 2
    images, _ = resample(images, np.zeros_like(had), many * had, many * have)
    left, top, width, height = measure_ink(images).T
    images = move_left(images, left)[:, :, : width.max(initial=1)]
    left = left + ink.left_px * have // had
    return GlyphInk(images, left, top, width, height, ink.steepness), page_px * have // had


def fit_stamps(stamps: Stamps, row_px: Ints, fitted_px: Ints, *, keep_height: bool) -> Stamps:
    """Resample digits from the width of their row, shape (N,), to another.

    The height shrinks with the width, around the middle, unless it is to be kept.
    """
    n, page_px, _ = stamps.images.shape
    right_px, inked_px = stamps.boxes[:, 0] + stamps.boxes[:, 2], int(stamps.boxes[:, 3].max())
    # No digit has ink in more rows or columns: these alone are resampled.
    inked = sliding_window_view(stamps.images, (inked_px, int(right_px.max())), axis=(1, 2))
    top_px = np.minimum(stamps.boxes[:, 1], page_px - inked_px)
    place, of_digit = (np.arange(n), top_px, 0), (row_px[stamps.sample], fitted_px[stamps.sample])
    parts, x_px = resample(inked[place], stamps.x_px, *of_digit)
    images = np.zeros((n, page_px, parts.shape[2]), np.uint8)
    sliding_window_view(images, parts.shape[1:], axis=(1, 2), writeable=True)[place] = parts
    if not keep_height:
        pages_px = np.full_like(row_px, page_px)
        height_px = np.maximum(1, (2 * pages_px * fitted_px + row_px) // (2 * row_px))
        of_row = np.zeros_like(row_px), pages_px, height_px
        images = _resample_rows(images, stamps.sample, of_row, (page_px - height_px) // 2)
        parts, top_px = images, 0 * top_px
    boxes = measure_ink(parts)
    boxes[:, 1] += top_px * (boxes[:, 3] > 0)
    return replace(stamps, images=images, x_px=x_px, boxes=boxes)


def _resample_rows(images: Pixels, sample: Ints, of_row: _OfRow, top_px: Ints) -> Pixels:
    """Resample rows as `resample` does columns, and put them where they are to begin.

    All digits of a sample, (M,), are resampled in the same way; the places are those of samples.
    """
    low, high = int(top_px.min()), int((top_px + of_row[2]).max())
    shape = images.shape[1], high - low
    lengths, each, half = _measure(low - top_px, of_row, shape)
    row = np.arange(low, high) - top_px[:, None]
    shares = _share(lengths, each, shape) * ((row >= 0) & (row < of_row[2][:, None]))
    of_sample = np.ascontiguousarray(shares.transpose(1, 2, 0))
    rows = np.zeros_like(images)
    for some in split_up(images, _CHUNK_PX):
        total = np.matmul(of_sample[sample[some]], images[some].astype(shares.dtype))
        rows[some, low:high] = np.add(total, half, out=total)
    return rows


def paint(
    stamps: Stamps, shape: tuple[int, int], width_px: int, *, blend: bool
) -> tuple[Pixels, Ints]:
    """Put digits on pages, from left to right; `shape` is (N, n), pages and places on each.

    With `blend` the darker pixel wins. It must where images overlap; otherwise the paper on the
    right of each image is painted over by the next one. Return the images, and boxes on the page,
    shape (N, n, 4), zeros after the end of a text.
    """
    n, (_, height_px, stamp_px) = shape[0], stamps.images.shape
    canvas = np.zeros(n * height_px * width_px + stamp_px, np.uint8)
    # A window lies at each pixel; those at the right edge reach into the next rows. To copy a row
    # of one as a whole is twice as fast as its bytes.
    n_windows, row = canvas.size - stamp_px - (height_px - 1) * width_px + 1, f"V{stamp_px}"
    windows: Array = np.ndarray((n_windows, height_px), row, canvas, strides=(1, width_px))
    rows = np.ascontiguousarray(stamps.images).view(row)[:, :, 0]
    at_px = stamps.sample * (height_px * width_px) + stamps.x_px
    reaches_out = stamps.x_px > width_px - stamp_px
    right_px = stamps.x_px + stamps.boxes[:, 0] + stamps.boxes[:, 2]
    reached_px = np.zeros(n, np.int64)  # by the ink of digits on each page
    ends = np.cumsum(np.bincount(stamps.place)).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        sample, images = stamps.sample[start:end], rows[start:end]
        met = reaches_out[start:end]
        if blend:
            met = met | (reached_px[sample] > stamps.x_px[start:end])
            reached_px[sample] = np.maximum(reached_px[sample], right_px[start:end])
        if met.any():
            images = images.copy()
            before = windows[at_px[start:end][met]].view(np.uint8)
            images[met] = np.maximum(before, images[met].view(np.uint8)).view(row)
        windows[at_px[start:end]] = images
    boxes = np.zeros((*shape, 4), np.int64)
    boxes[stamps.sample, stamps.place] = stamps.boxes
    boxes[stamps.sample, stamps.place, 0] += stamps.x_px
    return canvas[: n * height_px * width_px].reshape(n, height_px, width_px), boxes


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
