"""What all formats share: the protocol of readers and writers."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias

from mnistseq_cli.errors import MnistseqError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

Buffer: TypeAlias = "bytes | memoryview"


def import_extra(library: str, extra: str) -> ModuleType:
    """Import a library that a format needs.

    Parameters
    ----------
    library : str
        Name of the module.
    extra : str
        Name of the extra that installs it; also that of the format.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the format {extra} needs the library {library.partition('.')[0]}, which is not "
            "installed",
            f"Install it: pip install 'mnistseq[{extra}]'",
        ) from error


class PartWriter(Protocol):
    """Takes the files of one part, or those that span all parts.

    Names are relative to the dataset (while parts are written, to the folder of their split),
    with ``/`` on every system.
    """

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        ...

    def path(self, name: str) -> Path:
        """Return a path to write a file at, for what is large or written by a library."""
        ...

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to this part's fragment of a file that spans parts; see `Format.join`."""
        ...


@dataclass(frozen=True)
class Fragments:
    """What the parts of one split have written of the files that span parts.

    Parameters
    ----------
    folder : str
        The folder of the split with a ``/`` at its end, or "" where there are no splits.
    root : Path
        Folder that holds a folder of fragments for each part.
    parts : sequence of str
        Names of these folders, in the order of parts.
    """

    folder: str
    root: Path
    parts: Sequence[str]

    def read(self, name: str) -> Iterator[bytes]:
        """Read the fragments of a name, one a part."""
        for part in self.parts:
            yield (self.root / part / name).read_bytes()

    def copy_to(self, name: str, file: IO[bytes]) -> None:
        """Append the fragments of a name to a file."""
        for part in self.parts:
            with (self.root / part / name).open("rb") as fragment:
                shutil.copyfileobj(fragment, file, _COPY_BYTES)


_COPY_BYTES = 1 << 20
FIRST_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test")
_MANIFEST = "dataset.json"
# A pipe is not waited for; Windows has other flags.
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_MOST_SAID = 500  # characters of a path, or of what a library says
_FILE_LIMIT_BYTES = 2**30  # of an image, or the labels of one


@dataclass(frozen=True)
class LoadedSample:
    """A sample as a dataset holds it; what its container does not hold is None.

    Parameters
    ----------
    name : str
        What its label file or container calls it; in arrays and LMDB its number or key, after
        the split and a ``/`` where there are splits. Arrays count from 0 in each split.
    split : str
        The split it belongs to; "" where there are no splits.
    image : ndarray of uint8, shape (H, W)
        As stored: black on white, or white on black.
    text : str
    boxes : ndarray of int64, shape (digits, 4), or None
        x, y, width, height of each digit's ink in pixels, origin top left.
    gaps : ndarray of int64, or None
        Pixels between digits, shape (digits - 1,); with edges (digits + 1,).
    glyphs : ndarray of int64, shape (digits,), or None
        Glyph ids.
    """

    name: str
    split: str
    image: NDArray[np.uint8]
    text: str
    boxes: NDArray[np.int64] | None = None
    gaps: NDArray[np.int64] | None = None
    glyphs: NDArray[np.int64] | None = None


def find_splits(folder: Path, holds: Callable[[Path], bool]) -> list[tuple[str, Path]]:
    """Find where the samples of a dataset lie: names of splits and their folders.

    Parameters
    ----------
    folder : Path
    holds : callable
        Tells whether samples lie in a folder.

    Returns
    -------
    list of (str, Path)
        ``[("", folder)]`` where samples lie in the folder itself, or else those of its
        sub-folders in which some lie: train, val and test first, others by their names.

    Raises
    ------
    OutputError
        A folder cannot be read.
    """
    with name_damage(folder):
        if holds(folder):
            return [("", folder)]
        inside = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        found = {path.name: path for path in inside if holds(path)}
    return [(name, found[name]) for name in sorted(found, key=rank_split)]


def read_splits(
    folder: Path,
    holds: Callable[[Path], bool],
    read: Callable[[str, Path], Iterator[LoadedSample]],
) -> Iterator[LoadedSample]:
    """Read the samples of a dataset, split by split; `read` is given a split and its folder."""
    for split, path in find_splits(folder, holds):
        yield from read(split, path)


