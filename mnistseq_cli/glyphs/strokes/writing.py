"""How a hand writes a character: lines with thickness."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from mnistseq_cli.glyphs.strokes.characters import read_forms
from mnistseq_cli.glyphs.strokes.curves import (
    MAX_HABITS,
    MAX_POINTS,
    N_SAMPLES,
    TAPS,
    tabulate_curves,
)
from mnistseq_cli.pixels import Floats, Ints, Words
from mnistseq_cli.randomness import scale_words


class Trait(IntEnum):
    """What sets hands apart; each is a number that is nearly normal."""

    SLANT = 0
    WIDTH = 1
    PEN = 2  # its radius
    SOFTNESS = 3  # of the edge of the ink
    HASTE = 4  # which cuts corners
    TAPER = 5  # this and the following bend the plane, see `_bend`
    BOW = 6
    WAIST = 7
    TILT = 8
    SAG = 9


HABIT = 1.1
TREMOR = 0.03
PRESSURE = 0.08
N_PRESSURES = 8
N_TRAITS = len(Trait)
_PERCENT = 100
# The squares of both parts add up to 1: what is mixed has deviation 1 again.
_HAND_TRAIT, _OWN_TRAIT = 0.97, 0.243
_HAND_HABIT, _OWN_HABIT = 0.8, 0.6

# Words by which a hand writes a character: the allograph, and the habits.
WAY_WORDS = 1 + MAX_HABITS
# Words of a glyph: traits, habits, tremor, pressure.
GLYPH_WORDS = N_TRAITS + MAX_HABITS + 2 * MAX_POINTS + N_PRESSURES
_GLYPH_PARTS = np.cumsum([N_TRAITS, MAX_HABITS, 2 * MAX_POINTS])


class Line(NamedTuple):
    """The lines of N glyphs, S samples each."""

    x: Floats  # (N, S), the way of the pen
    y: Floats  # (N, S), from about -1 to 1
    radius_px: Floats  # (N,), half the width of the stroke in the glyph
    swell: Floats  # (N, S), what the radius is multiplied with along the way
    soft_px: Floats  # (N,), width of the edge between ink and paper


def read_normal(words: Words) -> Floats:
    """Turn each word into a number of mean 0 and deviation 1, nearly normal, within ±3.47."""
    # The sum of its four 16-bit parts, scaled: exact, unlike a logarithm.
    shifts = np.array([0, 16, 32, 48], np.uint64)
    total = ((words[..., None] >> shifts) & np.uint64(0xFFFF)).sum(axis=-1)
    return np.asarray((total.astype(np.int64) - 131_070) / 37_837.0)


def _read_flat(words: Words) -> Floats:
    """Turn each word into a number of mean 0 and deviation 1, uniform, within ±1.74."""
    return ((words >> np.uint64(48)).astype(np.float64) - 32_767.5) / 18_918.6


def trace_lines(numbers: Ints, trait_words: Words, way_words: Words, glyph_words: Words) -> Line:
    """Let hands write characters, (N,) numbers in `PEN_CHARACTERS`, by rows of words for each."""
    own_traits, own_habits, tremor, pressure = np.split(glyph_words, _GLYPH_PARTS, axis=1)
    traits = _HAND_TRAIT * read_normal(trait_words) + _OWN_TRAIT * read_normal(own_traits)
    habits = _HAND_HABIT * _read_flat(way_words[:, 1:]) + _OWN_HABIT * _read_flat(own_habits)
    # The first allograph whose upper bound lies above the draw.
    draws = numbers * _PERCENT + scale_words(way_words[:, 0], _PERCENT)
    bounds = np.cumsum([allograph.share for allograph in read_forms().allographs])
    allographs = np.searchsorted(bounds, draws, side="right")
    tremor_by = read_normal(tremor).reshape(-1, MAX_POINTS, 2)
    x, y = _bend(*_follow(allographs, habits, tremor_by, traits[:, Trait.HASTE]), traits)
    proportions = np.array([*read_forms().proportions.values()])[numbers]
    slant, slant_spread, width, width_spread, pen, pen_spread, wide = proportions.T
    x = x * (width * (1 + width_spread * traits[:, Trait.WIDTH]))[:, None]
    x = x - (slant + slant_spread * traits[:, Trait.SLANT])[:, None] * y
    # What is wider than high is narrowed: people rarely write so, some digits less than others.
    steepness = (y.max(axis=1) - y.min(axis=1)) / (x.max(axis=1) - x.min(axis=1))
    narrow = np.where(steepness < 1, wide + (1 - wide) * steepness, 1.0)
    # Thick pens are further from the mean than thin ones.
    thick = traits[:, Trait.PEN]
    thick = thick + 0.12 * (thick * thick - 1)
    return Line(
        x=x * narrow[:, None],
        y=y,
        radius_px=np.maximum(0.5, pen * (1 + pen_spread * thick)),
        swell=_press(read_normal(pressure)),
        soft_px=1.3 + 0.2 * traits[:, Trait.SOFTNESS],
    )


def _follow(
    allographs: Ints, habits: Floats, tremor: Floats, haste: Floats
) -> tuple[Floats, Floats]:
    """Move the points of the path by habits and tremor, and sample the curve through them."""
    used, way = np.unique(allographs, return_inverse=True)
    curves = tabulate_curves(used.tolist())
    points = curves.points[way]
    for number in range(MAX_HABITS):
        points += HABIT * habits[:, number, None, None] * curves.habits[way, number]
    points += TREMOR * (tremor + np.roll(tremor, 1, axis=1))
    cut = np.clip(0.25 + 0.22 * haste[:, None], -0.1, 1.0)
    x, y = np.zeros((2, len(points), N_SAMPLES))
    for tap in range(TAPS):
        exact, hasty = curves.exact[way, :, tap], curves.hasty[way, :, tap]
        weight = exact + cut * (hasty - exact)
        at = curves.taps[way, :, tap]
        x += weight * np.take_along_axis(points[:, :, 0], at, axis=1)
        y += weight * np.take_along_axis(points[:, :, 1], at, axis=1)
    return x, y


def _bend(x: Floats, y: Floats, traits: Floats) -> tuple[Floats, Floats]:
    """Bend the plane: wide at the top or the bottom, bowed, waist high or low, tilted, sagging."""
    taper, bow, waist, tilt, sag = traits.T[Trait.TAPER :, :, None]
    bent_x = x * (1 + 0.10 * taper * y) + 0.05 * bow * y * y
    bent_y = y + 0.11 * waist * (1 - y * y) + 0.11 * tilt * x + 0.07 * sag * x * x
    return bent_x, bent_y


def _press(pressure: Floats) -> Floats:
    """Run straight from pressure to pressure along the line."""
    last = N_SAMPLES - 1
    along = np.arange(N_SAMPLES) * (N_PRESSURES - 1)
    before = np.minimum(along // last, N_PRESSURES - 2)
    part = (along - before * last) / last
    low, high = pressure[:, before], pressure[:, before + 1]
    return np.asarray(1 + PRESSURE * (low + part * (high - low)))
