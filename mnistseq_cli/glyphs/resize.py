"""Glyphs brought to another height, in whole numbers, with edges as sharp as those of a pen.

Larger ones are interpolated by cubic splines (Catmull and Rom, "A class of local interpolating
splines", 1974); smaller ones are means over windows. Interpolation makes the edge of a stroke as
soft as the glyph is enlarged. So grey levels are then moved away from half the ink around them,
until an edge is about `EDGE_PX` wide again: the outline stays where it is. Glyphs that are to be
distorted are moved in between, while they are smooth: a second interpolation takes nothing away.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.pixels import Bools, Floats, Ints, Pixels, Singles, split_up

EDGE_PX = 1.5
SHARP = 16  # the steepness of edges that stay as they are: it is counted in parts of that
_STEEPEST = 144  # for which 16 bits hold what is more than sharp, times all ink
_ONE = 128  # parts of weights: sums are below 2**24 of their squares
WINDOW_PARTS = 256  # more, as none of these is below 0
_SHORT = 2**17  # lengths below that, divided in 32 bits, are rounded as their exact quotients
_AROUND = 2  # ink is compared with the most ink so many pixels around, before it is enlarged
ALONE = 2**18  # products of matrices that OpenBLAS does not start threads for: they cost more
CHUNK_PX = 2**17  # what the cache of a processor holds with all that is made of it


def resize(images: Pixels, height_px: int) -> Pixels:
    """Return square images, shape (N, S, S), as square ones of another height."""
    steepness = find_steepness(images.shape[1], height_px)
    return steepen(enlarge(images, height_px), np.full(len(images), steepness))


def find_steepness(side_px: int, height_px: int) -> int:
    """Return how much steeper edges are to be after squares were made so much larger."""
    return max(SHARP, round(SHARP * height_px / (side_px * EDGE_PX)))


def enlarge(images: Pixels, height_px: int) -> Pixels:
    """Return square images as square ones of another height, with edges as soft as that makes."""
    if images.shape[1] == height_px:
        return images
    weights = _weigh(images.shape[1], height_px)
    enlarged = np.empty((len(images), height_px, height_px), np.uint8)
    for some in split_up(enlarged, CHUNK_PX):
        ink = interpolate(images[some], weights)
        np.minimum(ink, 255, out=ink)  # np.clip takes twice as long as the two
        np.maximum(ink, 0, out=ink)
        ink += np.float32(0.5)
        enlarged[some] = ink
    return enlarged


def steepen(images: Pixels, steepness: Ints) -> Pixels:
    """Return images, shape (N, H, W), with edges made steeper, each by its own steepness, (N,).

    Half the ink around is where an edge was; what is far from all ink has none.
    """
    steepest = steepness.max(initial=SHARP)
    if steepest == SHARP:
        return images
    around_px = round(_AROUND * EDGE_PX * steepest / SHARP)  # see `find_steepness`
    whole: type[np.signedinteger] = np.int16 if steepest <= _STEEPEST else np.int32
    more = (steepness - SHARP).astype(whole)[:, None, None]
    steeper = np.zeros(images.shape, np.uint8)
    for some in split_up(images, CHUNK_PX):
        laid = np.bitwise_or.reduce(images[some], axis=0)  # on each other: beside them is paper
        rows, columns = (_find_ink(laid.any(axis=axis)) for axis in (1, 0))
        ink = images[some, rows, columns].astype(whole)
        most = _spread(images[some, rows, columns], around_px).astype(whole)
        levels = 2 * ink
        levels -= most
        levels *= more[some]
        levels += SHARP
        levels >>= 5
        levels += ink
        np.minimum(levels, most, out=levels)
        steeper[some, rows, columns] = np.maximum(levels, 0, out=levels)
    return steeper


def _find_ink(is_ink: Bools) -> slice:
    inked = np.flatnonzero(is_ink)
    return slice(inked[0], inked[-1] + 1) if inked.size else slice(0)


@lru_cache(maxsize=8)
def _weigh(side_px: int, height_px: int) -> Singles:
    """Return how much each pixel of a line gives to those of a longer or shorter one."""
    if height_px < side_px:
        had, have = np.array([[side_px], [height_px]])
        (of_line,) = weigh_windows(had, have, (side_px, height_px))
        return np.ascontiguousarray(of_line.T)
    weights = weigh_cubic(place_pixels(height_px, side_px / height_px), side_px)[:, 2:-2]
    return (np.rint(weights * _ONE) / _ONE).astype(np.float32)


def place_pixels(n_pixels: int, step: float) -> Floats:
    """Return where pixels lie on a grid: pixels of it are as wide as `step`."""
    return np.arange(0.5, n_pixels) * np.float64(step) - np.float64(0.5)


def weigh_cubic(at: Floats, n: int) -> Floats:
    """Return how much of n grid points, and two before and after, makes what lies between them.

    The shape is (len(at), n + 4); of the rows each adds up to 1.
    """
    before = np.floor(at)
    weights = np.zeros((len(at), n + 4))
    for place, tap in enumerate(weigh_catmull_rom(at - before).T, start=1):
        weights[np.arange(len(at)), before.astype(np.int64) + place] = tap
    return weights


def weigh_catmull_rom(t: Floats) -> Floats:
    """Return the weights of four points for what lies t after the second, shape (len(t), 4)."""
    weights = (
        (-t + 2 * t * t - t * t * t) / 2,
        (2 - 5 * t * t + 3 * t * t * t) / 2,
        (t + 4 * t * t - 3 * t * t * t) / 2,
        (t * t * t - t * t) / 2,
    )
    return np.stack(weights, axis=1)


def weigh_windows(had_px: Ints, have_px: Ints, shape: tuple[int, int]) -> Singles:
    """Return how much pixels give to those of lines of other lengths, shape (K, *shape).

    Of line k, `had_px` pixels become `have_px`. A pixel becomes the mean of a window of its width,
    at least one pixel wide, in whole parts, which add up to 1; before the line is paper.
    """
    had, have = had_px[:, None, None], have_px[:, None, None]
    # In units of 1 / (2 * have) pixels all are whole; floating point holds them exactly.
    width = 2 * np.maximum(had, have)
    start = (2 * np.arange(shape[1]) + 1) * had - width // 2
    end = 2 * np.arange(shape[0] + 1)[:, None] * have
    is_short = max(width.max(), start.max(), end.max()) < _SHORT
    dtype = np.float32 if is_short else np.float64
    parts = end.astype(dtype) - start.astype(dtype)
    parts /= (width / WINDOW_PARTS).astype(dtype)
    np.clip(parts, 0, WINDOW_PARTS, out=parts)
    np.rint(parts, out=parts)
    weights: Singles = np.subtract(parts[:, 1:], parts[:, :-1], dtype=np.float32)
    weights /= WINDOW_PARTS
    return weights


def find_reach(had_px: Ints, have_px: Ints, longest_px: int) -> Ints:
    """Return to how many pixels ink at the beginning of lines gives weight, (K, longest_px + 1).

    Ink of a length does so where it fills more than half a part of a window; see `weigh_windows`.
    """
    had, have = had_px[:, None], have_px[:, None]
    width, twice = np.maximum(had, have), 2 * WINDOW_PARTS
    reached = twice * have * np.arange(longest_px + 1) + WINDOW_PARTS * (width - had) - width
    return -(-reached // (twice * had)) * (np.arange(longest_px + 1) > 0)


def interpolate(
    images: NDArray[np.integer], weights: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Interpolate rows and columns of square images by weights, shape (pixels, side).

    Floating point adds exactly, in any order, as long as it holds all sums, which are whole parts
    of 1, as the weights are.
    """
    n, side_px, _ = images.shape
    across = np.matmul(images.astype(weights.dtype), weights.T)
    between = np.empty((n, len(weights), len(weights)), weights.dtype)
    n_rows = max(1, ALONE // (side_px * len(weights)))
    for top in range(0, len(weights), n_rows):
        np.matmul(weights[top : top + n_rows], across, out=between[:, top : top + n_rows])
    return between


def _spread(images: Pixels, around_px: int) -> Pixels:
    """Return the most ink in a square around each pixel, so many pixels to each side."""
    n, height_px, width_px = images.shape
    # With paper around, neighbours in a row or column are so in memory.
    padded = np.zeros((n + 1, height_px + 2 * around_px, width_px + 2 * around_px), np.uint8)
    padded[:n, around_px:-around_px, around_px:-around_px] = images
    most = padded.reshape(-1)
    for step in (1, padded.shape[2]):
        wide_px = 1
        while wide_px <= 2 * around_px:
            more_px = min(wide_px, 2 * around_px + 1 - wide_px)
            most = np.maximum(most[: -more_px * step], most[more_px * step :])
            wide_px += more_px
    whole = most[: n * padded[0].size].reshape(n, *padded.shape[1:])
    return whole[:, :height_px, :width_px]
