"""Parts: consecutive samples written together, each with a record of its files.

A part is written into a folder of its own in ``.mnistseq/staging``: ``files`` as they will lie in
the dataset, ``kept`` with fragments of files that span parts, and its record. Only then its files
get their final names, one after the other, and last its record; see `OutputFolder.commit`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import Literal

from zlib_ng import zlib_ng

from mnistseq_cli.bulk.manifest import (
    KEPT,
    RECORD,
    STAGING,
    FileEntry,
    PartRecord,
    PartSummary,
    dump_record,
    load_record,
    record_name,
)
from mnistseq_cli.bulk.plan import Part, Plan
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.files import READ_FLAGS, check_regular, is_store, read_regular, write_new
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.base import Append, Buffer, Format
from mnistseq_cli.glyphs.glyph_set import GlyphSet

_CRC32 = "crc32:"
_READ_BYTES = 1 << 20
_SMALL_BYTES = 1 << 16  # read at once


def describe_file(path: Path | str, name: str, *, is_fragment: bool = False) -> FileEntry:
    """Read a file and return its entry.

    Fragments have a CRC-32: it tells what a crash has left from what was written, in a twentieth
    of the time of the SHA-256 that the files made of them have.
    """
    digest, crc, size_bytes = hashlib.sha256(), 0, 0
    with path.open("rb") if is_store(path) else open(path, "rb") as file:  # noqa: PTH123 - of a str
        while block := file.read(_READ_BYTES):
            if is_fragment:
                crc = zlib_ng.crc32(block, crc)
            else:
                digest.update(block)
            size_bytes += len(block)
    return FileEntry(name, size_bytes, f"{_CRC32}{crc:08x}" if is_fragment else digest.hexdigest())


class Staging:
    """Takes the files of one part into a new folder, within one of their split; a `PartWriter`."""

    def __init__(self, folder: Path, within: str = "") -> None:
        self.folder = folder
        self.files = folder / "files"
        self.kept = folder / "kept"
        for path in (folder, self.files, self.kept):
            path.mkdir()
        self._within = within
        self._entries: list[FileEntry] = []
        self._by_path: dict[str, FileEntry | None] = {}
        self._fragments: dict[str, int] = {}  # the CRC-32 of each

    def write(self, names: Sequence[str], contents: Sequence[bytes]) -> None:
        """Write whole files."""
        if self._within:
            names = [self._within + name for name in names]
        for folder in {name[: name.rfind("/") + 1] for name in names}:
            self._make_parents(folder)
        write_new(self.files, names, contents)
        hashes = [hashlib.sha256(data).hexdigest() for data in contents]
        self._entries += map(FileEntry._make, zip(names, map(len, contents), hashes, strict=True))

    def path(self, name: str) -> Path:
        """Return a path to write a file at."""
        name = self._within + name
        self._make_parents(name)
        self._by_path[name] = None
        return self.files / name

    @contextmanager
    def open(self, name: str) -> Iterator[Append]:
        """Open a file, and return what appends to it."""
        path, digest = self.path(name), hashlib.sha256()
        with path.open("wb") as file:

            def append(data: Buffer) -> None:
                digest.update(data)
                file.write(data)

            yield append
        name = self._within + name
        self._by_path[name] = FileEntry(name, path.stat().st_size, digest.hexdigest())

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to a fragment of this part."""
        self._fragments[fragment] = zlib_ng.crc32(data, self._fragments.get(fragment, 0))
        with (self.kept / fragment).open("ab") as file:
            file.write(data)

    def entries(self) -> list[FileEntry]:
        """Return the files, in the order they were written."""
        by_path = self._by_path.items()
        found = [entry or describe_file(self.files / name, name) for name, entry in by_path]
        return self._entries + found

    def fragments(self) -> list[FileEntry]:
        """Return the fragments."""
        return [
            FileEntry(name, (self.kept / name).stat().st_size, f"{_CRC32}{crc32:08x}")
            for name, crc32 in sorted(self._fragments.items())
        ]

    def _make_parents(self, name: str) -> None:
        # Never those above: where they are gone, another run has taken the folder over.
        folder = self.files
        for step in name.split("/")[:-1]:
            folder /= step
            folder.mkdir(exist_ok=True)


@dataclass(frozen=True)
class Problem:
    """A file that is not as it should be."""

    kind: Literal["missing", "short", "altered", "extra", "unreadable"]
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class WrittenPart:
    """A part that was written, now or earlier."""

    part: Part
    summary: PartSummary
    versions: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    staging: Path = Path()  # where its files lie, until they have their final names


