"""Samples as rows of arrays, and back."""

from __future__ import annotations

import json
import string
import sys
from dataclasses import dataclass
from math import prod
from typing import IO, TYPE_CHECKING, Any, ClassVar
from warnings import catch_warnings, simplefilter

import numpy as np

from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.formats.images import READ_LIMIT_PX
from mnistseq_cli.formats.read_labels import check_boxes, check_text
from mnistseq_cli.formats.sample_json import find_boxes, find_values
from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.base import Fragments, PartWriter, Wanted
    from mnistseq_cli.recipe import Recipe

    Take = Callable[[int], NDArray[Any]]

NO_CLASS = -1
_HINT = "Give them one --width, or choose another format: --to webdataset, parquet or lmdb"
_SHAPE, _IMAGES, _LENGTHS, _CLASSES, _BOXES = "shape", "images", "lengths", "classes", "boxes"


@dataclass(frozen=True)
class Shape:
    """How large the columns of a split are.

    Parameters
    ----------
    n_samples : int
    height_px, width_px : int
    longest : int
        Digits of the longest text.
    """

    n_samples: int
    height_px: int
    width_px: int
    longest: int

    def of(self, name: str) -> tuple[int, ...]:
        """Give the shape of a column."""
        of_each: dict[str, tuple[int, ...]] = {
            "images": (self.height_px, self.width_px),
            "labels": (self.longest,),
            "lengths": (),
            "boxes": (self.longest, 4),
        }
        return (self.n_samples, *of_each[name])


# The columns: classes filled up with NO_CLASS, numbers of digits, boxes filled up with zeros.
COLUMNS: dict[str, np.dtype[Any]] = {
    "images": np.dtype(np.uint8),
    "labels": np.dtype("<i2"),
    "lengths": np.dtype("<i4"),
    "boxes": np.dtype("<i4"),
}


class Columnar:
    """A container of arrays, so that all images have one width; see `Format`."""

    libraries: ClassVar[tuple[str, ...]] = ()

    def __init__(self, output: Output) -> None:
        """Take any output: nothing of it matters here."""
        del output

    def check(self, recipe: Recipe) -> None:
        """Refuse images of different widths."""
        if recipe.width_px == "natural":
            raise UsageError("images of natural width do not fit into one array", _HINT)

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:  # noqa: ARG002 - as the protocol says
        """Append the samples of a part to its fragments, one a column."""
        append_columns(blocks, writer)


def append_columns(blocks: Iterable[Block], writer: PartWriter) -> None:
    """Append the samples of a part to its fragments, one a column.

    Raises
    ------
    UsageError
        Images have different widths.
    """
    shapes: set[tuple[int, int]] = set()
    rows: list[tuple[NDArray[Any], ...]] = []
    for block in blocks:
        shapes |= {(block.images.shape[1], width) for width in np.unique(block.widths_px).tolist()}
        _check_shapes(shapes)
        writer.append(_IMAGES, np.ascontiguousarray(block.images).data)
        is_digit, _ = find_values(block)
        rows.append((block.lengths, block.classes[is_digit], find_boxes(block)))
    lengths, classes, boxes = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    writer.append(_LENGTHS, lengths.astype(COLUMNS["lengths"]).tobytes())
    writer.append(_CLASSES, classes.astype(COLUMNS["labels"]).tobytes())
    writer.append(_BOXES, boxes.astype(COLUMNS["boxes"]).tobytes())
    shape = [len(lengths), *shapes.pop(), int(lengths.max())]
    writer.append(_SHAPE, json.dumps(shape).encode())


def read_shape(split: Fragments) -> Shape:
    """Read how large the columns of a split are.

    Raises
    ------
    UsageError
        Parts have images of different widths.
    """
    n_samples, heights_px, widths_px, longest = zip(
        *map(json.loads, split.read(_SHAPE)), strict=True
    )
    shapes = set(zip(heights_px, widths_px, strict=True))
    _check_shapes(shapes)
    return Shape(sum(n_samples), *shapes.pop(), max(longest))


def read_column(split: Fragments, shape: Shape, name: str) -> Iterator[NDArray[Any]]:
    """Read a column, an array a part; see `COLUMNS`."""
    if name == "images":
        for data in split.read(_IMAGES):
            yield np.frombuffer(data, np.uint8).reshape(-1, shape.height_px, shape.width_px)
        return
    lengths = (np.frombuffer(data, COLUMNS["lengths"]) for data in split.read(_LENGTHS))
    if name == "lengths":
        yield from lengths
        return
    fragment, blank = (_CLASSES, NO_CLASS) if name == "labels" else (_BOXES, 0)
    for each, data in zip(lengths, split.read(fragment), strict=True):
        column = np.full((len(each), *shape.of(name)[1:]), blank, COLUMNS[name])
        inside = np.arange(shape.longest) < each[:, None]
        column[inside] = np.frombuffer(data, COLUMNS[name]).reshape(-1, *column.shape[2:])
        yield column


