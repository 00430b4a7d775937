"""Files at the edge: written whole or not at all, with disk errors that say what is wrong."""

from __future__ import annotations

import errno
import os
import shlex
import time
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import TYPE_CHECKING

from mnistseq_cli.errors import CacheError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MODE = 0o666  # less the umask, as everywhere

_STEP = 1000

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "Free some space, then run it again with --resume."),
    errno.EDQUOT: ("the quota is used up", "Free some space, then run it again with --resume."),
    errno.EFBIG: (
        "the file would be larger than is allowed here",
        "Raise the limit (ulimit -f unlimited), then run it again with --resume.",
    ),
    errno.EMFILE: (
        "too many files are open",
        "Raise the limit (ulimit -n 1024) or use fewer --workers, then use --resume.",
    ),
    errno.ENFILE: ("too many files are open", "Close some programs, then use --resume."),
    errno.EACCES: ("that is not permitted", "Choose a folder that can be written, with --out."),
    errno.EPERM: ("that is not permitted", "Choose a folder that can be written, with --out."),
    errno.EROFS: ("the disk is read-only", "Choose a folder that can be written, with --out."),
    errno.ENOTDIR: ("there is a file where a folder should be", "Choose another --out."),
    errno.EEXIST: ("there is something of this name already", "Choose another --out."),
    errno.ENAMETOOLONG: ("the name is too long", "Use a shorter --name or a shorter --out."),
}


def check_place(path: Path) -> None:
    """Refuse a file that cannot be written, before the work that it is to show.

    Raises
    ------
    OutputError
        Its folder is not there or cannot be written to, or the file is a folder itself.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise OutputError(
            f"cannot write {path}: there is no folder {path.parent}",
            f"Make it: mkdir -p {shlex.quote(str(path.parent))}",
        )
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: the folder {path.parent} cannot be written to")


def spell_size(size_bytes: int) -> str:
    """Write a size in the unit that suits it: 820 bytes, 12.3 kB, 66.8 GB; a kB has 1000 bytes."""
    if size_bytes < _STEP:
        return f"{size_bytes} byte{'' if size_bytes == 1 else 's'}"
    *units, largest = ("kB", "MB", "GB", "TB")
    size = size_bytes / _STEP
    for unit in units:
        if round(size, 1) < _STEP:
            return f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:,.1f} {largest}"


@contextmanager
def naming_disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into an OutputError with the file, the cause and what mends it."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


def explain(error: OSError, path: Path) -> OutputError:
    """Give the OutputError for an OSError at a path, or at the path the error names."""
    if error.errno is None:  # as NumPy says it when a disk takes only a part of an array
        cause, hint = f"the disk did not take all of it ({error})", _CAUSES[errno.ENOSPC][1]
    else:
        cause, hint = _CAUSES.get(error.errno, (error.strerror or str(error), ""))
    return OutputError(f"cannot write {error.filename or path}: {cause}", hint)


def write_new(path: str, data: bytes) -> None:
    """Write a file that must not exist yet.

    Raises
    ------
    OSError
        It exists, or the disk does not take all of it.
    """
    descriptor = os.open(path, _FLAGS, _MODE)
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, staging: Path) -> None:
    """Write a file into another folder, then move it: it is complete or not there."""
    part = staging / path.name
    write_new(str(part), data)
    part.replace(path)


_STALE_AFTER_S = 86_400


def place_file(path: Path, blocks: Iterable[bytes]) -> None:
    """Write blocks to a file that appears under its name only when it is complete.

    They go to a file of another, unique name in the same folder, which then takes the place of
    whatever had the name. Any number of processes can do this at once: the last one wins, and a
    reader that has the old file open or mapped keeps it.

    Parameters
    ----------
    path : Path
        The file; missing folders are made.
    blocks : iterable of bytes
        Contents. If it raises, nothing is left behind.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    part = path.with_name(f".{path.name}.{token_hex(8)}.part")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        try:
            with part.open("xb") as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed processes left; a file that is being written is never that old."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        with suppress(FileNotFoundError):  # another process may have finished it just now
            if time.time() - part.stat().st_mtime > _STALE_AFTER_S:
                part.unlink()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"cannot write {path}: {error.strerror or error}",
            "Choose a folder that can be written, with --data-dir DIR or MNISTSEQ_DATA_DIR.",
        ) from error
