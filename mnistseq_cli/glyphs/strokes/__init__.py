"""The built-in pen: digits that the program writes itself, and what stands beside digits.

20,000 digits to train with, by 1,000 hands, and 4,000 to test with, by 200 others. Each hand
writes each character twice. Every glyph is a pure function of its character, its split, its hand
and its copy, to the byte, on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.glyphs.strokes.drawing import SIDE_PX, draw_lines
from mnistseq_cli.glyphs.strokes.writing import (
    GLYPH_WORDS,
    N_TRAITS,
    PEN_CHARACTERS,
    WAY_WORDS,
    read_hands,
    read_traits,
    trace_lines,
)
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COPIES",
    "N_ALL_HANDS",
    "N_HANDS",
    "PEN_CHARACTERS",
    "draw_by_id",
    "draw_characters",
    "draw_glyphs",
    "draw_traits",
    "number_glyphs",
]

N_DIGITS = 10
COPIES = 2  # of each character that a hand writes
N_HANDS = {"train": 1000, "test": 200}
N_ALL_HANDS = sum(N_HANDS.values())
_ALL_DIGITS = N_DIGITS * COPIES * N_ALL_HANDS
_USES = {"train": 20, "test": 21}
# Of the words of hands; those of a character are its code point more.
_SEED = 2470
# A block's arrays fit into a processor's cache.
_BLOCK = 400


def draw_glyphs(
    split: str, ids: NDArray[np.int64], height_px: int = SIDE_PX
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw digits of a split: images, (N, height, height), 0 = paper, and their digits, (N,).

    A hand has consecutive ids: the digits 0 to 9, and again 0 to 9.
    """
    copies, digits = np.divmod(ids, N_DIGITS)
    hands, copies = np.divmod(copies, COPIES)
    return draw_characters(split, digits, hands, copies, height_px), digits.astype(np.uint8)


def draw_by_id(ids: NDArray[np.int64], height_px: int) -> NDArray[np.uint8]:
    """Draw glyphs, shape (N, height, height), by their ids; see `number_glyphs`."""
    is_digit = ids < _ALL_DIGITS
    others, of_others = np.divmod(ids - _ALL_DIGITS, COPIES * N_ALL_HANDS)
    of_digits, digits = np.divmod(ids, N_DIGITS)
    numbers = np.where(is_digit, digits, N_DIGITS + others)
    hands, copies = np.divmod(np.where(is_digit, of_digits, of_others), COPIES)
    images = np.empty((len(ids), height_px, height_px), dtype=np.uint8)
    is_test = hands >= N_HANDS["train"]
    for split, first, chosen in (("train", 0, ~is_test), ("test", N_HANDS["train"], is_test)):
        own = (numbers[chosen], hands[chosen] - first, copies[chosen])
        images[chosen] = draw_characters(split, *own, height_px)
    return images


def number_glyphs(character: str) -> NDArray[np.int64]:
    """Return the ids of a character among all glyphs, by hand and copy, shape (hands, copies).

    Hands to test with come after those to train with. First are all digits, as `draw_glyphs`
    numbers them, then all glyphs of each other character.
    """
    number = PEN_CHARACTERS.index(character)
    of_hands = np.arange(COPIES * N_ALL_HANDS).reshape(N_ALL_HANDS, COPIES)
    if number < N_DIGITS:
        return of_hands * N_DIGITS + number
    return _ALL_DIGITS + (number - N_DIGITS) * of_hands.size + of_hands


def draw_characters(
    split: str,
    numbers: NDArray[np.int64],
    hands: NDArray[np.int64],
    copies: NDArray[np.int64],
    height_px: int = SIDE_PX,
) -> NDArray[np.uint8]:
    """Draw what hands write, uint8 (N, height, height), 0 = paper, 255 = ink.

    A character is given by its number in `PEN_CHARACTERS`; all three have the shape (N,).
    """
    images = np.empty((len(numbers), height_px, height_px), dtype=np.uint8)
    for first in range(0, len(numbers), _BLOCK):
        block = slice(first, first + _BLOCK)
        own, hand, copy = numbers[block], hands[block], copies[block]
        ways = np.empty((len(own), WAY_WORDS + GLYPH_WORDS), np.uint64)
        for number in np.unique(own).tolist():
            there = np.flatnonzero(own == number)
            ways[there] = _draw_ways(split, number, hand[there], copy[there])
        traits = _draw_rows(_SEED, split, hand, N_TRAITS)
        written = read_hands(own, traits, ways[:, :WAY_WORDS], ways[:, WAY_WORDS:])
        images[block] = draw_lines(trace_lines(own, written), own < N_DIGITS, height_px)
    return images


def draw_traits() -> NDArray[np.float64]:
    """Return the traits of all hands, shape (hands, traits); see `writing.Trait`."""
    words = [draw_words(_SEED, _USES[name], 0, n, N_TRAITS) for name, n in N_HANDS.items()]
    return read_traits(np.concatenate(words))


def _draw_ways(
    split: str, number: int, hands: NDArray[np.int64], copies: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Draw how hands write a character, and the words of their copies of it."""
    seed = _SEED + ord(PEN_CHARACTERS[number])
    words = _draw_rows(seed, split, hands, WAY_WORDS + COPIES * GLYPH_WORDS)
    of_copies = words[:, WAY_WORDS:].reshape(len(words), COPIES, GLYPH_WORDS)
    own = of_copies[np.arange(len(words)), copies]
    return np.concatenate([words[:, :WAY_WORDS], own], axis=1)


def _draw_rows(
    seed: int, split: str, hands: NDArray[np.int64], n_words: int
) -> NDArray[np.uint64]:
    """Draw a row of words for each hand, in whatever order."""
    first = int(hands.min())
    return draw_words(seed, _USES[split], first, int(hands.max()) + 1, n_words)[hands - first]