def _check_shapes(shapes: set[tuple[int, int]]) -> None:
    if len(shapes) > 1:
        widths_px = sorted(width for _, width in shapes)
        raise UsageError(
            f"images from {widths_px[0]} to {widths_px[-1]} px wide do not fit into one array",
            _HINT,
        )


_MATRIX = 2  # axes
_GREYS = (np.uint8, np.bool_)
_ALLOWED = {
    "images": "uint8 or bool of shape (N, height, width)",
    "labels": f"whole numbers of shape (N,) or (N, digits), up to {LENGTH_LIMIT:,} digits, or "
    "strings of shape (N,)",
    "lengths": "whole numbers of shape (N,)",
    "boxes": "whole numbers of shape (N, digits, 4)",
}


def check_column(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    """Refuse an array that cannot be read as what it is meant to be.

    Parameters
    ----------
    name : str
        Of the column: images, labels, lengths or boxes.
    shape : tuple of int
    dtype : numpy dtype
    where : str
        What the array is called in messages.

    Raises
    ------
    OutputError
        Its items or its axes are others than those allowed.
    """
    if min(shape, default=0) < 0:
        raise ValueError(f"it says that its {name} have the shape {shape!s:.80}")
    if _is_allowed(name, shape, dtype):
        return
    is_other = name == "images" and dtype not in _GREYS
    hint = "Scale them to 0..255, 0 black, and save them as uint8." if is_other else ""
    raise OutputError(
        f"cannot read {where}: its {name} are {dtype!s:.40} of shape {shape!s:.80}; allowed are "
        f"{_ALLOWED[name]}",
        hint,
    )


def check_size(shape: tuple[int, ...], dtype: np.dtype[Any], left_bytes: int) -> None:
    """Refuse an array that is larger than the file that should hold it, or than can be handled.

    Raises
    ------
    ValueError
        It is.
    """
    claimed_bytes = dtype.itemsize * prod(shape)
    if claimed_bytes > left_bytes:
        raise ValueError(
            f"it ends too early: for an array of shape {shape} it has {left_bytes:,} bytes of "
            f"{claimed_bytes:,}"
        )
    if dtype.itemsize * prod(shape[1:]) > READ_LIMIT_PX:
        raise ValueError(f"an image of shape {shape[1:]} has more pixels than are read here")


def check_digits(labels: tuple[int, ...], boxes: tuple[int, ...]) -> None:
    """Refuse boxes of fewer digits than labels have.

    Raises
    ------
    ValueError
        Arrays of these shapes do not go together.
    """
    if len(labels) == _MATRIX and boxes[1] < labels[1]:
        raise ValueError(f"it has boxes of {boxes[1]} digits, and labels of {labels[1]}")


def _is_allowed(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array can be read as a column of a name."""
    is_whole = dtype.kind in "iu"
    if name == "images":
        return dtype in _GREYS and _has_axes(shape, 3)
    if name == "labels" and not is_whole:
        is_text = dtype.kind in "US" and 0 < dtype.itemsize <= 4 * LENGTH_LIMIT
        return is_text and _has_axes(shape, 1)
    if name == "labels" and len(shape) == _MATRIX:
        return 0 < shape[1] <= LENGTH_LIMIT
    if name == "boxes":
        return is_whole and shape[2:] == (4,)
    return is_whole and _has_axes(shape, 1)


def _has_axes(shape: tuple[int, ...], n_axes: int) -> bool:
    """Tell whether an array has so many axes, but for a last one of length 1, and none empty."""
    is_long = len(shape) >= n_axes and shape[n_axes:] in ((), (1,))
    return is_long and 0 not in shape[1:]


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
        with naming_damage(path):
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


def read_columns(
    split: str, columns: Mapping[str, Column], wanted: Wanted | None = None
) -> Iterator[LoadedSample]:
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
        for seen in _see_rows(f"{split}/" if split else "", split, start, arrays):
            if wanted is None or wanted(seen.name):
                yield seen


def _see_rows(
    prefix: str, split: str, start: int, arrays: dict[str, NDArray[Any]]
) -> Iterator[LoadedSample]:
    images = _to_grey(arrays["images"])
    texts, boxes = spell_classes(arrays["labels"], arrays.get("lengths")), arrays.get("boxes")
    boxes = None if boxes is None else boxes.astype(np.int64)
    for place, text in enumerate(texts):
        found = None if boxes is None else boxes[place, : len(text)]
        if found is not None:
            check_boxes(found, images.shape[1:])
        yield LoadedSample(f"{prefix}{start + place}", split, images[place], text, found)


def _to_grey(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Give images of shape (N, height, width); what is true is white."""
    grey = images.reshape(images.shape[:3]).view(np.uint8)
    return grey * np.uint8(255) if images.dtype == np.bool_ else grey


def spell_classes(labels: NDArray[Any], lengths: NDArray[Any] | None) -> list[str]:
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
