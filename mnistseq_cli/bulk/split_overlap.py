"""What two splits of a dataset share: glyphs, writers, texts."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from mnistseq_cli.formats.base import rank_split
from mnistseq_cli.validation import count

KINDS = ("glyphs", "writers")  # what is counted beside texts
_HASH_BYTES = 8  # of a text: among a million there is one false alarm in ten million checks


@dataclass(frozen=True)
class Overlap:
    """How much two splits share; None where their glyphs or writers are not known."""

    one: str
    other: str
    n_glyphs: int | None
    n_writers: int | None
    n_texts: int


class OverlapTally:
    """Counts how often each split uses which glyphs, writers and texts."""

    def __init__(self) -> None:
        self._uses: dict[str, dict[str, Counter[Any]]] = {it: defaultdict(Counter) for it in KINDS}
        self.unknown: set[str] = set()  # kinds that are not known of all samples
        self._texts: dict[str, array[int]] = defaultdict(partial(array, "Q"))

    def add(self, split: str, texts: Iterable[str], **used: Iterable[Any] | None) -> None:
        """Take note of texts of a split, and of its `glyphs` and `writers`, None if not known."""
        for kind, values in used.items():
            if values is None:
                self.unknown.add(kind)
            else:
                self._uses[kind][split].update(values)
        hashes = [hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES) for text in texts]
        self._texts[split].frombytes(b"".join(digest.digest() for digest in hashes))

    def merge(self, other: OverlapTally) -> None:
        """Add what was noted of other samples."""
        for kind, by_split in other._uses.items():
            for split, counts in by_split.items():
                self._uses[kind][split].update(counts)
        self.unknown |= other.unknown
        for split, hashes in other._texts.items():
            self._texts[split].extend(hashes)

    def count_uses(self, kind: str) -> Counter[Any]:
        """Return how often each glyph or writer that is known was used, in whatever split."""
        total: Counter[Any] = sum(self._uses[kind].values(), Counter())
        total.pop("", None)  # nobody is known by it
        return total

    def n_equal_texts(self) -> int:
        """Return how many texts equal an earlier one, of whatever split."""
        hashes = np.concatenate([np.array(found) for found in self._texts.values()])
        return hashes.size - np.unique(hashes).size

    def overlaps(self) -> list[Overlap]:
        """Return what each two splits share."""
        splits = sorted(self._texts, key=rank_split)
        texts = {split: np.unique(np.array(self._texts[split])) for split in splits}
        found = []
        for one, other in combinations(texts, 2):
            shared = {
                kind: len((uses[one].keys() & uses[other].keys()) - {""})  # nobody is known by it
                for kind, uses in self._uses.items()
                if kind not in self.unknown
            }
            n_texts = np.intersect1d(texts[one], texts[other], assume_unique=True).size
            found.append(Overlap(one, other, shared.get("glyphs"), shared.get("writers"), n_texts))
        return found


def describe_overlaps(overlaps: Iterable[Overlap]) -> str:
    """Return in words what splits share."""
    overlaps = list(overlaps)
    unknown = [kind for kind in KINDS if any(getattr(it, f"n_{kind}") is None for it in overlaps)]
    known = [kind.removesuffix("s") for kind in KINDS if kind not in unknown]
    listed = []
    for it in overlaps:
        pairs = ((it.n_glyphs, "glyph"), (it.n_writers, "writer"), (it.n_texts, "text"))
        if shared := [count(n, noun) for n, noun in pairs if n]:
            listed.append(f"{it.one} and {it.other} share {_join(shared)}")
    nothing = f"{_join([f'no {noun}' for noun in (*known, 'text')])} is in two of the splits"
    more = f"; their {_join(unknown)} are not known" if unknown else ""
    return ("; ".join(listed) or nothing) + more


def _join(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
