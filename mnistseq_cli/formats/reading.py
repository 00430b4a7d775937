"""Samples read back from where a format put them."""

from __future__ import annotations

import csv
import struct
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zlib_ng import zlib_ng

from mnistseq_cli.errors import MnistseqError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FIRST_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test")
_MANIFEST = "dataset.json"
_DAMAGE: tuple[Any, ...] = (  # Any: the types of zlib-ng call its error no class
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
    SyntaxError,  # as Pillow calls broken files
    RuntimeError,
    struct.error,
    zlib.error,
    zlib_ng.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Seen:
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
    """
    if holds(folder):
        return [("", folder)]
    inside = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    found = {path.name: path for path in inside if holds(path)}
    return [(name, found[name]) for name in sorted(found, key=rank_split)]


def read_splits(
    folder: Path,
    holds: Callable[[Path], bool],
    read: Callable[[str, Path], Iterator[Seen]],
) -> Iterator[Seen]:
    """Read the samples of a dataset, split by split; `read` is given a split and its folder."""
    for split, path in find_splits(folder, holds):
        yield from read(split, path)


def rank_split(name: str) -> tuple[int, str]:
    """Give a key that sorts splits: train, val and test first, others by their names."""
    return (FIRST_SPLITS.index(name) if name in FIRST_SPLITS else len(FIRST_SPLITS), name)


def has_any(folder: Path, mark: str) -> bool:
    """Tell whether a folder has a file that a pattern names."""
    return any(path.is_file() for path in folder.glob(mark))


@contextmanager
def name_damage(path: Path | str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into an error that names the file.

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
        raise OutputError(f"cannot read {error.filename or path}: {why}", _hint(path)) from error
    except _DAMAGE as error:
        if isinstance(error, MnistseqError):
            raise
        why = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        message = f"{path} is damaged: {why or type(error).__name__}"
        raise OutputError(message, _hint(path)) from error


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
    except UnicodeDecodeError:  # a file is decoded ahead of the line
        raise
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise OutputError(
            f"{path}, line {max(1, line())}: {error}", _hint(path) or hint
        ) from error


def _hint(path: Path | str) -> str:
    """Say what finds all damage, where a dataset of this program lies around a file."""
    if isinstance(path, str) or not any((up / _MANIFEST).is_file() for up in path.parents):
        return ""
    return "mnistseq verify names every file of a dataset that is not as it was written."
