"""From a line to a glyph: distance to the line, grey at its edges, MNIST's own placing.

MNIST (LeCun, Cortes and Burges) fits the ink of a digit into 20 × 20 pixels, keeps its aspect,
and places it in 28 × 28 by its centre of mass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.glyphs.glyph_set import SIDE_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.strokes.curves import FloatArray
    from mnistseq_cli.glyphs.strokes.writing import Line

BOX_PX = 20
# Distances are measured in whole parts of a pixel.
_PARTS = 32
_FAR = 2**30


def draw_lines(line: Line) -> NDArray[np.uint8]:
    """Draw lines as glyphs, uint8 (N, 28, 28), 0 = paper, 255 = ink."""
    x, y = _fit(line)
    radius = line.radius_px * _PARTS
    swollen = line.swell * radius[:, None]
    power = _nearest(_whole(x), _whole(y), _whole(swollen * swollen))
    distance = np.sqrt(np.maximum(power + radius * radius, 0.0))
    return _place(_shade((radius - distance) / (line.soft_px * _PARTS)))


def _fit(line: Line) -> tuple[FloatArray, FloatArray]:
    """Scale and move lines so that their ink fills the box, in parts of a pixel."""
    left, right = line.x.min(axis=1), line.x.max(axis=1)
    top, bottom = line.y.min(axis=1), line.y.max(axis=1)
    room = (BOX_PX - 2 * line.radius_px - line.soft_px) * _PARTS
    scale = (room / np.maximum(right - left, bottom - top))[:, None]
    x = (line.x - (0.5 * (left + right))[:, None]) * scale + BOX_PX * _PARTS / 2
    y = (line.y - (0.5 * (top + bottom))[:, None]) * scale + BOX_PX * _PARTS / 2
    return x, y


def _whole(values: FloatArray) -> NDArray[np.int32]:
    """Round to whole numbers, glyphs along the last axis."""
    return np.ascontiguousarray(np.rint(values).astype(np.int32).T)


def _nearest(
    x: NDArray[np.int32], y: NDArray[np.int32], radius_squared: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Find the least squared distance less squared radius to any sample, shape (20, 20, N).

    The samples, x and y of shape (S, N), lie closer than a pen is wide. The squares of x and y
    are worked out once for a row or column, which leaves an addition and a minimum for a pixel.
    """
    centre = (np.arange(BOX_PX, dtype=np.int32) * _PARTS + _PARTS // 2)[:, None]
    nearest = np.full((BOX_PX, BOX_PX, x.shape[1]), _FAR, dtype=np.int32)
    here = np.empty_like(nearest)
    for sample_x, sample_y, reach in zip(x, y, radius_squared, strict=True):
        across, down = centre - sample_x, centre - sample_y
        np.add((down * down)[:, None], (across * across - reach)[None], out=here)
        np.minimum(nearest, here, out=nearest)
    return nearest


def _shade(depth: FloatArray) -> NDArray[np.int64]:
    """Turn depth below the edge of the ink, in edge widths, into grey levels, (N, 20, 20)."""
    share = np.clip(0.5 + depth, 0.0, 1.0)
    grey = np.rint(255 * (share * share * (3 - 2 * share))).astype(np.int64)
    return np.ascontiguousarray(grey.transpose(2, 0, 1))


def _place(boxes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Put each box where its centre of mass comes nearest to the middle of the glyph."""
    images = np.zeros((len(boxes), SIDE_PX, SIDE_PX), dtype=np.uint8)
    places = sliding_window_view(images, (BOX_PX, BOX_PX), axis=(1, 2), writeable=True)
    top, left = _offset(boxes.sum(axis=2)), _offset(boxes.sum(axis=1))
    places[np.arange(len(boxes)), top, left] = boxes
    return images


def _offset(profile: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find how far to move ink, given its sum in each of 20 rows or columns."""
    total = profile.sum(axis=1)
    moment = (profile * np.arange(BOX_PX, dtype=np.int64)).sum(axis=1)
    middle = SIDE_PX // 2
    nearest: NDArray[np.int64] = (2 * (middle * total - moment) + total) // (2 * total)
    return np.clip(nearest, 0, SIDE_PX - BOX_PX)
