"""The cells of distorted digits: how wide they grow, and what brings a digit into its own.

A page is as high as a cell and no higher, so a distorted digit that reaches over the top or the
bottom is moved back by the least that is needed, and made lower if it is too high even so. To the
left and right the cell grows with the ink, and only what is left over after `GROW_PX` is brought
back in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.augment.motion import NEAREST, Motion, sine_and_cosine
from mnistseq_cli.glyphs.glyphset import SIDE_PX, Ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.augment.plan import Plan

GROW_PX = 8
"""How far a cell grows to either side. Digits of 20 × 20 px, as those of MNIST and of the built-in
pen are, stay as wide as any one distortion makes them; of those of preset "heavy", one in 100,000
is narrowed."""

_WIDEST_CELL_PX = SIDE_PX + 2 * GROW_PX
_SLACK_PX = 1 / 16  # covers what rounding and interpolation add to the reach of ink
_TURNS = 32  # of the range of angles, where the width of ink is bounded


@dataclass(frozen=True)
class Frames:
    """The columns that hold distorted digits, and what brings digits there.

    Parameters
    ----------
    factor, offset : ndarray of float64, shape (M, 2)
        How much narrower and lower digits become after their motion, and how far they then move
        right and down.
    growth_px : ndarray of int64, shape (M, 4)
        How far ink may then grow to the left, up, right and down.
    left_px : ndarray of int64, shape (M,)
        The first column of each digit, grown, counted from the left edge of its cell.
    width_px : ndarray of int64, shape (M,)
        How many columns its ink needs before it grows.
    moves : ndarray of bool, shape (M,)
        Whether a digit must be resampled; others move by whole pixels.
    """

    factor: NDArray[np.float64]
    offset: NDArray[np.float64]
    growth_px: NDArray[np.int64]
    left_px: NDArray[np.int64]
    width_px: NDArray[np.int64]
    moves: NDArray[np.bool_]

    @property
    def grown_px(self) -> NDArray[np.int64]:
        """How many columns the ink needs after it has grown, shape (M,)."""
        return self.width_px + self.growth_px[:, 0] + self.growth_px[:, 2]

    @property
    def down_px(self) -> NDArray[np.int64]:
        """How far digits that are not resampled move down, shape (M,)."""
        return np.where(self.moves, 0, self.offset[:, 1]).astype(np.int64)

    def take(self, chosen: NDArray[np.int64]) -> Frames:
        """Give the frames of some digits."""
        return Frames(*(value[chosen] for value in vars(self).values()))


def fit_frames(ink: Ink, motion: Motion, growth_px: NDArray[np.int64], grow_px: int) -> Frames:
    """Find where digits stand in their cells, whole.

    Parameters
    ----------
    ink : Ink
        Digits before their motion.
    motion : Motion
    growth_px : ndarray of int64, shape (M, 4)
        How many pixels the ink will grow to the left, up, right and down.
    grow_px : int
        How far cells grow to either side.
    """
    is_still = motion.is_still
    low, high = _bound_still(ink) if is_still.all() else _bound_sent(ink, motion)
    before_px, after_px = growth_px.T.reshape(2, 2, -1)
    cell_px, more_px = np.array([ink.images.shape[:0:-1], (grow_px, 0)])[:, :, None]
    first, last = before_px - 1 - more_px, cell_px + more_px - after_px
    moves = ~is_still | (high - low > last - first).any(axis=0)
    reach = np.where(moves, motion.wave_px + _SLACK_PX, 0)
    first, last = first + reach, last - reach
    factor = np.minimum(1, (last - first) / (high - low))
    offset = (1 - factor) * (low + high) / 2
    offset = np.minimum(np.maximum(offset, first - factor * low), last - factor * high)
    start = np.floor(factor[0] * low[0] + offset[0] - reach).astype(np.int64) + 1
    stop = np.ceil(factor[0] * high[0] + offset[0] + reach).astype(np.int64)
    left_px = start - growth_px[:, 0]
    return Frames(factor.T, offset.T, growth_px, left_px, stop - start, moves)


def _bound_still(ink: Ink) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what `_bound_sent` does, for digits that stay as they are."""
    low = np.array([ink.left_px, ink.top_px], np.float64) - 1
    return low, low + np.array([ink.width_px, ink.height_px]) + 1


def _bound_sent(ink: Ink, motion: Motion) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give how far ink reaches in its cell after its motion: x and y, shape (2, M)."""
    sent, middle = np.stack(motion.send(*find_corners(ink))), find_middle(ink)
    return sent.min(axis=1) + middle, sent.max(axis=1) + middle


def find_middle(ink: Ink) -> NDArray[np.float64]:
    """Give the middle of the ink in the cell, x and y, shape (2, M)."""
    corner = np.stack([ink.left_px, ink.top_px])
    return corner + (np.stack([ink.width_px, ink.height_px]) - 1) / 2


def find_corners(ink: Ink) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give how far ink reaches, from its middle, at its four corners, each of shape (4, M).

    A pixel of ink shows less than 1 px around it, so ink pixels 3..5 reach from 2 to 6, both
    excluded, and a cell of 28 px has room for what reaches from -1 to 28.
    """
    half_x, half_y = (ink.width_px + 1) / 2, (ink.height_px + 1) / 2
    return (
        np.stack([-half_x, half_x, -half_x, half_x]),
        np.stack([-half_y, -half_y, half_y, half_y]),
    )


