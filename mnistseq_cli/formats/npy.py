"""NumPy files: npy and npz."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

import numpy as np

from mnistseq_cli.files import naming_damage, open_regular
from mnistseq_cli.formats.arrays import (
    COLUMNS,
    Columnar,
    iterate_samples,
    list_columns,
    open_npy,
    read_column,
    read_shape,
)
from mnistseq_cli.formats.base import list_files, rank_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.formats.arrays import Shape
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted

KERAS = {"images": "x", "labels": "y"}
_DEFLATE_LEVEL = 1
_UNIX = 3


class Npy(Columnar):
    """``images.npy``, ``labels.npy``, ``lengths.npy`` and ``boxes.npy`` in each split."""

    marks = ("images.npy",)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files."""
        for split in splits:
            shape = read_shape(split)
            for name in list_columns(split):
                with writer.path(f"{split.folder}{name}.npy").open("wb") as file:
                    _write_column(split, shape, name, file)

    def read_split(
        self, split: str, folder: Path, wanted: Wanted | None
    ) -> Iterator[LoadedSample]:
        """Read the samples in ``images.npy`` and the files beside it."""
        with ExitStack() as stack:
            columns = {}
            for name in COLUMNS:
                path = folder / f"{name}.npy"
                if path.exists() or path.is_symlink() or name in ("images", "labels"):
                    with naming_damage(path):
                        columns[name] = open_npy(stack.enter_context(open_regular(path)), path)
            yield from iterate_samples(split, columns, wanted, where=folder)


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
                shape = read_shape(split)
                for name in list_columns(split):
                    member = f"{_name_array(name, split.folder)}.npy"
                    with archive.open(member, "w", force_zip64=True) as file:
                        _write_column(split, shape, name, file, is_flat=shape.longest == 1)
            for name, text in self._licence.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.array(text))
            for info in archive.infolist():
                info.create_system = _UNIX  # on Windows too: the same samples, the same bytes

    def read_split(
        self, split: str, folder: Path, wanted: Wanted | None
    ) -> Iterator[LoadedSample]:
        """Read the samples in the npz files of a folder, ours or as those of Keras."""
        for path in list_files(folder, "*.npz"):
            with naming_damage(path), zipfile.ZipFile(path) as archive:
                for name, members in _find_members(archive.namelist()):
                    with ExitStack() as stack:
                        columns = {
                            column: open_npy(stack.enter_context(archive.open(member)), path)
                            for column, member in members.items()
                        }
                        yield from iterate_samples(split or name, columns, wanted, where=path)


def _name_array(name: str, folder: str) -> str:
    return f"{KERAS.get(name, name)}_{folder.removesuffix('/')}" if folder else name


def _write_column(
    split: Fragments, shape: Shape, name: str, file: IO[bytes], *, is_flat: bool = False
) -> None:
    axes = shape.of(name)[:1] if name == "labels" and is_flat else shape.of(name)
    header = {"descr": COLUMNS[name].dtype.str, "fortran_order": False, "shape": axes}
    np.lib.format.write_array_header_1_0(file, header)
    if name == "images":
        split.copy_to(name, file)
        return
    for column in read_column(split, shape, name):
        file.write(column.data)


def _find_members(names: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the splits of an archive, and the name of each column of theirs."""
    if "images.npy" in names:
        return [("", {column: f"{column}.npy" for column in COLUMNS if f"{column}.npy" in names})]
    ends = [name.removeprefix("x_").removesuffix(".npy") for name in names if name[:2] == "x_"]
    found = []
    for split in sorted(ends, key=rank_split):
        members = {name: f"{KERAS.get(name, name)}_{split}.npy" for name in COLUMNS}
        found.append((split, {key: member for key, member in members.items() if member in names}))
    if not found:
        raise ValueError(
            f"it holds {', '.join(names) or 'nothing'}; images or x_train is expected"
        )
    return found
