"""How well a reader reads: characters and numbers right, confusions, worst cases."""

from __future__ import annotations

import re
from bisect import insort
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.tables import TEXT_KEYS, check_text, naming_line, read_table
from mnistseq_cli.inspection.figures import copy_sample

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample

READ_KEYS = ("prediction", "predicted", "pred", "read", *TEXT_KEYS)
N_WORST = 48  # misreads kept for the eye
_KEPT_BYTES = 1 << 26  # of their images


def align(text: str, read: str) -> list[tuple[str, str]]:
    """Align a text with what was read of it, with the fewest edits.

    Returns
    -------
    list of (str, str)
        Characters written and read; "" was written where one was inserted, and read where one
        was left out. Of alignments with equally few edits the one that, followed from the end,
        prefers a pair of characters over one left out, and that over one inserted.

    References
    ----------
    R. A. Wagner and M. J. Fischer, The String-to-String Correction Problem, J. ACM 21 (1974).
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
        by = {
            name: {key: vars(share) for key, share in getattr(self, name).items()}
            for name in ("by_length", "by_gap", "by_writer")
        }
        confusion = [
            {"written": written, "read": read, "count": n}
            for (written, read), n in self.confusion.items()
        ]
        worst = [
            {name: getattr(one.sample, name) for name in ("name", "split", "text")}
            | {name: getattr(one, name) for name in ("index", "read", "n_edits")}
            for one in self.worst
        ]
        return (vars(self) | by) | {
            "predictions": str(self.predictions.path),
            "all": vars(self.all),
            "character_error_rate": self.character_error_rate,
            "confusion": confusion,
            "worst": worst,
        }


class ReaderTally:
    """Counts, sample by sample, how well a reader reads; memory does not grow with them."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self._n_seen = self._n_missing = self._n_as_numbers = 0
        self._confusion: Counter[tuple[str, str]] = Counter()
        # By what they are counted by: keys, each with whether it was read right.
        self._by: defaultdict[str, Counter[tuple[Any, bool]]] = defaultdict(Counter)
        self._worst: list[Misread] = []

    def add(self, sample: LoadedSample) -> None:
        """Count the next sample of the dataset."""
        index, self._n_seen = self._n_seen, self._n_seen + 1
        read = self._predictions.find(sample, take=True)
        if read is None:
            self._n_missing += 1
            return
        text = sample.text
        is_right = read == text
        pairs = [*zip(read, read, strict=True)] if is_right else align(text, read)
        self._confusion.update(pairs)
        self._by["length"][len(text), is_right] += 1
        gaps_px = sample.gaps if sample.gaps is not None else ()
        between = gaps_px[1:-1] if len(gaps_px) == len(text) + 1 else gaps_px
        if len(between):
            self._by["gap"][int(min(between)), is_right] += 1
        written = (old == new for old, new in pairs if old)
        self._by["writer"].update(zip(sample.writers or (), written, strict=False))
        if is_right:
            return
        whole = read.removesuffix(".0")  # as programs write numbers: 6405 or 6405.0 for 06405
        if text.isdecimal() and whole.isdecimal() and int(text) == int(whole):
            self._n_as_numbers += 1
        self._keep(Misread(index, sample, read, sum(old != new for old, new in pairs)))

    def figures(self) -> ReaderFigures:
        """Return the figures of all samples counted; a prediction for no sample is an error."""
        self._predictions.check_all_taken()
        counts = dict(sorted(self._confusion.items()))
        by = {name: _to_shares(of_keys) for name, of_keys in self._by.items()}
        by_length = by.get("length", {})
        return ReaderFigures(
            predictions=self._predictions,
            n_missing=self._n_missing,
            all=Share.of(by_length.values()),
            n_characters=sum(n for (old, _), n in counts.items() if old),
            n_edits=sum(n for (old, new), n in counts.items() if old != new),
            confusion=counts,
            by_length=by_length,
            by_gap=by.get("gap", {}),
            by_writer=by.get("writer", {}),
            worst=tuple(self._worst),
            n_as_numbers=self._n_as_numbers,
        )

    def _keep(self, misread: Misread) -> None:
        """Keep it if it is among the worst; of equals, those that come first are."""
        worst = self._worst
        if len(worst) == N_WORST and misread.n_edits <= worst[-1].n_edits:
            return
        misread = replace(misread, sample=copy_sample(misread.sample))
        insort(worst, misread, key=lambda one: -one.n_edits)
        while len(worst) > N_WORST or (
            len(worst) > 1 and sum(one.sample.image.nbytes for one in worst) > _KEPT_BYTES
        ):
            worst.pop()


def _to_shares(counts: Counter[tuple[Any, bool]]) -> dict[Any, Share]:
    keys = sorted({key for key, _ in counts if key != ""})  # nobody is known by ""
    return {key: Share(counts[key, True] + counts[key, False], counts[key, True]) for key in keys}


@dataclass
class Predictions:
    """What was read, by the names of samples.

    The last steps of a name are enough: what stands before them (a split, the folders of another
    machine) does not matter where it is clear which sample is meant.
    """

    path: Path
    reads: list[str]  # in the order of the file; "" where nothing was read
    places: dict[str, int]  # where in `reads` the prediction of a name stands
    taken: bytearray  # of each, whether a sample has it

    def find(self, sample: LoadedSample, *, take: bool = False) -> str | None:
        """Return what was read of a sample; None where the file has no row for it.

        It can be taken once: two samples of one name are an error.
        """
        place = self._find_place(sample)
        if place is None:
            return None
        if take and self.taken[place]:
            raise UsageError(
                f"{self.path}: two samples of the dataset are called {sample.name!r}",
                f"Write the split before the name: {sample.split}/{sample.name}",
            )
        self.taken[place] |= take
        return self.reads[place]

    def check_all_taken(self) -> None:
        """Raise an error if a row names no sample of the dataset."""
        if n_unknown := self.taken.count(0):
            name = list(self.places)[self.taken.index(0)]
            raise UsageError(
                f"{self.path}: {name!r} is not in the dataset; {n_unknown:,} of "
                f"{len(self.reads):,} names are not",
                "Expected the file_name of the dataset's own label file in each row.",
            )

    def _find_place(self, sample: LoadedSample) -> int | None:
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
    """Read predictions from a table with a column for the image and one for what was read.

    A header (of `NAME_KEYS` and `READ_KEYS`) says which; without one they are the first two.
    """
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
    return Predictions(path, reads, places, bytearray(len(reads)))
