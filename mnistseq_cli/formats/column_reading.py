"""Columns of arrays read back, some samples at a time: npy, npz, HDF5 and IDX files.

Arrays hold classes. Class 0 is read as "0", class 10 as "A", class 36 as "a".
"""

from __future__ import annotations

import string
import sys
from math import prod
from typing import IO, TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from mnistseq_cli.formats.column_checks import check_column, check_digits, check_size
from mnistseq_cli.formats.reading import Seen, name_damage
from mnistseq_cli.formats.values import check_boxes, check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Take = Callable[[int], NDArray[Any]]

N_TOGETHER = 256
_CHARACTERS = np.array([*string.digits, *string.ascii_uppercase, *string.ascii_lowercase, "?", ""])
_UNKNOWN, _NONE = len(_CHARACTERS) - 2, len(_CHARACTERS) - 1
_TOGETHER_BYTES = 1 << 25


class Column:
    """An array that is read a few rows at a time.

    Parameters
    ----------
    shape : tuple of int
    take : callable
        Gives the next n rows.
    n_together : int
        How many rows to take at once, at most.
    """

    def __init__(self, shape: tuple[int, ...], take: Take, n_together: int = N_TOGETHER) -> None:
        self.shape = shape
        self.take = take
        self.n_together = n_together


def count_together(row_bytes: int) -> int:
    """Give how many rows of a file to take at once."""
    return max(1, min(N_TOGETHER, _TOGETHER_BYTES // max(1, row_bytes)))


def open_stream(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], path: Path
) -> Column:
    """Read an array in C order from where a file stands; its path is for messages.

    Rows are read when they are taken; a file that ends too early raises OutputError then.
    """
    row_bytes = dtype.itemsize * prod(shape[1:])

    def take(n_rows: int) -> NDArray[Any]:
        with name_damage(path):
            data = file.read(n_rows * row_bytes)
            if len(data) != n_rows * row_bytes:
                raise ValueError("it ends too early")
        return np.frombuffer(data, dtype).reshape(n_rows, *shape[1:])

    return Column(shape, take, count_together(row_bytes))


def open_npy(file: IO[bytes], name: str, path: Path, size_bytes: int, where: str) -> Column:
    """Read the header of an npy file; arrays of Python objects are refused.

    Parameters
    ----------
    file : binary file
    name : str
        Of the column.
    path : Path
    size_bytes : int
        Of the file.
    where : str
        What it is called in messages.

    Raises
    ------
    ValueError
        It is no npy file, or none that is read here.
    OutputError
        It holds what a column of this name cannot be.
    """
    with catch_warnings():
        simplefilter("ignore")  # of headers that are no good Python, or old
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran_order, dtype = read(file)
    if dtype.hasobject or fortran_order:
        raise ValueError("it holds Python objects, or columns before rows")
    check_column(name, shape, dtype, where)
    check_size(shape, dtype, size_bytes - file.tell())
    return open_stream(file, shape, dtype, path)


def read_columns(split: str, columns: Mapping[str, Column]) -> Iterator[Seen]:
    """Read the samples of a split.

    Parameters
    ----------
    split : str
    columns : mapping of str to Column
        `images` and `labels`; `lengths` and `boxes` where there are any.

    Raises
    ------
    ValueError
        The columns do not go together.
    """
    if missing := [name for name in ("images", "labels") if name not in columns]:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    n_samples = columns["images"].shape[0]
    lengths = {name: column.shape[0] for name, column in columns.items()}
    if {*lengths.values()} != {n_samples}:
        listed = ", ".join(f"{n_rows:,} {name}" for name, n_rows in lengths.items())
        raise ValueError(f"its arrays are not equally long: {listed}")
    if "boxes" in columns:
        check_digits(columns["labels"].shape, columns["boxes"].shape)
    n_together = min(column.n_together for column in columns.values())
    for start in range(0, n_samples, n_together):
        n_rows = min(n_together, n_samples - start)
        arrays = {name: column.take(n_rows) for name, column in columns.items()}
        yield from _see_rows(f"{split}/" if split else "", split, start, arrays)


def _see_rows(
    prefix: str, split: str, start: int, arrays: dict[str, NDArray[Any]]
) -> Iterator[Seen]:
    images = _to_grey(arrays["images"])
    texts, boxes = _spell(arrays["labels"], arrays.get("lengths")), arrays.get("boxes")
    boxes = None if boxes is None else boxes.astype(np.int64)
    for place, text in enumerate(texts):
        found = None if boxes is None else boxes[place, : len(text)]
        if found is not None:
            check_boxes(found, images.shape[1:])
        yield Seen(f"{prefix}{start + place}", split, images[place], text, found)


def _to_grey(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Give images of shape (N, height, width); what is true is white."""
    grey = images.reshape(images.shape[:3]).view(np.uint8)
    return grey * np.uint8(255) if images.dtype == np.bool_ else grey


def _spell(labels: NDArray[Any], lengths: NDArray[Any] | None) -> list[str]:
    """Write classes as texts; without lengths, each ends at its first class that is none."""
    if labels.dtype.kind in "US":
        return _decode(labels.ravel())
    classes = labels.reshape(len(labels), -1).astype(np.int64)
    is_none = (classes < 0) | (classes == np.iinfo(np.uint8).max)
    if lengths is not None:
        is_none |= np.arange(classes.shape[1]) >= lengths.reshape(-1, 1)
    known = np.where(is_none, _NONE, np.minimum(classes, _UNKNOWN))
    characters = np.ascontiguousarray(_CHARACTERS[known])
    texts: list[str] = characters.view(f"U{characters.shape[1]}")[:, 0].tolist()
    return texts


def _decode(labels: NDArray[Any]) -> list[str]:
    """Give labels that are strings; bytes are taken for UTF-8."""
    if labels.dtype.kind == "U":
        points = labels.view(np.dtype(np.uint32).newbyteorder(labels.dtype.byteorder))
        if points.max(initial=0) > sys.maxunicode:  # NumPy makes strings that crash Python of it
            raise ValueError("its labels are no Unicode")
        texts: list[str] = labels.tolist()
    else:
        texts = [label.decode() for label in labels.tolist()]
    for text in texts:
        check_text(text)
    return texts
