"""Files before they get their final names.

Everything that a part consists of is written into a folder of its own, on the same file system.
When it is complete its files are moved: whole folders where none is there yet, by one rename.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from mnistseq_cli.bulk.disk import write_new
from mnistseq_cli.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet
    from io import FileIO

    from mnistseq_cli.formats import Buffer, Layout

RECORD = "record.json"
_BLOCK_BYTES = 1 << 20
_SHARED_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)  # not emptied


class FileEntry(NamedTuple):
    """A file of a dataset: its name relative to the dataset, its size, its hash."""

    name: str
    size_bytes: int
    sha256: str


class Staging:
    """Takes the files of one part; a `Sink`.

    Parameters
    ----------
    folder : Path
        Does not exist yet; afterwards it holds ``files``, ``kept`` and whatever is added.
    within : str
        Goes before the names of files: the folder of a split with a ``/`` at its end, or "".
    first : int
        Place of the part's first sample in its split.
    shared : Path, optional
        Folder for files that parts write together, each its own bytes; all parts of one plan
        write the same ones there. Without it a part keeps its bytes to itself.
    """

    def __init__(
        self, folder: Path, within: str = "", first: int = 0, shared: Path | None = None
    ) -> None:
        self.folder = folder
        self._first = first
        self._shared = shared
        self._sizes_bytes: dict[str, int] = {}
        self._within = within
        self.files = folder / "files"
        self.kept = folder / "kept"
        for path in (folder, self.files, self.kept):
            path.mkdir()
        self._prefix = f"{self.files}{os.sep}"
        self._entries: list[FileEntry] = []
        self._by_path: list[str] = []
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
        self._entries.append(FileEntry(name, len(data), hashlib.sha256(data).hexdigest()))

    def path(self, name: str) -> Path:
        """Give a path to write a file at."""
        name = self._within + name
        self._make_parents(name)
        self._by_path.append(name)
        return self.files / name

    def keep(self, name: str, data: Buffer) -> None:
        """Add to a fragment of this part."""
        with (self.kept / name).open("ab", buffering=0) as file:
            _write_all(file, data)
        self._note(name, data)

    def place(self, name: str, layout: Layout, data: Buffer) -> None:
        """Add to what this part has of a file that spans parts."""
        at_bytes = layout.header_bytes + self._first * layout.row_bytes
        fragment = placed_name(name, at_bytes)
        if self._shared is None:
            self.keep(fragment, data)
            return
        with self._open_shared(name) as file:
            file.seek(at_bytes + self._sizes_bytes.get(fragment, 0))
            _write_all(file, data)
        self._note(fragment, data)

    def _note(self, fragment: str, data: Buffer) -> None:
        size_bytes = self._sizes_bytes.get(fragment, 0)
        self._sizes_bytes[fragment] = size_bytes + memoryview(data).nbytes
        self._hashes.setdefault(fragment, hashlib.sha256()).update(data)

    def _open_shared(self, name: str) -> FileIO:
        folder = f"{self._shared}{os.sep}{self._within}"
        Path(folder).mkdir(exist_ok=True)  # but not what is above
        return open(os.open(folder + name, _SHARED_FLAGS, 0o666), "wb", buffering=0)  # noqa: PTH123 - a Path cannot open a file to write without emptying it

    def _make_parents(self, name: str) -> None:
        # Never those above: where they are gone, another run has taken the folder over.
        folder = self.files
        for step in name.split("/")[:-1]:
            folder /= step
            folder.mkdir(exist_ok=True)

    def entries(self) -> list[FileEntry]:
        """Give the files, in the order they were written."""
        by_path = [describe_file(self.files / name, name) for name in self._by_path]
        return self._entries + by_path

    def kept_entries(self) -> list[FileEntry]:
        """Give the fragments, by name."""
        return [
            FileEntry(name, self._sizes_bytes[name], digest.hexdigest())
            for name, digest in sorted(self._hashes.items())
        ]


def placed_name(name: str, at_bytes: int) -> str:
    """Name the bytes of a part in a file that spans parts, by where they begin."""
    return f"{name}@{at_bytes}"


def split_placed_name(name: str) -> tuple[str, int]:
    """Give back what `placed_name` was made of."""
    name, _, at_bytes = name.rpartition("@")
    return name, int(at_bytes)


def describe_file(path: Path, name: str) -> FileEntry:
    """Read a file and give its entry."""
    with path.open("rb") as file:
        return _describe(file, name, sys.maxsize)


def describe_placed(folder: Path, entry: FileEntry, *, read: bool) -> FileEntry:
    """Give the entry of what a part has placed; unless it is read, the hash is taken as given."""
    name, at_bytes = split_placed_name(entry.name)
    if read:
        return describe_range(folder / name, entry)
    there_bytes = max(0, (folder / name).stat().st_size - at_bytes)
    return entry._replace(size_bytes=min(there_bytes, entry.size_bytes))


def describe_range(path: Path, entry: FileEntry) -> FileEntry:
    """Read from a file what a part has placed in it, and give its entry."""
    with path.open("rb") as file:
        file.seek(split_placed_name(entry.name)[1])
        return _describe(file, entry.name, entry.size_bytes)


def _describe(file: IO[bytes], name: str, most_bytes: int) -> FileEntry:
    digest, size_bytes = hashlib.sha256(), 0
    while block := file.read(min(_BLOCK_BYTES, most_bytes - size_bytes)):
        digest.update(block)
        size_bytes += len(block)
    return FileEntry(name, size_bytes, digest.hexdigest())


def _write_all(file: FileIO, data: Buffer) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def move_into(source: Path, target: Path, strangers: AbstractSet[str] = frozenset()) -> None:
    """Move everything in a folder into another one, file by file only where it must be.

    Parameters
    ----------
    source, target : Path
        Folders on one file system.
    strangers : set of str
        Paths, relative to `target`, that must not be replaced.

    Raises
    ------
    OutputError
        A file has the name of a stranger.
    """
    _move(source, target, "", strangers)


def _move(source: Path, target: Path, within: str, strangers: AbstractSet[str]) -> None:
    with os.scandir(source) as found:
        entries = list(found)
    for entry in entries:
        name, to = within + entry.name, target / entry.name
        if name in strangers:
            raise OutputError(
                f"cannot write {to}: a file of this name, which mnistseq did not make, is there",
                "Move it away, then run it again with --resume.",
            )
        if entry.is_dir() and to.is_dir():
            _move(Path(entry.path), to, name + "/", strangers)
        else:
            Path(entry.path).replace(to)


def sweep(staging: Path) -> None:
    """Remove what is half made, but not the records of parts.

    The files of a part with a record may have their final names already: the record is all that
    says whose they are.
    """
    for path in staging.iterdir() if staging.is_dir() else ():
        if not path.is_dir():
            path.unlink()
        else:
            remove([path / "files", path / "kept"] if (path / RECORD).exists() else [path])


def remove(folders: Iterable[Path]) -> None:
    """Remove folders with all that is in them, as far as that works."""
    for folder in folders:
        if folder.is_dir():  # rmtree would wait for a pipe
            shutil.rmtree(folder, ignore_errors=True)
