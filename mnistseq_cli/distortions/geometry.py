"""Distortions that move ink: rotation, shear, perspective, elastic waves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.randomness import expand_fractions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.stamps import Stamps

NODE_PX = 4
_NODE_BITS = 8  # a node's place is in units of 1 / 256 px
_PLACE_BITS = 12  # a pixel's place has four more bits: 4 × 4 pixels between nodes
_FAR_PX = 2**16
_LANES = np.uint32(0x00FF00FF)
_BYTE, _SHORT = np.uint32(0xFF), np.uint32(0xFFFF)


def warp(
    images: NDArray[np.uint8],
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
    width_px: int,
) -> NDArray[np.uint8]:
    """Resample images, shape (M, H, V), bilinearly, to another width W; around them is paper, 0.

    `x_px` and `y_px`, shape (M, rows, columns), are where each node of the result lies in the
    image; nodes are 4 px apart and reach from pixel 0 to H, and to W, or further.
    """
    n, height, width = images.shape
    x, y = (interpolate(_quantise(place)) for place in (x_px, y_px))
    np.clip(x, -1 << _PLACE_BITS, width << _PLACE_BITS, out=x)
    np.clip(y, -1 << _PLACE_BITS, height << _PLACE_BITS, out=y)
    stride = width + 2
    pixel = (y >> _PLACE_BITS) * np.int32(stride)
    pixel += x >> _PLACE_BITS
    first = np.arange(n, dtype=np.int32) * np.int32(stride * (height + 2)) + np.int32(stride + 1)
    pixel += first[:, None, None]
    return unfold(_blend(_pack(images).take(pixel, mode="wrap"), x, y), height, width_px)


def interpolate(nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Interpolate between nodes, bilinearly and exactly, to (4, M, rows - 1, 4 * columns).

    That is 16 times the value at each pixel, the pixel rows 0, 4, 8, … first, then 1, 5, 9, …: so
    are most steps along memory. The last four columns mean nothing. See `unfold`.
    """
    n, n_rows, n_columns = nodes.shape
    flat = nodes.ravel()
    step = np.empty_like(flat)
    np.subtract(flat[1:], flat[:-1], out=step[:-1])
    step[-1] = 0
    columns = np.empty((flat.size, NODE_PX), np.int32)
    np.left_shift(flat, 2, out=columns[:, 0])
    for place in range(1, NODE_PX):
        np.add(columns[:, place - 1], step, out=columns[:, place])
    above = columns.reshape(n, n_rows, NODE_PX * n_columns)
    down = above[:, 1:] - above[:, :-1]
    rows = np.empty((NODE_PX, *down.shape), np.int32)
    np.left_shift(above[:, :-1], 2, out=rows[0])
    for place in range(1, NODE_PX):
        np.add(rows[place - 1], down, out=rows[place])
    return rows


def unfold(
    rows: NDArray[np.uint32 | np.int32], height_px: int, width_px: int
) -> NDArray[np.uint8]:
    """Put the rows of `interpolate` in their order, as pixels, shape (M, height, width)."""
    _, n, n_rows, _ = rows.shape
    images = np.empty((n, n_rows, NODE_PX, width_px), np.uint8)
    images[...] = rows[..., :width_px].transpose(1, 2, 0, 3)
    return images.reshape(n, n_rows * NODE_PX, width_px)[:, :height_px]


def place_nodes(size_px: int) -> NDArray[np.float64]:
    """Return the pixels at which nodes lie along an axis: 0, 4, … up to its size or just over."""
    return np.arange(0, size_px + NODE_PX, NODE_PX, dtype=np.float64)


