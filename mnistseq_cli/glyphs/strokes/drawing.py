"""From a line to a glyph: distance to the line, grey at its edges, MNIST's own placing.

MNIST (LeCun, Cortes and Burges) fits the ink of a digit into 20 × 20 pixels, keeps its aspect,
and places it in 28 × 28 by its centre of mass.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.glyphs.resize import CHUNK_PX, interpolate, place_pixels, weigh_cubic
from mnistseq_cli.glyphs.strokes.writing import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.strokes.curves import FloatArray

SIDE_PX, BOX_PX = 28, 20
# Distances are measured in whole parts of a pixel.
_PARTS = 32
_FAR = 2**30
_ONE = 2**10  # the sum of the weights of a pixel: all sums are below 2**48


def draw_lines(
    line: Line, fills: NDArray[np.bool_], height_px: int = SIDE_PX
) -> NDArray[np.uint8]:
    """Draw lines as glyphs, uint8 (N, height, height), 0 = paper, 255 = ink.

    Those that `fills` says, shape (N,), fill their box and are placed as those of MNIST; others
    stand where they are written, in one line with them.
    """
    images = np.empty((len(fills), height_px, height_px), np.uint8)
    own, others = (Line(*(part[chosen] for part in line)) for chosen in (fills, ~fills))
    for boxes, chosen in _draw(own, _fit(own), BOX_PX, height_px):
        images[np.flatnonzero(fills)[chosen]] = _place(boxes, height_px)
    for pages, chosen in _draw(others, _stand(others), SIDE_PX, height_px):
        images[np.flatnonzero(~fills)[chosen]] = pages
    return images


def _draw(
    line: Line, places: tuple[FloatArray, FloatArray], side_px: int, height_px: int
) -> Iterator[tuple[NDArray[np.int64], slice]]:
    """Yield grey levels of some lines at a time, in a square of so many pixels of a 28-px glyph.

    The field of squared distances to a line is so smooth that it is worked out for 28 pixels
    whatever the height, and interpolated. The width of the edge is one in pixels of the glyph.
    """
    x, y = places
    radius = line.radius_px * _PARTS
    swollen = line.swell * radius[:, None]
    power = _nearest(_whole(x), _whole(y), _whole(swollen * swollen), side_px)
    power = np.ascontiguousarray(power.transpose(2, 0, 1))
    soft = line.soft_px * _PARTS * min(1, SIDE_PX / height_px)
    size = max(1, CHUNK_PX // height_px**2)
    for start in range(0, len(soft), size):
        some = slice(start, start + size)
        fine = _refine(power[some], height_px)
        yield _shade(fine, radius[some, None, None], soft[some, None, None]), some


def _fit(line: Line) -> tuple[FloatArray, FloatArray]:
    """Scale and move lines so that their ink fills the box, in parts of a pixel."""
    left, right = line.x.min(axis=1), line.x.max(axis=1)
    top, bottom = line.y.min(axis=1), line.y.max(axis=1)
    room = _find_room(line, BOX_PX)
    scale = (room / np.maximum(right - left, bottom - top))[:, None]
    x = (line.x - (0.5 * (left + right))[:, None]) * scale + BOX_PX * _PARTS / 2
    y = (line.y - (0.5 * (top + bottom))[:, None]) * scale + BOX_PX * _PARTS / 2
    return x, y


def _stand(line: Line) -> tuple[FloatArray, FloatArray]:
    """Scale lines as digits are, whose height is 2, and leave them where they are in height."""
    left, right = line.x.min(axis=1), line.x.max(axis=1)
    top, bottom = line.y.min(axis=1), line.y.max(axis=1)
    # Where the pen is pressed, ink is wider: a pixel at each edge is for that.
    em, most = _find_room(line, BOX_PX) / 2, _find_room(line, SIDE_PX - 2)
    wide = np.minimum(em, most / np.maximum(right - left, 1e-9))
    high = np.minimum(em, most / np.maximum(bottom - top, 1e-9))
    x = (line.x - (0.5 * (left + right))[:, None]) * wide[:, None] + SIDE_PX * _PARTS / 2
    # The middle of digits is that of pixel 14, see `_offset`. What would leave the cell is moved.
    y = line.y * high[:, None] + (SIDE_PX + 1) * _PARTS / 2
    over = np.maximum(0.0, bottom * high + (_PARTS - most) / 2)
    return x, y - over[:, None]


def _find_room(line: Line, side_px: int) -> FloatArray:
    """Return what the middle of a stroke may span so that its ink stays in a square."""
    room: FloatArray = (side_px - 2 * line.radius_px - line.soft_px) * _PARTS
    return room


def _whole(values: FloatArray) -> NDArray[np.int32]:
    """Round to whole numbers, glyphs along the last axis."""
    return np.ascontiguousarray(np.rint(values).astype(np.int32).T)


def _nearest(
    x: NDArray[np.int32], y: NDArray[np.int32], radius_squared: NDArray[np.int32], side_px: int
) -> NDArray[np.int32]:
    """Find the least squared distance less squared radius to any sample, (side, side, N).

    The samples, x and y of shape (S, N), lie closer than a pen is wide. The squares of x and y
    are worked out once for a row or column, which leaves an addition and a minimum for a pixel.
    """
    centre = (np.arange(side_px, dtype=np.int32) * _PARTS + _PARTS // 2)[:, None]
    nearest = np.full((side_px, side_px, x.shape[1]), _FAR, dtype=np.int32)
    here = np.empty_like(nearest)
    for sample_x, sample_y, reach in zip(x, y, radius_squared, strict=True):
        across, down = centre - sample_x, centre - sample_y
        np.add((down * down)[:, None], (across * across - reach)[None], out=here)
        np.minimum(nearest, here, out=nearest)
    return nearest


def _refine(power: NDArray[np.int32], height_px: int) -> NDArray[np.number]:
    """Bring the field, shape (N, side, side), to the size that it has in a glyph of a height."""
    if height_px == SIDE_PX:
        return power
    return interpolate(power, _weigh(power.shape[1], height_px)) * (1 / _ONE**2)


@lru_cache(maxsize=4)
def _weigh(side_px: int, height_px: int) -> FloatArray:
    n_pixels = -(-side_px * height_px // SIDE_PX)
    weights = weigh_cubic(place_pixels(n_pixels, SIDE_PX / height_px), side_px)
    inside = weights[:, 2:-2]
    # Parabolas through the three outermost pixels go on beyond them.
    inside[:, :3] += weights[:, :2] @ np.array([[6, -8, 3], [3, -3, 1]])
    inside[:, -3:] += weights[:, -2:] @ np.array([[1, -3, 3], [3, -8, 6]])
    return np.rint(inside * _ONE)


def _shade(power: NDArray[np.number], radius: FloatArray, soft: FloatArray) -> NDArray[np.int64]:
    """Turn a field, shape (N, H, W), into grey levels: half of all ink at the edge."""
    depth = (radius - np.sqrt(np.maximum(power + radius * radius, 0.0))) / soft
    share = np.clip(0.5 + depth, 0.0, 1.0)
    grey: NDArray[np.int64] = np.rint(255 * (share * share * (3 - 2 * share))).astype(np.int64)
    return grey


def _place(boxes: NDArray[np.int64], height_px: int) -> NDArray[np.uint8]:
    """Put each box where its centre of mass comes nearest to the middle of the glyph."""
    images = np.zeros((len(boxes), height_px, height_px), dtype=np.uint8)
    places = sliding_window_view(images, boxes.shape[1:], axis=(1, 2), writeable=True)
    top, left = (_offset(boxes.sum(axis=axis), height_px) for axis in (2, 1))
    places[np.arange(len(boxes)), top, left] = boxes
    return images


def _offset(profile: NDArray[np.int64], height_px: int) -> NDArray[np.int64]:
    """Find how far to move ink, given its sum in each row or column of its box."""
    n_pixels = profile.shape[1]
    total = profile.sum(axis=1)
    moment = (profile * np.arange(n_pixels, dtype=np.int64)).sum(axis=1)
    # MNIST puts it on pixel 14, whose middle is at 29 / 56 of the height.
    twice = 2 * SIDE_PX * total
    nearest: NDArray[np.int64] = (
        (height_px * (SIDE_PX + 1) - SIDE_PX) * total - 2 * SIDE_PX * moment + SIDE_PX * total
    ) // twice
    return np.clip(nearest, 0, height_px - n_pixels)
