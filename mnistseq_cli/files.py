"""Files at the edge: read with care, written whole or not at all, errors that say what is wrong.

What the user or another file names is read with `read_file` or `open_regular`, and parsed inside
`naming_damage`: nothing waits for a pipe or reads a device for ever, nothing larger than a limit
comes into memory, and no error of a library reaches the user as a traceback.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import shlex
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO, TypeGuard

from mnistseq_cli.errors import CacheError, MnistseqError, OutputError

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MODE = 0o666  # less the umask, as everywhere
_STEP = 1000
_STALE_AFTER_S = 3600
_FREE_SPACE = "Free some space, then run it again with --resume."
_OTHER_FOLDER = "Choose a folder that can be written, with --out."
_CAUSES = {
    errno.ENOSPC: ("the disk is full", _FREE_SPACE),
    errno.EDQUOT: ("the quota is used up", _FREE_SPACE),
    errno.EFBIG: (
        "the file would be larger than is allowed here",
        "Raise the limit (ulimit -f unlimited), then run it again with --resume.",
    ),
    errno.EMFILE: (
        "too many files are open",
        "Raise the limit (ulimit -n 1024) or use fewer --workers, then use --resume.",
    ),
    errno.ENFILE: ("too many files are open", "Close some programs, then use --resume."),
    errno.EACCES: ("that is not permitted", _OTHER_FOLDER),
    errno.EPERM: ("that is not permitted", _OTHER_FOLDER),
    errno.EROFS: ("the disk is read-only", _OTHER_FOLDER),
    errno.ENOTDIR: ("there is a file where a folder should be", "Choose another --out."),
    errno.EEXIST: ("something of this name is already there", "Choose another --out."),
    errno.ENAMETOOLONG: ("the name is too long", "Use a shorter --name or a shorter --out."),
}


def check_place(path: Path) -> None:
    """Raise for a file that cannot be written, before the work that it is to show."""
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
    size, unit = size_bytes / _STEP, "kB"
    for larger in ("MB", "GB", "TB"):
        if round(size, 1) >= _STEP:
            size, unit = size / _STEP, larger
    return f"{size:,.1f} {unit}"


@contextmanager
def naming_disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into an OutputError with the file, the cause and what mends it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # as NumPy says it when a disk takes only a part of an array
            cause, hint = f"the disk did not take all of it ({error})", _FREE_SPACE
        else:
            cause, hint = _CAUSES.get(error.errno, (error.strerror or str(error), ""))
        raise OutputError(f"cannot write {error.filename or path}: {cause}", hint) from error


def write_new(folder: Path, names: Iterable[str], contents: Iterable[bytes]) -> None:
    """Write files into a folder, none of which may exist yet."""
    # A system that opens folders looks this one up once.
    within = os.open(folder, os.O_RDONLY) if os.open in os.supports_dir_fd else None
    prefix = f"{folder}{os.sep}" if within is None else ""
    try:
        for name, data in zip(names, contents, strict=True):
            descriptor = os.open(prefix + name, _FLAGS, _MODE, dir_fd=within)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            finally:
                os.close(descriptor)
    except OSError as error:
        if within is not None and error.filename:
            error.filename = str(folder / error.filename)
        raise
    finally:
        if within is not None:
            os.close(within)


def write_whole(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a file that appears under its name when it is complete, replacing what is there.

    Any number of processes can do this at once: the last one wins, and a reader that has the old
    file open or mapped keeps it. If `blocks` raises, nothing is left behind.
    """
    try:
        _replace(path, blocks)
    except OSError as error:
        hint = "Choose a folder that can be written." if isinstance(error, PermissionError) else ""
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint) from error


def place_file(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a file into a cache, as `write_whole`; folders are made, stale parts removed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in path.parent.glob(".*.part"):
            with suppress(OSError):  # another process may have finished it just now
                if time.time() - part.stat().st_mtime > _STALE_AFTER_S:
                    part.unlink()
        _replace(path, blocks)
    except OSError as error:
        raise CacheError(
            f"cannot write {path}: {error.strerror or error}",
            "Choose a folder that can be written, with --data-dir DIR or MNISTSEQ_DATA_DIR.",
        ) from error


def _replace(path: Path, blocks: Iterable[bytes]) -> None:
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    try:
        with part.open("xb") as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):  # where it could not be made, it cannot be looked for either
            part.unlink(missing_ok=True)


READ_LIMIT_BYTES = 2**30  # of a file that is read whole, such as a picture
_MANIFEST = "dataset.json"
_MESSAGE_LIMIT = 500  # characters of a path, or of what a library says
_PLAIN: dict[type[Exception], str] = {
    RecursionError: "it is nested too deeply",
    MemoryError: "it needs more memory than there is",
}
_TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".toml", ".yaml")
_LINE_LIMIT_BYTES = 2**20  # of a line, while one is looked for
# Opening a pipe must not wait for its writer; Windows has other flags.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


def is_store(path: Path | str) -> TypeGuard[Path]:
    """Whether a path is that of an object store: a `UPath`, which has the methods of `Path`."""
    return hasattr(path, "fs")


def read_file(path: Path | str, *, limit_bytes: int = READ_LIMIT_BYTES) -> bytes:
    """Read a whole file that the user or another file names."""
    with naming_damage(path):
        return read_regular(path, limit_bytes)


