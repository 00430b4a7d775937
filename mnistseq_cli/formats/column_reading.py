"""Columns of arrays read back, some samples at a time: npy, npz, HDF5 and IDX files.

Arrays hold classes. Class 0 is read as "0", class 10 as "A", class 36 as "a".
"""

from __future__ import annotations

import string
from math import prod
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.formats.reading import Seen, name_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Take = Callable[[int], NDArray[Any]]

N_TOGETHER = 256
_CHARACTERS = np.array([*string.digits, *string.ascii_uppercase, *string.ascii_lowercase, "?", ""])
_UNKNOWN, _NONE = len(_CHARACTERS) - 2, len(_CHARACTERS) - 1
_MATRIX, _IMAGES = 2, 3  # axes


class Column:
    """An array that is read a few rows at a time.

    Parameters
    ----------
    shape : tuple of int
    take : callable
        Gives the next n rows.

    Raises
    ------
    ValueError
        The array has no axes.
    """

    def __init__(self, shape: tuple[int, ...], take: Take) -> None:
        if not shape:
            raise ValueError("an array has no axes")
        self.shape = shape
        self.take = take


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

    return Column(shape, take)


def open_npy(file: IO[bytes], path: Path) -> Column:
    """Read the header of an npy file; arrays of Python objects are refused.

    Raises
    ------
    ValueError
        It is no npy file, or none that is read here.
    """
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    shape, fortran_order, dtype = read(file)
    if dtype.hasobject or fortran_order:
        raise ValueError("it holds Python objects, or columns before rows")
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
    n_samples = columns["images"].shape[0]
    if {column.shape[0] for column in columns.values()} != {n_samples}:
        raise ValueError("its arrays are not equally long")
    if len(columns["images"].shape) != _IMAGES or len(columns["labels"].shape) > _MATRIX:
        raise ValueError("its images or labels have too many axes, or too few")
    for start in range(0, n_samples, N_TOGETHER):
        n_rows = min(N_TOGETHER, n_samples - start)
        arrays = {name: column.take(n_rows) for name, column in columns.items()}
        yield from _see_rows(f"{split}/" if split else "", split, start, arrays)


def _see_rows(
    prefix: str, split: str, start: int, arrays: dict[str, NDArray[Any]]
) -> Iterator[Seen]:
    images = arrays["images"].astype(np.uint8, copy=False)
    texts, boxes = _spell(arrays["labels"], arrays.get("lengths")), arrays.get("boxes")
    boxes = None if boxes is None else boxes.astype(np.int64)
    for place, text in enumerate(texts):
        found = None if boxes is None else boxes[place, : len(text)]
        yield Seen(f"{prefix}{start + place}", split, images[place], text, found)


def _spell(labels: NDArray[Any], lengths: NDArray[Any] | None) -> list[str]:
    """Write classes as texts; without lengths, each ends at its first class that is none."""
    classes = labels.reshape(len(labels), -1).astype(np.int64)
    is_none = (classes < 0) | (classes == np.iinfo(np.uint8).max)
    if lengths is not None:
        is_none |= np.arange(classes.shape[1]) >= lengths.reshape(-1, 1)
    known = np.where(is_none, _NONE, np.minimum(classes, _UNKNOWN))
    characters = np.ascontiguousarray(_CHARACTERS[known])
    texts: list[str] = characters.view(f"U{characters.shape[1]}")[:, 0].tolist()
    return texts
