"""Samples as columns of arrays, kept part by part and read again for files that span parts.

A part keeps `images` as they are, and for each sample its number of digits, then its classes and
boxes one after the other: how long the longest text of all parts is, no part knows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import Layout
from mnistseq_cli.formats.records import find_boxes, find_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink
    from mnistseq_cli.recipe import Recipe

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
    header_bytes: ClassVar[int | None] = (
        None  # of its file of images, if that has them as they are
    )

    def __init__(self, output: Output) -> None:
        """Take any output: nothing of it matters here."""
        del output

    def check(self, recipe: Recipe) -> None:
        """Refuse images of different widths."""
        if recipe.width_px == "natural":
            raise UsageError("images of natural width do not fit into one array", _HINT)

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - as the protocol says
        """Keep the samples of a part."""
        keep_columns(blocks, sink, self.header_bytes)


def keep_columns(blocks: Iterable[Block], sink: Sink, header_bytes: int | None = None) -> None:
    """Keep the samples of a part.

    Parameters
    ----------
    blocks : iterable of Block
    sink : Sink
    header_bytes : int, optional
        Size of the header of a file that holds all images as they are: images are placed in it,
        for `Fragments.gather` under the name "images".

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
        pixels = np.ascontiguousarray(block.images)
        if header_bytes is None:
            sink.keep(_IMAGES, pixels.data)
        else:
            sink.place(_IMAGES, Layout(header_bytes, pixels[0].nbytes), pixels.data)
        is_digit, _ = find_values(block)
        rows.append((block.lengths, block.classes[is_digit], find_boxes(block)))
    lengths, classes, boxes = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    sink.keep(_LENGTHS, lengths.astype(COLUMNS["lengths"]).tobytes())
    sink.keep(_CLASSES, classes.astype(COLUMNS["labels"]).tobytes())
    sink.keep(_BOXES, boxes.astype(COLUMNS["boxes"]).tobytes())
    shape = [len(lengths), *shapes.pop(), int(lengths.max())]
    sink.keep(_SHAPE, json.dumps(shape).encode())


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
