"""Parts: consecutive samples written together, each with a record of its files.

A part is written into a folder of its own in ``.mnistseq/staging``: ``files`` as they will lie in
the dataset, ``kept`` with fragments of files that span parts, and its record. Only then its files
get their final names, one after the other, and last its record; see `OutputFolder.commit`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.files import check_regular, is_store, read_regular, write_new
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.names import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO

    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Buffer, Format
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

PARTS = f"{OWN_FOLDER}/parts"
KEPT = f"{OWN_FOLDER}/kept"
STAGING = f"{OWN_FOLDER}/staging"
RECORD = "record.json"
NUMBER_LIMIT = 2**63  # of samples, files, bytes
_ENTRY_TYPES = [str, int, str]
_LEADS_OUT = re.compile(r"^/|[\\\0]|(^|/)\.\.(/|$)")
_READ_BYTES = 1 << 20
_SMALL_BYTES = 1 << 16
# A pipe is not waited for; Windows has other flags.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class FileEntry(NamedTuple):
    """A file of a dataset: its name relative to the dataset, its size, its hash."""

    name: str
    size_bytes: int
    sha256: str


def describe_file(path: Path, name: str) -> FileEntry:
    """Read a file and return its entry."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
            size_bytes += len(block)
    return FileEntry(name, size_bytes, digest.hexdigest())


def describe_bytes(data: bytes, name: str) -> FileEntry:
    """Return the entry of a file that holds these bytes."""
    return FileEntry(name, len(data), hashlib.sha256(data).hexdigest())


class Staging:
    """Takes the files of one part; a `PartWriter`.

    Parameters
    ----------
    folder : Path
        Does not exist yet; afterwards it holds ``files``, ``kept`` and whatever is added.
    within : str
        Goes before the names of files: the folder of a split with a ``/`` at its end, or "".
    """

    def __init__(self, folder: Path, within: str = "") -> None:
        self.folder = folder
        self.files = folder / "files"
        self.kept = folder / "kept"
        for path in (folder, self.files, self.kept):
            path.mkdir()
        self._within = within
        self._prefix = f"{self.files}{os.sep}"
        self._entries: list[FileEntry] = []
        self._by_path: list[str] = []
        self._sizes_bytes: dict[str, int] = {}
        self._hashes: dict[str, hashlib._Hash] = {}

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        name = self._within + name
        path = self._prefix + name
        try:
            write_new(path, data)
        except FileNotFoundError:
            self._make_parents(name)
            write_new(path, data)
        self._entries.append(describe_bytes(data, name))

    def path(self, name: str) -> Path:
        """Return a path to write a file at."""
        name = self._within + name
        self._make_parents(name)
        self._by_path.append(name)
        return self.files / name

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to a fragment of this part."""
        with (self.kept / fragment).open("ab", buffering=0) as file:
            _write_all(file, data)
        size_bytes = self._sizes_bytes.get(fragment, 0)
        self._sizes_bytes[fragment] = size_bytes + memoryview(data).nbytes
        self._hashes.setdefault(fragment, hashlib.sha256()).update(data)

    def entries(self) -> list[FileEntry]:
        """Return the files, in the order they were written."""
        by_path = [describe_file(self.files / name, name) for name in self._by_path]
        return self._entries + by_path

    def kept_entries(self) -> list[FileEntry]:
        """Return the fragments, by name."""
        return [
            FileEntry(name, self._sizes_bytes[name], digest.hexdigest())
            for name, digest in sorted(self._hashes.items())
        ]

    def list_md5(self, kept: list[FileEntry], files: list[FileEntry]) -> list[str]:
        """Return the MD5 of fragments and files: the checksum that stores list."""
        paths = [self.kept / it.name for it in kept] + [self.files / it.name for it in files]
        digests = (hashlib.md5(path.read_bytes(), usedforsecurity=False) for path in paths)
        return [digest.hexdigest() for digest in digests]

    def _make_parents(self, name: str) -> None:
        # Never those above: where they are gone, another run has taken the folder over.
        folder = self.files
        for step in name.split("/")[:-1]:
            folder /= step
            folder.mkdir(exist_ok=True)


def _write_all(file: FileIO, data: Buffer) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


@dataclass(frozen=True)
class PartRecord:
    """What a part consists of.

    Parameters
    ----------
    part : str
        Its name.
    start, stop : int
        First sample, and the one after the last.
    versions : dict
        Of the programs that made it.
    kept : list of FileEntry
        Fragments of files that span parts; removed when those are written.
    files : list of FileEntry
    md5 : list of str
        Of `kept` and `files`, for stores, which list that; of a dataset in a folder it is empty.
    """

    part: str
    start: int
    stop: int
    versions: dict[str, str]
    kept: list[FileEntry]
    files: list[FileEntry]
    md5: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PartRecord:
        """Make a record of what JSON gave."""
        part, versions = values.get("part"), values.get("versions")
        if not isinstance(part, str) or not isinstance(versions, dict):
            raise ValueError("it is no record of a part")  # noqa: TRY004 - what is damaged is a ValueError
        start, stop = take_number(values, "start"), take_number(values, "stop")
        kept, files = take_entries(values, "kept"), take_entries(values, "files")
        return cls(part, start, stop, versions, kept, files, [*map(str, values.get("md5", []))])


def take_number(values: dict[str, Any], key: str) -> int:
    """Return a whole number from 0, or raise ValueError."""
    value = values.get(key)
    if type(value) is not int or not 0 <= value < NUMBER_LIMIT:  # true is no number
        raise ValueError(f"{key} is {value!r:.60}; expected a whole number from 0")
    return value


def take_entries(values: dict[str, Any], key: str) -> list[FileEntry]:
    """Return the entries that a list holds, or raise ValueError."""
    entries = values.get(key)
    if not isinstance(entries, list):
        raise ValueError(f"{key} is {entries!r:.60}; expected a list")  # noqa: TRY004 - as above
    return [take_entry(entry) for entry in entries]


def take_entry(entry: object) -> FileEntry:
    """Return an entry, or raise ValueError; what is listed may be removed, so it lies inside."""
    fields = [*entry.values()] if isinstance(entry, dict) else entry
    if not isinstance(fields, list) or [*map(type, fields)] != _ENTRY_TYPES:
        raise ValueError(f"{entry!r:.60} is no name, size and SHA-256")
    name, size_bytes, sha256 = fields
    if not 0 <= size_bytes < NUMBER_LIMIT:
        raise ValueError(f"the size of {name!r:.60} is {size_bytes!r:.60}")
    if _LEADS_OUT.search(name):
        raise ValueError(f"{name!r} is not inside the dataset")
    return FileEntry(name, size_bytes, sha256)


def record_name(part: str) -> str:
    """Return the name of the record of a part, relative to the dataset."""
    return f"{PARTS}/{part}.json"


def dump_record(record: PartRecord) -> bytes:
    """Return the bytes of a record."""
    values = {key: value for key, value in record.__dict__.items() if key != "md5" or value}
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def load_record(data: bytes) -> PartRecord:
    """Read a record; raise ValueError if the bytes are none."""
    return PartRecord.from_dict(read_object(data))


def read_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object; raise ValueError if the bytes are none."""
    try:
        values = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - as above
    return values


