"""Whether the files of parts are there and as their records say."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mnistseq_cli.bulk.manifest import PartSummary
from mnistseq_cli.bulk.parts import (
    KEPT,
    FileEntry,
    describe_file,
    load_record,
    record_name,
)
from mnistseq_cli.files import check_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mnistseq_cli.bulk.parts import PartRecord
    from mnistseq_cli.bulk.plan import Part

Kind = Literal["missing", "short", "altered", "extra", "unreadable"]
_SMALL_BYTES = 1 << 16
# A pipe is not waited for; Windows has other flags.
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True)
class Problem:
    """A file that is not as it should be."""

    kind: Kind
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Checked:
    """What was found of a part.

    Parameters
    ----------
    part : Part
    summary : PartSummary or None
        As it would be listed; None if its record cannot be used.
    versions : dict
        Of the programs that made it.
    files : list of FileEntry
        Its files, as its record lists them.
    problems : list of Problem
    """

    part: Part
    summary: PartSummary | None = None
    versions: dict[str, str] = field(default_factory=dict)
    files: list[FileEntry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class PartChecker:
    """Checks parts against their records; a `Work`.

    Parameters
    ----------
    folder : Path
        The dataset.
    kept : bool
        Whether the fragments must be there too.
    """

    def __init__(self, folder: Path, *, kept: bool = False) -> None:
        self._folder = folder
        self._kept = kept

    def __call__(self, part: Part, report: Callable[[int], None]) -> Checked:
        """Check one part."""
        name = record_name(part.name)
        try:
            data = read_regular(self._folder / name)
            record = load_record(data)
        except (OSError, ValueError) as error:
            return Checked(part, problems=[_explain(error, name)])
        entry = FileEntry(name, len(data), hashlib.sha256(data).hexdigest())
        summary = PartSummary(
            record.start, record.stop, len(record.files), record.size_bytes, entry
        )
        problems = self._check(part, record)
        report(len(part))
        return Checked(part, summary, record.versions, record.files, problems)

    def _check(self, part: Part, record: PartRecord) -> list[Problem]:
        if (record.part, record.start, record.stop) != (part.name, part.start, part.stop):
            return [Problem("altered", record_name(part.name), "of another part")]
        problems = check_files(self._folder, record.files)
        if self._kept:
            problems += check_files(self._folder / KEPT / part.name, record.kept)
        return problems


def check_files(folder: Path, entries: Iterable[FileEntry]) -> list[Problem]:
    """Compare files with their entries."""
    prefix = f"{folder}{os.sep}"
    found = (_check_file(prefix + entry.name, entry) for entry in entries)
    return [problem for problem in found if problem]


def _check_file(path: str, entry: FileEntry) -> Problem | None:
    try:
        if entry.size_bytes > _SMALL_BYTES:
            check_regular(Path(path))
            found = describe_file(Path(path), entry.name)
            size_bytes, sha256 = found.size_bytes, found.sha256
        else:
            data = _read_small(path, entry.size_bytes + 1)
            size_bytes, sha256 = len(data), hashlib.sha256(data).hexdigest()
        if sha256 == entry.sha256:
            return None
        check_regular(Path(path))  # only here: it takes time, and a pipe is not what was written
    except (OSError, ValueError) as error:
        return _explain(error, entry.name)
    return _compare_sizes(size_bytes, entry) or Problem("altered", entry.name)


def _compare_sizes(size_bytes: int, entry: FileEntry) -> Problem | None:
    if size_bytes == entry.size_bytes:
        return None
    if size_bytes > entry.size_bytes:
        return Problem("altered", entry.name, f"more than {entry.size_bytes} bytes")
    return Problem("short", entry.name, f"{size_bytes} bytes instead of {entry.size_bytes}")


def _explain(error: OSError | ValueError, name: str) -> Problem:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Problem("missing", name)
    return Problem("unreadable", name, getattr(error, "strerror", None) or str(error))


def _read_small(path: str, most_bytes: int) -> bytes:
    descriptor = os.open(path, _READ)
    try:
        return os.read(descriptor, most_bytes)
    finally:
        os.close(descriptor)
