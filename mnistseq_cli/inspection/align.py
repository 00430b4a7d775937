"""What was written against what was read: edits, and which character was taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NOTHING = -1
_CELLS = 1 << 21  # of a table of distances: 4 MB


@dataclass(frozen=True)
class Alignment:
    """Texts aligned with what was read of them.

    Parameters
    ----------
    edits : ndarray of int64, shape (N,)
        Levenshtein distance of each pair: fewest insertions, deletions and substitutions.
    pairs : ndarray of int64, shape (M, 2)
        Code points of all pairs together: written and read. NOTHING was written where a
        character was inserted; NOTHING was read where one was left out.
    """

    edits: NDArray[np.int64]
    pairs: NDArray[np.int64]


def align(texts: Sequence[str], reads: Sequence[str]) -> Alignment:
    """Align texts with what was read of them.

    Of alignments with equally few edits the one is taken that, followed from the last character
    to the first, prefers a pair of characters over one left out, and that over one inserted.

    Parameters
    ----------
    texts, reads : sequence of str
        N of each.

    References
    ----------
    R. A. Wagner and M. J. Fischer, The String-to-String Correction Problem, J. ACM 21 (1974).
    """
    cells = (max(map(len, texts), default=0) + 1) * (max(map(len, reads), default=0) + 1)
    n_together = max(1, _CELLS // cells)
    parts = [
        _align(texts[start : start + n_together], reads[start : start + n_together])
        for start in range(0, len(texts), n_together)
    ]
    return Alignment(
        np.concatenate([np.zeros(0, np.int64), *(part.edits for part in parts)]),
        np.concatenate([np.zeros((0, 2), np.int64), *(part.pairs for part in parts)]),
    )


def _align(texts: Sequence[str], reads: Sequence[str]) -> Alignment:
    written, read = _code_points(texts), _code_points(reads)
    table = _measure(written, read)
    rows = np.arange(len(texts))
    ends = np.array([list(map(len, texts)), list(map(len, reads))])
    edits = table[ends[0], rows, ends[1]].astype(np.int64)
    return Alignment(edits, _trace(table, written, read, ends))


def _code_points(texts: Sequence[str]) -> NDArray[np.uint32]:
    return np.array(texts, np.str_).view(np.uint32).reshape(len(texts), -1)


def _measure(written: NDArray[np.uint32], read: NDArray[np.uint32]) -> NDArray[np.int16]:
    # table[i, n, j]: the edits between the first i characters written and the first j read.
    steps = np.arange(read.shape[1] + 1, dtype=np.int16)
    table = np.empty((written.shape[1] + 1, len(written), len(steps)), np.int16)
    table[0] = steps
    for i, character in enumerate(written.T, 1):
        before, row = table[i - 1], table[i]
        row[:, 0] = i
        np.minimum(
            before[:, 1:] + 1, before[:, :-1] + (read != character[:, None]), out=row[:, 1:]
        )
        # A run of insertions costs one each: the least of (cell - place), plus the place.
        row -= steps
        np.minimum.accumulate(row, axis=1, out=row)
        row += steps
    return table


def _trace(
    table: NDArray[np.int16],
    written: NDArray[np.uint32],
    read: NDArray[np.uint32],
    ends: NDArray[np.int64],
) -> NDArray[np.int64]:
    n = np.arange(len(written))
    i, j = ends
    steps = [np.zeros((0, 2), np.int64)]
    while len(n):
        going = (i > 0) | (j > 0)
        n, i, j = n[going], i[going], j[going]
        here = table[i, n, j]
        old, new = written[n, i - 1].astype(np.int64), read[n, j - 1].astype(np.int64)
        is_pair = (i > 0) & (j > 0) & (table[i - 1, n, j - 1] + (old != new) == here)
        is_left_out = ~is_pair & (i > 0) & (table[i - 1, n, j] + 1 == here)
        is_inserted = ~is_pair & ~is_left_out
        old[is_inserted] = NOTHING
        new[is_left_out] = NOTHING
        steps.append(np.stack([old, new], axis=1))
        i, j = i - ~is_inserted, j - ~is_left_out
    return np.concatenate(steps)
