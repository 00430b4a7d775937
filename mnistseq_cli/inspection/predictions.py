"""How well a reader reads: characters and numbers right, confusions, worst cases."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.formats.base import LoadedSample

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
    seen : LoadedSample
    read : str
    n_edits : int
        Levenshtein distance between its text and what was read.
    """

    index: int
    seen: LoadedSample
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

    def add(self, seen: LoadedSample) -> None:
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

    def _count(self, seen: LoadedSample, *, is_right: bool) -> None:
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


def smallest_gap(seen: LoadedSample) -> int | None:
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

    def find(self, seen: LoadedSample) -> str | None:
        """Give what was read of a sample; None where the file has no row for it."""
        place = self._place(seen)
        return None if place is None else self.reads[place]

    def take(self, seen: LoadedSample) -> str | None:
        """Give what was read of a sample, as `find` does, and note that it was asked for.

        Raises
        ------
        UsageError
            The row was taken before: two splits have samples of one name.
        """
        place = self._place(seen)
        if place is None:
            return None
        if self._used[place]:
            raise UsageError(
                f"{self.path}: two samples of the dataset are called {seen.name!r}",
                f"Write the split before the name: {seen.split}/{seen.name}",
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

    def _place(self, seen: LoadedSample) -> int | None:
        place = self.places.get(seen.name)
        if place is None and seen.split:
            place = self.places.get(f"{seen.split}/{seen.name}")
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
