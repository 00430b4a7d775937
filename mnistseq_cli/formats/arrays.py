"""Formats that are arrays: NumPy's npy and npz, HDF5 (the extra ``hdf5``), IDX as MNIST has it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.errors import UsageError
from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.base import Append, Fragments, PartWriter, list_files, rank_split
from mnistseq_cli.formats.columns import (
    COLUMNS,
    ArrayLike,
    Columnar,
    Columns,
    FileArray,
    Opened,
    join_columns,
    open_files,
    open_npy,
)
from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO
from mnistseq_cli.recipe import Recipe

_DEFLATE_LEVEL = 1


class Npy(Columnar):
    """``images.npy``, ``labels.npy``, ``lengths.npy`` and ``boxes.npy`` in each split."""

    marks = ("images.npy",)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files."""
        for split in splits:
            for name, shape, arrays in join_columns(split):
                with writer.open(f"{split.folder}{name}.npy") as append:
                    _write_array(append, name, shape, arrays)

    def open_columns(self, split: str, folder: Path) -> Iterator[Opened]:
        """Open ``images.npy`` and the files beside it."""
        with open_files({name: folder / f"{name}.npy" for name in COLUMNS}, open_npy) as columns:
            yield split, folder, columns


KERAS = {"images": "x", "labels": "y"}
_UNIX = 3


class Npz(Columnar):
    """``data.npz`` with `images`, `labels`, `lengths` and `boxes`.

    With splits it is laid out as that of Keras: `x_train`, `y_train`, `lengths_train`,
    `boxes_train`, `x_test` and so on. Where every text is a single digit, labels have the shape
    (N,), as those of Keras.
    """

    marks = ("*.npz",)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the file."""
        with zipfile.ZipFile(
            writer.path("data.npz"), "w", zipfile.ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL
        ) as archive:
            for split in splits:
                end = f"_{split.folder[:-1]}.npy" if split.folder else ".npy"
                for name, shape, arrays in join_columns(split, flat=True):
                    member = (KERAS.get(name, name) if split.folder else name) + end
                    with archive.open(member, "w", force_zip64=True) as file:
                        _write_array(file.write, name, shape, arrays)
            for name, text in self._licence.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.array(text))
            for info in archive.infolist():
                info.create_system = _UNIX  # on Windows too: the same samples, the same bytes

    def open_columns(self, split: str, folder: Path) -> Iterator[Opened]:
        """Open the npz files of a folder, ours or as those of Keras."""
        for path in list_files(folder, "*.npz"):
            with naming_damage(path), zipfile.ZipFile(path) as archive:
                for name, members in _find_members(archive.namelist()):
                    with ExitStack() as stack:
                        columns: Columns = {
                            column: open_npy(stack.enter_context(archive.open(member)), path)
                            for column, member in members.items()
                        }
                        yield split or name, path, columns


def _write_array(
    append: Append, name: str, shape: tuple[int, ...], arrays: Iterable[NDArray[Any]]
) -> None:
    header = {"descr": COLUMNS[name].dtype.str, "fortran_order": False, "shape": shape}
    start = BytesIO()
    np.lib.format.write_array_header_1_0(start, header)
    append(start.getvalue())
    for array in arrays:
        append(array.data)


def _find_members(names: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the splits of an archive, and the name of each column of theirs."""
    if "images.npy" in names:
        return [("", {name: f"{name}.npy" for name in COLUMNS if f"{name}.npy" in names})]
    splits = [name[2:].removesuffix(".npy") for name in names if name[:2] == "x_"]
    if not splits:
        raise ValueError(
            f"it holds {', '.join(names) or 'nothing'}; images or x_train is expected"
        )
    found = []
    for split in sorted(splits, key=rank_split):
        members = {name: f"{KERAS.get(name, name)}_{split}.npy" for name in COLUMNS}
        found.append((split, {name: it for name, it in members.items() if it in names}))
    return found


_CHUNK_BYTES = 1 << 18


