"""Many numbers from one word: for textures, which need a number for each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROW = 2**32


def expand(keys: NDArray[np.uint64], n_rows: int, n_columns: int) -> NDArray[np.uint64]:
    """Make a table of words from each key.

    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
    2014), its counter being row * 2**32 + column: a wider table begins with the narrower one.

    Parameters
    ----------
    keys : ndarray of uint64, shape (N,)
    n_rows, n_columns : int

    Returns
    -------
    ndarray of uint64, shape (N, n_rows, n_columns)
    """
    counters = np.arange(n_rows)[:, None] * _ROW + np.arange(1, n_columns + 1)
    word = keys[:, None, None] + counters.astype(np.uint64) * _GOLDEN
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def expand_shorts(keys: NDArray[np.uint64], n_rows: int, n_columns: int) -> NDArray[np.uint16]:
    """Make a table of 16-bit numbers, four from each word, shape (N, n_rows, n_columns)."""
    words = expand(keys, n_rows, -(-n_columns // 4))
    return words.astype("<u8", copy=False).view("<u2")[..., :n_columns]


def expand_fractions(keys: NDArray[np.uint64], n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """Make a table of numbers from -1 to 1, both excluded, shape (N, n_rows, n_columns)."""
    return (expand_shorts(keys, n_rows, n_columns) * 2.0 - 65535) / 65536


def to_fractions(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn each word into a number from 0 to 1, 1 excluded, in steps of 2**-53."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
