"""How the pen moved: the geometry of each digit, gathered before anything is resampled.

Only additions, multiplications, divisions and square roots of float64 are used, which IEEE 754
rounds correctly, one array operation at a time: every processor gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEGREE = 0.017453292519943295
_HORIZON = 1 / 16
NEAREST = 1 / 2  # what comes nearer to the eye looks twice as large at most


@dataclass(frozen=True)
class Motion:
    """A map of the plane for each digit, about the middle of its ink.

    A point u of the ink goes to A u / (1 + bend · A u) + shift, and is then displaced by a
    smooth random field of at most `wave_px`.

    Parameters
    ----------
    a, b, c, d : ndarray of float64, shape (M,)
        The matrix A, row by row.
    bend_x, bend_y : ndarray of float64, shape (M,)
        Perspective, in 1 / px.
    shift_x, shift_y : ndarray of float64, shape (M,)
        In pixels, to the right and down.
    wave_px : ndarray of float64, shape (M,)
    wave_keys : ndarray of uint64, shape (M,)
        Where the random field comes from.
    half_x, half_y : ndarray of float64, shape (M,)
        Half the width and height of the cell, in pixels.
    """

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    c: NDArray[np.float64]
    d: NDArray[np.float64]
    bend_x: NDArray[np.float64]
    bend_y: NDArray[np.float64]
    shift_x: NDArray[np.float64]
    shift_y: NDArray[np.float64]
    wave_px: NDArray[np.float64]
    wave_keys: NDArray[np.uint64]
    half_x: NDArray[np.float64]
    half_y: NDArray[np.float64]

    @classmethod
    def stand_still(cls, images: NDArray[np.uint8]) -> Self:
        """Give the map that moves nothing, for cells of shape (M, H, W)."""
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
        """Give the maps of some digits."""
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
