"""HDF5 files, through h5py; the extra ``hdf5``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from mnistseq_cli.formats.columns import COLUMNS, keep_columns, read_column, read_shape
from mnistseq_cli.formats.extras import import_extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink
    from mnistseq_cli.formats.columns import Shape

_CHUNK_BYTES = 1 << 18
_DEFLATE_LEVEL = 1


class Hdf5:
    """``data.h5`` in each split, with `images`, `labels`, `lengths` and `boxes`, in chunks.

    Parameters
    ----------
    output : Output

    Raises
    ------
    UsageError
        h5py is not installed.
    """

    def __init__(self, output: Output) -> None:
        del output
        self._h5py = import_extra("h5py", "hdf5")

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - as the protocol says
        """Keep the samples of a part."""
        keep_columns(blocks, sink)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the files."""
        for split in splits:
            shape = read_shape(split)
            with self._h5py.File(sink.path(f"{split.folder}data.h5"), "w") as file:
                for name in COLUMNS:
                    dataset = _create_dataset(file, name, shape)
                    start = 0
                    for column in read_column(split, shape, name):
                        dataset[start : start + len(column)] = column
                        start += len(column)


def _create_dataset(file: Any, name: str, shape: Shape) -> Any:  # noqa: ANN401 - h5py may be missing
    whole, dtype = shape.of(name), COLUMNS[name]
    n_together = max(1, _CHUNK_BYTES // (dtype.itemsize * prod(whole[1:])))
    return file.create_dataset(
        name,
        whole,
        dtype,
        chunks=(min(n_together, shape.n_samples), *whole[1:]),
        compression="gzip",
        compression_opts=_DEFLATE_LEVEL,
        track_times=False,
    )
