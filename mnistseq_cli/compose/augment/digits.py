"""Distortions of each digit, before the row is laid out.

A distorted digit always stands whole in its cell. Where it would not, it is moved back by the
least that is needed, and if it is too large for the cell even so, it is made lower or narrower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.compose.augment.motion import NEAREST, Motion, sine_and_cosine
from mnistseq_cli.compose.augment.warp import draw_waves, place_nodes, warp
from mnistseq_cli.glyphs.glyphset import SIDE_PX, Ink, measure_ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.augment.plan import Draw, Plan, Step

_SLACK_PX = 1 / 16  # covers what rounding and interpolation add to the reach of ink
_CHUNK_PX = 2**17  # what the cache of a processor holds along with its maps


def augment_digits(ink: Ink, plan: Plan, draw: Draw) -> Ink:
    """Distort digits.

    Parameters
    ----------
    ink : Ink
        Digits at the left edge of their cells; not written to.
    plan : Plan
        Only distortions of digits count.
    draw : callable
        ``draw(use, n)`` gives the words of a use, n for each digit, shape (M, n).

    Returns
    -------
    Ink
        Again at the left edge; `left_px` is where the ink stands in its cell, `width_px` and the
        rest are those of the ink that is there.
    """
    motion = Motion.stand_still(len(ink.images))
    for step in plan.at("geometry"):
        motion = step.record.apply(motion, *plan.draw(step, draw))
    shapes = [(step, *plan.draw(step, draw)) for step in plan.at("shape")]
    growth_px = _measure_growth(shapes, len(ink.images))
    images = _move(ink, motion, growth_px)
    for step, strengths, keys in shapes:
        images = _apply_where(step, images, strengths, keys)
    left, top, width, height = measure_ink(images).T
    return Ink(slide(images, -left), left, top, width, height)


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


def widest_px(
    plan: Plan, width_px: NDArray[np.int64], height_px: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give a width that no distortion of ink of these sizes exceeds.

    It is at most the cell's; for a plan that leaves digits as they are, it is `width_px`.
    """
    widest = width_px.astype(np.float64)
    if plan.at("geometry"):
        widest = np.ceil(_bound_geometry(plan, widest + 1, height_px.astype(np.float64) + 1))
    for step in plan.at("shape"):
        if step.record.growth is not None:
            growth = step.record.growth(np.array([step.high]))[0]
            widest = widest + growth[0] + growth[2]
    return np.maximum(np.minimum(widest, SIDE_PX), width_px).astype(np.int64)


def _apply_where(
    step: Step,
    images: NDArray[np.uint8],
    strengths: NDArray[np.float64],
    keys: NDArray[np.uint64],
) -> NDArray[np.uint8]:
    """Distort those images whose strength is not the neutral one."""
    on = (strengths != step.record.neutral).any(axis=1)
    if on.all():
        changed: NDArray[np.uint8] = step.record.apply(images, strengths, keys)
        return changed
    chosen = np.flatnonzero(on)
    if not len(chosen):
        return images
    images = images.copy()
    images[chosen] = step.record.apply(images[chosen], strengths[chosen], keys[chosen])
    return images


def _measure_growth(
    shapes: list[tuple[Step, NDArray[np.float64], NDArray[np.uint64]]], n_digits: int
) -> NDArray[np.int64]:
    growth_px = np.zeros((n_digits, 4), np.int64)
    for step, strengths, _ in shapes:
        if step.record.growth is not None:
            growth_px += step.record.growth(strengths)
    return growth_px