def draw_waves(
    motion: Motion,
    widths_px: NDArray[np.int64] | NDArray[np.float64],
    n_rows: int,
    n_columns: int,
    scale: float = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the random displacement of each node in x and y, in pixels, shape (M, rows, columns).

    Random vectors 8 px apart, refined to nodes by the rule of cubic B-splines, so that the field
    is smooth; then scaled so that the node that moves most, of those in the width of a digit's
    frame, moves by the strength. More columns go on to the right and change no other. Where cells
    are `scale` times as large as those of 28 px, so is the field.
    """
    if scale != 1:
        sizes = (int(size / scale) + 2 for size in (n_rows, n_columns))
        wave_x, wave_y = (
            _stretch(_stretch(wave, 1, n_rows, scale), 2, n_columns, scale)
            for wave in draw_waves(motion, widths_px / scale, *sizes)
        )
        return wave_x, wave_y
    across, down = (n_columns + 5) // 2, (n_rows + 5) // 2
    field = expand_fractions(motion.wave_keys, 2 * down, across).reshape(-1, down, across)
    fine = _refine(_refine(field, 2, n_columns), 1, n_rows).reshape(-1, 2, n_rows, n_columns)
    inside = np.arange(n_columns) * NODE_PX < widths_px[:, None] + NODE_PX
    most = (np.abs(fine) * inside[:, None, None]).reshape(len(fine), -1).max(axis=1)
    fine *= (motion.wave_px / most)[:, None, None, None]
    return fine[:, 0], fine[:, 1]


def _stretch(
    field: NDArray[np.float64], axis: int, n_nodes: int, scale: float
) -> NDArray[np.float64]:
    """Put nodes so much closer along an axis, and go straight from one to the next."""
    at = np.arange(n_nodes) / scale
    before = at.astype(np.int64)
    low, high = field.take(before, axis), field.take(before + 1, axis)
    part = np.expand_dims(at - before, tuple(range(1, field.ndim - axis)))
    stretched: NDArray[np.float64] = low + part * (high - low)
    return stretched


def _refine(field: NDArray[np.float64], axis: int, n_nodes: int) -> NDArray[np.float64]:
    points = np.moveaxis(field, axis, 0)
    fine = np.empty((2 * len(points) - 2, *points.shape[1:]))
    fine[1::2] = (points[1:] + points[:-1]) / 2
    fine[2::2] = (points[:-2] + 6 * points[1:-1] + points[2:]) / 8
    return np.moveaxis(fine[2 : n_nodes + 2], 0, axis)


def _quantise(place_px: NDArray[np.float64]) -> NDArray[np.int32]:
    units = np.clip(place_px, -_FAR_PX, _FAR_PX) * 2**_NODE_BITS
    nodes: NDArray[np.int32] = np.rint(units, out=units).astype(np.int32)
    return nodes


def _pack(images: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Put each pixel, its right, its lower and its lower right neighbour into one number."""
    n, height, width = images.shape
    stride = width + 2
    padded = np.zeros(n * (height + 2) * stride + stride + 1, np.uint32)
    padded[: -stride - 1].reshape(n, height + 2, stride)[:, 1:-1, 1:-1] = images
    pairs = padded[:-1] | padded[1:] << np.uint32(8)
    quads: NDArray[np.uint32] = pairs[:-stride] | pairs[stride:] << np.uint32(16)
    return quads


def _blend(
    quads: NDArray[np.uint32], x: NDArray[np.int32], y: NDArray[np.int32]
) -> NDArray[np.uint32]:
    """Interpolate between four pixels; two rows at a time fit into one number."""
    shift = _PLACE_BITS - 8
    right = (x >> shift).view(np.uint32) & _BYTE
    lower = (y >> shift).view(np.uint32) & _BYTE
    rows = ((quads >> np.uint32(8)) & _LANES) * right
    right = np.uint32(256) - right
    quads &= _LANES
    quads *= right
    rows += quads
    ink = (rows >> np.uint32(16)) * lower
    rows &= _SHORT
    rows *= np.uint32(256) - lower
    ink += rows
    ink += np.uint32(2**15)
    ink >>= np.uint32(16)
    return ink


_DEGREE = 0.017453292519943295
_HORIZON = 1 / 16
NEAREST = 1 / 2  # what comes nearer to the eye looks twice as large at most


@dataclass(frozen=True)
class Motion:
    """A map of the plane for each digit, about the middle of its ink; each array (M,).

    A point u of the ink goes to A u / (1 + bend · A u) + shift, and is then displaced by a
    smooth random field of at most `wave_px`.
    """

    a: NDArray[np.float64]  # the matrix A, row by row
    b: NDArray[np.float64]
    c: NDArray[np.float64]
    d: NDArray[np.float64]
    bend_x: NDArray[np.float64]  # perspective, in 1 / px
    bend_y: NDArray[np.float64]
    shift_x: NDArray[np.float64]  # in pixels, to the right and down
    shift_y: NDArray[np.float64]
    wave_px: NDArray[np.float64]
    wave_keys: NDArray[np.uint64]  # where the random field comes from
    half_x: NDArray[np.float64]  # half the width and height of the cell, in pixels
    half_y: NDArray[np.float64]

    @classmethod
    def stand_still(cls, images: NDArray[np.uint8]) -> Self:
        """Return the map that moves nothing, for cells of shape (M, H, W)."""
        n_digits, height, width = images.shape
        zero, one = np.zeros(n_digits), np.ones(n_digits)
        keys = np.zeros(n_digits, np.uint64)
        half_x, half_y = one * (width / 2), one * (height / 2)
        return cls(one, zero, zero, one, zero, zero, zero, zero, zero, keys, half_x, half_y)

    @property
    def is_still(self) -> NDArray[np.bool_]:
        """Whether each digit stays as it is, shape (M,)."""
        moves = np.stack(
            [self.b, self.c, self.bend_x, self.bend_y, self.shift_x, self.shift_y, self.wave_px]
        )
        still: NDArray[np.bool_] = (self.a == 1) & (self.d == 1) & ~moves.any(axis=0)
        return still

    def take(self, chosen: NDArray[np.int64]) -> Self:
        """Return the maps of some digits."""
        return type(self)(*(value[chosen] for value in vars(self).values()))

    def limit_bend(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Self:
        """Bend less where points of the ink, shape (n, M), would come too near to the eye."""
        a, b, c, d, bend_x, bend_y = list(vars(self).values())[:6]
        nearest = -(bend_x * (a * x + b * y) + bend_y * (c * x + d * y)).min(axis=0)
        factor = NEAREST / np.maximum(nearest, NEAREST)
        return replace(self, bend_x=self.bend_x * factor, bend_y=self.bend_y * factor)

    def send(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Map points of the ink, shape (n, M), without the random field."""
        a, b, c, d, bend_x, bend_y, shift_x, shift_y = list(vars(self).values())[:8]
        u, v = a * x + b * y, c * x + d * y
        depth = 1 + bend_x * u + bend_y * v
        return u / depth + shift_x, v / depth + shift_y

    def trace_back(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find the points of the ink that `send` maps to given points, shape (M, n, m)."""
        a, b, c, d, bend_x, bend_y, shift_x, shift_y = (
            value[:, None, None] for value in list(vars(self).values())[:8]
        )
        x, y = x - shift_x, y - shift_y
        # Behind the horizon there is no ink; a small depth keeps points there far away.
        depth = np.maximum(1 - bend_x * x - bend_y * y, _HORIZON)
        u, v = x / depth, y / depth
        area = a * d - b * c
        return (d * u - b * v) / area, (a * v - c * u) / area


def scale(motion: Motion, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> Motion:
    """Make digits wider and higher, apart, by fractions, shape (M, 2)."""
    zero = np.zeros(len(strengths))
    return _turn(motion, 1 + strengths[:, 0], zero, zero, 1 + strengths[:, 1])


def shear(motion: Motion, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> Motion:
    """Lean digits to the right by degrees, shape (M, 1)."""
    sine, cosine = sine_and_cosine(strengths[:, 0])
    one = np.ones(len(strengths))
    return _turn(motion, one, -sine / cosine, np.zeros(len(strengths)), one)


def rotate(motion: Motion, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> Motion:
    """Turn digits clockwise by degrees, shape (M, 1)."""
    sine, cosine = sine_and_cosine(strengths[:, 0])
    return _turn(motion, cosine, -sine, sine, cosine)


def tilt(motion: Motion, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> Motion:
    """Make what is half a cell to the right, or down, smaller by fractions, shape (M, 2)."""
    bend_x, bend_y = strengths[:, 0] / motion.half_x, strengths[:, 1] / motion.half_y
    return replace(motion, bend_x=bend_x, bend_y=bend_y)


def shift(motion: Motion, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> Motion:
    """Move digits right and down by pixels, shape (M, 2)."""
    return replace(motion, shift_x=strengths[:, 0], shift_y=strengths[:, 1])


def wave(motion: Motion, strengths: NDArray[np.float64], keys: NDArray[np.uint64]) -> Motion:
    """Displace points by a smooth random field of so many pixels at most, shape (M, 1)."""
    return replace(motion, wave_px=strengths[:, 0], wave_keys=keys)


def sine_and_cosine(
    angle_deg: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute sines and cosines of up to 180° the same way everywhere, to 1e-12.

    Taylor polynomials of a quarter of the angle, doubled twice.
    """
    x = angle_deg * (_DEGREE / 4)
    square = x * x
    sine, cosine = np.ones_like(x), np.ones_like(x)
    for n in range(14, 0, -2):
        cosine = 1 - square * cosine / (n * (n - 1))
        sine = 1 - square * sine / (n * (n + 1))
    sine = sine * x
    for _ in range(2):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
    return sine, cosine


def _turn(
    motion: Motion,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
) -> Motion:
    return replace(
        motion,
        a=a * motion.a + b * motion.c,
        b=a * motion.b + b * motion.d,
        c=c * motion.a + d * motion.c,
        d=c * motion.b + d * motion.d,
    )


def slide(
    images: NDArray[np.uint8],
    right_px: NDArray[np.int64] | int,
    down_px: NDArray[np.int64] | int = 0,
) -> NDArray[np.uint8]:
    """Move the ink of images by whole pixels; none of it may cross an edge.

    A row of paper is as good as any other: whole images move along memory.
    """
    n, height, width = images.shape
    by = np.broadcast_to(np.asarray(right_px) + np.asarray(down_px) * width, (n,))
    reach = int(np.abs(by).max(initial=0))
    if reach == 0:
        return images
    padded = np.pad(images.reshape(n, -1), ((0, 0), (reach, reach)))
    windows = sliding_window_view(padded, height * width, axis=1)
    moved: NDArray[np.uint8] = windows[np.arange(n), reach - by].reshape(images.shape)
    return moved


_PERIOD_PX = (50, 150)  # of the wave of a line, on a page of 28 px: two digits to six


def bend_line(
    stamps: Stamps,
    widths_px: NDArray[np.int64],
    strengths: NDArray[np.float64],
    keys: NDArray[np.uint64],
    scale: float = 1,
) -> Stamps:
    """Let digits on pages of some widths stand on a line with a slope and a wave.

    The strengths, shape (N, 2), are how far the slope lowers the right end of the page, and the
    height of the wave, in pixels; the page is `scale` times as high as one of 28 px. A digit moves
    up or down as a whole, by whole pixels, as far as the page lets it: it stays as sharp as it
    was, and its box moves with it.
    """
    x = stamps.x_px + stamps.boxes[:, 0] + stamps.boxes[:, 2] / 2
    page = stamps.sample
    slope, height = strengths[page].T
    traits = (expand_fractions(keys, 1, 2)[:, 0] + 1) / 2
    shortest, longest = (scale * period_px for period_px in _PERIOD_PX)
    turns = x / (shortest + traits[page, 0] * (longest - shortest)) + traits[page, 1]
    down = slope * (2 * x / widths_px[page] - 1) + height * _wave(turns)
    top, bottom = stamps.boxes[:, 1], stamps.boxes[:, 1] + stamps.boxes[:, 3]
    down_px = np.clip(np.rint(down).astype(np.int64), -top, stamps.images.shape[1] - bottom)
    boxes = stamps.boxes.copy()
    boxes[:, 1] += down_px
    return replace(stamps, images=slide(stamps.images, 0, down_px), boxes=boxes)


def _wave(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a wave from -1 to 1 of period 1: a parabola up and one down, near a sine."""
    phase = 2 * (turns - np.floor(turns)) - 1
    wave: NDArray[np.float64] = 4 * phase * (1 - np.abs(phase))
    return wave
