"""Samples as rows of arrays, and back."""

from __future__ import annotations

import json
import string
import sys
from dataclasses import dataclass
from math import prod
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol
from warnings import catch_warnings, simplefilter

import numpy as np

from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.base import Format, LoadedSample
from mnistseq_cli.formats.fields import FIELDS, find_known
from mnistseq_cli.formats.images import READ_LIMIT_PX, check_size
from mnistseq_cli.formats.read_labels import check_boxes
from mnistseq_cli.formats.tables import check_text
from mnistseq_cli.glyphs.writers import WRITER_LIMIT_BYTES
from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Fragments, PartWriter, Wanted
    from mnistseq_cli.recipe import Recipe

NO_CLASS = -1
_HINT = "Give them one --width, or choose another format: --to webdataset, parquet or lmdb"
_SHAPE, _ALPHABET = "shape", "alphabet"
_INT = np.dtype("<i4")
_MOST_CLASSES = 256


@dataclass(frozen=True)
class Shape:
    """How large the columns of a split are."""

    n_samples: int
    height_px: int
    width_px: int
    longest: int  # digits of the longest text
    most_marks: int = 0
    n_classes: int = 0

    def of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a column."""
        if name == "alphabet":
            return (self.n_classes,)
        of_each: dict[str, tuple[int, ...]] = {
            "images": (self.height_px, self.width_px),
            "lengths": (),
            "boxes": (self.longest, 4),
            "mark_lengths": (),
            "mark_boxes": (self.most_marks, 4),
            "mark_characters": (self.most_marks,),
        }
        return (self.n_samples, *of_each.get(name, (self.longest,)))


@dataclass(frozen=True)
class Column:
    """An array with a row for each sample, but for the alphabet.

    Parameters
    ----------
    dtype : dtype
    expected : str
        What is read, for messages.
    field : str
        The one of `FIELDS` that it holds, of each digit or mark; "" for what is none.
    blank : int or bytes
        What stands after the last digit.
    """

    dtype: np.dtype[Any]
    expected: str
    field: str = ""
    blank: int | bytes = 0

    @property
    def aspect(self) -> str:
        """The attribute of `LoadedSample` that it is read into; "" for images and texts."""
        return FIELDS[self.field].aspect if self.field else ""


_LABELS = (
    f"whole numbers of shape (N,) or (N, digits), up to {LENGTH_LIMIT:,} digits, or strings of "
    "shape (N,)"
)
_BOXES = "whole numbers of shape (N, digits, 4)"
_WRITERS = "names in UTF-8, of shape (N, digits)"
COLUMNS = {
    "images": Column(np.dtype(np.uint8), "uint8 or bool of shape (N, height, width)"),
    "labels": Column(np.dtype("<i2"), _LABELS, "objects.category", NO_CLASS),
    "lengths": Column(np.dtype("<i4"), "whole numbers of shape (N,)"),
    "boxes": Column(np.dtype("<i4"), _BOXES, "objects.bbox"),
    "writers": Column(np.dtype(f"S{WRITER_LIMIT_BYTES}"), _WRITERS, "writers", b""),
    # What is written but not read; code points of characters.
    "mark_lengths": Column(_INT, "whole numbers of shape (N,)"),
    "mark_boxes": Column(_INT, "whole numbers of shape (N, marks, 4)", "marks.box"),
    "mark_characters": Column(_INT, "code points of shape (N, marks)", "marks.character"),
    "alphabet": Column(_INT, "code points of shape (classes,)"),
}


def _name_fragment(column: str) -> str:
    """Return what the pieces of a column are called until they are joined."""
    return "classes" if column == "labels" else column


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
        shapes: set[tuple[int, int]] = set()
        n_samples = longest = most_marks = 0
        for block in blocks:
            shapes |= {
                (block.images.shape[1], width) for width in np.unique(block.widths_px).tolist()
            }
            _check_shapes(shapes)
            writer.append("images", np.ascontiguousarray(block.images).data)
            known = {name: values.flat for name, values in find_known(block).items()}
            known["lengths"] = block.lengths
            if block.marks:
                known["mark_lengths"] = block.marks.lengths
                known["marks.character"] = to_points(block.marks.characters)
            for name, column in COLUMNS.items():
                values = known.get(column.field or name)
                if values is None or (name == "writers" and not self.holds_writers):
                    continue
                if values.dtype.kind == "U":
                    values = np.char.encode(values.astype(np.str_), "utf-8")
                writer.append(_name_fragment(name), values.astype(column.dtype).tobytes())
            n_samples += len(block)
            longest = max(longest, int(block.lengths.max()))
            most_marks = max(most_marks, *known.get("mark_lengths", [0]))
        shape = [n_samples, *shapes.pop(), longest, int(most_marks), len(block.alphabet)]
        writer.append(_SHAPE, json.dumps(shape).encode())
        writer.append(_ALPHABET, to_points(block.alphabet).tobytes())


def read_shape(split: Fragments) -> Shape:
    """Read how large the columns of a split are."""
    parts = [Shape(*json.loads(data)) for data in split.read(_SHAPE)]
    shapes = {(part.height_px, part.width_px) for part in parts}
    _check_shapes(shapes)
    longest, most_marks = (max(getattr(part, it) for part in parts) for it in _LONGEST)
    n_samples = sum(part.n_samples for part in parts)
    return Shape(n_samples, *shapes.pop(), longest, max(1, most_marks), parts[0].n_classes)


_LONGEST = ("longest", "most_marks")


def to_points(text: str) -> NDArray[np.int32]:
    """Return the code point of each character."""
    return np.array([*map(ord, text)], _INT)


def list_columns(split: Fragments) -> list[str]:
    """List the columns that a split has."""
    return [name for name in COLUMNS if split.has(_name_fragment(name))]


def read_column(split: Fragments, shape: Shape, name: str) -> Iterator[NDArray[Any]]:
    """Read a column, an array a part; see `COLUMNS`."""
    column, of_each = COLUMNS[name], shape.of(name)[1:]
    arrays = (np.frombuffer(data, column.dtype) for data in split.read(_name_fragment(name)))
    if name == _ALPHABET:
        yield next(arrays)
        return
    if not column.field:
        yield from (array.reshape(-1, *of_each) for array in arrays)
        return
    counts = "mark_lengths" if name.startswith("mark_") else "lengths"
    for lengths, flat in zip(read_column(split, shape, counts), arrays, strict=True):
        filled = np.full((len(lengths), *of_each), column.blank, column.dtype)
        inside = np.arange(of_each[0]) < lengths[:, None]
        filled[inside] = flat.reshape(-1, *of_each[1:])
        yield filled


def _check_shapes(shapes: set[tuple[int, int]]) -> None:
    if len(shapes) > 1:
        widths_px = sorted(width for _, width in shapes)
        raise UsageError(
            f"images from {widths_px[0]} to {widths_px[-1]} px wide do not fit into one array",
            _HINT,
        )


_CHUNK = 256  # rows read at once, at most
_CHUNK_BYTES = 1 << 25
_GREYS = (np.uint8, np.bool_)
_CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase


class ArrayLike(Protocol):
    """What has rows: an array of NumPy or HDF5, a `FileArray`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its items."""
        ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows."""
        ...


