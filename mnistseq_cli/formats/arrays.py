"""NumPy files: ``.npy`` to map into memory, ``.npz`` to load as a whole.

Formats: NumPy Enhancement Proposal 1, version 1.0; ZIP (PKWARE, APPNOTE.TXT). No array holds
Python objects, so none needs ``allow_pickle``.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import IO, TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.columns import COLUMNS, keep_columns, read_column, read_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink
    from mnistseq_cli.formats.columns import Shape

_KERAS = {"images": "x", "labels": "y", "lengths": "lengths", "boxes": "boxes"}
_DEFLATE_LEVEL = 1
_UNIX = 3


class Npy:
    """``images.npy``, ``labels.npy``, ``lengths.npy`` and ``boxes.npy`` in each split."""

    def __init__(self, output: Output) -> None:
        """Take any output: nothing of it matters here."""
        del output

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - as the protocol says
        """Keep the samples of a part."""
        keep_columns(blocks, sink)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the files."""
        for split in splits:
            shape = read_shape(split)
            for name in COLUMNS:
                with sink.path(f"{split.folder}{name}.npy").open("wb") as file:
                    _write_column(split, shape, name, file)


class Npz:
    """``data.npz`` with `images`, `labels`, `lengths` and `boxes`.

    With splits it is laid out as that of Keras: `x_train`, `y_train`, `lengths_train`,
    `boxes_train`, `x_test` and so on.
    """

    def __init__(self, output: Output) -> None:
        """Take any output: nothing of it matters here."""
        del output

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - as the protocol says
        """Keep the samples of a part."""
        keep_columns(blocks, sink)

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


def _name_array(name: str, folder: str) -> str:
    return f"{_KERAS[name]}_{folder.removesuffix('/')}" if folder else name


def _write_column(split: Fragments, shape: Shape, name: str, file: IO[bytes]) -> None:
    header = BytesIO()
    descr = np.lib.format.dtype_to_descr(COLUMNS[name])
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": False, "shape": shape.of(name)}
    )
    file.write(header.getvalue())
    for column in read_column(split, shape, name):
        file.write(column.data)
