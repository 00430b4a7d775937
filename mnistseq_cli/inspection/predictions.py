"""What a trained reader read of each sample: a csv file with a row for each."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnistseq_cli.errors import UsageError
from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.formats.reading import Seen

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

    def find(self, seen: Seen) -> str | None:
        """Give what was read of a sample; None where the file has no row for it."""
        place = self._place(seen)
        return None if place is None else self.reads[place]

    def take(self, seen: Seen) -> str | None:
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

    def _place(self, seen: Seen) -> int | None:
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
