"""Files before they get their final names.

Everything that a part consists of is written into a folder of its own, on the same file system.
When it is complete its files are moved: whole folders where none is there yet, by one rename.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnistseq_cli.bulk.disk import write_new
from mnistseq_cli.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

RECORD = "record.json"
_BLOCK_BYTES = 1 << 20


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
    """

    def __init__(self, folder: Path, within: str = "") -> None:
        self.folder = folder
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

    def keep(self, name: str, data: bytes) -> None:
        """Add to a fragment of this part."""
        with (self.kept / name).open("ab") as file:
            file.write(data)
        self._hashes.setdefault(name, hashlib.sha256()).update(data)

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
            FileEntry(name, (self.kept / name).stat().st_size, digest.hexdigest())
            for name, digest in sorted(self._hashes.items())
        ]


def describe_file(path: Path, name: str) -> FileEntry:
    """Read a file and give its entry."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size_bytes += len(block)
    return FileEntry(name, size_bytes, digest.hexdigest())


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
        if path.is_file():
            path.unlink()
        else:
            remove([path / "files", path / "kept"] if (path / RECORD).exists() else [path])


def remove(folders: Iterable[Path]) -> None:
    """Remove folders with all that is in them, as far as that works."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