@dataclass(frozen=True)
class PartSummary:
    """A part as ``dataset.json`` lists it: its record, its samples, its files."""

    record: str
    start: int
    stop: int
    n_files: int
    size_bytes: int
    record_size_bytes: int
    record_sha256: str

    @classmethod
    def from_dict(cls, values: object) -> PartSummary:
        """Make a summary of what JSON gave; raise ValueError if it is none."""
        if not isinstance(values, dict):
            raise ValueError(f"a part is {values!r:.60}; expected an object")  # noqa: TRY004 - as above
        keys = ("record", "record_size_bytes", "record_sha256")
        entry = zip(keys, take_entry([values.get(key) for key in keys]), strict=True)
        numbers = ("start", "stop", "n_files", "size_bytes")
        return cls(**dict(entry), **{key: take_number(values, key) for key in numbers})  # type: ignore[arg-type]  # mypy sees one type for all

    @classmethod
    def of(cls, record: PartRecord, data: bytes) -> PartSummary:
        """Return the summary of a part, from its record and the bytes of that."""
        size_bytes = sum(file.size_bytes for file in record.files)
        entry = describe_bytes(data, record_name(record.part))
        return cls(
            entry.name, record.start, record.stop, len(record.files), size_bytes, *entry[1:]
        )


@dataclass(frozen=True)
class Made:
    """A part that is written, and where it lies until its files have their final names."""

    part: Part
    staging: Path
    summary: PartSummary
    versions: dict[str, str]


