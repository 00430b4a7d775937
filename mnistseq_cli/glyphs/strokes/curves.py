"""From the notation of a path to tables that sample it.

A sample is a weighted sum of four points of the path, so that a path whose points have moved
is sampled by the same table. There are two tables: one passes through every point and keeps the
corners (Catmull and Rom, "A class of local interpolating splines", 1974), the other is the
uniform cubic B-spline, which cuts corners as a hasty hand does.
"""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.glyphs.strokes.characters import Allograph, read_forms

N_SAMPLES = 144
MAX_POINTS = 16
MAX_HABITS = 10
TAPS = 4
_OVERSHOOT = 2.5
_STRETCH = 6.0
_CENTRE, _HALF_HEIGHT = (30.0, 50.0), 50.0

FloatArray = NDArray[np.float64]
Weights = tuple[float, float, float, float]


class Curves(NamedTuple):
    """Allographs as arrays; A of them."""

    points: FloatArray  # (A, MAX_POINTS, 2): x and y; y runs from -1 at the top to 1
    habits: FloatArray  # (A, MAX_HABITS, MAX_POINTS, 2): how far each moves each point
    taps: NDArray[np.int64]  # (A, N_SAMPLES, TAPS): the points that a sample is made of
    exact: FloatArray  # and how much of each, where no corner is cut
    hasty: FloatArray  # and where corners are cut


class Path(NamedTuple):
    """A path as it was noted."""

    points: list[tuple[float, float]]
    corners: set[int]  # points that are corners
    lifts: set[int]  # points that the pen reaches through the air

    def begins(self, point: int) -> bool:
        """Whether a stroke begins here."""
        return point == 0 or point in self.lifts

    def ends(self, point: int) -> bool:
        """Whether a stroke ends here."""
        return point + 1 == len(self.points) or point + 1 in self.lifts


def tabulate_curves(numbers: list[int]) -> Curves:
    """Return some allographs, by their places among all."""
    return Curves(*map(np.stack, zip(*map(_tabulate_curve, numbers), strict=True)))


@cache
def _tabulate_curve(number: int) -> Curves:
    """Return one allograph, without the first axis."""
    allograph = read_forms().allographs[number]
    path = parse_path(allograph.path)
    taps, exact, hasty = _tabulate(path)
    return Curves(
        points=_pad_points(path),
        habits=_pad_habits(allograph, path),
        taps=np.array(taps, dtype=np.int64),
        exact=np.array(exact),
        hasty=np.array(hasty),
    )


def parse_path(text: str) -> Path:
    """Read the notation of a path."""
    path = Path([], set(), set())
    for mark in text.split():
        if mark == "/":
            path.lifts.add(len(path.points))
            continue
        if mark.endswith("!"):
            path.corners.add(len(path.points))
        x, y = mark.rstrip("!").split(",")
        path.points.append((float(x), float(y)))
    return path


def _pad_points(path: Path) -> FloatArray:
    points = np.zeros((MAX_POINTS, 2))
    points[: len(path.points)] = np.array(path.points) - _CENTRE
    return points / _HALF_HEIGHT


def _pad_habits(allograph: Allograph, path: Path) -> FloatArray:
    """Return the moves of an allograph's own habits and of the two that all have: longer ends."""
    habits = np.zeros((MAX_HABITS, MAX_POINTS, 2))
    for number, habit in enumerate(allograph.habits.split("|")):
        for move in habit.split():
            point, by = move.split(":")
            habits[number, int(point)] = [float(part) for part in by.split(",")]
    for end in range(len(path.points)):
        if path.begins(end):
            habits[-2, end] = _overshoot(path.points[end + 1], path.points[end])
        if path.ends(end):
            habits[-1, end] = _overshoot(path.points[end - 1], path.points[end])
    return habits / _HALF_HEIGHT


def _overshoot(before: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    dx, dy = end[0] - before[0], end[1] - before[1]
    scale = _OVERSHOOT / sqrt(dx * dx + dy * dy)
    return dx * scale, dy * scale


def _tabulate(path: Path) -> tuple[list[list[int]], list[Weights], list[Weights]]:
    taps, exact, hasty = [], [], []
    last = len(path.points) - 1
    for start, t in _place_samples(path):
        end = start + 1
        alone_before, alone_after = path.begins(start), path.ends(end)
        taps.append([min(max(start + step, 0), last) for step in (-1, 0, 1, 2)])
        hasty.append(_reflect(_weigh_hasty(t), before=alone_before, after=alone_after))
        exact.append(
            _reflect(
                _weigh_exact(t),
                before=alone_before or start in path.corners,
                after=alone_after or end in path.corners,
            )
        )
    return taps, exact, hasty


def _place_samples(path: Path) -> list[tuple[int, float]]:
    """Spread the samples over the path: the point before each, and how far on to the next."""
    lengths = [_measure(path, start) for start in range(len(path.points) - 1)]
    total = 0.0
    for length in lengths:
        total += length
    places, start, passed = [], 0, 0.0
    for sample in range(N_SAMPLES):
        along = total * sample / (N_SAMPLES - 1)
        while start < len(lengths) - 1 and along >= passed + lengths[start]:
            passed += lengths[start]
            start += 1
        places.append((start, min(1.0, (along - passed) / lengths[start])))
    return places


def _measure(path: Path, start: int) -> float:
    """Measure from one point to the next, and some more: habits may pull them apart."""
    if path.ends(start):
        return 0.0
    (ax, ay), (bx, by) = path.points[start : start + 2]
    return sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay)) + _STRETCH


def _weigh_exact(t: float) -> Weights:
    return (
        (-t + 2 * t * t - t * t * t) / 2,
        (2 - 5 * t * t + 3 * t * t * t) / 2,
        (t + 4 * t * t - 3 * t * t * t) / 2,
        (t * t * t - t * t) / 2,
    )


def _weigh_hasty(t: float) -> Weights:
    return (
        (1 - 3 * t + 3 * t * t - t * t * t) / 6,
        (4 - 6 * t * t + 3 * t * t * t) / 6,
        (1 + 3 * t + 3 * t * t - 3 * t * t * t) / 6,
        t * t * t / 6,
    )


def _reflect(weights: Weights, *, before: bool, after: bool) -> Weights:
    """Put the mirror image of the point opposite where there is no point before or after."""
    a, b, c, d = weights
    if before:
        a, b, c = 0.0, b + 2 * a, c - a
    if after:
        b, c, d = b - d, c + 2 * d, 0.0
    return a, b, c, d
