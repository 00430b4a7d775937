"""Distortions of each digit, before the row is laid out.

A distorted digit is never cut off: its cell grows with it, see `cells`. The digits of a block are
done in groups of about the same width, so that narrow ones take less time; which digits share a
group changes no pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.compose.augment.cells import GROW_PX, find_corners, find_middle, fit_frames
from mnistseq_cli.compose.augment.motion import Motion
from mnistseq_cli.compose.augment.shape import SPARE_PX
from mnistseq_cli.compose.augment.warp import draw_waves, place_nodes, warp
from mnistseq_cli.glyphs.glyphset import Ink, measure_ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.augment.cells import Frames
    from mnistseq_cli.compose.augment.plan import Draw, Plan, Step

_MAPPED_PX, _STILL_PX = 2**18, 2**20  # what a processor's cache holds, with maps and without
_ROUND_PX = 4  # nodes of a map are so far apart, and so many pixels are measured at once


def augment_digits(ink: Ink, plan: Plan, draw: Draw, grow_px: int = GROW_PX) -> Ink:
    """Distort digits.

    Parameters
    ----------
    ink : Ink
        Digits at the left edge of their cells; not written to.
    plan : Plan
        Only distortions of digits count.
    draw : callable
        ``draw(use, n)`` gives the words of a use, n for each digit, shape (M, n).
    grow_px : int
        How far cells grow to either side, where the ink does.

    Returns
    -------
    Ink
        Again at the left edge, in images as wide as the widest; `left_px` is where the ink stands,
        counted from the left edge of the cell before it grew, and so it may be negative;
        `width_px` and the rest are those of the ink that is there.
    """
    motion, shapes, frames = _fit(ink, plan, draw, grow_px)
    widths_px = _find_widths(ink, frames, SPARE_PX if shapes else 0)
    groups = _group(frames.moves, widths_px, ink.images.shape[1])
    boxes = np.zeros((len(ink.images), 4), np.int64)
    parts = []
    for chosen in groups:
        part = _move(ink, motion, frames, chosen, _round_up(widths_px[chosen]))
        for step, strengths, keys in shapes:
            part = _apply_where(step, part, strengths[chosen], keys[chosen])
        boxes[chosen] = extents = measure_ink(part)
        parts.append(slide(part, -extents[:, 0]))
    images = _put_together(groups, parts)
    left, top, width, height = boxes.T
    return Ink(images[:, :, : width.max(initial=1)], frames.left_px + left, top, width, height)


def bound_digits(
    ink: Ink, plan: Plan, draw: Draw, grow_px: int = GROW_PX
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give columns that the ink of distorted digits does not leave, without distorting any.

    Parameters are those of `augment_digits`; this takes a tenth of the time.

    Returns
    -------
    left_px, width_px : ndarray of int64, shape (M,)
        Counted from the left edge of the cell before it grew.
    """
    frames = _fit(ink, plan, draw, grow_px)[2]
    return frames.left_px, frames.grown_px


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


def _fit(
    ink: Ink, plan: Plan, draw: Draw, grow_px: int
) -> tuple[Motion, list[tuple[Step, NDArray[np.float64], NDArray[np.uint64]]], Frames]:
    """Draw what happens to digits, and find where they will stand."""
    motion = Motion.stand_still(ink.images)
    for step in plan.at("geometry"):
        motion = step.record.apply(motion, *plan.draw(step, draw))
    if plan.at("geometry"):
        motion = motion.limit_bend(*find_corners(ink))
    shapes = [(step, *plan.draw(step, draw)) for step in plan.at("shape")]
    growth_px = np.zeros((len(ink.images), 4), np.int64)
    for step, strengths, _ in shapes:
        if step.record.growth is not None:
            growth_px += step.record.growth(strengths)
    return motion, shapes, fit_frames(ink, motion, growth_px, grow_px)


def _find_widths(ink: Ink, frames: Frames, spare_px: int) -> NDArray[np.int64]:
    """Give the columns that each digit takes: those it had, at least, if it is not resampled."""
    widths_px = frames.grown_px + spare_px
    return np.where(frames.moves, widths_px, np.maximum(widths_px, ink.images.shape[2]))


def _round_up(widths_px: NDArray[np.int64]) -> int:
    return -(-int(widths_px.max(initial=1)) // _ROUND_PX) * _ROUND_PX


def _group(
    moves: NDArray[np.bool_], widths_px: NDArray[np.int64], height_px: int
) -> list[NDArray[np.int64]]:
    """Give the digits to be resampled, then the others, in groups of about the same width."""
    groups: list[NDArray[np.int64]] = []
    for chosen, group_px in ((moves, _MAPPED_PX), (~moves, _STILL_PX)):
        by_width = np.flatnonzero(chosen)
        n_groups = -(-int(widths_px[chosen].sum()) * height_px // group_px)
        n_groups = min(n_groups, len(by_width))
        if n_groups > 1:
            by_width = by_width[np.argsort(widths_px[by_width], kind="stable")]
        groups += np.array_split(by_width, n_groups) if n_groups else []
    return groups


def _put_together(
    groups: list[NDArray[np.int64]], parts: list[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Put the images of groups in the order of digits, as wide as the widest."""
    if len(groups) == 1:
        return parts[0]
    shape = sum(map(len, groups)), parts[0].shape[1], max(part.shape[2] for part in parts)
    images = np.zeros(shape, np.uint8)
    for chosen, part in zip(groups, parts, strict=True):
        images[chosen, :, : part.shape[2]] = part
    return images


def _move(
    ink: Ink, motion: Motion, frames: Frames, chosen: NDArray[np.int64], width_px: int
) -> NDArray[np.uint8]:
    """Give some digits after their motion, with room to grow, in wider images."""
    ink, frames = Ink(*(value[chosen] for value in vars(ink).values())), frames.take(chosen)
    more_px = width_px - ink.images.shape[2]
    images = ink.images
    if frames.moves[0]:
        images = _resample(ink, motion.take(chosen), frames, width_px)
    elif more_px:
        images = np.pad(images, ((0, 0), (0, 0), (0, more_px)))
    return slide(images, frames.growth_px[:, 0], frames.down_px)


def _resample(ink: Ink, motion: Motion, frames: Frames, width_px: int) -> NDArray[np.uint8]:
    x, y = place_nodes(width_px), place_nodes(ink.images.shape[1])
    x, y = x + (frames.left_px + frames.growth_px[:, 0])[:, None, None], y[:, None]
    if motion.wave_px.any():
        wave_x, wave_y = draw_waves(motion, frames.width_px, y.size, x.shape[2])
        x, y = x + wave_x, y + wave_y
    factor, offset = frames.factor[:, :, None, None], frames.offset[:, :, None, None]
    middle_x, middle_y = find_middle(ink)[:, :, None, None]
    x = (x - offset[:, 0]) / factor[:, 0] - middle_x
    y = (y - offset[:, 1]) / factor[:, 1] - middle_y
    x, y = motion.trace_back(x, y)
    x, y = x + (middle_x - ink.left_px[:, None, None]), y + middle_y
    return warp(ink.images[:, :, : ink.width_px.max()], x, y, width_px)


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
