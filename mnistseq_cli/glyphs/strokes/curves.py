"""From the notation of a path to tables that sample it.

A sample is a weighted sum of four points of the path, so that a path whose points have moved
is sampled by the same table. There are two tables: one passes through every point and keeps the
corners (Catmull and Rom, "A class of local interpolating splines", 1974), the other is the
uniform cubic B-spline, which cuts corners as a hasty hand does.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from mnistseq_cli.glyphs.resize import weigh_catmull_rom
from mnistseq_cli.glyphs.strokes.characters import read_forms
from mnistseq_cli.pixels import Bools, Floats, Ints

N_SAMPLES = 144
MAX_POINTS = 16
MAX_HABITS = 10
TAPS = 4
_OVERSHOOT = 2.5
_STRETCH = 6.0
_CENTRE, _HALF_HEIGHT = (30.0, 50.0), 50.0


class Curves(NamedTuple):
    """Allographs as arrays; A of them."""

    points: Floats  # (A, MAX_POINTS, 2): x and y; y runs from -1 at the top to 1
    habits: Floats  # (A, MAX_HABITS, MAX_POINTS, 2): how far each moves each point
    taps: Ints  # (A, N_SAMPLES, TAPS): the points that a sample is made of
    exact: Floats  # and how much of each, where no corner is cut
    hasty: Floats  # and where corners are cut


class Path(NamedTuple):
    """A path of P points as it was noted."""

    points: Floats  # (P, 2)
    is_corner: Bools  # (P,)
    begins: Bools  # (P,), whether a stroke begins here
    ends: Bools


def tabulate_curves(numbers: list[int]) -> Curves:
    """Return some allographs, by their places among all."""
    return Curves(*map(np.stack, zip(*map(_tabulate_curve, numbers), strict=True)))


@cache
def _tabulate_curve(number: int) -> Curves:
    """Return one allograph, without the first axis."""
    allograph = read_forms().allographs[number]
    path = parse_path(allograph.path)
    points, (start, t) = np.zeros((MAX_POINTS, 2)), _place_samples(path)
    points[: len(path.points)] = path.points - _CENTRE
    alone = path.begins[start], path.ends[start + 1]
    cornered = alone[0] | path.is_corner[start], alone[1] | path.is_corner[start + 1]
    return Curves(
        points=points / _HALF_HEIGHT,
        habits=_read_habits(allograph.habits, path) / _HALF_HEIGHT,
        taps=np.clip(start[:, None] + (-1, 0, 1, 2), 0, len(path.points) - 1),
        exact=_reflect(weigh_catmull_rom(t), *cornered),
        hasty=_reflect(_weigh_hasty(t), *alone),
    )


def parse_path(text: str) -> Path:
    """Read the notation of a path."""
    strokes = [stroke.split() for stroke in text.split("/")]
    marks = [mark for stroke in strokes for mark in stroke]
    begins = np.array([at == 0 for stroke in strokes for at in range(len(stroke))])
    return Path(
        np.array([[float(part) for part in mark.rstrip("!").split(",")] for mark in marks]),
        np.array([mark.endswith("!") for mark in marks]),
        begins,
        np.append(begins[1:], True),
    )


def _read_habits(text: str, path: Path) -> Floats:
    """Return the moves of an allograph's own habits and of the two that all have: longer ends."""
    habits = np.zeros((MAX_HABITS, MAX_POINTS, 2))
    for number, habit in enumerate(text.split("|")):
        for move in habit.split():
            point, by = move.split(":")
            habits[number, int(point)] = [*map(float, by.split(","))]
    for number, is_end, step in ((-2, path.begins, 1), (-1, path.ends, -1)):
        for end in np.flatnonzero(is_end).tolist():
            dx, dy = path.points[end] - path.points[end + step]
            habits[number, end] = np.array([dx, dy]) * (_OVERSHOOT / np.sqrt(dx * dx + dy * dy))
    return habits


def _place_samples(path: Path) -> tuple[Ints, Floats]:
    """Spread the samples over the path: the point before each, and how far on to the next."""
    dx, dy = np.diff(path.points, axis=0).T
    # Some more than the way from point to point: habits may pull them apart.
    lengths = np.where(path.ends[:-1], 0.0, np.sqrt(dx * dx + dy * dy) + _STRETCH)
    ends = np.cumsum(lengths)
    along = ends[-1] * np.arange(N_SAMPLES) / (N_SAMPLES - 1)
    start = np.minimum(np.searchsorted(ends, along, side="right"), len(lengths) - 1)
    passed = np.append(0.0, ends)[start]
    return start, np.minimum(1.0, (along - passed) / lengths[start])


def _weigh_hasty(t: Floats) -> Floats:
    weights = (
        (1 - 3 * t + 3 * t * t - t * t * t) / 6,
        (4 - 6 * t * t + 3 * t * t * t) / 6,
        (1 + 3 * t + 3 * t * t - 3 * t * t * t) / 6,
        t * t * t / 6,
    )
    return np.stack(weights, axis=1)


def _reflect(weights: Floats, before: Bools, after: Bools) -> Floats:
    """Put the mirror image of the point opposite where there is no point before or after."""
    a, b, c, d = weights.T
    lost = np.where(before, a, 0.0)
    a, b, c = a - lost, b + 2 * lost, c - lost
    lost = np.where(after, d, 0.0)
    return np.stack([a, b - lost, c + 2 * lost, d - lost], axis=1)
