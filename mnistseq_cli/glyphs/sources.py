"""What people bring: the files in a folder, a zip or a tar archive, seen in one way."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from posixpath import normpath
from typing import BinaryIO

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.files import naming_damage, open_regular

_TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
_LITTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_DEEPEST = 5  # folders: enough for ROOT/EMNIST/raw/…/file
_MOST_FILES = 2**20
_MOST_BYTES = 2**33  # that a tar archive may unpack to: to list it is to unpack it


@dataclass(frozen=True)
class Entry:
    """One file."""

    name: str  # its path inside the source, with "/"
    size_bytes: int
    _open: Callable[[], BinaryIO]
    path: Path | None = None  # where it lies, if it is no part of an archive

    @property
    def title(self) -> str:
        """What messages call it."""
        return str(self.path or self.name)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it; what goes wrong while it is read is an error that names it."""
        with naming_damage(self.title, GlyphError), self._open() as stream:
            yield stream

    def read(self) -> bytes:
        """Return what it holds, at most as much as the list of files says."""
        with self.open() as stream:
            return stream.read(self.size_bytes)


@contextmanager
def open_source(path: Path) -> Iterator[list[Entry]]:
    """List the files of a folder or archive, or of those beside another file, but no litter."""
    with ExitStack() as stack:
        with naming_damage(path, GlyphError):
            if not path.exists():
                raise GlyphError(f"there is no file or folder {path}")
            name = path.name.lower()
            if path.is_dir():
                entries = _list_folder(path, _DEEPEST)
            elif not name.endswith((".zip", *_TAR_SUFFIXES)):
                entries = _list_folder(path.parent, 0)
            else:
                stream = stack.enter_context(open_regular(path, error=GlyphError))
                list_archive = _list_zip if name.endswith(".zip") else _list_tar
                entries = list_archive(stream, path, stack)
            found = [*islice(entries, _MOST_FILES + 1)]
            if len(found) > _MOST_FILES:
                raise GlyphError(f"{path} holds more than {_MOST_FILES:,} files")
        yield [entry for entry in found if not _is_litter(entry.name)]


def _is_litter(name: str) -> bool:
    return any(part in _LITTER or part.startswith(".") for part in name.split("/"))


def _list_folder(folder: Path, deepest: int) -> Iterator[Entry]:
    for root, folders, names in os.walk(folder, followlinks=True):
        place = Path(root).relative_to(folder)
        folders[:] = sorted(f for f in folders if not _is_litter(f))
        if len(place.parts) >= deepest:
            folders.clear()
        for name in sorted(names):
            path = Path(root, name)
            if path.exists():  # a link that leads nowhere is no file
                size_bytes = path.stat().st_size
                opening = partial(open_regular, path, error=GlyphError)
                yield Entry((place / name).as_posix(), size_bytes, opening, path)


def _list_zip(stream: BinaryIO, _: Path, stack: ExitStack) -> Iterator[Entry]:
    archive = stack.enter_context(zipfile.ZipFile(stream))
    for info in archive.infolist():
        if not info.is_dir():
            yield Entry(normpath(info.filename), info.file_size, partial(archive.open, info))  # type: ignore[arg-type]  # it reads bytes


def _list_tar(stream: BinaryIO, path: Path, stack: ExitStack) -> Iterator[Entry]:
    try:
        archive = stack.enter_context(tarfile.TarFile.open(fileobj=stream))
    except tarfile.ReadError as error:  # whose message has five lines
        raise GlyphError(f"{path} is not a tar archive, or it is damaged") from error
    for member in archive:
        if archive.offset > _MOST_BYTES:
            raise GlyphError(f"{path} unpacks to more than {_MOST_BYTES:,} bytes")
        if member.isreg():
            opening = partial(archive.extractfile, member)
            yield Entry(normpath(member.name), member.size, opening)  # type: ignore[arg-type]  # never None for a regular file
