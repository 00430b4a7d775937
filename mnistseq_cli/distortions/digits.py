"""The stage of digits: each is distorted in a cell that grows with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnistseq_cli.distortions.geometry import (
    NEAREST,
    NODE_PX,
    Motion,
    draw_waves,
    place_nodes,
    sine_and_cosine,
    slide,
    warp,
)
from mnistseq_cli.distortions.morphology import SPARE_PX
from mnistseq_cli.distortions.steps import Draw, Step
from mnistseq_cli.glyphs.glyph_set import GlyphInk, measure_ink
from mnistseq_cli.glyphs.resize import SHARP, steepen
from mnistseq_cli.pixels import Bools, Floats, Ints, Pixels, Singles, Words
from mnistseq_cli.recipe import PAGE_PX

# How far a cell grows to either side. Digits of 20 × 20 px, as those of MNIST and of the built-in
# pen are, stay as wide as any one distortion makes them; of those of preset "heavy", one in
# 100,000 is narrowed.
GROW_PX = 8  # of a cell of 28 px
_SLACK_PX = 1 / 16  # covers what rounding and interpolation add to the reach of ink
_TURNS = 32  # of the range of angles, where the width of ink is bounded
_MAPPED_PX, _STILL_PX = 2**19, 2**20  # what is resampled at once, and what is not


@dataclass(frozen=True)
class DigitStage:
    """Distortions that say where the ink of digits goes, then those of the pen."""

    motions: tuple[Step, ...]
    shapes: tuple[Step, ...]
    scale: float  # how much larger cells are than 28 px

    def __bool__(self) -> bool:
        return bool(self.motions or self.shapes)

    def distort(
        self, ink: GlyphInk, draw: Draw, draw_of_row: Draw | None = None, *, may_grow: bool = True
    ) -> GlyphInk:
        """Distort digits at the left edge of their images; none is written to.

        They are again at the left edge, in images as wide as the widest. `left_px` counts from
        the left edge of the cell before it grew to either side, and so it may be negative.
        """
        motion, drawn, frames = self._fit(ink, draw, draw_of_row, may_grow=may_grow)
        n, height_px, _ = ink.images.shape
        extents = np.zeros((n, 4), np.int64)
        room_px = self._bound_growth()[0], SPARE_PX if drawn else 0
        parts, groups = [], _group(frames, height_px)
        for chosen in groups:
            some = ink.take(chosen), motion.take(chosen), frames.take(chosen)
            part, start_px = _move(*some, room_px, self.scale)
            part = steepen(part, ink.steepness[chosen])
            for step, strengths, keys in drawn:
                part = step.change(part, strengths[chosen], keys[chosen], part.__getitem__)
            extents[chosen] = measure_ink(part)
            parts.append(slide(part, -extents[chosen, 0]))
            extents[chosen, 0] += start_px
        left, top, width, height = extents.T
        images = np.zeros((n, height_px, width.max(initial=1)), np.uint8)
        for chosen, part in zip(groups, parts, strict=True):
            part_px = min(part.shape[2], images.shape[2])
            images[chosen, :, :part_px] = part[:, :, :part_px]
        return GlyphInk(images, left, top, width, height, np.full(n, SHARP))

    def bound(
        self, ink: GlyphInk, draw: Draw, draw_of_row: Draw | None = None, *, may_grow: bool = True
    ) -> tuple[Ints, Ints]:
        """Return columns that the ink of distorted digits does not leave: first, and how many.

        They count as in `distort`, which takes ten times as long.
        """
        frames = self._fit(ink, draw, draw_of_row, may_grow=may_grow)[2]
        return frames.left_px - frames.growth_px[0], frames.grown_px

    def widest_px(self, width_px: Ints, height_px: Ints) -> Ints:
        """Return a width that no distorted ink of these sizes, or smaller ones, exceeds.

        It is at most that of a cell grown on both sides. Default widths of saved recipes follow
        it: another bound, however close, would change their images.
        """
        widest = np.ceil(self._bound_reach(width_px, height_px)[0]).astype(np.int64)
        widest += sum(self._bound_growth())
        return np.maximum(np.minimum(widest, self._cell_px + 2 * self._grow_px), width_px)

    def widest_cell_px(self, ink_px: int) -> int:
        """Return a width that no cell exceeds, grown to hold ink of at most so many pixels.

        Either ink goes beyond one side of its cell, or beyond both, and is as wide as that.
        """
        width_px = np.arange(1, ink_px + 1)
        height_px = np.full_like(width_px, self._cell_px)
        reach_px = self._bound_reach(width_px, height_px)[1] - (width_px + 1) / 2
        left_px, right_px = self._bound_strength("shift")[:, 0]
        over_px = np.ceil(reach_px.max() + max(-left_px, right_px)) + max(self._bound_growth())
        both_px = self.widest_px(width_px, height_px).max()
        return int(max(self._cell_px + min(over_px, self._grow_px), both_px))

    @property
    def _cell_px(self) -> int:
        return round(PAGE_PX * self.scale)

    @property
    def _grow_px(self) -> int:
        return int(GROW_PX * self.scale)

    def _fit(
        self, ink: GlyphInk, draw: Draw, draw_of_row: Draw | None, *, may_grow: bool
    ) -> tuple[Motion, list[tuple[Step, Floats, Words]], Frames]:
        """Draw what happens to digits, and find where they will stand."""
        motion = Motion.stand_still(ink.images)
        for step in self.motions:
            motion = step.record.apply(motion, *step.draw(draw, draw_of_row))
        if motion.bend.any():
            motion = motion.limit_bend(_find_corners(ink))
        drawn = [(step, *step.draw(draw, draw_of_row)) for step in self.shapes]
        growth_px = np.zeros((4, len(ink.images)), np.int64)
        for step, strengths, _ in drawn:
            growth_px += step.measure_growth(strengths).T
        return motion, drawn, _fit_frames(ink, motion, growth_px, self._grow_px if may_grow else 0)

    def _bound_growth(self) -> tuple[int, int]:
        """Return how far ink may grow to the left and right."""
        most = [step.measure_growth(np.array([step.high]))[0] for step in self.shapes]
        left, _, right, _ = np.sum([(0, 0, 0, 0), *most], axis=0).tolist()
        return left, right

    def _bound_strength(self, name: str) -> Floats:
        """Return the least and the largest strengths, shape (2, n); 0 is among them."""
        for step in self.motions:
            if step.name == name:
                return np.array([np.minimum(step.low, 0), np.maximum(step.high, 0)])
        return np.zeros((2, 2))

    def _bound_reach(self, width_px: Ints, height_px: Ints) -> tuple[Floats, Floats]:
        """Return how wide ink may become by its motion, and how far it may reach from its middle.

        Ink lies in the convex hull of the points of `_surround` before perspective, and, as that
        keeps straight lines straight, in the hull of the points seen in perspective after it. How
        far apart two of them are seen, x / (1 + bend · point) on either side of 0, is convex in
        the bend, and so largest for a corner of all bends there can be. `Motion.limit_bend` takes
        bends nearer to 0, which is among them, and no ink is seen larger than 1 / NEAREST after.
        """
        if not self.motions:
            return width_px.astype(np.float64), width_px / 2
        x, y = self._surround(width_px, height_px)
        bend = self._bound_strength("perspective") / (self._cell_px / 2)
        depth = 1 + bend[:, :1, None, None] * x + bend[:, 1:, None] * y
        depth = np.where(depth.min(axis=2, keepdims=True) < NEAREST, NEAREST, depth)
        left, right = (x / depth).min(axis=2), (x / depth).max(axis=2)
        beyond = self._bound_strength("elastic").max() + _SLACK_PX
        wide, far = (right - left).max(axis=(0, 1)), np.maximum(right, -left).max(axis=(0, 1))
        return wide + 2 * beyond, far + beyond

    def _surround(self, width_px: Ints, height_px: Ints) -> tuple[Floats, Floats]:
        """Return points around all ink that is scaled, sheared and turned: x and y, shape (n, M).

        The largest ink holds the smaller; between both shears a corner goes straight, and between
        two turns along an arc, which lies within the tangents that meet a little farther away.
        """
        low, high = self._bound_strength("rotate")[:, :1]
        sine, cosine = sine_and_cosine(low + (high - low) * np.arange(_TURNS + 1) / _TURNS)
        farther = 1 / sine_and_cosine((high - low) / (2 * _TURNS))[1]
        lean_sine, lean_cosine = sine_and_cosine(self._bound_strength("shear")[:, :1, None])
        grown_x, grown_y = (1 + self._bound_strength("scale")[1]) * farther
        half_x, half_y = (width_px + 1) / 2 * grown_x, (height_px + 1) / 2 * grown_y
        side = np.array([-1, 1])[:, None]
        x = (side * half_x - lean_sine / lean_cosine * half_y).reshape(-1, 1, len(width_px))
        sine, cosine = sine[:, None], cosine[:, None]
        x, y = x * cosine - half_y * sine, x * sine + half_y * cosine
        x, y = x.reshape(-1, len(width_px)), y.reshape(-1, len(width_px))
        return np.concatenate([x, -x]), np.concatenate([y, -y])


@dataclass(frozen=True)
class Frames:
    """The columns that hold distorted digits, and what brings digits there."""

    factor: Floats  # (2, M), how much narrower and lower after the motion
    offset: Floats  # (2, M), how far they then move right and down
    growth_px: Ints  # (4, M), how far ink may then grow: left, up, right, down
    left_px: Ints  # (M,), the first column, from the left edge of the cell
    width_px: Ints  # (M,), how many columns ink needs before it grows
    moves: Bools  # (M,), whether it is resampled; others move by whole pixels

    @property
    def grown_px(self) -> Ints:
        """How many columns the ink needs after it has grown, shape (M,)."""
        return np.asarray(self.width_px + self.growth_px[0] + self.growth_px[2])

    def take(self, chosen: Ints) -> Frames:
        """Return the frames of some digits."""
        return Frames(*(value.take(chosen, axis=-1) for value in vars(self).values()))


def _fit_frames(ink: GlyphInk, motion: Motion, growth_px: Ints, grow_px: int) -> Frames:
    """Find where digits stand in their cells, whole.

    Ink will grow by `growth_px` to the left, up, right and down; cells grow by up to `grow_px`.
    """
    is_still = motion.is_still
    low, high = _bound_ink(ink, motion)
    before_px, after_px = growth_px.reshape(2, 2, -1)
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
    return Frames(factor, offset, growth_px, start, stop - start, moves)


def _bound_ink(ink: GlyphInk, motion: Motion) -> tuple[Floats, Floats]:
    """Return how far ink reaches in its cell after its motion: x and y, shape (2, M)."""
    if motion.is_still.all():
        low = np.array([ink.left_px, ink.top_px], np.float64) - 1
        return low, low + np.array([ink.width_px, ink.height_px]) + 1
    sent, middle = motion.send(_find_corners(ink)), _find_middle(ink)
    return sent.min(axis=1) + middle, sent.max(axis=1) + middle


def _find_middle(ink: GlyphInk) -> Floats:
    """Return the middle of the ink in the cell, x and y, shape (2, M)."""
    corner = np.stack([ink.left_px, ink.top_px])
    return corner + (np.stack([ink.width_px, ink.height_px]) - 1) / 2


def _find_corners(ink: GlyphInk) -> Floats:
    """Return how far ink reaches, from its middle, at its four corners, shape (2, 4, M).

    A pixel of ink shows less than 1 px around it, so ink pixels 3..5 reach from 2 to 6, both
    excluded, and a cell of 28 px has room for what reaches from -1 to 28.
    """
    half_px = (np.stack([ink.width_px, ink.height_px]) + 1) / 2
    return np.asarray(half_px[:, None] * np.array([[-1, 1, -1, 1], [-1, -1, 1, 1]])[:, :, None])


def _group(frames: Frames, height_px: int) -> list[Ints]:
    """Return the digits to be resampled, then the others, in groups of about the same width."""
    groups: list[Ints] = []
    for chosen, group_px in ((frames.moves, _MAPPED_PX), (~frames.moves, _STILL_PX)):
        by_width = np.flatnonzero(chosen)
        by_width = by_width[np.argsort(frames.grown_px[chosen], kind="stable")]
        n_groups = 1 + int(frames.grown_px[chosen].sum()) * height_px // group_px
        groups += np.array_split(by_width, min(n_groups, len(by_width))) if chosen.any() else []
    return groups


def _round_up(size_px: int) -> int:
    return -(-size_px // NODE_PX) * NODE_PX


def _move(
    ink: GlyphInk, motion: Motion, frames: Frames, room_px: tuple[int, int], scale: float
) -> tuple[Pixels, Ints]:
    """Return digits after their motion, with room to both sides, and where their images begin."""
    n, height_px, _ = ink.images.shape
    most_px = int((frames.width_px if frames.moves[0] else ink.width_px).max(initial=1))
    left_px, right_px = room_px[0], room_px[1] + int(frames.growth_px[2].max())
    images = np.zeros((n, _round_up(height_px), _round_up(left_px + most_px + right_px)), np.uint8)
    if frames.moves[0]:
        warp(ink, _trace(ink, motion, frames, left_px, scale), images)
    else:
        images[:, :height_px, left_px : left_px + most_px] = ink.images[:, :, :most_px]
        images = slide(images, 0, frames.offset[1].astype(np.int64))
    return np.ascontiguousarray(images[:, :height_px]), frames.left_px - left_px


def _trace(ink: GlyphInk, motion: Motion, frames: Frames, left_px: int, scale: float) -> Singles:
    """Find where the nodes of frames lie in images of the ink, shape (2, rows, columns, M).

    Images begin so many pixels before the frames.
    """
    widths_px = left_px + frames.width_px
    offset, stretch, middle = frames.offset, 1 / frames.factor, _find_middle(ink)
    x = place_nodes(int(widths_px.max()))[:, None] + (frames.left_px - left_px)
    y = place_nodes(ink.images.shape[1])[:, None]
    x, y = stretch[0] * (x - offset[0]) - middle[0], stretch[1] * (y - offset[1]) - middle[1]
    moves, shape = motion.wave_px.any(), (len(y), len(x))
    waves = draw_waves(motion, stretch, widths_px, shape, scale) if moves else ()
    places = motion.trace_back(x, y, waves)
    middle[0] -= ink.left_px
    places += middle.astype(np.float32)[:, None, None]
    return places
