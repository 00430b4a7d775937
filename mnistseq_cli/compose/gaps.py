"""Gaps drawn uniformly, and uniformly among the combinations that fit.

`n` gaps, gap k from 0 to sizes[k] - 1, must not add up to more than the slack. Clipping them, or
filling from left to right, would make the later gaps smaller than the earlier ones. Instead each
gap is drawn by how many ways there are to go on after it, so that every combination that fits is
equally likely. The ways are counted with whole numbers of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from itertools import accumulate

import numpy as np

from mnistseq_cli.errors import LayoutError
from mnistseq_cli.pixels import Ints, Words
from mnistseq_cli.randomness import scale_words

_WORD_VALUES = 2**64
_TABLE_LIMIT = 2_000_000


def draw_gaps(words: Words, sizes: Ints, slack_px: Ints) -> Ints:
    """Draw gaps that fit, from words and sizes, shape (N, n), and slack, shape (N,).

    Gap k of sample i is from 0 to sizes[i, k] - 1, so 1 stands for no gap. No combination that
    fits is more or less likely than any other by more than n * 2**-63 of its probability where n
    is at most 100.
    """
    gaps = scale_words(words, sizes)
    tight = np.flatnonzero(sizes.sum(axis=1) - sizes.shape[1] > slack_px)
    if tight.size:
        of_tight = np.ascontiguousarray(sizes[tight])
        wholes = of_tight.view(f"V{of_tight[0].nbytes}")[:, 0]  # sorted ten times as fast as rows
        _, first, kind_of = np.unique(wholes, return_index=True, return_inverse=True)
        for number, kind in enumerate(of_tight[first]):
            rows = tight[kind_of == number]
            gaps[rows] = count_gaps(tuple(kind.tolist())).draw(words[rows], slack_px[rows])
    return gaps


class GapTable:
    """How many combinations of gaps of some sizes fit, by gaps left and pixels left."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self._most = [*accumulate((size - 1 for size in reversed(sizes)), initial=0)][::-1]
        if sum(self._most) > _TABLE_LIMIT:
            raise LayoutError(
                f"{len(sizes)} gaps of up to {max(sizes)} values are too many to count the ways "
                f"they fit: the table would have {sum(self._most)} entries; expected at most "
                f"{_TABLE_LIMIT}",
                "Use a larger width, fewer digits, or --width natural",
            )
        self._ways = [[1]]
        for size, most in zip(reversed(sizes), self._most[-2::-1], strict=True):
            after = self._ways[0] + self._ways[0][-1:] * (most + 1 - len(self._ways[0]))
            sums = [0, *accumulate(after)]
            ways = [sums[end] - sums[max(0, end - size)] for end in range(1, most + 2)]
            self._ways.insert(0, ways)
        self._rows = [
            _RowCache(most + 1, size - 1) for most, size in zip(self._most, sizes, strict=False)
        ]

    def ways(self, first: int, slack_px: int) -> int:
        """Count the combinations of the gaps from `first` on that fit into the slack."""
        return self._ways[first][min(slack_px, self._most[first])] if slack_px >= 0 else 0

    def draw(self, words: Words, slack_px: Ints) -> Ints:
        """Draw gaps, shape (N, n), from words, shape (N, n), and slack, shape (N,)."""
        left_px = slack_px.copy()
        gaps = np.empty(words.shape, np.int64)
        for k, rows in enumerate(self._rows):
            np.minimum(left_px, self._most[k], out=left_px)
            bounds = rows.look_up(left_px, partial(self.bounds, k))
            gaps[:, k] = (words[:, k, None] > bounds).sum(axis=1)
            left_px -= gaps[:, k]
        return gaps

    def bounds(self, k: int, left_px: int) -> list[int]:
        """Return the largest word that draws 0, 1, …, for each value of gap k but the last."""
        total = self.ways(k, left_px)
        below = accumulate(self.ways(k + 1, left_px - gap) for gap in range(self.sizes[k] - 1))
        return [-(-_WORD_VALUES * sum_below // total) - 1 for sum_below in below]


count_gaps = lru_cache(maxsize=256)(GapTable)
"""The table of some sizes; the same table when asked again."""


class _RowCache:
    """Rows of bounds, each made when first needed: long tables are used in few places."""

    def __init__(self, n_keys: int, n_columns: int) -> None:
        self._place = np.full(n_keys, -1, np.int64)
        self._rows = np.empty((0, n_columns), np.uint64)

    def look_up(self, keys: Ints, make: Callable[[int], list[int]]) -> Words:
        new = np.flatnonzero(np.bincount(keys[self._place[keys] < 0]))
        if new.size:
            rows = np.array([make(int(key)) for key in new], np.uint64)
            self._place[new] = len(self._rows) + np.arange(len(new))
            self._rows = np.concatenate([self._rows, rows.reshape(len(new), -1)])
        return self._rows[self._place[keys]]
