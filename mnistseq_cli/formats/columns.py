"""Samples as rows of arrays, and back."""

from __future__ import annotations

import json
import os
import string
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar, TypeAlias
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.files import naming_damage, open_regular
from mnistseq_cli.formats.base import Format, Fragments, LoadedSample, PartWriter, Wanted
from mnistseq_cli.formats.fields import find_known
from mnistseq_cli.formats.images import READ_LIMIT_PX, check_size
from mnistseq_cli.formats.read_labels import BOX_NUMBERS, check_boxes
from mnistseq_cli.formats.tables import check_text
from mnistseq_cli.glyphs.writers import WRITER_LIMIT_BYTES
from mnistseq_cli.pixels import Array, Ints
from mnistseq_cli.recipe import LENGTH_LIMIT, Recipe

NO_CLASS = -1
_HINT = "Give them one --width, or choose another format: --to webdataset, parquet or lmdb"
_MOST_CLASSES = 256
_AXES = ("N", "height", "width", "digits", "marks", "classes")  # in the order of `_SIZES`
_SIZES = "shape"  # the fragment that says how long they are
_COPY_BYTES = 1 << 23  # at once: threads that hand over to each other more often wait more often


@dataclass(frozen=True)
class Column:
    """An array with a row for each sample, but for the alphabet."""

    dtype: np.dtype[Any]
    axes: tuple[str, ...]  # of `_AXES`, and "4" for x, y, width and height
    field: str = ""  # the one of `FIELDS` that it holds, of each digit or mark, if any
    blank: int | bytes = 0  # what stands after the last digit

    def measure(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return its shape, where axes are so long."""
        return tuple(sizes.get(axis, BOX_NUMBERS) for axis in self.axes)

    @property
    def expected(self) -> str:
        """What is read in its place, for messages."""
        kinds = {"u": "uint8 or bool", "i": "whole numbers", "S": "names in UTF-8"}
        axes = ", ".join(self.axes) + "," * (len(self.axes) == 1)
        return f"{kinds[self.dtype.kind]} of shape ({axes})"


_INT = np.dtype("<i4")
_NAME = np.dtype(f"S{WRITER_LIMIT_BYTES}")
COLUMNS = {
    "images": Column(np.dtype(np.uint8), ("N", "height", "width")),
    "labels": Column(np.dtype("<i2"), ("N", "digits"), "objects.category", NO_CLASS),
    "lengths": Column(_INT, ("N",)),
    "boxes": Column(_INT, ("N", "digits", "4"), "objects.bbox"),
    "writers": Column(_NAME, ("N", "digits"), "writers", b""),
    # What is written but not read; code points of characters.
    "mark_lengths": Column(_INT, ("N",)),
    "mark_boxes": Column(_INT, ("N", "marks", "4"), "marks.box"),
    "mark_characters": Column(_INT, ("N", "marks"), "marks.character"),
    "alphabet": Column(_INT, ("classes",)),
}


def _name_fragment(column: str) -> str:
    """Return what the pieces of a column are called until they are joined."""
    return "classes" if column == "labels" else column


ArrayLike: TypeAlias = "FileArray | Array"  # or one of h5py, which has no types
Columns: TypeAlias = dict[str, ArrayLike]  # by their names in `COLUMNS`
Opened: TypeAlias = "tuple[str, Path, Columns]"  # with their split, and the file to name


class Columnar(Format):
    """A container of arrays, so that all images have one width; see `Format`."""

    holds_writers: ClassVar[bool] = False

    def check(self, recipe: Recipe, largest_px: tuple[int, int] | None = None) -> None:
        """Raise an error for images of different widths, and too large ones."""
        if recipe.width_px == "natural":
            raise UsageError("images of natural width do not fit into one array", _HINT)
        if largest_px:
            check_size(*largest_px)

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:  # noqa: ARG002 - as the protocol says
        """Append the samples of a part to its fragments, one a column."""
        sizes = []
        columns = {
            name: one for name, one in COLUMNS.items() if name != "writers" or self.holds_writers
        }
        held = [column.field for column in columns.values() if column.field]
        for block in blocks:
            _check_widths(block.widths_px)
            writer.append("images", np.ascontiguousarray(block.images).data)
            known = {name: values.flat for name, values in find_known(block, held).items()}
            known["lengths"] = block.lengths
            if block.marks:
                known["mark_lengths"] = block.marks.lengths
                known["marks.character"] = _to_points(block.marks.characters)
            for name, column in columns.items():
                values = known.get(column.field or name)
                if values is None:
                    continue
                if values.dtype.kind == "U":
                    values = np.char.encode(values.astype(np.str_), "utf-8")
                writer.append(_name_fragment(name), values.astype(column.dtype).tobytes())
            height_px, width_px = block.images.shape[1], int(block.widths_px[0])
            longest = [int(max(known.get(name, [0]))) for name in ("lengths", "mark_lengths")]
            sizes.append([len(block), height_px, width_px, *longest, len(block.alphabet)])
        writer.append(_SIZES, json.dumps([*_join_sizes(sizes).values()]).encode())
        writer.append("alphabet", _to_points(block.alphabet).tobytes())

    def read_split(self, split: str, folder: Path, wanted: Wanted) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        for name, path, columns in self.open_columns(split, folder):
            yield from iterate_samples(name, columns, wanted, path)

    @abstractmethod
    def open_columns(self, split: str, folder: Path) -> Iterator[Opened]:
        """Open the arrays that lie in a folder."""


def _check_widths(widths_px: Sequence[int] | Ints) -> None:
    least_px, most_px = min(widths_px), max(widths_px)
    if least_px < most_px:
        raise UsageError(
            f"images from {least_px} to {most_px} px wide do not fit into one array", _HINT
        )


def _join_sizes(sizes: Sequence[Sequence[int]]) -> dict[str, int]:
    """Return the length of each of `_AXES` of arrays that are joined."""
    _check_widths([width_px for _, _, width_px, *_ in sizes])
    # Version 0.1 knew no marks and no alphabet.
    longest = dict(zip(_AXES, map(max, zip(*sizes, strict=True)), strict=False))
    return longest | {"N": sum(n for n, *_ in sizes), "marks": max(1, longest.get("marks", 0))}


def _to_points(text: str) -> NDArray[np.int32]:
    """Return the code point of each character."""
    return np.array([*map(ord, text)], _INT)


Joined: TypeAlias = "tuple[str, tuple[int, ...], Iterator[Array]]"


def join_columns(split: Fragments, *, flat: bool = False) -> Iterator[Joined]:
    """Yield name, shape and rows of each column; if `flat`, labels of single digits are (N,)."""
    _, *size_px = json.loads(next(split.read(_SIZES)))[:3]
    shape: tuple[int, ...] = (split.n_samples, *size_px)
    yield "images", shape, _read_rows(split, "images", shape)  # while the last are still made
    sizes = _join_sizes([json.loads(data) for data in split.read(_SIZES)])
    for name, column in COLUMNS.items():
        if name != "images" and split.has(_name_fragment(name)):
            shape = column.measure(sizes)
            is_flat = flat and name == "labels" and shape[1] == 1
            yield name, shape[:1] if is_flat else shape, _read_rows(split, name, shape)


def _read_rows(split: Fragments, name: str, shape: tuple[int, ...]) -> Iterator[Array]:
    column, of_each = COLUMNS[name], shape[1:]
    if name == "images":
        row_bytes = prod(of_each)
        pieces = split.read(name, max(1, _COPY_BYTES // row_bytes) * row_bytes)
    else:
        pieces = split.read(_name_fragment(name))
    arrays = (np.frombuffer(data, column.dtype) for data in pieces)
    if name == "alphabet":
        yield next(arrays)  # the same in all parts
    elif not column.field:
        yield from (array.reshape(-1, *of_each) for array in arrays)
    else:
        counts = "mark_lengths" if name.startswith("mark_") else "lengths"
        for lengths, flat in zip(_read_rows(split, counts, shape[:1]), arrays, strict=True):
            if len(lengths) * prod(of_each) == len(flat):  # all are as long
                yield flat.reshape(-1, *of_each)
                continue
            filled = np.full((len(lengths), *of_each), column.blank, column.dtype)
            filled[np.arange(of_each[0]) < lengths[:, None]] = flat.reshape(-1, *of_each[1:])
            yield filled


_CHUNK = 256  # rows read at once, at most
_CHUNK_BYTES = 1 << 25
_GREYS = (np.uint8, np.bool_)
_CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase


class FileArray:
    """An array in a file, in C order from where the file stands; rows are read when sliced."""

    # A memory map would keep pages, and end the process where a file is cut off meanwhile.

    def __init__(
        self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], path: Path
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._file, self.path, self._start = file, path, file.tell()
        self._row_bytes = dtype.itemsize * prod(shape[1:])

    def __getitem__(self, rows: slice, /) -> Array:
        """Return rows from one number to another."""
        n_bytes = (rows.stop - rows.start) * self._row_bytes
        with naming_damage(self.path):
            self._file.seek(self._start + rows.start * self._row_bytes)
            data = self._file.read(n_bytes)
            if len(data) != n_bytes:
                raise ValueError("it ends too early")
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])


@contextmanager
def open_files(
    paths: Mapping[str, Path], open_array: Callable[[BinaryIO, Path], FileArray]
) -> Iterator[Columns]:
    """Open those files of columns that are there; a function reads their headers."""
    with ExitStack() as stack:
        columns: Columns = {}
        for name, path in paths.items():
            if os.path.lexists(path):
                with naming_damage(path):
                    columns[name] = open_array(stack.enter_context(open_regular(path)), path)
        yield columns


def open_npy(file: IO[bytes], path: Path) -> FileArray:
    """Open the array in an npy file, or in a member of an npz file; its path is for messages."""
    with catch_warnings():
        simplefilter("ignore")  # of headers that are no good Python, or old
        version = np.lib.format.read_magic(file)
        name = f"read_array_header_{1 if version == (1, 0) else 2}_0"
        shape, fortran_order, dtype = getattr(np.lib.format, name)(file)
    if dtype.hasobject or fortran_order:
        raise ValueError("it holds Python objects, or columns before rows")
    return FileArray(file, shape, dtype, path)


def iterate_samples(
    split: str, columns: Columns, wanted: Wanted, where: Path
) -> Iterator[LoadedSample]:
    """Yield the samples in arrays of a split, see `COLUMNS`; messages call the file `where`."""
    with naming_damage(where):
        for name, column in columns.items():
            with naming_damage(path := getattr(column, "path", where)):
                _check_column(name, column, path)
        alphabet = _CHARACTERS
        if (points := columns.pop("alphabet", None)) is not None:
            alphabet = "".join(map(chr, points[0 : points.shape[0]].tolist()))
            alphabet.encode()
        n_samples = _check_together(columns)
        prefix = f"{split}/" if split else ""
        row_bytes = max(map(_measure_row, columns.values()))
        n_together = max(1, min(_CHUNK, _CHUNK_BYTES // max(1, row_bytes)))
        for start in range(0, n_samples, n_together):
            stop = min(start + n_together, n_samples)
            names = [f"{prefix}{number}" for number in range(start, stop)]
            chosen = [place for place, name in enumerate(names) if wanted(name)]
            if chosen:
                rows = {name: column[start:stop] for name, column in columns.items()}
                for place, known in _cut_rows(rows, alphabet, chosen):
                    yield LoadedSample(names[place], split, **known)


def _cut_rows(
    rows: dict[str, Array], alphabet: str, chosen: list[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the place of each chosen row, and what `LoadedSample` has of it."""
    images = rows["images"].reshape(rows["images"].shape[:3])
    if images.dtype == np.bool_:  # what is true is white
        images = images * np.uint8(255)
    texts = spell_classes(rows["labels"], rows.get("lengths"), alphabet)
    boxes, mark_boxes = (
        rows[name].astype(np.int64) if name in rows else None for name in ("boxes", "mark_boxes")
    )
    for place in chosen:
        text = texts[place]
        known = {"image": images[place], "text": text}
        if boxes is not None:
            known["boxes"] = boxes[place, : len(text)]
            check_boxes(known["boxes"], images.shape[1:])
        if "writers" in rows:
            writers = rows["writers"][place, : len(text)].tolist()
            known["writers"] = tuple(name.decode() for name in writers)
        if mark_boxes is not None and "mark_lengths" in rows:
            known["mark_boxes"] = mark_boxes[place, : int(rows["mark_lengths"][place])]
        yield place, known


def _measure_row(column: ArrayLike) -> int:
    """Return how many bytes a row has."""
    return column.dtype.itemsize * prod(column.shape[1:])


def _check_column(name: str, column: ArrayLike, where: Path) -> None:
    """Raise an error for an array that cannot be read as what it is meant to be."""
    shape, dtype = column.shape, column.dtype
    if min(shape, default=0) < 0:
        raise ValueError(f"it says that its {name} have the shape {shape!s:.80}")
    if not _is_expected(name, shape, dtype):
        is_other = name == "images" and dtype not in _GREYS
        raise OutputError(
            f"cannot read {where}: its {name} are {dtype!s:.40} of shape {shape!s:.80}; expected "
            f"{COLUMNS[name].expected}",
            "Scale them to 0..255, 0 black, and save them as uint8." if is_other else "",
        )
    if name == "alphabet" and not 0 < shape[0] <= _MOST_CLASSES:
        raise ValueError(f"its alphabet has {shape[0]:,} characters")
    if _measure_row(column) > READ_LIMIT_PX:
        raise ValueError(
            f"one of its {name} has the shape {shape[1:]}; expected at most {READ_LIMIT_PX:,}"
        )


def _is_expected(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    column = COLUMNS[name]
    axes, kind = column.axes, column.dtype.kind
    is_right = dtype in _GREYS if kind == "u" else dtype.kind in ("S" if kind == "S" else "iu")
    if name == "labels" and dtype.kind in "US":
        axes, is_right = axes[:1], 0 < dtype.itemsize <= 4 * LENGTH_LIMIT
    elif name == "labels" and len(shape) == 1:
        axes = axes[:1]
    if "4" in axes:
        is_right = is_right and shape[2:3] == (BOX_NUMBERS,)
    if name != "images":
        is_right = is_right and max(shape[1:], default=1) <= LENGTH_LIMIT
    # There may be one axis more, of length 1.
    has_axes = len(shape) >= len(axes) and shape[len(axes) :] in ((), (1,))
    return is_right and has_axes and 0 not in shape[1:]


def _check_together(columns: Columns) -> int:
    """Return the number of samples, refusing arrays that do not go together."""
    if missing := [name for name in ("images", "labels") if name not in columns]:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    lengths = {name: column.shape[0] for name, column in columns.items()}
    if len({*lengths.values()}) > 1:
        listed = ", ".join(f"{n_rows:,} {name}" for name, n_rows in lengths.items())
        raise ValueError(f"its arrays are not equally long: {listed}")
    labels = columns["labels"].shape
    if "boxes" in columns and labels[1:] > columns["boxes"].shape[1:2]:
        n_boxes = columns["boxes"].shape[1]
        raise ValueError(f"it has boxes of {n_boxes} digits, and labels of {labels[1]}")
    return lengths["images"]


def spell_classes(labels: Array, lengths: Array | None, alphabet: str = _CHARACTERS) -> list[str]:
    """Write classes as texts; without lengths, each ends at its first class that is none."""
    if labels.dtype.kind in "US":
        return _decode(labels.ravel())
    classes = labels.reshape(len(labels), -1).astype(np.int64)
    is_none = (classes < 0) | (classes == np.iinfo(np.uint8).max)
    if lengths is not None:
        is_none |= np.arange(classes.shape[1]) >= lengths.reshape(-1, 1)
    names = np.array([*alphabet, "?", ""])
    known = np.where(is_none, len(names) - 1, np.minimum(classes, len(names) - 2))
    characters = np.ascontiguousarray(names[known])
    texts: list[str] = characters.view(f"U{characters.shape[1]}")[:, 0].tolist()
    return texts


def _decode(labels: Array) -> list[str]:
    """Return labels that are strings; bytes are taken for UTF-8."""
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