class Hdf5(Columnar):
    """``data.h5`` in each split, with `images`, `labels`, `lengths` and `boxes`, in chunks."""

    marks = ("data.h5",)
    libraries = ("h5py",)
    holds_writers = True

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._h5py = import_extra("h5py", "hdf5")

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files."""
        for split in splits:
            with self._h5py.File(writer.path(f"{split.folder}data.h5"), "w") as file:
                file.attrs.update(self._licence)
                for name, shape, arrays in join_columns(split):
                    dtype = COLUMNS[name].dtype
                    n_together = max(1, _CHUNK_BYTES // (dtype.itemsize * prod(shape[1:])))
                    dataset = file.create_dataset(
                        name,
                        shape,
                        dtype,
                        chunks=(min(n_together, shape[0]), *shape[1:]),
                        compression="gzip",
                        compression_opts=_DEFLATE_LEVEL,
                        track_times=False,
                    )
                    start = 0
                    for array in arrays:
                        dataset[start : start + len(array)] = array
                        start += len(array)

    def open_columns(self, split: str, folder: Path) -> Iterator[Opened]:
        """Open the arrays of ``data.h5``."""
        path = folder / "data.h5"
        with naming_damage(path), self._h5py.File(path) as file:
            names = [*file]  # looking a name up would follow a link
            columns = {name: self._open_column(file, name) for name in COLUMNS if name in names}
            yield split, path, columns

    def _open_column(self, file: Any, name: str) -> ArrayLike:  # noqa: ANN401 - h5py may be missing
        """Return an array that lies in the file itself, as large as the file can hold."""
        is_hard = file.id.links.get_info(name.encode()).type == self._h5py.h5l.TYPE_HARD
        dataset = file[name] if is_hard else None
        if not isinstance(dataset, self._h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise ValueError(f"its {name} are no array that lies in the file itself")
        most_bytes = MAX_DEFLATE_RATIO * dataset.id.get_storage_size()
        for shape in (dataset.shape or (0,), dataset.chunks or (0,)):
            if dataset.dtype.itemsize * prod(shape) > most_bytes:
                raise ValueError(f"it ends too early for {name} of shape {shape}")
        array: ArrayLike = dataset
        return array


_MOST_SAMPLES = 2**32 - 1
_PREFIXES = {"": "train", "train/": "train", "test/": "t10k"}
_IMAGES = "-images-idx3-ubyte"
_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}
_COLUMNS = {  # type of each, in the header and in the name; in labels NO_CLASS becomes 255
    **dict.fromkeys(("images", "labels"), (0x08, "ubyte")),
    **dict.fromkeys(("lengths", "alphabet"), (0x0C, "int")),
}


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
        columns = {split.folder: [*join_columns(split, flat=True)] for split in splits}
        # Images come first, then labels.
        are_single = all(len(found[1][1]) == 1 for found in columns.values())
        is_mnist = {*columns} == {"train/", "test/"} and are_single
        for folder, found in columns.items():
            prefix = _PREFIXES.get(folder, folder.removesuffix("/"))
            prefix = prefix if is_mnist else folder + prefix
            for name, shape, arrays in found:
                if name not in _COLUMNS:
                    continue
                code, ending = _COLUMNS[name]
                with writer.open(f"{prefix}-{name}-idx{len(shape)}-{ending}") as append:
                    append(bytes([0, 0, code, len(shape)]) + np.array(shape, ">u4").tobytes())
                    for array in arrays:
                        append(array.astype(_TYPES[code], copy=False).data)

    def open_columns(self, split: str, folder: Path) -> Iterator[Opened]:
        """Open the files of each prefix, such as ``train`` and ``t10k``."""
        all_images = list_files(folder, f"*{_IMAGES}")[::-1]  # train before t10k
        for images in all_images:
            prefix = images.name.removesuffix(_IMAGES)
            paths = {
                name: min(folder.glob(f"{prefix}-{name}-idx?-{ending}"), default=folder / name)
                for name, (_, ending) in _COLUMNS.items()
            }
            own_split = split or (prefix if len(all_images) > 1 else "")
            with open_files(paths, _open_idx) as columns:
                yield own_split.replace("t10k", "test"), images, columns


def _open_idx(file: IO[bytes], path: Path) -> FileArray:
    """Open the array in an IDX file, of any size: a dataset is larger than a set of glyphs."""
    zeros, code, n_axes = struct.unpack(">HBB", file.read(4))
    if zeros or code not in _TYPES:
        raise ValueError(f"it begins with {zeros}, {code}; expected 0, then 8 or 12")
    shape = struct.unpack(f">{n_axes}I", file.read(4 * n_axes))
    return FileArray(file, shape, _TYPES[code], path)
