"""Parts: consecutive samples written together, each with a record of its files.

A part is written into a folder of its own in ``.mnistseq/staging``: ``files`` as they will lie in
the dataset, ``kept`` with fragments of files that span parts, and its record. Only then its files
get their final names, one after the other, and last its record; see `OutputFolder.commit`.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.files import write_new
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.names import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO
    from pathlib import Path

    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Format
    from mnistseq_cli.formats.base import Buffer
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

PARTS = f"{OWN_FOLDER}/parts"
KEPT = f"{OWN_FOLDER}/kept"
STAGING = f"{OWN_FOLDER}/staging"
RECORD = "record.json"
NUMBER_LIMIT = 2**63  # of samples, files, bytes
_READ_BYTES = 1 << 20


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
    """

    part: str
    start: int
    stop: int
    versions: dict[str, str]
    kept: list[FileEntry]
    files: list[FileEntry]

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size_bytes for entry in self.files)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PartRecord:
        """Make a record of what JSON gave."""
        part, versions = values.get("part"), values.get("versions")
        if not isinstance(part, str) or not isinstance(versions, dict):
            raise ValueError("it is no record of a part")  # noqa: TRY004 - what is damaged is a ValueError
        start, stop = take_number(values, "start"), take_number(values, "stop")
        return cls(
            part, start, stop, versions, *(take_entries(values, k) for k in ("kept", "files"))
        )


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
    if not isinstance(fields, list) or [*map(type, fields)] != [str, int, str]:
        raise ValueError(f"{entry!r:.60} is no name, size and SHA-256")
    name, size_bytes, sha256 = fields
    if not 0 <= size_bytes < NUMBER_LIMIT:
        raise ValueError(f"the size of {name!r:.60} is {size_bytes!r:.60}")
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise ValueError(f"{name!r} is not inside the dataset")
    return FileEntry(name, size_bytes, sha256)


def record_name(part: str) -> str:
    """Return the name of the record of a part, relative to the dataset."""
    return f"{PARTS}/{part}.json"


def dump_record(record: PartRecord, folder: Path) -> FileEntry:
    """Write a record beside the files of its part; return its entry under its final name."""
    data = json.dumps(record.__dict__, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    write_new(str(folder / RECORD), data)
    return describe_bytes(data, record_name(record.part))


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
class Made:
    """A part that is written, but whose files do not have their final names yet."""

    part: Part
    staging: Path
    n_files: int
    size_bytes: int
    record: FileEntry
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
        Folder to write in, instead of that of the dataset.
    widest_px : int, optional
        Width of the images, if it is known: to find it takes as long as a thousand of them.
    """

    def __init__(
        self,
        plan: Plan,
        data_dir: Path | None = None,
        glyphs: GlyphSet | None = None,
        staging: Path | None = None,
        widest_px: int | None = None,
    ) -> None:
        self._generators = (
            open_splits(plan.recipe, plan.splits, data_dir, widest_px)
            if plan.weights or glyphs is None
            else {"": SequenceGenerator(plan.recipe, glyphs, widest_px=widest_px)}
        )
        self._format = open_format(plan.output)
        self._versions = find_versions(self._format)
        self._staging = staging or plan.output.folder / STAGING

    def __call__(self, part: Part, report: Callable[[int], None]) -> Made:
        """Write a part into a folder of its own; report how many samples are made."""
        folder = self._staging / f"{part.name}.{os.getpid()}.{token_hex(4)}"
        staging = Staging(folder, part.folder)
        self._format.write(part.number, self._make_blocks(part, report), staging)
        record = PartRecord(
            part.name,
            part.start,
            part.stop,
            self._versions,
            staging.kept_entries(),
            staging.entries(),
        )
        entry = dump_record(record, folder)
        return Made(part, folder, len(record.files), record.size_bytes, entry, self._versions)

    def _make_blocks(self, part: Part, report: Callable[[int], None]) -> Iterator[Block]:
        generator = self._generators[part.split]
        n_made = 0
        for block in generator.blocks(part.start, part.stop):
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
