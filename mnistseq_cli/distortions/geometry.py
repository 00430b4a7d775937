"""Distortions that move ink: rotation, shear, perspective, elastic waves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mnistseq_cli.glyphs.glyph_set import GlyphInk
from mnistseq_cli.glyphs.stamps import Stamps, view_windows
from mnistseq_cli.pixels import Bools, Floats, Ints, Pixels, Shorts, Singles, Words, split_up
from mnistseq_cli.randomness import expand_bytes, expand_fractions

NODE_PX = 4
_UNIT_BITS, _UNIT = 7, 2**7  # a place is in units of 1 / 128 px, so that 16 bits hold it
_WEIGHT_BITS, _WEIGHT = 4, 2**4  # and weighs pixels by 1 / 16, so that 16 bits hold their sum
_FAR_PX = 64  # a place so far beyond an image is as good as any farther one
_SMALL_PX = 2**15 // _UNIT - 2 * _FAR_PX - 2  # of images whose places 16 bits hold
_CHUNK_PX = 2**18  # what a processor's cache holds, with places

_Places: TypeAlias = NDArray[np.signedinteger]  # in units, in 16 bits or in 32


def warp(ink: GlyphInk, places_px: Singles, result: Pixels) -> None:
    """Resample the ink of M digits bilinearly; around it is paper, 0.

    The result, shape (M, H, W), is blank, and is made of tiles of 4 × 4 pixels. `places_px`,
    shape (2, rows, columns, M), is where the corners of tiles lie in the images of the ink, x and
    y; between them, places are interpolated.
    """
    size_px = np.array(ink.images.shape[:0:-1], np.float32)
    places = np.clip(places_px, -_FAR_PX, size_px[:, None, None, None] + _FAR_PX)
    places *= _UNIT
    places += _UNIT / _WEIGHT / 2
    whole = np.int16 if size_px.max() <= _SMALL_PX else np.int32
    nodes: _Places = np.rint(places, out=places).astype(whole)
    n, height, width = ink.images.shape
    most_px = int(ink.height_px.max()), int(ink.width_px.max())
    top_px = np.minimum(ink.top_px, height - most_px[0])
    nodes[1] -= (top_px * _UNIT).astype(whole)
    windows = view_windows(ink.images.reshape(-1), most_px, width)
    images = windows[(np.arange(n) * height + top_px) * width].view(np.uint8).reshape(n, *most_px)
    seen = _see_ink(replace(ink, top_px=ink.top_px - top_px), nodes)
    for part in split_up(result, _CHUNK_PX):
        _warp_tiles(images[part], nodes[..., part], seen[..., part], result[part])


def _warp_tiles(images: Pixels, nodes: _Places, seen: Bools, result: Pixels) -> None:
    """Make the tiles of some digits that may hold ink, all in the same steps."""
    n, width = len(images), result.shape[2] // NODE_PX
    tiles = np.flatnonzero(seen).astype(np.int32)
    cell = tiles // np.int32(n)  # np.divmod takes ten times as long
    digit = (tiles - cell * np.int32(n)).astype(np.intp)
    row, column = np.indices(seen.shape[:2]).reshape(2, -1)
    first = (row * nodes.shape[2] + column).take(cell) * n + digit
    corners = np.array([0, 1, nodes.shape[2], nodes.shape[2] + 1])[:, None] * n + first
    corners = nodes.reshape(2, -1).take(corners, axis=1)
    left, right = interpolate(corners[:, :2], corners[:, 2:]).transpose(2, 0, 1, 3)
    ink = _sample(images, digit, interpolate(left, right))
    # Four pixels, the high bytes of numbers, become one number.
    low, high = ink[::2], ink[1::2]
    low >>= np.uint16(8)
    high &= np.uint16(0xFF00)
    low |= high
    words = low[1].astype(np.uint32) * np.uint32(2**16) | low[0].astype(np.uint32)
    place = (row * NODE_PX * width + column).take(cell)
    place += digit * (width * result.shape[1])
    result.view("<u4").reshape(-1)[place + np.arange(0, NODE_PX * width, width)[:, None]] = words


def _see_ink(ink: GlyphInk, nodes: _Places) -> Bools:
    """Return which tiles may hold ink, shape (rows, columns, M)."""
    low, high = np.minimum(nodes[:, 1:], nodes[:, :-1]), np.maximum(nodes[:, 1:], nodes[:, :-1])
    low_x, low_y = np.minimum(low[:, :, 1:], low[:, :, :-1])
    high_x, high_y = np.maximum(high[:, :, 1:], high[:, :, :-1])
    left, top, right, bottom = (
        (edge * _UNIT).astype(nodes.dtype)
        for edge in (-1 + 0 * ink.top_px, ink.top_px - 1, ink.width_px, ink.top_px + ink.height_px)
    )
    seen: Bools = (high_x > left - NODE_PX) & (low_x < right + NODE_PX)
    seen &= (high_y > top - NODE_PX) & (low_y < bottom + NODE_PX)  # as steps are rounded
    return seen


def interpolate(first: _Places, last: _Places, n: int = NODE_PX) -> _Places:
    """Return the first of n + 1 points, and those on the way to the last, in rounded steps."""
    step = last - first
    step += n // 2
    step //= n
    points = np.empty((n, *first.shape), first.dtype)
    points[0] = first
    for place in range(1, n):
        np.add(points[place - 1], step, out=points[place])
    return points


def _sample(images: Pixels, digit: Ints, points: _Places) -> Shorts:
    """Blend the four pixels around each place, shape (4, 4, 2, T), in the images of T tiles.

    High bytes of the numbers are the blended pixels. The places are written to.
    """
    _, height, width = images.shape
    stride = width + 1
    x, y = points[:, :, 0], points[:, :, 1]
    x.clip(-_UNIT, width * _UNIT, out=x)
    y.clip(-_UNIT, height * _UNIT, out=y)
    pixel = (y >> _UNIT_BITS) * stride + (x >> _UNIT_BITS)
    index = pixel.astype(np.intp)  # as `take` wants it; it is slower in making that itself
    index += digit * (stride * (height + 1)) + (stride + 1)
    quads = _pack(images).take(index, mode="wrap")
    points >>= _UNIT_BITS - _WEIGHT_BITS
    points &= _WEIGHT - 1
    parts = points.astype(np.int16, copy=False).view(np.uint16)
    pairs = np.empty((2, *quads.shape), np.uint16)
    pairs[0] = quads
    quads >>= np.uint32(16)
    pairs[1] = quads
    upper: Shorts = pairs & np.uint16(255)
    pairs >>= np.uint16(8)
    pairs -= upper
    pairs *= parts[:, :, 1]
    upper *= np.uint16(_WEIGHT)
    upper += pairs
    ink: Shorts = upper[0]
    beside = upper[1]
    beside -= ink
    beside *= parts[:, :, 0]
    ink *= np.uint16(_WEIGHT)
    ink += beside
    ink += np.uint16(_WEIGHT**2 // 2)
    return ink


def place_nodes(size_px: int) -> Floats:
    """Return the pixels at which nodes lie along an axis: 0, 4, … up to its size or just over."""
    return np.arange(0, size_px + NODE_PX, NODE_PX, dtype=np.float64)


def draw_waves(
    motion: Motion, stretch: Floats, widths_px: NDArray[Any], shape: tuple[int, int], scale: float
) -> Singles:
    """Draw the random displacement of nodes in x and y, shape (2, rows, columns, M).

    Random vectors 8 px apart, refined to nodes by the rule of cubic B-splines, so that the field
    is smooth; then scaled so that the node that moves most, of those in the width of a digit's
    frame, moves by the strength, in pixels, times a factor for x and y, (2, M). More columns go on
    to the right and change no other. Where cells are `scale` times as large as those of 28 px, so
    is the field.
    """
    if scale != 1:
        smaller = int(shape[0] / scale) + 2, int(shape[1] / scale) + 2
        waves = draw_waves(motion, stretch, widths_px / scale, smaller, 1)
        return _stretch(_stretch(waves, 1, shape[0], scale), 2, shape[1], scale)
    (n_rows, n_columns), (down, across) = shape, ((size + 5) // 2 for size in shape)
    randoms = expand_bytes(motion.wave_keys, down, 8 * -(-across // 4))
    field = randoms.reshape(len(randoms), down, -1, 2).transpose(3, 1, 2, 0).astype(np.int16, "C")
    field = 2 * field[:, :, :across] - 255
    fine = _refine(_refine(field, 2, n_columns), 1, n_rows)
    far = np.arange(n_columns)[:, None] * NODE_PX >= widths_px + NODE_PX
    most = np.where(far, 0, np.abs(fine).max(axis=(0, 1))).max(axis=0)
    waves = fine.astype(np.float32)
    waves *= (motion.wave_px * stretch / np.maximum(most, _FINE)).astype(np.float32)[:, None, None]
    return waves


def _stretch(field: Singles, axis: int, n_nodes: int, scale: float) -> Singles:
    """Put nodes so much closer along an axis, and go straight from one to the next."""
    at = np.arange(n_nodes) / scale
    before = at.astype(np.int64)
    low, high = field.take(before, axis), field.take(before + 1, axis)
    part = np.expand_dims((at - before).astype(np.float32), tuple(range(1, field.ndim - axis)))
    return low + part * (high - low)


def _refine(field: NDArray[np.int16], axis: int, n_nodes: int) -> NDArray[np.int16]:
    """Put as many points between points, all of them eight times as large."""
    points = np.moveaxis(field, axis, 0)
    fine = np.empty((2 * len(points) - 2, *points.shape[1:]), np.int16)
    sums = points[1:] + points[:-1]
    np.multiply(sums, 4, out=fine[1::2])
    sums[:-1] += sums[1:]
    np.add(sums[:-1], 4 * points[1:-1], out=fine[2::2])
    return np.moveaxis(fine[2 : n_nodes + 2], 0, axis)


def _pack(images: Pixels) -> NDArray[np.uint32]:
    """Put each pixel, its lower, its right and its lower right neighbour into one number.

    A column of paper ends each row, a row of paper each image; a row and a pixel come first.
    """
    n, height, width = images.shape
    stride = width + 1
    padded = np.zeros((n * (height + 1) + 2) * stride + 1, np.uint16)
    rows = padded[stride + 1 : -stride].reshape(n, height + 1, stride)
    rows[:, :-1, :-1] = images
    lower = padded[stride:] * np.uint16(2**8)
    lower |= padded[:-stride]
    quads = lower.astype(np.uint32)
    return quads[1:] * np.uint32(2**16) | quads[:-1]


_FINE = 8 * 8  # times as large are waves of whole numbers
_DEGREE = 0.017453292519943295
_HORIZON = 1 / 16
NEAREST = 1 / 2  # what comes nearer to the eye looks twice as large at most


@dataclass(frozen=True)
class Motion:
    """A map of the plane for each of M digits, about the middle of its ink.

    A point u of the ink goes to A u / (1 + bend · A u) + shift, and is then displaced by a
    smooth random field of at most `wave_px`.
    """

    matrix: Floats  # A, (2, 2, M)
    bend: Floats  # perspective to the right and down, in 1 / px, (2, M)
    shift: Floats  # in pixels, to the right and down, (2, M)
    wave_px: Floats  # (M,)
    wave_keys: Words  # where the random field comes from, (M,)
    half_px: Floats  # half the width and height of the cell, (2, M)

    @classmethod
    def stand_still(cls, images: Pixels) -> Self:
        """Return the map that moves nothing, for cells of shape (M, H, W)."""
        n, height, width = images.shape
        matrix, half_px = np.eye(2)[:, :, None], [[width / 2], [height / 2]]
        zero, keys = np.zeros((2, n)), np.zeros(n, np.uint64)
        return cls(np.tile(matrix, n), zero, zero, zero[0], keys, np.tile(half_px, n))

    @property
    def is_still(self) -> Bools:
        """Whether each digit stays as it is, shape (M,)."""
        turns = (self.matrix != np.eye(2)[:, :, None]).any(axis=(0, 1))
        moves = np.concatenate([self.bend, self.shift, self.wave_px[None]]).any(axis=0)
        return np.asarray(~(turns | moves))

    def take(self, chosen: Ints) -> Self:
        """Return the maps of some digits."""
        return type(self)(*(value.take(chosen, axis=-1) for value in vars(self).values()))

    def turn(self, points: Floats) -> Floats:
        """Map points of the ink, or what else has two rows, by the matrix, shape (2, n, M)."""
        return np.asarray((self.matrix[:, :, None] * points).sum(axis=1))

    def limit_bend(self, points: Floats) -> Self:
        """Bend less where points of the ink, shape (2, n, M), would come too near to the eye."""
        nearest = -(self.bend[:, None] * self.turn(points)).sum(axis=0).min(axis=0)
        return replace(self, bend=self.bend * (NEAREST / np.maximum(nearest, NEAREST)))

    def send(self, points: Floats) -> Floats:
        """Map points of the ink, shape (2, n, M), without the random field."""
        turned = self.turn(points)
        depth = 1 + self.bend[0] * turned[0] + self.bend[1] * turned[1]
        return np.asarray(turned / depth + self.shift[:, None])

    def trace_back(self, x: Floats, y: Floats, waves: Iterable[Any]) -> Singles:
        """Find the points of the ink that `send` maps to given points, (2, rows, columns, M).

        These are at x, shape (columns, M), and y, shape (rows, M), displaced by waves.
        """

        def add_up(parts: Floats, more: float = 0) -> Singles:
            of_x, of_y = parts[0] * x, parts[1] * y + more
            total: Singles = of_x.astype(np.float32) + of_y.astype(np.float32)[:, None]
            for part, wave in zip(parts.astype(np.float32), waves, strict=False):
                total += part * wave
            return total

        (a, b), (c, d) = self.matrix
        x, y = x - self.shift[0], y - self.shift[1]
        inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
        traced = np.stack([add_up(inverse[0]), add_up(inverse[1])])
        if self.bend.any():
            # Behind the horizon there is no ink; a small depth keeps points there far away.
            traced /= np.maximum(add_up(-self.bend, 1), np.float32(_HORIZON))
        return traced


def _turn(motion: Motion, matrix: list[list[Floats]]) -> Motion:
    return replace(motion, matrix=replace(motion, matrix=np.array(matrix)).turn(motion.matrix))


def scale(motion: Motion, strengths: Floats, _: Words) -> Motion:
    """Make digits wider and higher, apart, by fractions, shape (M, 2)."""
    zero = np.zeros(len(strengths))
    return _turn(motion, [[1 + strengths[:, 0], zero], [zero, 1 + strengths[:, 1]]])


def shear(motion: Motion, strengths: Floats, _: Words) -> Motion:
    """Lean digits to the right by degrees, shape (M, 1)."""
    sine, cosine = sine_and_cosine(strengths[:, 0])
    one = np.ones(len(strengths))
    return _turn(motion, [[one, -sine / cosine], [0 * one, one]])


def rotate(motion: Motion, strengths: Floats, _: Words) -> Motion:
    """Turn digits clockwise by degrees, shape (M, 1)."""
    sine, cosine = sine_and_cosine(strengths[:, 0])
    return _turn(motion, [[cosine, -sine], [sine, cosine]])


def tilt(motion: Motion, strengths: Floats, _: Words) -> Motion:
    """Make what is half a cell to the right, or down, smaller by fractions, shape (M, 2)."""
    return replace(motion, bend=strengths.T / motion.half_px)


def shift(motion: Motion, strengths: Floats, _: Words) -> Motion:
    """Move digits right and down by pixels, shape (M, 2)."""
    return replace(motion, shift=strengths.T)


def wave(motion: Motion, strengths: Floats, keys: Words) -> Motion:
    """Displace points by a smooth random field of so many pixels at most, shape (M, 1)."""
    return replace(motion, wave_px=strengths[:, 0], wave_keys=keys)


def sine_and_cosine(angle_deg: Floats) -> tuple[Floats, Floats]:
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


def slide(images: Pixels, right_px: Ints | int, down_px: Ints | int = 0) -> Pixels:
    """Move the ink of images by whole pixels; none of it may cross an edge.

    A row of paper is as good as any other: whole images move along memory.
    """
    n, height, width = images.shape
    by = np.broadcast_to(np.asarray(right_px) + np.asarray(down_px) * width, (n,))
    reach = int(np.abs(by).max(initial=0))
    if reach == 0:
        return images
    windows = sliding_window_view(surround(images, reach), height * width, axis=1)
    return np.asarray(windows[np.arange(n), reach - by].reshape(images.shape))


def surround(images: Pixels, reach: int) -> Pixels:
    """Put so much paper before and after each image, shape (N, reach + H * W + reach)."""
    n, size = len(images), images[0].size
    field = np.zeros((n, size + 2 * reach), np.uint8)
    field[:, reach : reach + size] = images.reshape(n, size)
    return field


_PERIOD_PX = (50, 150)  # of the wave of a line, on a page of 28 px: two digits to six


def bend_line(
    stamps: Stamps, widths_px: Ints, strengths: Floats, keys: Words, scale: float = 1
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
    phase = 2 * (turns - np.floor(turns)) - 1
    swing = 4 * phase * (1 - np.abs(phase))  # a parabola up and one down, near a sine
    down = slope * (2 * x / widths_px[page] - 1) + height * swing
    top, bottom = stamps.boxes[:, 1], stamps.boxes[:, 1] + stamps.boxes[:, 3]
    down_px = np.clip(np.rint(down).astype(np.int64), -top, stamps.images.shape[1] - bottom)
    boxes = stamps.boxes.copy()
    boxes[:, 1] += down_px
    return replace(stamps, images=slide(stamps.images, 0, down_px), boxes=boxes)
