"""HDF5 files, through h5py; the extra ``hdf5``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from mnistseq_cli.formats.column_reading import Column, read_columns
from mnistseq_cli.formats.columns import COLUMNS, Columnar, read_column, read_shape
from mnistseq_cli.formats.extras import import_extra
from mnistseq_cli.formats.reading import has_any, name_damage, read_splits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.formats import Fragments, Output, Sink
    from mnistseq_cli.formats.columns import Shape
    from mnistseq_cli.formats.reading import Seen

_CHUNK_BYTES = 1 << 18
_DEFLATE_LEVEL = 1


class Hdf5(Columnar):
    """``data.h5`` in each split, with `images`, `labels`, `lengths` and `boxes`, in chunks.

    Parameters
    ----------
    output : Output

    Raises
    ------
    UsageError
        h5py is not installed.
    """

    libraries = ("h5py",)

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._h5py = import_extra("h5py", "hdf5")

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

    @staticmethod
    def holds(folder: Path) -> bool:
        """Tell whether a folder has ``data.h5``."""
        return has_any(folder, "data.h5")

    def read(self, folder: Path) -> Iterator[Seen]:
        """Read samples back."""
        return read_splits(folder, self.holds, self._read_split)

    def _read_split(self, split: str, folder: Path) -> Iterator[Seen]:
        path = folder / "data.h5"
        with name_damage(path), self._h5py.File(path) as file:
            columns = {name: _open_column(file[name], path) for name in COLUMNS if name in file}
            yield from read_columns(split, columns)


def _open_column(dataset: Any, path: Path) -> Column:  # noqa: ANN401 - h5py may be missing
    start = 0

    def take(n_rows: int) -> NDArray[Any]:
        nonlocal start
        with name_damage(path):
            rows: NDArray[Any] = dataset[start : start + n_rows]
        start += n_rows
        return rows

    return Column(dataset.shape, take)


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
