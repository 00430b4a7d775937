"""What two splits of a dataset share: glyphs, texts."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASH_BYTES = 8  # of a text: among a million there is one false alarm in ten million checks


@dataclass(frozen=True)
class Overlap:
    """How much two splits share; None where their glyphs are not known."""

    one: str
    other: str
    n_glyphs: int | None
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

    def overlaps(self, *, with_glyphs: bool = True) -> list[Overlap]:
        """Return what each two splits share; of glyphs only if those of all samples are known."""
        texts = {split: np.unique(np.array(found)) for split, found in self._texts.items()}
        return [
            Overlap(
                one,
                other,
                len(self._glyphs[one] & self._glyphs[other]) if with_glyphs else None,
                np.intersect1d(texts[one], texts[other], assume_unique=True).size,
            )
            for one, other in combinations(texts, 2)
        ]


def describe_overlaps(overlaps: Iterable[Overlap]) -> str:
    """Return in words what splits share."""
    overlaps = list(overlaps)
    is_known = all(it.n_glyphs is not None for it in overlaps)
    listed = []
    for it in overlaps:
        shared = [count(it.n_glyphs, "glyph")] if it.n_glyphs else []
        shared += [count(it.n_texts, "text")] if it.n_texts else []
        if shared:
            listed.append(f"{it.one} and {it.other} share {' and '.join(shared)}")
    nothing = f"no {'glyph and no ' if is_known else ''}text is in two of the splits"
    unknown = "" if is_known else "; their glyphs are not known"
    return ("; ".join(listed) or nothing) + unknown
