"""Words of sample i: raw bits, whole numbers, permutations and hashes made of them."""

from __future__ import annotations

from enum import IntEnum
from math import isqrt
from typing import TypeAlias

import numpy as np

from mnistseq_cli.pixels import Floats, Ints, Pixels, Shorts, Words

WORDS_PER_COUNTER = 4
_HALF_BITS = np.uint64(32)
_HALF_MASK = np.uint64(2**32 - 1)
_ROUNDS = 10


class Use(IntEnum):
    """What words are for; each use has a stream of its own.

    The numbers are part of the promise that a recipe gives the same pixels for ever: never
    change one, never use one again. The built-in pen has 20 and 21, distortions and kinds of paper
    have 100 to 135, folders of paper 140 and on, rows distorted as one 300 to 319.
    """

    TEXT = 1
    GLYPH = 2
    GAP = 3
    ALIGN = 4
    PERMUTATION = 5
    HAND = 6
    MARGIN = 7
    SYMBOL = 8
    TOUCH = 9


def draw_words(seed: int, use: int, start: int, stop: int, words_per_sample: int) -> Words:
    """Draw words of samples start..stop-1: rows of one endless table of each seed and `Use`."""
    first_word = start * words_per_sample
    n_words = (stop - start) * words_per_sample
    skip = first_word % WORDS_PER_COUNTER
    philox = np.random.Philox(key=[seed, int(use)], counter=first_word // WORDS_PER_COUNTER)
    words: Words = philox.random_raw(skip + n_words)
    return words[skip:].reshape(stop - start, words_per_sample)


Samples: TypeAlias = "tuple[range, ...]"
"""Which samples: stretches of consecutive ones, one after the other."""


def draw_for(seed: int, use: int, samples: Samples, words_per_sample: int) -> Words:
    """Draw the words of samples, as `draw_words` does those of one stretch."""
    drawn = [draw_words(seed, use, one.start, one.stop, words_per_sample) for one in samples]
    return np.concatenate(drawn) if len(drawn) > 1 else drawn[0]


def list_indices(samples: Samples) -> Ints:
    """Return the index of each sample."""
    return np.concatenate([np.arange(one.start, one.stop) for one in samples])


def scale_words(words: Words, size: int | Ints) -> Ints:
    """Turn each word into a whole number from 0 to size - 1, size at most 2**32 - 1.

    It is floor(word * size / 2**64), exactly: each as likely as 1 / size, to 2**-64.
    """
    factor = np.asarray(size).astype(np.uint64)
    high = (words >> _HALF_BITS) * factor
    low = ((words & _HALF_MASK) * factor) >> _HALF_BITS
    return ((high + low) >> _HALF_BITS).astype(np.int64)


def draw_by_weight(words: Words, weights: Ints) -> tuple[Ints, Words]:
    """Draw one of several by their weights, shape (…, K), and words from what is left of words."""
    ends = weights.cumsum(axis=-1)
    drawn = scale_words(words, ends[..., -1])
    return (ends <= drawn[..., None]).sum(axis=-1), words * ends[..., -1].astype(np.uint64)


def permute(index: Ints, size: int, seed: int) -> Ints:
    """Return the place of each index in a permutation of 0..size-1, size at most 2**62.

    A Feistel network on the grid of a by b >= size cells (Black and Rogaway, "Ciphers with
    arbitrary finite domains", CT-RSA 2002), walked on where it leaves 0..size-1, so that no
    two indices get the same place and nothing is stored. The seed is its key.
    """
    n_columns = isqrt(size - 1) + 1
    n_rows = -(-size // n_columns)
    round_keys = draw_words(seed, Use.PERMUTATION, 0, 1, _ROUNDS)[0]
    place = _encipher(index, n_columns, n_rows, round_keys)
    while (outside := np.flatnonzero(place >= size)).size:
        place[outside] = _encipher(place[outside], n_columns, n_rows, round_keys)
    return place


def _encipher(index: Ints, n_columns: int, n_rows: int, round_keys: Words) -> Ints:
    row, column = np.divmod(index, n_columns)
    for key_of_column, key_of_row in round_keys.reshape(-1, 2):
        column = (column + scale_words(_mix(row, key_of_column), n_columns)) % n_columns
        row = (row + scale_words(_mix(column, key_of_row), n_rows)) % n_rows
    return row * n_columns + column


def _mix(half: Ints, key: np.uint64) -> Words:
    """Hash 64 bits to 64 bits: the finaliser of SplitMix64, twice."""
    return _finalise(_finalise(half.astype(np.uint64) + key) + key)


def _finalise(word: Words) -> Words:
    """Hash words in their place, as SplitMix64 does in the end."""
    shifted = np.empty_like(word)
    for bits, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, None)):
        word ^= np.right_shift(word, np.uint64(bits), out=shifted)
        if factor:
            word *= np.uint64(factor)
    return word


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROW = 2**32


def expand(keys: Words, n_rows: int, n_columns: int) -> Words:
    """Make a table of words from each key, shape (N, n_rows, n_columns).

    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
    2014), its counter being row * 2**32 + column: a wider table begins with the narrower one.
    """
    counters = np.arange(n_rows)[:, None] * _ROW + np.arange(1, n_columns + 1)
    return _finalise(keys[:, None, None] + counters.astype(np.uint64) * _GOLDEN)


def expand_bytes(keys: Words, n_rows: int, n_columns: int) -> Pixels:
    """Make a table of bytes, eight from each word, shape (N, n_rows, n_columns)."""
    words = expand(keys, n_rows, -(-n_columns // 8))
    return words.astype("<u8", copy=False).view(np.uint8)[..., :n_columns]


def expand_shorts(keys: Words, n_rows: int, n_columns: int) -> Shorts:
    """Make a table of 16-bit numbers, four from each word, shape (N, n_rows, n_columns)."""
    words = expand(keys, n_rows, -(-n_columns // 4))
    return words.astype("<u8", copy=False).view("<u2")[..., :n_columns]


def expand_fractions(keys: Words, n_rows: int, n_columns: int) -> Floats:
    """Make a table of numbers from -1 to 1, both excluded, shape (N, n_rows, n_columns)."""
    return (expand_shorts(keys, n_rows, n_columns) * 2.0 - 65535) / 65536


def to_fractions(words: Words) -> Floats:
    """Turn each word into a number from 0 to 1, 1 excluded, in steps of 2**-53."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
