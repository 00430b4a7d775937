"""Who writes, and how: from random words to the traits and habits of a hand.

A hand writes each digit in a way of its own, and no digit twice in quite the same way: what
makes a glyph is partly its hand's, drawn once for all glyphs of the hand, and partly its own.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnistseq_cli.glyphs.strokes.allographs import ALLOGRAPHS
from mnistseq_cli.glyphs.strokes.curve import MAX_HABITS, MAX_POINTS
from mnistseq_cli.randomness import scale_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.strokes.curve import FloatArray


class Trait(IntEnum):
    """What sets hands apart; each is a number that is nearly normal.

    Slant, width of the digits, radius of the pen, softness of its edge; haste, which cuts
    corners; and how the plane is bent: see `line`.
    """

    SLANT = 0
    WIDTH = 1
    PEN = 2
    SOFTNESS = 3
    HASTE = 4
    TAPER = 5
    BOW = 6
    WAIST = 7
    TILT = 8
    SAG = 9


N_DIGITS = 10
N_PRESSURES = 8
_N_TRAITS = len(Trait)
_PERCENT = 100
# The squares of both parts add up to 1: what is mixed has deviation 1 again.
_HAND_TRAIT, _OWN_TRAIT = 0.97, 0.243
_HAND_HABIT, _OWN_HABIT = 0.8, 0.6

# Words of a hand: its traits, then for each digit the allograph and the habits.
HAND_WORDS = _N_TRAITS + N_DIGITS * (1 + MAX_HABITS)
# Words of a glyph: traits, habits, tremor, pressure.
GLYPH_WORDS = _N_TRAITS + MAX_HABITS + 2 * MAX_POINTS + N_PRESSURES
_GLYPH_PARTS = np.cumsum([_N_TRAITS, MAX_HABITS, 2 * MAX_POINTS])


class Hand(NamedTuple):
    """How each of N glyphs is written.

    Parameters
    ----------
    traits : ndarray of float64, shape (N, traits)
    allograph : ndarray of int64, shape (N,)
        An index into `ALLOGRAPHS`.
    habits : ndarray of float64, shape (N, MAX_HABITS)
        How much it has of each habit of the allograph.
    tremor : ndarray of float64, shape (N, MAX_POINTS, 2)
    pressure : ndarray of float64, shape (N, N_PRESSURES)
        From the start of the path to its end.
    """

    traits: FloatArray
    allograph: NDArray[np.int64]
    habits: FloatArray
    tremor: FloatArray
    pressure: FloatArray


def read_hands(
    digits: NDArray[np.uint8], hand_words: NDArray[np.uint64], glyph_words: NDArray[np.uint64]
) -> Hand:
    """Turn words into hands.

    Parameters
    ----------
    digits : ndarray of uint8, shape (N,)
    hand_words : ndarray of uint64, shape (N, HAND_WORDS)
        The same row for all glyphs of one hand.
    glyph_words : ndarray of uint64, shape (N, GLYPH_WORDS)
    """
    n_glyphs = len(digits)
    way = hand_words[:, _N_TRAITS:].reshape(n_glyphs, N_DIGITS, 1 + MAX_HABITS)
    way = way[np.arange(n_glyphs), digits]
    traits, habits, tremor, pressure = np.split(glyph_words, _GLYPH_PARTS, axis=1)
    return Hand(
        traits=_HAND_TRAIT * _normal(hand_words[:, :_N_TRAITS]) + _OWN_TRAIT * _normal(traits),
        allograph=_choose_allographs(digits, way[:, 0]),
        habits=_HAND_HABIT * _flat(way[:, 1:]) + _OWN_HABIT * _flat(habits),
        tremor=_normal(tremor).reshape(n_glyphs, MAX_POINTS, 2),
        pressure=_normal(pressure),
    )


def _choose_allographs(digits: NDArray[np.uint8], words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Choose by share: the first allograph whose upper bound lies above the draw."""
    draws = digits.astype(np.int64) * _PERCENT + scale_words(words, _PERCENT)
    return np.searchsorted(_bounds(), draws, side="right").astype(np.int64)


@cache
def _bounds() -> NDArray[np.int64]:
    return np.cumsum([allograph.share for allograph in ALLOGRAPHS], dtype=np.int64)


def _normal(words: NDArray[np.uint64]) -> FloatArray:
    """Turn each word into a number of mean 0 and deviation 1, nearly normal, within ±3.47.

    It is the sum of the word's four 16-bit parts, scaled: exact, unlike a logarithm.
    """
    total = np.zeros(words.shape, dtype=np.int64)
    for shift in (0, 16, 32, 48):
        total += ((words >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    return (total - 131_070) / 37_837.0


def _flat(words: NDArray[np.uint64]) -> FloatArray:
    """Turn each word into a number of mean 0 and deviation 1, uniform, within ±1.74."""
    high = (words >> np.uint64(48)).astype(np.float64)
    return (high - 32_767.5) / 18_918.6
