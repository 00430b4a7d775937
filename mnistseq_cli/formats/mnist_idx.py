"""IDX files, for readers of MNIST; the format is described in `mnistseq_cli.glyphs.idx`."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import naming_damage, open_regular
from mnistseq_cli.formats.arrays import (
    NO_CLASS,
    Columnar,
    FileArray,
    iterate_samples,
    list_columns,
    read_column,
    read_shape,
)
from mnistseq_cli.formats.base import list_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.formats.arrays import Shape
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted
    from mnistseq_cli.recipe import Recipe

_UINT8, _INT32 = 0x08, 0x0C
_MOST_SAMPLES = 2**32 - 1
_BLANK = 255  # an IDX file has no place for NO_CLASS
_PREFIXES = {"": "train", "train/": "train", "test/": "t10k"}
_IMAGES = "-images-idx3-ubyte"
_DTYPES: dict[int, np.dtype[Any]] = {_UINT8: np.dtype(np.uint8), _INT32: np.dtype(">i4")}


class Idx(Columnar):
    """Images, labels and lengths of labels, named and laid out as the files of MNIST are.

    ``train-images-idx3-ubyte`` (N, height, W), ``train-labels-idx2-ubyte`` (N, longest; 255 after
    the end) and ``train-lengths-idx1-int`` (N,); ``t10k-…`` for the split test. Where every text
    is a single digit, labels are ``train-labels-idx1-ubyte`` (N,), as in MNIST itself, and the
    splits train and test lie in one folder, as readers of MNIST look for them.
    """

    marks = (f"*{_IMAGES}",)

    def check(self, recipe: Recipe, largest_px: tuple[int, int] | None = None) -> None:
        """Raise an error for images of different widths, and more than a header can count."""
        super().check(recipe, largest_px)
        if recipe.count > _MOST_SAMPLES:
            raise UsageError(
                f"count is {recipe.count}; an IDX file holds at most {_MOST_SAMPLES} images",
                "Use --to webdataset or parquet, whose files are one a part.",
            )

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files."""
        shapes = [read_shape(split) for split in splits]
        is_mnist = {split.folder for split in splits} == {"train/", "test/"} and all(
            shape.longest == 1 for shape in shapes
        )
        for split, shape in zip(splits, shapes, strict=True):
            prefix = _PREFIXES.get(split.folder, split.folder.removesuffix("/"))
            prefix = prefix if is_mnist else split.folder + prefix
            with writer.path(f"{prefix}{_IMAGES}").open("wb") as file:
                file.write(_make_header(_UINT8, shape.of("images")))
                split.copy_to("images", file)
            self._write_labels(split, shape, prefix, writer)
            with writer.path(f"{prefix}-lengths-idx1-int").open("wb") as file:
                file.write(_make_header(_INT32, shape.of("lengths")))
                for lengths in read_column(split, shape, "lengths"):
                    file.write(lengths.astype(">i4").data)
            if "alphabet" in list_columns(split):
                with writer.path(f"{prefix}-alphabet-idx1-int").open("wb") as file:
                    file.write(_make_header(_INT32, shape.of("alphabet")))
                    for points in read_column(split, shape, "alphabet"):
                        file.write(points.astype(">i4").data)

    def _write_labels(
        self, split: Fragments, shape: Shape, prefix: str, writer: PartWriter
    ) -> None:
        n_samples, longest = shape.of("labels")
        axes = (n_samples,) if longest == 1 else (n_samples, longest)
        with writer.path(f"{prefix}-labels-idx{len(axes)}-ubyte").open("wb") as file:
            file.write(_make_header(_UINT8, axes))
            for labels in read_column(split, shape, "labels"):
                file.write(np.where(labels == NO_CLASS, _BLANK, labels).astype(np.uint8).data)

    def read_split(
        self, split: str, folder: Path, wanted: Wanted | None
    ) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        paths = list_files(folder, f"*{_IMAGES}")[::-1]  # train before t10k
        for path in paths:
            prefix = path.name.removesuffix(_IMAGES)
            name = split or (prefix if len(paths) > 1 else "")
            yield from _read_files(name.replace("t10k", "test"), path, prefix, wanted)


def _read_files(
    split: str, images: Path, prefix: str, wanted: Wanted | None
) -> Iterator[LoadedSample]:
    labels = sorted(images.parent.glob(f"{prefix}-labels-idx[12]-ubyte"))
    missing = images.with_name(f"{prefix}-labels-idx2-ubyte")
    lengths = images.with_name(f"{prefix}-lengths-idx1-int")
    paths = {"images": images, "labels": labels[0] if labels else missing}
    paths |= {"lengths": lengths} if lengths.exists() else {}
    alphabet = images.with_name(f"{prefix}-alphabet-idx1-int")
    paths |= {"alphabet": alphabet} if alphabet.exists() else {}
    with ExitStack() as stack:
        columns = {}
        for name, path in paths.items():
            with naming_damage(path):
                columns[name] = _open_idx(stack.enter_context(open_regular(path)), path)
        yield from iterate_samples(split, columns, wanted, where=images)


def _open_idx(file: IO[bytes], path: Path) -> FileArray:
    """Open the array in an IDX file, of any size: a dataset is larger than a set of glyphs."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:  # noqa: PLR2004 - the four bytes read
        raise ValueError(f"it begins with {magic!r}; expected two zeros, then 8 or 12")
    lengths = file.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise ValueError("it ends within its header")
    return FileArray(file, struct.unpack(f">{magic[3]}I", lengths), _DTYPES[magic[2]], path)


def _make_header(kind: int, axes: tuple[int, ...]) -> bytes:
    return bytes([0, 0, kind, len(axes)]) + np.array(axes, ">u4").tobytes()
