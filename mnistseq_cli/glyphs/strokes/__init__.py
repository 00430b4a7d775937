"""The built-in pen: digits that the program writes itself, and what stands beside digits.

20,000 digits to train with, by 1,000 hands, and 4,000 to test with, by 200 others. Each hand
writes each character twice. Every glyph is a pure function of its character, its hand and its
copy, to the byte, on every machine.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mnistseq_cli.glyphs.strokes import writing
from mnistseq_cli.glyphs.strokes.characters import PEN_CHARACTERS
from mnistseq_cli.glyphs.strokes.drawing import SIDE_PX, draw_lines
from mnistseq_cli.pixels import Floats, Ints, Pixels, Words
from mnistseq_cli.randomness import draw_words

N_DIGITS = 10
COPIES = 2  # of each character that a hand writes
N_HANDS = {"train": 1000, "test": 200}  # those to test with come after those to train with
N_ALL_HANDS = sum(N_HANDS.values())
_ALL_DIGITS = N_DIGITS * COPIES * N_ALL_HANDS
_USES = {"train": 20, "test": 21}
# Of the words of hands; those of a character are its code point more.
_SEED = 2470
# A block's arrays fit into a processor's cache.
_BLOCK = 400


def draw_glyphs(split: str, ids: Ints, height_px: int = SIDE_PX) -> tuple[Pixels, Pixels]:
    """Draw digits of a split, 0 to 9 twice by each hand: images, (N, height, height), digits."""
    first = 0 if split == "train" else N_DIGITS * COPIES * N_HANDS["train"]
    return draw_by_id(first + ids, height_px), (ids % N_DIGITS).astype(np.uint8)


def number_glyphs(character: str) -> Ints:
    """Return ids of a character, (hands, copies): first digits, hand by hand, then each other."""
    number = PEN_CHARACTERS.index(character)
    of_hands = np.arange(COPIES * N_ALL_HANDS).reshape(N_ALL_HANDS, COPIES)
    if number < N_DIGITS:
        return of_hands * N_DIGITS + number
    return _ALL_DIGITS + (number - N_DIGITS) * of_hands.size + of_hands


def split_ids(ids: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the characters of glyphs, by their numbers in `PEN_CHARACTERS`, hands and copies."""
    is_digit = ids < _ALL_DIGITS
    others, of_others = np.divmod(ids - _ALL_DIGITS, COPIES * N_ALL_HANDS)
    of_digits, digits = np.divmod(ids, N_DIGITS)
    numbers = np.where(is_digit, digits, N_DIGITS + others)
    return numbers, *np.divmod(np.where(is_digit, of_digits, of_others), COPIES)


def draw_by_id(ids: Ints, height_px: int = SIDE_PX) -> Pixels:
    """Draw glyphs by their ids, see `number_glyphs`: uint8 (N, height, height), 0 = paper."""
    numbers, hands, copies = split_ids(ids)
    images = np.empty((len(ids), height_px, height_px), dtype=np.uint8)
    for first in range(0, len(ids), _BLOCK):
        block = slice(first, first + _BLOCK)
        lines = _write(numbers[block], hands[block], copies[block])
        images[block] = draw_lines(lines, numbers[block] < N_DIGITS, height_px)
    return images


def _write(numbers: Ints, hands: Ints, copies: Ints) -> writing.Line:
    """Let hands write characters, by their numbers in `PEN_CHARACTERS`."""
    words = np.empty((len(numbers), writing.WAY_WORDS + COPIES * writing.GLYPH_WORDS), np.uint64)
    for number in np.unique(numbers).tolist():
        there = np.flatnonzero(numbers == number)
        seed = _SEED + ord(PEN_CHARACTERS[number])
        words[there] = _draw_hands(seed, words.shape[1])[hands[there]]
    ways, both = np.split(words, [writing.WAY_WORDS], axis=1)
    glyphs = both.reshape(-1, COPIES, writing.GLYPH_WORDS)[np.arange(len(numbers)), copies]
    return writing.trace_lines(numbers, _draw_hands(_SEED, writing.N_TRAITS)[hands], ways, glyphs)


def draw_traits() -> Floats:
    """Return the traits of all hands, shape (hands, traits); see `writing.Trait`."""
    return writing.read_normal(_draw_hands(_SEED, writing.N_TRAITS))


@lru_cache(maxsize=12)  # the digits, what all share, and one character more: 15 MB
def _draw_hands(seed: int, n_words: int) -> Words:
    """Draw a row of words for each hand."""
    rows = [draw_words(seed, _USES[split], 0, n, n_words) for split, n in N_HANDS.items()]
    return np.concatenate(rows)