class PartMaker:
    """Makes parts in a folder of this machine; a `Work`."""

    def __init__(
        self,
        plan: Plan,
        data_dir: Path | None = None,
        glyphs: GlyphSet | None = None,  # it loads its own if none are given
        staging: Path | None = None,
        widest_px: int | None = None,  # of images; takes as long to find as to make a thousand
        *,
        commit: Callable[[Path, str], None] | None = None,  # gives files their final names, here
    ) -> None:
        self._generators = (
            open_splits(plan.recipe, plan.splits, data_dir, widest_px)
            if plan.weights or glyphs is None
            else {"": SequenceGenerator(plan.recipe, glyphs, widest_px=widest_px)}
        )
        self._format = open_format(plan.output)
        self._versions = find_versions(self._format)
        self._staging = staging or plan.output.folder / STAGING
        self._commit = commit

    def __call__(self, part: Part, report: Callable[[int], None]) -> WrittenPart:
        """Write a part into a folder of its own; report how many samples are made."""
        folder = self._staging / f"{part.name}.{os.getpid()}.{token_hex(4)}"
        staging = Staging(folder, part.folder)
        self._format.write(part.number, self._make_blocks(part, report), staging)
        kept = staging.fragments()
        files = staging.entries()
        md5: list[str] = []
        if self._commit:  # into a store, which lists these
            paths = [staging.kept / it.name for it in kept]
            paths += [staging.files / it.name for it in files]
            data = (path.read_bytes() for path in paths)
            md5 = [hashlib.md5(it, usedforsecurity=False).hexdigest() for it in data]
        record = PartRecord(part.name, part.start, part.stop, self._versions, kept, files, md5)
        written = dump_record(record)
        write_new(folder, [RECORD], [written])
        if self._commit:
            self._commit(folder, part.name)
        summary = PartSummary.of(record, written)
        return WrittenPart(part, summary, self._versions, staging=folder)

    def _make_blocks(self, part: Part, report: Callable[[int], None]) -> Iterator[Block]:
        generator = self._generators[part.split]
        n_made = 0
        for block in generator.blocks(part.start, part.stop, masks=self._format.needs_masks):
            yield block
            n_made += len(block)
            report(n_made)


def find_versions(form: Format) -> dict[str, str]:
    """Return the versions of all that decides bytes."""
    return {name: _find_version(name) for name in ("mnistseq", "numpy", *form.libraries)}


@cache  # reading it takes as long as ten images
def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def read_part(folder: Path, part: Part) -> tuple[WrittenPart, PartRecord | None]:
    """Read the record of a part, and look whether it is of that; None where it cannot be used."""
    name = record_name(part.name)
    try:
        data = read_regular(folder / name)
        record = load_record(data)
    except (OSError, ValueError) as error:
        nothing = PartSummary(name, part.start, part.stop, 0, 0, 0, "")
        return WrittenPart(part, nothing, problems=[_name_problem(error, name)]), None
    is_own = (record.part, record.start, record.stop) == (part.name, part.start, part.stop)
    problems = [] if is_own else [Problem("altered", name, "of another part")]
    written = WrittenPart(part, PartSummary.of(record, data), record.versions, problems)
    return written, record if is_own else None


def check_part(
    folder: Path, part: Part, report: Callable[[int], None], *, with_fragments: bool = False
) -> WrittenPart:
    """Compare the files of a part with its record."""
    written, record = read_part(folder, part)
    if record:
        written.problems.extend(check_files(folder, record.files))
        if with_fragments:
            written.problems.extend(check_files(folder / KEPT / part.name, record.kept))
    report(len(part))
    return written


def check_files(folder: Path, entries: Iterable[FileEntry]) -> list[Problem]:
    """Compare files with their entries."""
    if is_store(folder):
        found = [_check_file(folder / entry.name, entry) for entry in entries]
    else:  # a million Path objects take seconds
        prefix = f"{folder}{os.sep}"
        doubtful = (entry for entry in entries if not _is_intact(prefix + entry.name, entry))
        found = [_check_file(prefix + entry.name, entry) for entry in doubtful]
    return [problem for problem in found if problem]


def _check_file(path: Path | str, entry: FileEntry) -> Problem | None:
    try:
        if isinstance(path, str):
            check_regular(path)
        is_fragment = entry.sha256.startswith(_CRC32)  # and not of version 0.1
        _, size_bytes, sha256 = describe_file(path, entry.name, is_fragment=is_fragment)
    except (OSError, ValueError) as error:
        return _name_problem(error, entry.name)
    if sha256 == entry.sha256:
        return None
    if size_bytes < entry.size_bytes:
        detail = f"{size_bytes} bytes instead of {entry.size_bytes}"
        return Problem("short", entry.name, detail)
    is_longer = size_bytes > entry.size_bytes
    return Problem("altered", entry.name, f"more than {entry.size_bytes} bytes" * is_longer)


def _is_intact(path: str, entry: FileEntry) -> bool:
    """Whether a small file is as listed; False where that takes a closer look."""
    if not 0 < entry.size_bytes <= _SMALL_BYTES:
        return False
    try:
        descriptor = os.open(path, READ_FLAGS)
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)  # fails for a pipe; `fstat` takes longer
            data = os.read(descriptor, entry.size_bytes + 1)  # no device ends where it should
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == entry.sha256


def _name_problem(error: OSError | ValueError, name: str) -> Problem:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Problem("missing", name)
    return Problem("unreadable", name, getattr(error, "strerror", None) or str(error))