def widest_px(
    plan: Plan, width_px: NDArray[np.int64], height_px: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give a width that no distortion of ink of these sizes, or smaller ones, exceeds.

    It is at most that of a cell grown on both sides; for a plan that leaves digits as they are,
    it is `width_px`.
    """
    widest = np.ceil(_bound_reach(plan, width_px, height_px)[0]).astype(np.int64)
    widest += sum(_bound_growth(plan))
    return np.maximum(np.minimum(widest, _WIDEST_CELL_PX), width_px)


def widest_cell_px(plan: Plan, ink_px: int) -> int:
    """Give a width that no cell exceeds, grown to hold ink that was at most so many pixels wide.

    Either ink goes beyond one side of its cell, or beyond both, and is as wide as the grown cell.
    """
    width_px = np.arange(1, ink_px + 1)
    height_px = np.full_like(width_px, SIDE_PX)
    reach_px = _bound_reach(plan, width_px, height_px)[1] - (width_px + 1) / 2
    left_px, right_px = _bound_strengths(plan)["shift"][:, 0]
    over_px = np.ceil(reach_px.max() + max(-left_px, right_px)) + max(_bound_growth(plan))
    both_px = widest_px(plan, width_px, height_px).max()
    return int(max(SIDE_PX + min(over_px, GROW_PX), both_px))


def _bound_growth(plan: Plan) -> tuple[int, int]:
    """Give how far ink may grow to the left and right."""
    growth_px = np.zeros(4, np.int64)
    for step in plan.at("shape"):
        if step.record.growth is not None:
            growth_px += step.record.growth(np.array([step.high]))[0]
    return int(growth_px[0]), int(growth_px[2])


def _bound_strengths(plan: Plan) -> dict[str, NDArray[np.float64]]:
    """Give the least and the largest strengths of a motion, shape (2, n); 0 is among them."""
    bounds: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((2, 2)))
    for step in plan.at("geometry"):
        bounds[step.name] = np.array([np.minimum(step.low, 0), np.maximum(step.high, 0)])
    return bounds


def _bound_reach(
    plan: Plan, width_px: NDArray[np.int64], height_px: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give how wide ink may become by its motion, and how far it may reach from its middle.

    Ink lies in the convex hull of the points of `_surround` before perspective, and, as that
    keeps straight lines straight, in the hull of the points seen in perspective after it. How
    far apart two of them are seen, x / (1 + bend · point) on either side of 0, is convex in the
    bend, and so largest for a corner of all bends there can be. `Motion.limit_bend` takes bends
    nearer to 0, which is among them, and no ink is seen larger than 1 / NEAREST after that.
    """
    if not plan.at("geometry"):
        return width_px.astype(np.float64), width_px / 2
    bounds = _bound_strengths(plan)
    x, y = _surround(bounds, width_px, height_px)
    bend = bounds["perspective"] / (SIDE_PX / 2)
    depth = 1 + bend[:, :1, None, None] * x + bend[:, 1:, None] * y
    depth = np.where(depth.min(axis=2, keepdims=True) < NEAREST, NEAREST, depth)
    left, right = (x / depth).min(axis=2), (x / depth).max(axis=2)
    beyond = bounds["elastic"].max() + _SLACK_PX
    wide, far = (right - left).max(axis=(0, 1)), np.maximum(right, -left).max(axis=(0, 1))
    return wide + 2 * beyond, far + beyond


def _surround(
    bounds: dict[str, NDArray[np.float64]],
    width_px: NDArray[np.int64],
    height_px: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give points around all ink that is scaled, sheared and turned: x and y, shape (n, M).

    The largest ink holds the smaller; between both shears a corner goes straight, and between two
    turns along an arc, which lies within the tangents that meet a little farther from the middle.
    """
    low, high = bounds["rotate"][:, :1]
    sine, cosine = sine_and_cosine(low + (high - low) * np.arange(_TURNS + 1) / _TURNS)
    farther = 1 / sine_and_cosine((high - low) / (2 * _TURNS))[1]
    lean_sine, lean_cosine = sine_and_cosine(bounds["shear"][:, :1, None])
    grown_x, grown_y = (1 + bounds["scale"][1]) * farther
    half_x, half_y = (width_px + 1) / 2 * grown_x, (height_px + 1) / 2 * grown_y
    side = np.array([-1, 1])[:, None]
    x = (side * half_x - lean_sine / lean_cosine * half_y).reshape(-1, 1, len(width_px))
    sine, cosine = sine[:, None], cosine[:, None]
    x, y = x * cosine - half_y * sine, x * sine + half_y * cosine
    x, y = x.reshape(-1, len(width_px)), y.reshape(-1, len(width_px))
    return np.concatenate([x, -x]), np.concatenate([y, -y])
