"""How well a trained reader reads a dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.inspection.align import NOTHING, align

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.formats.reading import Seen
    from mnistseq_cli.inspection.predictions import Predictions

N_WORST = 48
_TOGETHER = 1024
_TOGETHER_BYTES = 1 << 25
_CODE_BITS = 32
_CODE_MASK = (1 << _CODE_BITS) - 1


@dataclass(frozen=True)
class Share:
    """How many of some samples were read without an edit."""

    n_samples: int
    n_right: int

    @property
    def accuracy(self) -> float:
        """The share of samples that were read right, 0 to 1."""
        return self.n_right / self.n_samples


@dataclass(frozen=True)
class Misread:
    """A sample that was not read right.

    Parameters
    ----------
    index : int
        Its number in the dataset, from 0, over all splits.
    seen : Seen
    read : str
    n_edits : int
        Levenshtein distance between its text and what was read.
    """

    index: int
    seen: Seen
    read: str
    n_edits: int


@dataclass(frozen=True)
class ReaderFigures:
    """How well a reader reads.

    Parameters
    ----------
    predictions : Predictions
    n_missing : int
        Samples without a prediction; all other figures leave them out.
    all : Share
    n_characters : int
        Characters written.
    n_edits : int
        Insertions, deletions and substitutions, the fewest of each sample.
    confusion : dict of (str, str) to int
        How often a character that was written (first) was read as another (second), in the
        alignment of `align`; "" as the first was inserted, "" as the second was left out.
        Ascending.
    by_length : dict of int to Share
        By the number of characters, ascending.
    by_gap : dict of int to Share
        By the smallest gap between two digits of a sample in pixels, ascending; empty where the
        dataset does not hold gaps.
    worst : tuple of Misread
        Most edits first, then in the order of the dataset; at most N_WORST.
    """

    predictions: Predictions
    n_missing: int
    all: Share
    n_characters: int
    n_edits: int
    confusion: dict[tuple[str, str], int]
    by_length: dict[int, Share]
    by_gap: dict[int, Share]
    worst: tuple[Misread, ...]

    @property
    def character_error_rate(self) -> float:
        """Edits for each character written; above 1 where more is inserted than was written."""
        return self.n_edits / self.n_characters if self.n_characters else 0.0


class ReaderTally:
    """Counts, sample by sample, how well a reader reads; memory does not grow with them.

    Parameters
    ----------
    predictions : Predictions

    Examples
    --------
    >>> tally = ReaderTally(read_predictions(path))  # doctest: +SKIP
    >>> for seen in dataset.read():  # doctest: +SKIP
    ...     tally.add(seen)
    >>> figures = tally.figures()  # doctest: +SKIP
    """

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self._n_seen = self._n_missing = 0
        self._samples: dict[str, Counter[int]] = {"length": Counter(), "gap": Counter()}
        self._right: dict[str, Counter[int]] = {"length": Counter(), "gap": Counter()}
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._right_texts: list[str] = []
        self._wrong: list[Misread] = []
        self._wrong_bytes = 0
        self._worst: list[Misread] = []

    def add(self, seen: Seen) -> None:
        """Count the next sample of the dataset.

        Raises
        ------
        UsageError
            Two samples have one name.
        """
        index = self._n_seen
        self._n_seen += 1
        read = self._predictions.take(seen)
        if read is None:
            self._n_missing += 1
            return
        self._count(seen, is_right=read == seen.text)
        if read == seen.text:
            self._right_texts.append(seen.text)
        else:
            # A copy: an image may be a view of a large array.
            self._wrong.append(Misread(index, replace(seen, image=seen.image.copy()), read, 0))
            self._wrong_bytes += seen.image.nbytes
        if (
            len(self._right_texts) + len(self._wrong) >= _TOGETHER
            or self._wrong_bytes >= _TOGETHER_BYTES
        ):
            self._settle()

    def figures(self) -> ReaderFigures:
        """Give the figures of all samples counted.

        Raises
        ------
        UsageError
            The file names samples that were not counted.
        """
        self._predictions.check_all_taken()
        self._settle()
        counts = {pair: self._pairs[pair] for pair in sorted(self._pairs)}
        by_length = self._shares("length")
        return ReaderFigures(
            predictions=self._predictions,
            n_missing=self._n_missing,
            all=Share(
                sum(share.n_samples for share in by_length.values()),
                sum(share.n_right for share in by_length.values()),
            ),
            n_characters=sum(n for (old, _), n in counts.items() if old),
            n_edits=sum(n for (old, new), n in counts.items() if old != new),
            confusion=counts,
            by_length=by_length,
            by_gap=self._shares("gap"),
            worst=tuple(self._worst),
        )

    def _count(self, seen: Seen, *, is_right: bool) -> None:
        keys = {"length": len(seen.text)}
        gap = smallest_gap(seen)
        if gap is not None:
            keys["gap"] = gap
        for kind, key in keys.items():
            self._samples[kind][key] += 1
            self._right[kind][key] += is_right

    def _shares(self, kind: str) -> dict[int, Share]:
        samples, right = self._samples[kind], self._right[kind]
        return {key: Share(samples[key], right[key]) for key in sorted(samples)}

    def _settle(self) -> None:
        # Aligned many at a time; what was read right needs no alignment.
        for character, n in Counter("".join(self._right_texts)).items():
            self._pairs[character, character] += n
        aligned = align([one.seen.text for one in self._wrong], [one.read for one in self._wrong])
        self._pairs.update(_count_pairs(aligned.pairs))
        settled = [
            Misread(one.index, one.seen, one.read, edits)
            for one, edits in zip(self._wrong, aligned.edits.tolist(), strict=True)
        ]
        # Sorting keeps the order of the dataset among equals.
        self._worst = sorted([*self._worst, *settled], key=attrgetter("n_edits"), reverse=True)
        del self._worst[N_WORST:]
        self._right_texts, self._wrong, self._wrong_bytes = [], [], 0


def smallest_gap(seen: Seen) -> int | None:
    """Give the smallest gap between two digits in pixels; None where there is none, or unknown."""
    if seen.gaps is None or len(seen.text) <= 1:
        return None
    between = seen.gaps[1:-1] if len(seen.gaps) == len(seen.text) + 1 else seen.gaps
    return int(between.min()) if len(between) else None


def _count_pairs(pairs: NDArray[np.int64]) -> dict[tuple[str, str], int]:
    distinct, counts = np.unique((pairs[:, 0] << _CODE_BITS) + pairs[:, 1], return_counts=True)
    return {
        (_character((code + 1) >> _CODE_BITS), _character(((code + 1) & _CODE_MASK) - 1)): n
        for code, n in zip(distinct.tolist(), counts.tolist(), strict=True)
    }


def _character(code: int) -> str:
    return "" if code == NOTHING else chr(code)
