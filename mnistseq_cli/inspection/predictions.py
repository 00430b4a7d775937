"""How well a reader reads: characters and numbers right, confusions, worst cases."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from mnistseq_cli.errors import UsageError
from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample

N_WORST = 48  # misreads kept for the eye


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
    """A sample that was not read right.

    Parameters
    ----------
    index : int
        Its number in the dataset, from 0, over all splits.
    sample : LoadedSample
    read : str
    n_edits : int
        Levenshtein distance between its text and what was read.
    """

    index: int
    sample: LoadedSample
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

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "predictions": str(self.predictions.path),
            "n_missing": self.n_missing,
            "all": vars(self.all),
            "n_characters": self.n_characters,
            "n_edits": self.n_edits,
            "character_error_rate": self.character_error_rate,
            "confusion": [
                {"written": written, "read": read, "count": n}
                for (written, read), n in self.confusion.items()
            ],
            "by_length": {length: vars(share) for length, share in self.by_length.items()},
            "by_gap": {gap: vars(share) for gap, share in self.by_gap.items()},
            "worst": [
                {
                    "index": one.index,
                    "name": one.sample.name,
                    "split": one.sample.split,
                    "text": one.sample.text,
                    "read": one.read,
                    "n_edits": one.n_edits,
                }
                for one in self.worst
            ],
        }


class ReaderTally:
    """Counts, sample by sample, how well a reader reads; memory does not grow with them.

    Parameters
    ----------
    predictions : Predictions

    Examples
    --------
    >>> tally = ReaderTally(read_predictions(path))  # doctest: +SKIP
    >>> for sample in dataset.read():  # doctest: +SKIP
    ...     tally.add(sample)
    >>> figures = tally.figures()  # doctest: +SKIP
    """

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self._n_seen = self._n_missing = 0
        self._all: dict[str, Counter[int]] = {"length": Counter(), "gap": Counter()}
        self._right: dict[str, Counter[int]] = {"length": Counter(), "gap": Counter()}
        self._confusion: Counter[tuple[str, str]] = Counter()
        self._worst: list[Misread] = []
        self._n_edits_of_last = 0  # of the worst: misreads that follow need more

    def add(self, sample: LoadedSample) -> None:
        """Count the next sample of the dataset.

        Raises
        ------
        UsageError
            Two samples have one name.
        """
        index = self._n_seen
        self._n_seen += 1
        read = self._predictions.take(sample)
        if read is None:
            self._n_missing += 1
            return
        self._count(sample, is_right=read == sample.text)
        if read == sample.text:
            self._confusion.update(zip(read, read, strict=True))
            return
        pairs = align(sample.text, read)
        self._confusion.update(pairs)
        self._keep(Misread(index, sample, read, sum(old != new for old, new in pairs)))

    def figures(self) -> ReaderFigures:
        """Return the figures of all samples counted.

        Raises
        ------
        UsageError
            The file names samples that were not counted.
        """
        self._predictions.check_all_taken()
        counts = dict(sorted(self._confusion.items()))
        by_length = self._shares("length")
        return ReaderFigures(
            predictions=self._predictions,
            n_missing=self._n_missing,
            all=Share.of(by_length.values()),
            n_characters=sum(n for (old, _), n in counts.items() if old),
            n_edits=sum(n for (old, new), n in counts.items() if old != new),
            confusion=counts,
            by_length=by_length,
            by_gap=self._shares("gap"),
            worst=tuple(self._choose_worst()),
        )

    def _count(self, sample: LoadedSample, *, is_right: bool) -> None:
        keys = {"length": len(sample.text), "gap": find_smallest_gap(sample)}
        for kind, key in keys.items():
            if key is not None:
                self._all[kind][key] += 1
                self._right[kind][key] += is_right

    def _shares(self, kind: str) -> dict[int, Share]:
        return {
            key: Share(n, self._right[kind][key]) for key, n in sorted(self._all[kind].items())
        }

    def _keep(self, misread: Misread) -> None:
        if misread.n_edits <= self._n_edits_of_last:
            return
        image = misread.sample.image.copy()  # it may be a view of a large array
        self._worst.append(replace(misread, sample=replace(misread.sample, image=image)))
        if len(self._worst) > 2 * N_WORST:
            self._worst = self._choose_worst()
            self._n_edits_of_last = self._worst[-1].n_edits

    def _choose_worst(self) -> list[Misread]:
        # Sorting keeps the order of the dataset among equals.
        return sorted(self._worst, key=attrgetter("n_edits"), reverse=True)[:N_WORST]


def find_smallest_gap(sample: LoadedSample) -> int | None:
    """Return the smallest gap between two digits in px; None where there is none, or unknown."""
    if sample.gaps is None:
        return None
    has_edges = len(sample.gaps) == len(sample.text) + 1
    between = sample.gaps[1:-1] if has_edges else sample.gaps
    return int(between.min()) if len(between) else None


NAME_COLUMN = "file_name"
TEXT_COLUMNS = ("prediction", "text", "label")  # the first of them that is there
_HINT = "Write a csv file with the header file_name,text and a row for each sample."


@dataclass(frozen=True)
class Predictions:
    """What was read, by the names of samples.

    Parameters
    ----------
    path : Path
        The file that they come from.
    reads : list of str
        In the order of the file; "" where nothing was read.
    places : dict of str to int
        Where in `reads` the prediction of a name stands. A name is that of a sample, or its
        split, a ``/`` and its name.
    """

    path: Path
    reads: list[str]
    places: dict[str, int]
    _used: bytearray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_used", bytearray(len(self.reads)))

    def find(self, sample: LoadedSample) -> str | None:
        """Return what was read of a sample; None where the file has no row for it."""
        place = self._place(sample)
        return None if place is None else self.reads[place]

    def take(self, sample: LoadedSample) -> str | None:
        """Return what was read of a sample, as `find` does, and note that it was asked for.

        Raises
        ------
        UsageError
            The row was taken before: two splits have samples of one name.
        """
        place = self._place(sample)
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
        """Refuse rows that no sample took.

        Raises
        ------
        UsageError
            A name is not in the dataset. The message gives its line and how many there are.
        """
        n_unknown = self._used.count(0)
        if not n_unknown:
            return
        place = self._used.index(0)
        line, name = next(
            (line, name) for line, name, _ in _read_rows(self.path) if self.places[name] == place
        )
        raise UsageError(
            f"{self.path}, line {line}: {name!r} is not in the dataset; {n_unknown:,} of "
            f"{len(self.reads):,} names are not",
            "A file_name is what the dataset's own label file says, or that after its split "
            "and a slash.",
        )

    def _place(self, sample: LoadedSample) -> int | None:
        place = self.places.get(sample.name)
        if place is None and sample.split:
            place = self.places.get(f"{sample.split}/{sample.name}")
        return place


def read_predictions(path: Path) -> Predictions:
    """Read predictions from a csv file with a header.

    Parameters
    ----------
    path : Path
        Has a column ``file_name`` and one called ``prediction``, ``text`` or ``label``, which is
        taken in this order; other columns do not matter.

    Raises
    ------
    UsageError
        The file cannot be read, is no such csv, or names a sample twice. The message gives the
        line.
    """
    reads: list[str] = []
    places: dict[str, int] = {}
    for line, name, read in _read_rows(path):
        if places.setdefault(name, len(reads)) != len(reads):
            raise UsageError(
                f"{path}, line {line}: {name!r} stands in the file a second time",
                "Give each sample one row.",
            )
        reads.append(read)
    if not reads:
        raise UsageError(f"{path} holds no predictions", _HINT)
    return Predictions(path, reads, places)


def _read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True, skipinitialspace=True)
            columns = _find_columns(path, next(rows, []))
            for row in rows:
                if row:
                    yield rows.line_num, *_read_row(f"{path}, line {rows.line_num}", row, columns)
    except OSError as error:
        raise UsageError(f"cannot read predictions from {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8: {error.reason}", _HINT) from error
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num}: {error}", _HINT) from error


def _find_columns(path: Path, header: list[str]) -> tuple[int, int]:
    names = [name.strip() for name in header]
    text_column = next((name for name in TEXT_COLUMNS if name in names), None)
    if NAME_COLUMN not in names or text_column is None:
        raise UsageError(
            f"{path}, line 1: the header is {','.join(header)!r:.80}; it must have the columns "
            f"{NAME_COLUMN} and text (or prediction, or label)",
            _HINT,
        )
    return names.index(NAME_COLUMN), names.index(text_column)


def _read_row(where: str, row: list[str], columns: tuple[int, int]) -> tuple[str, str]:
    if len(row) <= max(columns):
        raise UsageError(
            f"{where}: the row has {len(row)} of the {max(columns) + 1} values it needs", _HINT
        )
    name, read = (row[column].strip() for column in columns)
    if len(read) > LENGTH_LIMIT:
        raise UsageError(
            f"{where}: the prediction has {len(read):,} characters; allowed are up to "
            f"{LENGTH_LIMIT:,}"
        )
    return name, read