class FileArray:
    """An array in a file, in C order from where the file stands; rows are read when sliced.

    Unlike a memory map it keeps no pages of a large file, and a file that is cut off while it is
    read is an error and not the end of the process.
    """

    def __init__(
        self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], path: Path
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._file, self.path, self._start = file, path, file.tell()
        self._row_bytes = dtype.itemsize * prod(shape[1:])

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return rows from one number to another."""
        n_bytes = (rows.stop - rows.start) * self._row_bytes
        with naming_damage(self.path):
            self._file.seek(self._start + rows.start * self._row_bytes)
            data = self._file.read(n_bytes)
            if len(data) != n_bytes:
                raise ValueError("it ends too early")
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])


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
    split: str,
    columns: Mapping[str, ArrayLike],
    wanted: Wanted | None = None,
    *,
    where: Path | str = "the arrays",
) -> Iterator[LoadedSample]:
    """Yield the samples of a split, whose arrays may lie in any kind of file: see `COLUMNS`.

    `lengths` and `boxes` may be missing; `where` is what messages call the file.
    """
    with naming_damage(where):
        alphabet = _read_alphabet(columns.get(_ALPHABET))
        columns = {name: column for name, column in columns.items() if name != _ALPHABET}
        for name, column in columns.items():
            with naming_damage(path := getattr(column, "path", where)):
                _check_column(name, column, path)
        n_samples = _check_together(columns)
        prefix = f"{split}/" if split else ""
        row_bytes = max(
            column.dtype.itemsize * prod(column.shape[1:]) for column in columns.values()
        )
        n_together = max(1, min(_CHUNK, _CHUNK_BYTES // max(1, row_bytes)))
        for start in range(0, n_samples, n_together):
            stop = min(start + n_together, n_samples)
            names = [f"{prefix}{number}" for number in range(start, stop)]
            chosen = [place for place, name in enumerate(names) if not wanted or wanted(name)]
            if not chosen:
                continue
            rows = {name: column[start:stop] for name, column in columns.items()}
            images = rows["images"].reshape(stop - start, *columns["images"].shape[1:3])
            if images.dtype == np.bool_:  # what is true is white
                images = images * np.uint8(255)
            texts = spell_classes(rows["labels"], rows.get("lengths"), alphabet)
            known: dict[str, Any] = {
                aspect: rows[name].astype(np.int64)
                for name in rows
                if (aspect := COLUMNS[name].aspect) and name not in ("writers", "mark_boxes")
            }
            for place in chosen:
                text = texts[place]
                more: dict[str, Any] = {
                    aspect: values[place, : len(text)] for aspect, values in known.items()
                }
                if "writers" in rows:
                    spelt = rows["writers"][place, : len(text)].tolist()
                    more["writers"] = tuple(name.decode() for name in spelt)
                if "boxes" in more:
                    check_boxes(more["boxes"], images.shape[1:])
                if "mark_boxes" in rows and "mark_lengths" in rows:
                    n_marks = int(rows["mark_lengths"][place])
                    more["mark_boxes"] = rows["mark_boxes"][place, :n_marks].astype(np.int64)
                yield LoadedSample(names[place], split, images[place], text, **more)


def _check_column(name: str, column: ArrayLike, where: Path | str) -> None:
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
    if dtype.itemsize * prod(shape[1:]) > READ_LIMIT_PX:
        raise ValueError(
            f"one of its {name} has the shape {shape[1:]}; expected at most {READ_LIMIT_PX:,}"
        )


def _is_expected(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    is_whole = dtype.kind in "iu"
    if name == "images":
        return dtype in _GREYS and _has_axes(shape, 3)
    if name == "labels" and not is_whole:
        is_text = dtype.kind in "US" and 0 < dtype.itemsize <= 4 * LENGTH_LIMIT
        return is_text and _has_axes(shape, 1)
    if name == "labels" and len(shape) == 2:  # noqa: PLR2004 - of samples and digits
        return 0 < shape[1] <= LENGTH_LIMIT
    if name in ("writers", "mark_characters"):
        is_right = dtype.kind == "S" if name == "writers" else is_whole
        return is_right and len(shape) == 2  # noqa: PLR2004 - of samples and digits or marks
    if name in ("boxes", "mark_boxes"):
        return is_whole and shape[2:] == (4,)
    return is_whole and _has_axes(shape, 1)


def _has_axes(shape: tuple[int, ...], n_axes: int) -> bool:
    """Whether an array has so many axes, but for a last one of length 1, and none empty."""
    is_long = len(shape) >= n_axes and shape[n_axes:] in ((), (1,))
    return is_long and 0 not in shape[1:]


def _check_together(columns: Mapping[str, ArrayLike]) -> int:
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


def _read_alphabet(points: ArrayLike | None) -> str | None:
    """Return the character of each class, if a file says it."""
    if points is None:
        return None
    shape, is_whole = points.shape, points.dtype.kind in "iu"
    if not is_whole or len(shape) != 1 or not 0 < shape[0] <= _MOST_CLASSES:
        raise ValueError(f"its alphabet is {points.dtype!s:.40} of shape {shape!s:.80}")
    alphabet = "".join(map(chr, points[0 : shape[0]].tolist()))
    alphabet.encode()
    return alphabet


def spell_classes(
    labels: NDArray[Any], lengths: NDArray[Any] | None, alphabet: str | None = None
) -> list[str]:
    """Write classes as texts; without lengths, each ends at its first class that is none.

    Without an alphabet, classes are digits, A to Z, a to z.
    """
    if labels.dtype.kind in "US":
        return _decode(labels.ravel())
    classes = labels.reshape(len(labels), -1).astype(np.int64)
    is_none = (classes < 0) | (classes == np.iinfo(np.uint8).max)
    if lengths is not None:
        is_none |= np.arange(classes.shape[1]) >= lengths.reshape(-1, 1)
    names = np.array([*(_CHARACTERS if alphabet is None else alphabet), "?", ""])
    known = np.where(is_none, len(names) - 1, np.minimum(classes, len(names) - 2))
    characters = np.ascontiguousarray(names[known])
    texts: list[str] = characters.view(f"U{characters.shape[1]}")[:, 0].tolist()
    return texts


def _decode(labels: NDArray[Any]) -> list[str]:
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
