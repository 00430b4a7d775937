"""How well a reader reads: characters and numbers right, confusions, worst cases."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.tables import TEXT_KEYS, check_text, naming_line, read_table
from mnistseq_cli.inspection.label_damage import is_same_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample

KeyT = TypeVar("KeyT", int, str)
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

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, without the image."""
        sample = {name: getattr(self.sample, name) for name in ("name", "split", "text")}
        return {"index": self.index, **sample, "read": self.read, "n_edits": self.n_edits}


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
        return vars(self) | {
            "predictions": str(self.predictions.path),
            "all": vars(self.all),
            "character_error_rate": self.character_error_rate,
            "confusion": confusion,
            "by_length": {length: vars(share) for length, share in self.by_length.items()},
            "by_gap": {gap: vars(share) for gap, share in self.by_gap.items()},
            "by_writer": {name: vars(share) for name, share in self.by_writer.items()},
            "worst": [one.to_dict() for one in self.worst],
        }


class ReaderTally:
    """Counts, sample by sample, how well a reader reads; memory does not grow with them."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self._n_seen = self._n_missing = self._n_as_numbers = 0
        self._by_length: Counter[tuple[int, bool]] = Counter()  # and whether it was read right
        self._by_gap: Counter[tuple[int, bool]] = Counter()
        self._by_writer: Counter[tuple[str, bool]] = Counter()
        self._confusion: Counter[tuple[str, str]] = Counter()
        self._worst: list[Misread] = []
        self._n_worst = N_WORST
        self._n_edits_of_last = 0  # of the worst: misreads that follow need more

    def add(self, sample: LoadedSample) -> None:
        """Count the next sample of the dataset."""
        index, self._n_seen = self._n_seen, self._n_seen + 1
        read = self._predictions.take(sample)
        if read is None:
            self._n_missing += 1
            return
        is_right = read == sample.text
        self._by_length[len(sample.text), is_right] += 1
        gap_px = _find_smallest_gap(sample)
        if gap_px is not None:
            self._by_gap[gap_px, is_right] += 1
        pairs = [*zip(read, read, strict=True)] if is_right else align(sample.text, read)
        self._confusion.update(pairs)
        written = (old == new for old, new in pairs if old)
        for writer, is_same in zip(sample.writers or (), written, strict=False):
            if writer:
                self._by_writer[writer, is_same] += 1
        if is_right:
            return
        self._n_as_numbers += is_same_number(sample.text, read)
        self._keep(Misread(index, sample, read, sum(old != new for old, new in pairs)))

    def figures(self) -> ReaderFigures:
        """Return the figures of all samples counted; a prediction for no sample is an error."""
        self._predictions.check_all_taken()
        counts = dict(sorted(self._confusion.items()))
        by_length = _to_shares(self._by_length)
        return ReaderFigures(
            predictions=self._predictions,
            n_missing=self._n_missing,
            all=Share.of(by_length.values()),
            n_characters=sum(n for (old, _), n in counts.items() if old),
            n_edits=sum(n for (old, new), n in counts.items() if old != new),
            confusion=counts,
            by_length=by_length,
            by_gap=_to_shares(self._by_gap),
            by_writer=_to_shares(self._by_writer),
            worst=tuple(self._choose_worst()),
            n_as_numbers=self._n_as_numbers,
        )

    def _keep(self, misread: Misread) -> None:
        size_bytes = max(1, misread.sample.image.nbytes)
        self._n_worst = max(1, min(self._n_worst, _KEPT_BYTES // (2 * size_bytes)))
        if misread.n_edits <= self._n_edits_of_last:
            return
        image = misread.sample.image.copy()  # it may be a view of a large array
        self._worst.append(replace(misread, sample=replace(misread.sample, image=image)))
        if len(self._worst) > 2 * self._n_worst:
            self._worst = self._choose_worst()
            self._n_edits_of_last = self._worst[-1].n_edits

    def _choose_worst(self) -> list[Misread]:
        # Sorting keeps the order of the dataset among equals.
        return sorted(self._worst, key=attrgetter("n_edits"), reverse=True)[: self._n_worst]


def _to_shares(counts: Counter[tuple[KeyT, bool]]) -> dict[KeyT, Share]:
    keys = sorted({key for key, _ in counts})
    return {key: Share(counts[key, True] + counts[key, False], counts[key, True]) for key in keys}


def _find_smallest_gap(sample: LoadedSample) -> int | None:
    if sample.gaps is None:
        return None
    has_edges = len(sample.gaps) == len(sample.text) + 1
    between = sample.gaps[1:-1] if has_edges else sample.gaps
    return int(between.min()) if len(between) else None


@dataclass(frozen=True)
class Predictions:
    """What was read, by the names of samples.

    The last steps of a name are enough: what stands before them (a split, the folders of another
    machine) does not matter where it is clear which sample is meant.
    """

    path: Path
    reads: list[str]  # in the order of the file; "" where nothing was read
    places: dict[str, int]  # where in `reads` the prediction of a name stands
    _used: bytearray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_used", bytearray(len(self.reads)))

    def find(self, sample: LoadedSample) -> str | None:
        """Return what was read of a sample; None where the file has no row for it."""
        place = self._find_place(sample)
        return None if place is None else self.reads[place]

    def take(self, sample: LoadedSample) -> str | None:
        """Return what was read of a sample, and note it: two samples of one name are an error."""
        place = self._find_place(sample)
        if place is None:
            return None
        if self._used[place]:
            raise UsageError(
                f"{self.path}: two samples of the dataset are called {sample.name!r}",
                f"Write the split before the name: {sample.split}/{sample.name}",
            )
        self._used[place] = 1
        return self.reads[place]

    def check_all_taken(self) -> None:
        """Raise an error if a row names no sample of the dataset."""
        n_unknown = self._used.count(0)
        if n_unknown:
            first = self._used.index(0)
            name = next(name for name, place in self.places.items() if place == first)
            raise UsageError(
                f"{self.path}: {name!r} is not in the dataset; {n_unknown:,} of "
                f"{len(self.reads):,} names are not",
                "Expected the file_name of the dataset's own label file in each row.",
            )

    def _find_place(self, sample: LoadedSample) -> int | None:
        name = _normalise(sample.name)
        names = [f"{sample.split}/{name}", name] if sample.split else [name]
        for one in reversed(names):
            if one in self.places:
                return self.places[one]
        others = self._by_last_step.get(name.rpartition("/")[2], ())
        for one in names:
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
        return dict(names)


def _normalise(name: str) -> str:
    """Write a name with slashes, from where its folders begin."""
    return re.sub(r"^(\.{0,2}/)+", "", name.replace("\\", "/"))


READ_KEYS = ("prediction", "predicted", "pred", "read", *TEXT_KEYS)


def read_predictions(path: Path) -> Predictions:
    """Read predictions from a table with a column for the image and one for what was read.

    A header (of `NAME_KEYS` and `READ_KEYS`) says which; without one they are the first two.
    """
    reads: list[str] = []
    places: dict[str, int] = {}
    line = 0
    with (
        naming_damage(path, UsageError),
        naming_line(path, lambda: line, "", UsageError),
    ):
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
