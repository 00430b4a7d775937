"""What two splits of a dataset share: glyphs, texts."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASH_BYTES = 8  # of a text: among a million there is one false alarm in ten million checks


@dataclass(frozen=True)
class Overlap:
    """How much two splits share."""

    one: str
    other: str
    n_glyphs: int
    n_texts: int


class OverlapTally:
    """Collects which glyphs and texts each split uses."""

    def __init__(self) -> None:
        self._glyphs: dict[str, set[int]] = defaultdict(set)
        self._texts: dict[str, array[int]] = defaultdict(lambda: array("Q"))

    def add(self, split: str, glyphs: Iterable[int], texts: Iterable[str]) -> None:
        """Take note of glyph ids and texts of a split."""
        self._glyphs[split].update(glyphs)
        hashes = [hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES) for text in texts]
        self._texts[split].frombytes(b"".join(digest.digest() for digest in hashes))

    def overlaps(self) -> list[Overlap]:
        """Return what each two splits share."""
        texts = {split: np.unique(np.array(found)) for split, found in self._texts.items()}
        return [
            Overlap(
                one,
                other,
                len(self._glyphs[one] & self._glyphs[other]),
                np.intersect1d(texts[one], texts[other], assume_unique=True).size,
            )
            for one, other in combinations(self._glyphs, 2)
        ]


def describe_overlaps(overlaps: list[Overlap]) -> str:
    """Return in words what splits share."""
    listed = [
        f"{it.one} and {it.other} share {_count(it.n_glyphs, 'glyph')} and "
        f"{_count(it.n_texts, 'text')}"
        for it in overlaps
        if it.n_glyphs or it.n_texts
    ]
    return "; ".join(listed) or "no glyph and no text is in two of the splits"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}"