def _move(ink: Ink, motion: Motion, growth_px: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Resample the digits that move; put the others where they stood in their cells."""
    motion = motion.limit_bend(*_find_corners(ink))
    factor, offset = _fit(ink, motion, growth_px)
    moves = np.flatnonzero(~motion.is_still | (factor != 1).any(1) | (offset != 0).any(1))
    if len(moves) < len(factor):
        images = slide(ink.images, ink.left_px).copy()
    else:
        images = np.empty_like(ink.images)
    size = max(1, _CHUNK_PX // max(1, images[:1].size))
    for start in range(0, len(moves), size):
        chosen = moves[start : start + size]
        some = Ink(*(value[chosen] for value in vars(ink).values()))
        images[chosen] = _resample(some, motion.take(chosen), factor[chosen], offset[chosen])
    return images


def _resample(
    ink: Ink, motion: Motion, factor: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.uint8]:
    _, height, width = ink.images.shape
    x, y = place_nodes(width)[None, None, :], place_nodes(height)[None, :, None]
    if motion.wave_px.any():
        wave_x, wave_y = draw_waves(motion, y.size, x.size)
        x, y = x + wave_x, y + wave_y
    factor, offset = factor[:, :, None, None], offset[:, :, None, None]
    middle = _find_middle(ink)[:, :, None, None]
    x = (x - offset[:, 0]) / factor[:, 0] - middle[:, 0]
    y = (y - offset[:, 1]) / factor[:, 1] - middle[:, 1]
    x, y = motion.trace_back(x, y)
    return warp(ink.images, x + (middle[:, 0] - ink.left_px[:, None, None]), y + middle[:, 1])


def _find_middle(ink: Ink) -> NDArray[np.float64]:
    """Give the middle of the ink in the cell, x and y, shape (M, 2)."""
    x = ink.left_px + (ink.width_px - 1) / 2
    return np.stack([x, ink.top_px + (ink.height_px - 1) / 2], axis=1)


def _find_corners(ink: Ink) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give how far ink reaches, from its middle, at its four corners, each of shape (M, 4).

    A pixel of ink shows less than 1 px around it, so ink pixels 3..5 reach from 2 to 6, both
    excluded, and a cell of 28 px has room for what reaches from -1 to 28.
    """
    right = (ink.width_px[:, None] + 1) * np.array([-0.5, 0.5, -0.5, 0.5])
    return right, (ink.height_px[:, None] + 1) * np.array([-0.5, -0.5, 0.5, 0.5])


def _fit(
    ink: Ink, motion: Motion, growth_px: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what brings each digit into its cell: a factor and an offset in x and y, (M, 2)."""
    sent = np.stack(motion.send(*_find_corners(ink)), axis=1) + _find_middle(ink)[:, :, None]
    low, high = sent.min(axis=2), sent.max(axis=2)
    reach = motion.wave_px[:, None] + np.where(motion.is_still, 0, _SLACK_PX)[:, None]
    cell = np.array([ink.images.shape[2], ink.images.shape[1]])
    first, last = growth_px[:, :2] - 1 + reach, cell - growth_px[:, 2:] - reach
    factor = np.minimum(1, (last - first) / (high - low))
    offset = (1 - factor) * (low + high) / 2
    return factor, np.clip(offset, first - factor * low, last - factor * high)


def _bound_geometry(
    plan: Plan, width_px: NDArray[np.float64], height_px: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give a width that ink of these reaches does not exceed when it is moved by a plan."""
    worst = {step.name: np.maximum(np.abs(step.low), np.abs(step.high)) for step in plan.steps}
    none = np.zeros(2)
    grown_x, grown_y = 1 + worst.get("scale", none)
    half_x, half_y = width_px / 2 * grown_x, height_px / 2 * grown_y
    sine, cosine = sine_and_cosine(worst.get("shear", none)[:1])
    half_x = half_x + half_y * (sine / cosine)
    turn, _ = sine_and_cosine(np.minimum(worst.get("rotate", none)[:1], 90))
    diagonal = np.sqrt(half_x * half_x + half_y * half_y)
    half_x, half_y = (
        np.minimum(diagonal, half_x + half_y * turn),
        np.minimum(diagonal, half_y + half_x * turn),
    )
    bend = worst.get("perspective", none) / (SIDE_PX / 2)
    depth = 1 - bend[1] * half_y
    nearer = bend[0] * half_x
    is_near = depth - nearer < NEAREST
    spread = 2 * half_x * depth / np.where(is_near, 1, depth * depth - nearer * nearer)
    spread = np.where(is_near, 2 * half_x / NEAREST, spread)
    widest: NDArray[np.float64] = spread + 2 * (worst.get("elastic", none)[0] + _SLACK_PX)
    return widest
