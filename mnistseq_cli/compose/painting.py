"""Paste digits into rows, and bring rows to a width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnistseq_cli.compose.samples import Inks
from mnistseq_cli.glyphs.glyph_set import GlyphInk
from mnistseq_cli.glyphs.resize import ALONE, WINDOW_PARTS, find_reach, weigh_windows
from mnistseq_cli.glyphs.stamps import Stamps, view_windows
from mnistseq_cli.pixels import Bools, Ints, Pixels, Singles, find_different

LARGEST_SCALE = 2  # of rows that are to fill a height; what is low as a dash stays small
_SCALE_PARTS = 2  # of a pixel, to which the size of cells is rounded down
_CHUNK_PX = 2**17  # what the cache of a processor holds, as floating point
_SCALES = 4.0 ** np.arange(1, 9)  # rows are resampled together with those of like scales
_BASE = 2**31  # of a number of two lengths; more than a cell, in these parts, or a row can have
_BAND_PX, _N_BANDS = 32, 8  # of columns made together: two lines of a cache, or a few long ones
_ALMOST_1 = np.float32(1 - 1 / WINDOW_PARTS**2)


def fill_height(
    ink: GlyphInk, places: tuple[Ints, Ints], above_px: Ints, below_px: Ints
) -> tuple[GlyphInk, Ints]:
    """Scale digits with their rows, so that so much paper is left above and below, (N,) each.

    Return them, and how high, and wide, the cell of each has become. `places` are the row of each
    digit, and which digit of it that is.
    """
    (row, _), page_px = places, int(ink.images.shape[1])
    first_px, beyond_px = np.full(len(above_px), page_px), np.zeros(len(above_px), np.int64)
    np.minimum.at(first_px, row, ink.top_px)
    np.maximum.at(beyond_px, row, ink.top_px + ink.height_px)
    row_px = np.maximum(beyond_px - first_px, 1)
    free_px = page_px - above_px - below_px
    filled_px = np.minimum(free_px, LARGEST_SCALE * row_px)
    above_px = above_px + (free_px - filled_px) // 2
    images, size_px = _roll(ink.images, -ink.top_px, page_px), (ink.width_px, ink.height_px)
    largest_px = page_px, LARGEST_SCALE * (page_px + 1)
    images, width_px, height_px = _scale(images, size_px, places, (row_px, filled_px), largest_px)
    had, have = row_px[row], filled_px[row]
    top_px = above_px[row] + (ink.top_px - first_px[row]) * have // had
    # Below a row is paper, and not the soft edge of what has become larger.
    height_px = np.minimum(height_px, (above_px + filled_px)[row] - top_px)
    images *= (np.arange(images.shape[1]) < height_px[:, None])[:, :, None]
    images, left_px = _roll(images, top_px, page_px), ink.left_px * have // had
    filled = GlyphInk(images, left_px, top_px, width_px, height_px, ink.steepness)
    return filled, page_px * have // had


def fit_stamps(
    stamps: Stamps, row_px: Ints, fitted_px: Ints, page_px: int, *, keep_height: bool
) -> Stamps:
    """Resample digits from the width of their row, shape (N,), to another.

    A digit begins at the pixel in which its left edge comes to lie, and its upper one; one at the
    end of its row ends there. The height shrinks with the width, around the middle of the page,
    unless it is to be kept.
    """
    row_px, fitted_px = (np.maximum(px, 1) for px in (row_px, fitted_px))  # where all are blank
    # Short rows become many times as wide: the digits of long ones need no images of such a size.
    scale = np.searchsorted(_SCALES, fitted_px / row_px)
    if scale.min() == scale.max():
        return _fit_alike(stamps, row_px, fitted_px, page_px, keep_height=keep_height)
    parts: list[tuple[Ints, Stamps]] = []
    for one in find_different(scale):
        rows, chosen = np.flatnonzero(scale == one), np.flatnonzero(scale[stamps.sample] == one)
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
    row, images = stamps.sample, stamps.images
    _, top_px, width_px, height_px = stamps.boxes.T
    high_px, cell = images.shape[1], _SCALE_PARTS * page_px
    cells = cell * fitted_px // row_px
    if not keep_height:  # images that end where pages do are to begin with ink, as the others
        images = _roll(images, -np.maximum(0, top_px + high_px - page_px), high_px)
        top_px = (page_px * cell + (2 * top_px - page_px) * cells[row]) // (2 * cell)
    ends = np.flatnonzero(stamps.x_px + width_px == row_px[row])
    digits = images, (width_px, height_px), (row, stamps.place)
    largest_px = None if keep_height else high_px, int(fitted_px.max())
    images, width_px, height_px = _scale(*digits, (np.full_like(cells, cell), cells), largest_px)
    if not keep_height:
        high_px = page_px if high_px == page_px else images.shape[1]
        images = _roll(images, np.maximum(0, top_px + high_px - page_px), high_px)
    end_px = fitted_px[row]
    x_px, boxes = stamps.x_px * end_px // row_px[row], stamps.boxes.copy()
    x_px[ends] = np.maximum(x_px[ends], end_px[ends] - width_px[ends])
    # Beyond the end of a row is no more than the soft edge of a digit that has become wider.
    cut = np.flatnonzero(x_px + width_px > end_px)
    is_in_row = np.arange(images.shape[2]) < (end_px - x_px)[cut, None]
    images[cut] *= is_in_row.view(np.uint8)[:, None]
    boxes[:, 1], boxes[:, 2], boxes[:, 3] = top_px, np.minimum(width_px, end_px - x_px), height_px
    return replace(stamps, images=images, x_px=x_px, boxes=boxes)


def _roll(images: Pixels, down_px: Ints, n_rows: int) -> Pixels:
    """Return images, so many rows high, with rows moved down; those at the end come first."""
    rolled = np.zeros((len(images), n_rows, images.shape[2]), np.uint8)
    rolled[:, : images.shape[1]] = images
    moved = np.flatnonzero(down_px)
    rolled[moved] = rolled[moved[:, None], (np.arange(n_rows) - down_px[moved, None]) % n_rows]
    return rolled


def _scale(
    images: Pixels,
    size_px: tuple[Ints, Ints],
    places: tuple[Ints, Ints],
    scales: tuple[Ints, Ints],
    largest_px: tuple[int | None, int],
) -> tuple[Pixels, Ints, Ints]:
    """Resample digits, shape (M, H, W), whose ink begins in the first row and column.

    `size_px` is how wide and high the ink of each is, `places` are its sample, and which digit of
    that it is; `scales`, of how many pixels of a sample how many become. Return images of at most
    so many rows and columns, as many rows as before if these are None, and the size of their ink.
    """
    (most_rows, most_columns), (width_px, height_px) = largest_px, size_px
    code = scales[0] * _BASE + scales[1]
    codes = find_different(code)  # samples of one scale have the same weights
    kind, lengths = np.searchsorted(codes, code), np.divmod(codes, _BASE)
    own, (wide, high) = kind[places[0]], (max(1, size.max()) for size in size_px)
    reach = find_reach(*lengths, max(wide, high))
    width_px = np.minimum(reach[own, width_px], most_columns)
    columns, rows = weigh_windows(*lengths, (wide, max(1, width_px.max()))), None
    if most_rows is not None:
        height_px = np.minimum(reach[own, height_px], most_rows)
        rows = weigh_windows(*lengths, (high, max(1, height_px.max())))
    return _resample(images, places, (kind, columns, rows)), width_px, height_px


def _resample(
    images: Pixels, places: tuple[Ints, Ints], weights: tuple[Ints, Singles, Singles | None]
) -> Pixels:
    """Resample digits, shape (M, H, W).

    `weights` are the kind of each sample, what columns of a kind give, shape (K, w, columns), and
    rows, (K, h, rows), if they do not stay.
    """
    (sample, place), (kind, columns, rows) = places, weights
    n_rows = high = images.shape[1]
    if rows is not None:
        rows = np.ascontiguousarray(rows.swapaxes(1, 2))
        _, n_rows, high = rows.shape
    (_, wide, n_columns), bands = columns.shape, _find_bands(columns)
    images = images[:, :high, :wide]
    resampled = np.empty((len(images), n_rows, n_columns), np.uint8)
    n_beside = max(1, min(int(place.max()) + 1, ALONE // (high * wide * n_columns)))
    n_samples = max(1, _CHUNK_PX // (high * n_beside * n_columns))
    firsts = range(0, len(kind), n_samples)
    stops = np.searchsorted(sample, [*firsts[1:], len(kind)]).tolist()
    for first, start, stop in zip(firsts, [0, *stops], stops, strict=False):
        here = kind[first : first + n_samples]
        shape = len(here), int(place[start:stop].max(initial=0)) + 1
        ink, made = images[start:stop], resampled[start:stop]
        is_full = len(ink) == shape[0] * shape[1]
        if not is_full:  # texts of other lengths
            at = sample[start:stop] - first, place[start:stop]
            ink = np.zeros((*shape, high, wide), np.uint8)
            ink[at] = images[start:stop]
            made = np.empty((*shape, n_rows, n_columns), np.uint8)
        ink, made = ink.reshape(*shape, high, wide), made.reshape(*shape, n_rows, n_columns)
        own = columns[here], None if rows is None else rows[here, None]
        for beside in range(0, shape[1], n_beside):
            some = slice(beside, beside + n_beside)
            made[:, some] = _average(ink[:, some], own, bands)
        if not is_full:
            resampled[start:stop] = made[at]
    return resampled


def _average(
    ink: Pixels, weights: tuple[Singles, Singles | None], bands: list[tuple[slice, slice]]
) -> Singles:
    """Return means of windows, rounded up but for a fraction: where one meets ink, there is ink.

    `ink` is that of the digits of some samples, (n, places, h, w), `weights` are those of columns,
    (n, w, columns), and of rows, (n, 1, rows, h).
    """
    columns, rows = weights
    part = ink.astype(np.float32, order="C")
    if rows is not None:
        part = np.matmul(rows, part)
    n_rows, n_columns = part.shape[2], columns.shape[2]
    # The digits of a sample one below the other, so that products are of two matrices.
    part = part.reshape(len(ink), -1, columns.shape[1])
    means = np.empty((*part.shape[:2], n_columns), np.float32)
    for source, band in bands:
        np.matmul(part[:, :, source], columns[:, source, band], out=means[:, :, band])
    means += _ALMOST_1
    return means.reshape(*ink.shape[:2], n_rows, n_columns)


def _find_bands(columns: Singles) -> list[tuple[slice, slice]]:
    """Return which pixels give to columns that lie next to each other."""
    bands, most = [], columns.max(axis=0)
    wide = max(_BAND_PX, -(-most.shape[1] // _N_BANDS))
    for start in range(0, most.shape[1], wide):
        band = slice(start, start + wide)
        source = np.flatnonzero(most[:, band].any(axis=1))
        bands.append((slice(source[0], source[-1] + 1), band))
    return bands


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
    # What reaches over the right edge, into the next rows, or meets ink is put behind the pages,
    # and to its place later. Others are put one after the other: windows lie on each other.
    met = (stamps.x_px > width_px - wide_px) | (reached_px[place] > stamps.x_px)
    windows[np.where(met, pages_px, at_px)] = rows
    later = np.flatnonzero(met)
    later = later[np.argsort(stamps.place[later], kind="stable")]
    for some in np.split(later, np.flatnonzero(np.diff(stamps.place[later])) + 1):
        ink = windows[at_px[some]].view(np.uint8)
        windows[at_px[some]] = np.maximum(ink, rows[some].view(np.uint8)).view(rows.dtype)
    return canvas[:pages_px].reshape(shape[0], height_px, width_px), boxes


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
