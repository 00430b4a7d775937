"""How well a reader reads: characters and numbers right, confusions, worst cases."""

from __future__ import annotations

import re
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.formats.tables import TEXT_KEYS, check_text, naming_line, read_table
from mnistseq_cli.inspection.figures import copy_sample, to_plain

READ_KEYS = ("prediction", "predicted", "pred", "read", *TEXT_KEYS)
N_WORST = 48  # misreads kept for the eye
_KEPT_BYTES = 1 << 26  # of their images


def align(text: str, read: str) -> list[tuple[str, str]]:
    """Pair characters written with those read, "" where one was inserted or left out.

    There are as few edits as can be (Wagner and Fischer, "The String-to-String Correction
    Problem", J. ACM 21, 1974). Of equally few, followed from the end, a pair of characters goes
    before one left out, and that before one inserted.
    """
    table = [list(range(len(read) + 1))]
    for i, old in enumerate(text, 1):
        above, row = table[-1], [i]
        for j, new in enumerate(read):
            row.append(min(above[j] + (old != new), above[j + 1] + 1, row[j] + 1))
        table.append(row)
    pairs = []
    i, j = len(text), len(read)
    while i or j:
        edits = table[i][j]
        if i and j and edits == table[i - 1][j - 1] + (text[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((text[i], read[j]))
        elif i and edits == table[i - 1][j] + 1:
            i -= 1
            pairs.append((text[i], ""))
        else:
            j -= 1
            pairs.append(("", read[j]))
    return pairs[::-1]


@dataclass(frozen=True)
class Share:
    """How many of some samples were read without an edit."""

    n_samples: int
    n_right: int

    @classmethod
    def of(cls, shares: Iterable[Share]) -> Share:
        """Add shares of different samples."""
        shares = list(shares)
        return cls(sum(one.n_samples for one in shares), sum(one.n_right for one in shares))

    @property
    def accuracy(self) -> float:
        """The share of samples that were read right, 0 to 1."""
        return self.n_right / self.n_samples if self.n_samples else 0.0


@dataclass(frozen=True)
class Misread:
    """A sample that was not read right."""

    index: int  # in the dataset, from 0, over all splits
    sample: LoadedSample
    read: str
    n_edits: int


@dataclass(frozen=True)
class ReaderFigures:
    """How well a reader reads the samples that it has predictions for; counts ascend by key."""

    predictions: Predictions
    n_missing: int  # samples without a prediction
    all: Share
    n_characters: int  # written
    n_edits: int  # insertions, deletions and substitutions, the fewest of each sample
    confusion: dict[tuple[str, str], int]  # characters written and read, as `align` pairs them
    by_length: dict[int, Share]
    by_gap: dict[int, Share]  # by the smallest gap in px; empty where gaps are not known
    by_writer: dict[str, Share]  # of characters, by who wrote them; empty where that is not known
    worst: tuple[Misread, ...]  # most edits first, then in the order of the dataset
    n_as_numbers: int  # read wrong, but the same number, such as 6405 for 06405

    @property
    def character_error_rate(self) -> float:
        """Edits for each character written; above 1 where more is inserted than was written."""
        return self.n_edits / self.n_characters if self.n_characters else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        confusion = [
            {"written": written, "read": read, "count": n}
            for (written, read), n in self.confusion.items()
        ]
        worst = [
            {name: getattr(one.sample, name) for name in ("name", "split", "text")}
            | {name: getattr(one, name) for name in ("index", "read", "n_edits")}
            for one in self.worst
        ]
        special = {"predictions": self.predictions.path, "confusion": confusion, "worst": worst}
        values = vars(self) | {"character_error_rate": self.character_error_rate} | special
        return {key: to_plain(value) for key, value in values.items()}


class ReaderTally:
    """Counts, sample by sample, how well a reader reads; memory does not grow with them."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self._taken = np.zeros(len(predictions.reads), np.bool_)  # those that a sample has
        # By what is counted; by length, gap and writer, with whether it was read right.
        self._counts: defaultdict[str, Counter[Any]] = defaultdict(Counter)
        self._worst: list[Misread] = []

    def add(self, sample: LoadedSample, index: int) -> None:
        """Count a sample, by its index in the dataset."""
        place = self.predictions.find_place(sample)
        if place is None:
            self._counts["missing"][""] += 1
            return
        if self._taken[place]:
            raise self._refuse_second(place)
        self._taken[place] = True
        text, read = sample.text, self.predictions.reads[place]
        is_right = read == text
        pairs = [*zip(read, read, strict=True)] if is_right else align(text, read)
        self._counts["confusion"].update(pairs)
        self._counts["length"][len(text), is_right] += 1
        gaps_px = sample.gaps if sample.gaps is not None else ()
        between = gaps_px[1:-1] if len(gaps_px) == len(text) + 1 else gaps_px
        if len(between):
            self._counts["gap"][int(min(between)), is_right] += 1
        written = (old == new for old, new in pairs if old)
        self._counts["writer"].update(zip(sample.writers or (), written, strict=False))
        if is_right:
            return
        whole = read.removesuffix(".0")  # as programs write numbers: 6405 or 6405.0 for 06405
        if text.isdecimal() and whole.isdecimal() and int(text) == int(whole):
            self._counts["as numbers"][""] += 1
        self._keep(Misread(index, sample, read, sum(old != new for old, new in pairs)))

    def merge(self, other: ReaderTally) -> None:
        """Add what was counted of other samples."""
        for place in np.flatnonzero(self._taken & other._taken)[:1]:
            raise self._refuse_second(int(place))
        self._taken |= other._taken
        for name, counter in other._counts.items():
            self._counts[name].update(counter)
        for misread in other._worst:
            self._keep(misread)

    def figures(self) -> ReaderFigures:
        """Return the figures of all samples counted; a prediction for no sample is an error."""
        names = [*self.predictions.places]
        for place in np.flatnonzero(~self._taken)[:1]:
            raise UsageError(
                f"{self.predictions.path}: {names[place]!r} is not in the dataset; "
                f"{(~self._taken).sum():,} of {len(names):,} names are not",
                "Expected the file_name of the dataset's own label file in each row.",
            )
        confusion = dict(sorted(self._counts["confusion"].items()))
        by_length = _to_shares(self._counts["length"])
        return ReaderFigures(
            predictions=self.predictions,
            n_missing=self._counts["missing"].total(),
            all=Share.of(by_length.values()),
            n_characters=sum(n for (old, _), n in confusion.items() if old),
            n_edits=sum(n for (old, new), n in confusion.items() if old != new),
            confusion=confusion,
            by_length=by_length,
            by_gap=_to_shares(self._counts["gap"]),
            by_writer=_to_shares(self._counts["writer"]),
            worst=tuple(self._worst),
            n_as_numbers=self._counts["as numbers"].total(),
        )

    def _refuse_second(self, place: int) -> UsageError:
        name = [*self.predictions.places][place]
        return UsageError(
            f"{self.predictions.path}: two samples of the dataset are called {name!r}",
            f"Write the split before the name, such as test/{name}",
        )

    def _keep(self, misread: Misread) -> None:
        """Keep it if it is among the worst; of equals, those that come first are."""
        if len(self._worst) == N_WORST and _rank(misread) > _rank(self._worst[-1]):
            return
        insort(self._worst, replace(misread, sample=copy_sample(misread.sample)), key=_rank)
        n_bytes = sum(one.sample.image.nbytes for one in self._worst)
        while len(self._worst) > N_WORST or (len(self._worst) > 1 and n_bytes > _KEPT_BYTES):
            n_bytes -= self._worst.pop().sample.image.nbytes


def _rank(misread: Misread) -> tuple[int, int]:
    return -misread.n_edits, misread.index


def _to_shares(counts: Counter[tuple[Any, bool]]) -> dict[Any, Share]:
    keys = sorted({key for key, _ in counts if key != ""})  # nobody is known by ""
    return {key: Share(counts[key, True] + counts[key, False], counts[key, True]) for key in keys}


@dataclass(frozen=True)
class Predictions:
    """What was read, by the names of samples.

    The last steps of a name are enough: what stands before them (a split, the folders of another
    machine) does not matter where it is clear which sample is meant.
    """

    path: Path
    reads: list[str]  # in the order of the file; "" where nothing was read
    places: dict[str, int]  # where in `reads` the prediction of a name stands

    def find(self, sample: LoadedSample) -> str | None:
        """Return what was read of a sample; None where the file has no row for it."""
        place = self.find_place(sample)
        return None if place is None else self.reads[place]

    def find_place(self, sample: LoadedSample) -> int | None:
        """Return where in `reads` the prediction of a sample stands, if anywhere."""
        name = _normalise(sample.name)
        names = [name, f"{sample.split}/{name}"] if sample.split else [name]
        for one in names:
            if one in self.places:
                return self.places[one]
        others = self._by_last_step.get(name.rpartition("/")[2], ())
        for one in reversed(names):
            found = [other for other in others if f"/{other}".endswith(f"/{one}")]
            found = found or [other for other in others if f"/{one}".endswith(f"/{other}")]
            if len(found) == 1:
                return self.places[found[0]]
        return None

    @cached_property
    def _by_last_step(self) -> dict[str, list[str]]:
        names: defaultdict[str, list[str]] = defaultdict(list)
        for name in self.places:
            names[name.rpartition("/")[2]].append(name)
        return names


def _normalise(name: str) -> str:
    """Write a name with slashes, from where its folders begin."""
    return re.sub(r"^(\.{0,2}/)+", "", name.replace("\\", "/"))


def read_predictions(path: Path) -> Predictions:
    """Read predictions from a table, by its header, or from its first two columns: image, text."""
    reads: list[str] = []
    places: dict[str, int] = {}
    line = 0
    with naming_damage(path, UsageError), naming_line(path, lambda: line, "", UsageError):
        for line, name, read in read_table(path, READ_KEYS, error=UsageError):
            check_text(read.strip(), "prediction")
            if places.setdefault(_normalise(name.strip()), len(reads)) != len(reads):
                raise UsageError(
                    f"{path}, line {line}: {name!r:.200} stands in the file a second time",
                    "Give each image one row.",
                )
            reads.append(read.strip())
    if not reads:
        raise UsageError(
            f"{path} holds no predictions",
            "Expected in each row: the file_name of an image, and the text that was read.",
        )
    return Predictions(path, reads, places)