class PartMaker:
    """Makes parts; a `Work`.

    Parameters
    ----------
    plan : Plan
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand in this process.
    staging : Path, optional
        Folder of this machine to write in.
    widest_px : int, optional
        Width of the images, if it is known: to find it takes as long as a thousand of them.
    commit : callable, optional
        Takes the folder of a part and its name, where this process gives files their final names.
    """

    def __init__(
        self,
        plan: Plan,
        data_dir: Path | None = None,
        glyphs: GlyphSet | None = None,
        staging: Path | None = None,
        widest_px: int | None = None,
        *,
        commit: Callable[[Path, str], None] | None = None,
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

    def __call__(self, part: Part, report: Callable[[int], None]) -> Made:
        """Write a part into a folder of its own; report how many samples are made."""
        folder = self._staging / f"{part.name}.{os.getpid()}.{token_hex(4)}"
        staging = Staging(folder, part.folder)
        self._format.write(part.number, self._make_blocks(part, report), staging)
        kept, files = staging.kept_entries(), staging.entries()
        md5 = staging.list_md5(kept, files) if self._commit else []
        record = PartRecord(part.name, part.start, part.stop, self._versions, kept, files, md5)
        data = dump_record(record)
        write_new(str(folder / RECORD), data)
        if self._commit:
            self._commit(folder, part.name)
        summary = PartSummary.of(record, data)
        return Made(part, folder, summary, self._versions)

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


@dataclass(frozen=True)
class Problem:
    """A file that is not as it should be."""

    kind: Literal["missing", "short", "altered", "extra", "unreadable"]
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class CheckedPart:
    """What was found of a part; its record and summary are None if the record cannot be used."""

    part: Part
    record: PartRecord | None = None
    summary: PartSummary | None = None
    problems: list[Problem] = field(default_factory=list)


def read_part(folder: Path, part: Part) -> CheckedPart:
    """Read the record of a part, and look whether it is of that."""
    name = record_name(part.name)
    try:
        data = read_regular(folder / name)
        record = load_record(data)
    except (OSError, ValueError) as error:
        return CheckedPart(part, problems=[_name_problem(error, name)])
    is_own = (record.part, record.start, record.stop) == (part.name, part.start, part.stop)
    problems = [] if is_own else [Problem("altered", name, "of another part")]
    return CheckedPart(part, record, PartSummary.of(record, data), problems)


def check_part(
    folder: Path,
    part: Part,
    report: Callable[[int], None],
    *,
    with_fragments: bool = False,
) -> CheckedPart:
    """Compare the files of a part with its record."""
    checked = read_part(folder, part)
    if checked.record and not checked.problems:
        checked.problems.extend(check_files(folder, checked.record.files))
        if with_fragments:
            checked.problems.extend(check_files(folder / KEPT / part.name, checked.record.kept))
    report(len(part))
    return checked


def check_files(folder: Path, entries: Iterable[FileEntry]) -> list[Problem]:
    """Compare files with their entries."""
    if is_store(folder):
        found = (_check_file(folder / entry.name, entry) for entry in entries)
    else:  # a million Path objects take seconds
        found = (_check_file(f"{folder}{os.sep}{entry.name}", entry) for entry in entries)
    return [problem for problem in found if problem]


def _check_file(path: Path | str, entry: FileEntry) -> Problem | None:
    try:
        if not isinstance(path, str) or entry.size_bytes > _SMALL_BYTES:
            check_regular(path)
            found = describe_file(Path(path) if isinstance(path, str) else path, entry.name)
        else:
            found = describe_bytes(_read_small(path, entry.size_bytes + 1), entry.name)
        if found.sha256 == entry.sha256:
            return None
        check_regular(path)  # only here: it takes time, and a pipe is not what was written
    except (OSError, ValueError) as error:
        return _name_problem(error, entry.name)
    if found.size_bytes < entry.size_bytes:
        detail = f"{found.size_bytes} bytes instead of {entry.size_bytes}"
        return Problem("short", entry.name, detail)
    is_longer = found.size_bytes > entry.size_bytes
    detail = f"more than {entry.size_bytes} bytes" if is_longer else ""
    return Problem("altered", entry.name, detail)


def _name_problem(error: OSError | ValueError, name: str) -> Problem:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Problem("missing", name)
    return Problem("unreadable", name, getattr(error, "strerror", None) or str(error))


def _read_small(path: str, most_bytes: int) -> bytes:
    descriptor = os.open(path, _READ_FLAGS)
    try:
        return os.read(descriptor, most_bytes)
    finally:
        os.close(descriptor)
