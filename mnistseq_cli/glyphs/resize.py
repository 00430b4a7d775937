"""Glyphs brought to another height, in whole numbers, with edges as sharp as those of a pen.

Larger ones are interpolated by cubic splines (Catmull and Rom, "A class of local interpolating
splines", 1974); smaller ones are means over windows. Interpolation makes the edge of a stroke as
soft as the glyph is enlarged. So grey levels are then moved away from half the ink around them,
until an edge is about `EDGE_PX` wide again: the outline stays where it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.pixels import Floats, Pixels, split_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE_PX = 1.5
_ONE = 128  # parts of weights: sums are below 2**24 of their squares
_GAIN = 16  # of edges, in parts
_AROUND = 2  # ink is compared with the most ink so many pixels around
_ALONE = 2**18  # products of matrices that OpenBLAS does not start threads for: they cost more
CHUNK_PX = 2**16  # what the cache of a processor holds with all that is made of it


def resize(images: Pixels, height_px: int) -> Pixels:
    """Return square images, shape (N, S, S), as square ones of another height."""
    if images.shape[1] == height_px:
        return images
    resized = np.empty((len(images), height_px, height_px), np.uint8)
    for some in split_up(resized, CHUNK_PX):
        resized[some] = _resize(images[some], height_px)
    return resized


def _resize(images: Pixels, height_px: int) -> Pixels:
    gain = max(_GAIN, round(_GAIN * height_px / (images.shape[1] * EDGE_PX))) / _GAIN
    weights, around = _weigh(images.shape[1], height_px)
    ink = interpolate(images, weights)
    if gain == 1:
        return _round_off(ink, 255)
    # Half the ink around is where an edge was; what is far from all ink has none.
    most = interpolate(_spread(images), around)
    ink *= np.float32(gain)
    ink -= most * np.float32((gain - 1) / 2)
    return _round_off(ink, most)


@lru_cache(maxsize=8)
def _weigh(side_px: int, height_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weights of ink and of the most ink around, (height, side)."""
    if height_px < side_px:
        means = _round(_weigh_means(side_px, height_px))
        return means, means
    at = place_pixels(height_px, side_px / height_px)
    linear = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(side_px)))
    return _round(weigh_cubic(at, side_px)[:, 2:-2]), _round(linear)


def _round(weights: Floats) -> NDArray[np.float32]:
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


def _weigh_means(n: int, n_pixels: int) -> Floats:
    """Return how much of each of n pixels lies in each of fewer, wider ones."""
    step = n / n_pixels
    low = (np.arange(n_pixels) * step)[:, None]
    shares = np.minimum(low + step, np.arange(n) + 1) - np.maximum(low, np.arange(n))
    weights: Floats = np.maximum(0, shares) / step
    return weights


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
    n_rows = max(1, _ALONE // (side_px * len(weights)))
    for top in range(0, len(weights), n_rows):
        np.matmul(weights[top : top + n_rows], across, out=between[:, top : top + n_rows])
    return between


def _round_off(ink: NDArray[np.float32], most: NDArray[np.float32] | int) -> Pixels:
    np.minimum(ink, most, out=ink)  # np.clip takes twice as long as the two
    np.maximum(ink, 0, out=ink)
    ink += np.float32(0.5)
    return ink.astype(np.uint8)


def _spread(images: Pixels) -> Pixels:
    """Return the most ink in a square around each pixel."""
    n, side_px, _ = images.shape
    wide_px = side_px + 2 * _AROUND
    padded = np.zeros(
        (n + 1, wide_px, wide_px), np.uint8
    )  # the last one is what follows in memory
    padded[:n, _AROUND:-_AROUND, _AROUND:-_AROUND] = images
    pixels = padded.reshape(-1)
    for step in (1, wide_px):
        most = pixels.copy()
        for far in range(step, (2 * _AROUND + 1) * step, step):
            np.maximum(most[:-far], pixels[far:], out=most[:-far])
        pixels = most
    return pixels.reshape(padded.shape)[:n, :side_px, :side_px]