def rank_split(name: str) -> tuple[int, str]:
    """Give a key that sorts splits: train, val and test first, others by their names."""
    return (FIRST_SPLITS.index(name) if name in FIRST_SPLITS else len(FIRST_SPLITS), name)


def has_any(folder: Path, mark: str) -> bool:
    """Tell whether a folder has a file that a pattern names."""
    return any(path.is_file() for path in folder.glob(mark))


def list_files(folder: Path, mark: str) -> list[Path]:
    """List the files of a folder that a pattern names, in the order of their names."""
    return sorted(path for path in folder.glob(mark) if path.is_file())


def check_regular(path: Path) -> int:
    """Refuse a pipe or a device, which may never end; give the size of a file in bytes.

    Raises
    ------
    ValueError
        It is one.
    OSError
        It is not there.
    """
    return _find_size(path.stat())


def read_file(path: Path | str) -> bytes:
    """Read a whole file, that of an image or of its labels.

    Raises
    ------
    ValueError
        It is a pipe or a device, or too large to be such a file.
    OSError
        It cannot be read.
    """
    handle = os.open(path, _READ)  # half the time of `path.read_bytes`
    try:
        size_bytes = _find_size(os.fstat(handle))
        if size_bytes > _FILE_LIMIT_BYTES:
            raise ValueError(f"it has {size_bytes:,} bytes; allowed are {_FILE_LIMIT_BYTES:,}")
        data = os.read(handle, size_bytes + 1)
        while len(data) < size_bytes and (more := os.read(handle, size_bytes)):
            data += more
        return data
    finally:
        os.close(handle)


def _find_size(found: os.stat_result) -> int:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # reading a folder fails
        raise ValueError("it is no file, but a pipe or a device")
    return found.st_size


@contextmanager
def name_damage(path: Path | str, part: str = "") -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into an error that names the file.

    Parameters
    ----------
    path : Path or str
    part : str
        What is read of the file, if that can be told.

    Raises
    ------
    OutputError
        The file is missing, cannot be read, or is damaged.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise OutputError(f"{error.filename or path} is missing", _hint(path)) from error
    except OSError as error:
        why = error.strerror or str(error).partition("\n")[0]
        what = str(error.filename or path)[:_MOST_SAID]
        raise OutputError(f"cannot read {what}: {why}", _hint(path)) from error
    except MnistseqError:
        raise
    except Exception as error:  # libraries raise what they like of damaged files
        what = f"{part} in {path}" if part else str(path)
        raise OutputError(f"{what} is damaged: {_explain(error)}", _hint(path)) from error


@contextmanager
def name_line(path: Path, line: Callable[[], int], hint: str) -> Iterator[None]:
    """Turn what is wrong in a line of a text file into an error that names file and line.

    Parameters
    ----------
    path : Path
    line : callable
        Gives the number of the line that is read, from 1.
    hint : str
        What a line has to hold; not said of a dataset that this program wrote.

    Raises
    ------
    OutputError
        A line does not hold it.
    """
    try:
        yield
    except (MnistseqError, OSError, UnicodeDecodeError):  # a file is decoded ahead of the line
        raise
    except Exception as error:
        message = f"{path}, line {max(1, line())}: {_explain(error)}"
        raise OutputError(message, _hint(path) or hint) from error


def _explain(error: Exception) -> str:
    """Say what an error says, in words that need no Python to be understood."""
    if isinstance(error, UnicodeError):
        return f"it is no UTF-8 text: {error.args[-1]}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, KeyError):
        return f"it lacks {error}" if " " not in str(error) else str(error.args[0])
    return f"{error!s:.{_MOST_SAID}}" or type(error).__name__


def _hint(path: Path | str) -> str:
    """Say what finds all damage, where a dataset of this program lies around a file."""
    try:
        if isinstance(path, str) or not any((up / _MANIFEST).is_file() for up in path.parents):
            return ""
    except OSError:  # the path is too long to be one
        return ""
    return "mnistseq verify names every file of a dataset that is not as it was written."
