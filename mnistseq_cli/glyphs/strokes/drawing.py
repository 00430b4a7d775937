"""From a line to a glyph: distance to the line, grey at its edges, MNIST's own placing.

MNIST (LeCun, Cortes and Burges) fits the ink of a digit into 20 × 20 pixels, keeps its aspect,
and places it in 28 × 28 by its centre of mass.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mnistseq_cli.glyphs.resize import CHUNK_PX, interpolate, place_pixels, weigh_cubic
from mnistseq_cli.glyphs.strokes.writing import Line
from mnistseq_cli.pixels import Array, Bools, Floats, Ints, Pixels, split_up

SIDE_PX, BOX_PX = 28, 20
# Distances are measured in whole parts of a pixel.
_PARTS = 32
_FAR = 2**30
_ONE = 2**10  # the sum of the weights of a pixel: all sums are below 2**48


def draw_lines(line: Line, fills: Bools, height_px: int = SIDE_PX) -> Pixels:
    """Draw lines as glyphs, (N, height, height); `fills` says which fill a box, as in MNIST."""
    images = np.empty((len(fills), height_px, height_px), np.uint8)
    for place, side_px, are_so in ((_fit, BOX_PX, fills), (_stand, SIDE_PX, ~fills)):
        own = Line(*(part[are_so] for part in line))
        drawn = _draw(own._replace(**place(own)), side_px, height_px)
        images[are_so] = _place(drawn, height_px) if side_px == BOX_PX else drawn
    return images


def _fit(line: Line) -> dict[str, Floats]:
    """Scale and move lines so that their ink fills the box, in parts of a pixel."""
    (left, right), (top, bottom) = _reach(line.x), _reach(line.y)
    scale = _find_room(line, BOX_PX) / np.maximum(right - left, bottom - top)
    return {
        "x": (line.x - 0.5 * (left + right)) * scale + BOX_PX * _PARTS / 2,
        "y": (line.y - 0.5 * (top + bottom)) * scale + BOX_PX * _PARTS / 2,
    }


def _stand(line: Line) -> dict[str, Floats]:
    """Scale lines as digits are, whose height is 2, and leave them where they are in height."""
    (left, right), (top, bottom) = _reach(line.x), _reach(line.y)
    # Where the pen is pressed, ink is wider: a pixel at each edge is for that.
    em, most = _find_room(line, BOX_PX) / 2, _find_room(line, SIDE_PX - 2)
    wide = np.minimum(em, most / np.maximum(right - left, 1e-9))
    high = np.minimum(em, most / np.maximum(bottom - top, 1e-9))
    # The middle of digits is that of pixel 14, see `_offset`. What would leave the cell is moved.
    over = np.maximum(0.0, bottom * high + (_PARTS - most) / 2)
    return {
        "x": (line.x - 0.5 * (left + right)) * wide + SIDE_PX * _PARTS / 2,
        "y": line.y * high + (SIDE_PX + 1) * _PARTS / 2 - over,
    }


def _reach(way: Floats) -> tuple[Floats, Floats]:
    """Return the least and the most of each line, shape (N, 1)."""
    return way.min(axis=1, keepdims=True), way.max(axis=1, keepdims=True)


def _find_room(line: Line, side_px: int) -> Floats:
    """Return what the middle of a stroke may span so that its ink stays in a square, (N, 1)."""
    room: Floats = (side_px - 2 * line.radius_px - line.soft_px) * _PARTS
    return room[:, None]


def _draw(line: Line, side_px: int, height_px: int) -> Pixels:
    """Draw lines in a square of so many pixels of a 28-px glyph, shape (N, side, side)."""
    # The field of squared distances is so smooth that it is interpolated from that of 28 pixels.
    radius = line.radius_px * _PARTS
    swollen = line.swell * radius[:, None]
    parts = np.rint([line.x, line.y, swollen * swollen]).astype(np.int32)
    power = _nearest(np.ascontiguousarray(parts.transpose(2, 0, 1)), side_px)
    power = np.ascontiguousarray(power.transpose(2, 0, 1))
    soft = line.soft_px * _PARTS * min(1, SIDE_PX / height_px)
    n_pixels = -(-side_px * height_px // SIDE_PX)
    drawn = np.empty((len(soft), n_pixels, n_pixels), np.uint8)
    for some in split_up(drawn, CHUNK_PX):
        fine: Array = power[some]
        if height_px != SIDE_PX:
            fine = interpolate(power[some], _weigh(side_px, n_pixels, height_px)) / _ONE**2
        drawn[some] = _shade(fine, radius[some, None, None], soft[some, None, None])
    return drawn


def _nearest(samples: NDArray[np.int32], side_px: int) -> NDArray[np.int32]:
    """Find the least squared distance less squared radius to any sample, (side, side, N)."""
    # Samples (x, y, squared radius) lie closer than a pen is wide; a row's squares are made once.
    centre = (np.arange(side_px, dtype=np.int32) * _PARTS + _PARTS // 2)[:, None]
    nearest = np.full((side_px, side_px, samples.shape[2]), _FAR, dtype=np.int32)
    here = np.empty_like(nearest)
    for x, y, radius_squared in samples:
        across, down = centre - x, centre - y
        np.add((down * down)[:, None], (across * across - radius_squared)[None], out=here)
        np.minimum(nearest, here, out=nearest)
    return nearest


@lru_cache(maxsize=4)
def _weigh(side_px: int, n_pixels: int, height_px: int) -> Floats:
    # The last pixel may lie a little beyond the grid.
    at = np.minimum(place_pixels(n_pixels, SIDE_PX / height_px), side_px - 1 / _ONE)
    weights = weigh_cubic(at, side_px)
    inside = weights[:, 2:-2]
    # Parabolas through the three outermost pixels go on beyond them.
    inside[:, :3] += weights[:, :2] @ np.array([[6, -8, 3], [3, -3, 1]])
    inside[:, -3:] += weights[:, -2:] @ np.array([[1, -3, 3], [3, -8, 6]])
    return np.rint(inside * _ONE)


def _shade(power: Array, radius: Floats, soft: Floats) -> Floats:
    """Turn a field, shape (N, H, W), into grey levels: half of all ink at the edge."""
    share: Floats = power + radius * radius  # in its own place from here on: memory takes the time
    np.sqrt(np.maximum(share, 0.0, out=share), out=share)
    np.subtract(radius, share, out=share)
    share /= soft
    share += 0.5
    np.clip(share, 0.0, 1.0, out=share)
    slope: Floats = 2 * share
    np.subtract(3, slope, out=slope)
    share *= share
    share *= slope
    share *= 255
    np.rint(share, out=share)
    return share


def _place(boxes: Pixels, height_px: int) -> Pixels:
    """Put each box where its centre of mass comes nearest to the middle of the glyph."""
    images = np.zeros((len(boxes), height_px, height_px), dtype=np.uint8)
    places = sliding_window_view(images, boxes.shape[1:], axis=(1, 2), writeable=True)
    top, left = (_offset(boxes.sum(axis=axis, dtype=np.int64), height_px) for axis in (2, 1))
    places[np.arange(len(boxes)), top, left] = boxes
    return images


def _offset(profile: Ints, height_px: int) -> Ints:
    """Find how far to move ink, given its sum in each row or column of its box."""
    n_pixels = profile.shape[1]
    total, moment = profile.sum(axis=1), profile @ np.arange(n_pixels)
    # MNIST puts it on pixel 14, whose middle is at 29 / 56 of the height.
    twice = 2 * SIDE_PX * total
    over = height_px * (SIDE_PX + 1) * total - 2 * SIDE_PX * moment
    nearest: Ints = over // np.maximum(1, twice)
    return np.clip(nearest, 0, height_px - n_pixels)