def find_inside(folder: Path, name: str) -> Path | None:
    """Return the path of a file that one in a folder names; None where it or a link is outside."""
    try:
        path = folder / name
        is_plain = not Path(name).is_absolute() and ".." not in Path(name).parts
        is_inside = is_plain and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a name with a NUL, a circle of links
        return None
    return path if is_inside else None


def open_regular(path: Path | str, *, error: type[MnistseqError] = OutputError) -> BinaryIO:
    """Open a file that the user or another file names."""
    with naming_damage(path, error):
        if is_store(path):
            return path.open("rb")
        file = open(path, "rb", opener=lambda path, _: os.open(path, READ_FLAGS))  # noqa: SIM115 - a Path has no opener
        try:
            _find_size(os.fstat(file.fileno()), path)
        except BaseException:
            file.close()
            raise
        return file


def open_text(path: Path | str, *, error: type[MnistseqError] = OutputError) -> TextIO:
    """Open a text file that somebody names, UTF-8 or UTF-16; ends of lines stay as they are."""
    file = open_regular(path, error=error)
    start = file.read(2)
    file.seek(0)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    else:  # without a mark, one byte of the first character is zero
        zero = start.find(0)
        encoding = "utf-8-sig" if zero < 0 else ("utf-16-be", "utf-16-le")[zero]
    return io.TextIOWrapper(file, encoding=encoding, newline="")


def read_regular(path: Path | str, limit_bytes: int = READ_LIMIT_BYTES) -> bytes:
    """Read a whole file; for callers that explain errors themselves."""
    if is_store(path):
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
        _check_size(len(data), limit_bytes)
        return data
    descriptor = os.open(path, READ_FLAGS)  # half the time of `Path.read_bytes`
    try:
        size_bytes = _find_size(os.fstat(descriptor), path)
        _check_size(size_bytes, limit_bytes)
        data = os.read(descriptor, size_bytes + 1)
        while len(data) < size_bytes and (more := os.read(descriptor, size_bytes)):
            data += more
        return data
    finally:
        os.close(descriptor)


def _check_size(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise ValueError(f"it has more than {limit_bytes:,} bytes")


def check_regular(path: Path | str) -> int:
    """Return the size of a file in bytes, refusing a pipe or a device, which may never end."""
    return path.stat().st_size if is_store(path) else _find_size(os.stat(path), path)  # noqa: PTH116 - a Path takes as long as the call


def _find_size(found: os.stat_result, path: Path | str) -> int:
    if stat.S_ISREG(found.st_mode):
        return found.st_size
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise ValueError("it is not a file, but a pipe or a device")


@contextmanager
def naming_damage(
    path: Path | str, error: type[MnistseqError] = OutputError, *, part: str = ""
) -> Iterator[None]:
    """Turn whatever goes wrong while a file, or a part of it, is read into an error naming it."""
    try:
        yield
    except MnistseqError:
        raise
    except Exception as cause:  # libraries raise what they like of damaged files
        raise explain_damage(cause, path, error, part=part) from cause


def explain_damage(
    cause: Exception, path: Path | str, error: type[MnistseqError] = OutputError, *, part: str = ""
) -> MnistseqError:
    """Return the error for what went wrong while a file was read."""
    hint = hint_at_verify(path)
    if isinstance(cause, FileNotFoundError):
        return error(f"{cause.filename or path} is missing", hint)
    if isinstance(cause, OSError):
        reason = cause.strerror or str(cause).partition("\n")[0]
        name = str(cause.filename or path)[:_MESSAGE_LIMIT]
        return error(f"cannot read {name}: {reason}", hint)
    is_text = not isinstance(path, str) and path.suffix.lower() in _TEXT_ENDINGS
    if isinstance(cause, UnicodeDecodeError) and is_text and not part:
        return _explain_encoding(Path(path), error)
    name = f"{part} in {path}" if part else str(path)
    return error(f"{name} is damaged: {describe_damage(cause)}", hint)


def _explain_encoding(path: Path, error: type[MnistseqError]) -> MnistseqError:
    """Return the error for a file that is not UTF-8, with its first line that is not."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE_LIMIT_BYTES), b""), 1):
            try:
                line.decode()
            except UnicodeDecodeError as cause:
                byte = line[cause.start]
                return error(
                    f"{path}, line {number}: the byte 0x{byte:02x} is not UTF-8; the file may be "
                    "Latin-1, Windows-1252 or no text at all",
                    "Save it as UTF-8.",
                )
    return error(f"{path} is damaged: it ends within a character")


def describe_damage(cause: Exception) -> str:
    """Return what an error says, in words that need no Python to be understood."""
    if isinstance(cause, UnicodeError):
        return f"it is no UTF-8 text: {cause.args[-1]}"
    if isinstance(cause, KeyError):
        return str(cause.args[0]) if " " in str(cause) else f"it lacks {cause}"
    said = str(cause).partition("\n")[0][:_MESSAGE_LIMIT] or type(cause).__name__
    if "int_max_str_digits" in str(cause):
        said = "it has a number of too many digits"
    return _PLAIN.get(type(cause), said)


def hint_at_verify(path: Path | str) -> str:
    """Return what finds all damage, where a dataset of this program lies around a file."""
    try:
        if isinstance(path, str) or not any((up / _MANIFEST).is_file() for up in path.parents):
            return ""
    except (OSError, ValueError):  # the path is too long to be one, or holds a NUL
        return ""
    return "mnistseq verify names every file of a dataset that is not as it was written."
