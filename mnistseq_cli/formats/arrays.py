"""NumPy files: ``.npy`` to map into memory, ``.npz`` to load as a whole.

Formats: NumPy Enhancement Proposal 1, version 1.0; ZIP (PKWARE, APPNOTE.TXT). No array holds
Python objects, so none needs ``allow_pickle``.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import IO, TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.array_reading import KERAS, holds_npy, holds_npz, read_npy, read_npz
from mnistseq_cli.formats.columns import COLUMNS, Columnar, read_column, read_shape
from mnistseq_cli.formats.reading import read_splits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.formats import Fragments, Sink
    from mnistseq_cli.formats.columns import Shape
    from mnistseq_cli.formats.reading import Seen

_DEFLATE_LEVEL = 1
_UNIX = 3


class Npy(Columnar):
    """``images.npy``, ``labels.npy``, ``lengths.npy`` and ``boxes.npy`` in each split."""

    header_bytes = 128  # NumPy leaves room for the number of images to grow

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the files."""
        for split in splits:
            shape = read_shape(split)
            for name in COLUMNS:
                path = sink.path(f"{split.folder}{name}.npy")
                if name == "images":
                    split.gather(name, path)
                    with path.open("r+b") as file:
                        file.write(_make_header(shape, name))
                    continue
                with path.open("wb") as file:
                    _write_column(split, shape, name, file)

    @staticmethod
    def holds(folder: Path) -> bool:
        """Tell whether a folder has ``images.npy``."""
        return holds_npy(folder)

    def read(self, folder: Path) -> Iterator[Seen]:
        """Read samples back."""
        return read_splits(folder, holds_npy, read_npy)


class Npz(Columnar):
    """``data.npz`` with `images`, `labels`, `lengths` and `boxes`.

    With splits it is laid out as that of Keras: `x_train`, `y_train`, `lengths_train`,
    `boxes_train`, `x_test` and so on.
    """

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the file."""
        with zipfile.ZipFile(
            sink.path("data.npz"), "w", zipfile.ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL
        ) as archive:
            for split in splits:
                shape = read_shape(split)
                for name in COLUMNS:
                    member = f"{_name_array(name, split.folder)}.npy"
                    with archive.open(member, "w", force_zip64=True) as file:
                        _write_column(split, shape, name, file)
            for info in archive.infolist():
                info.create_system = _UNIX  # on Windows too: the same samples, the same bytes

    @staticmethod
    def holds(folder: Path) -> bool:
        """Tell whether a folder has an npz file."""
        return holds_npz(folder)

    def read(self, folder: Path) -> Iterator[Seen]:
        """Read samples back, also from the npz files of Keras."""
        return read_splits(folder, holds_npz, read_npz)


def _name_array(name: str, folder: str) -> str:
    return f"{KERAS[name]}_{folder.removesuffix('/')}" if folder else name


def _make_header(shape: Shape, name: str) -> bytes:
    header = BytesIO()
    descr = np.lib.format.dtype_to_descr(COLUMNS[name])
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": False, "shape": shape.of(name)}
    )
    return header.getvalue()


def _write_column(split: Fragments, shape: Shape, name: str, file: IO[bytes]) -> None:
    file.write(_make_header(shape, name))
    for column in read_column(split, shape, name):
        file.write(column.data)
