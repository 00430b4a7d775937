"""The built-in pen: digits that the program writes itself.

20,000 glyphs to train with, by 1,000 hands, and 4,000 to test with, by 200 others. Each hand
writes each digit twice. Every glyph is a pure function of its split and its id, to the byte, on
every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.glyphs.catalog import STROKES
from mnistseq_cli.glyphs.strokes.drawing import SIDE_PX, draw_lines
from mnistseq_cli.glyphs.strokes.writing import (
    GLYPH_WORDS,
    HAND_WORDS,
    N_DIGITS,
    read_hands,
    trace_lines,
)
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "GLYPHS_PER_HAND",
    "GLYPH_WORDS",
    "HAND_WORDS",
    "draw_digits",
    "draw_glyphs",
    "label_glyphs",
]

# With consecutive ids: the digits 0 to 9, and again 0 to 9.
GLYPHS_PER_HAND = 2 * N_DIGITS
_USES = {"train": 20, "test": 21}
_SEED = 2470
# A block's arrays fit into a processor's cache.
_BLOCK = 400


def draw_glyphs(
    split: str, ids: NDArray[np.int64], height_px: int = SIDE_PX
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw glyphs of a split: images, (N, height, height), 0 = paper, and their digits, (N,)."""
    labels = (ids % N_DIGITS).astype(np.uint8)
    images = np.empty((len(ids), height_px, height_px), dtype=np.uint8)
    for first in range(0, len(ids), _BLOCK):
        block = slice(first, first + _BLOCK)
        words = _words_of(split, ids[block])
        images[block] = draw_digits(labels[block], *words, height_px)
    return images, labels


def draw_by_id(ids: NDArray[np.int64], height_px: int) -> NDArray[np.uint8]:
    """Draw glyphs, shape (N, height, height); the ids of those to test with go on."""
    images = np.empty((len(ids), height_px, height_px), dtype=np.uint8)
    is_test = ids >= STROKES.train.n_glyphs
    for split, first, chosen in (
        ("train", 0, ~is_test),
        ("test", STROKES.train.n_glyphs, is_test),
    ):
        images[chosen] = draw_glyphs(split, ids[chosen] - first, height_px)[0]
    return images


def draw_digits(
    digits: NDArray[np.uint8],
    hand_words: NDArray[np.uint64],
    glyph_words: NDArray[np.uint64],
    height_px: int = SIDE_PX,
) -> NDArray[np.uint8]:
    """Draw digits with hands made from random words; equal rows of `hand_words` are one hand."""
    return draw_lines(trace_lines(digits, read_hands(digits, hand_words, glyph_words)), height_px)


def _words_of(split: str, ids: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Draw the words of glyphs; a row of the stream holds a hand and its glyphs."""
    hands, rows = np.unique(ids // GLYPHS_PER_HAND, return_inverse=True)
    n_words = HAND_WORDS + GLYPHS_PER_HAND * GLYPH_WORDS
    words = np.concatenate(
        [draw_words(_SEED, _USES[split], hand, hand + 1, n_words) for hand in hands.tolist()]
    )
    of_hands, of_glyphs = words[:, :HAND_WORDS], words[:, HAND_WORDS:]
    of_glyphs = of_glyphs.reshape(len(words), GLYPHS_PER_HAND, GLYPH_WORDS)
    return of_hands[rows], of_glyphs[rows, ids % GLYPHS_PER_HAND]
