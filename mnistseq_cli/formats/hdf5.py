"""HDF5 files, through h5py; the extra ``hdf5``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.arrays import (
    COLUMNS,
    Column,
    Columnar,
    check_column,
    check_size,
    count_together,
    read_column,
    read_columns,
    read_shape,
)
from mnistseq_cli.formats.base import has_any, import_extra, read_splits
from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.arrays import Shape
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted

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

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files."""
        for split in splits:
            shape = read_shape(split)
            with self._h5py.File(writer.path(f"{split.folder}data.h5"), "w") as file:
                for name in COLUMNS:
                    dataset = _create_dataset(file, name, shape)
                    start = 0
                    for column in read_column(split, shape, name):
                        dataset[start : start + len(column)] = column
                        start += len(column)

    @staticmethod
    def holds(folder: Path) -> bool:
        """Whether a folder has ``data.h5``."""
        return has_any(folder, "data.h5")

    def read(self, folder: Path, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read samples back."""
        return read_splits(folder, self.holds, self._read_split, wanted)

    def _read_split(
        self, split: str, folder: Path, wanted: Wanted | None
    ) -> Iterator[LoadedSample]:
        path = folder / "data.h5"
        with naming_damage(path), self._h5py.File(path) as file:
            found = {name: file[name] for name in COLUMNS if name in file}
            columns = {name: self._open_column(name, found[name], path) for name in found}
            yield from read_columns(split, columns, wanted)

    def _open_column(self, name: str, dataset: Any, path: Path) -> Column:  # noqa: ANN401 - h5py may be missing
        if not isinstance(dataset, self._h5py.Dataset):
            raise ValueError(f"its {name} are no array")  # noqa: TRY004 - of a file, not of a call
        shape, dtype = dataset.shape or (), dataset.dtype
        check_column(name, shape, dtype, f"{name} in {path}")
        _check_stored(dataset)
        start = 0

        def take(n_rows: int) -> NDArray[Any]:
            nonlocal start
            with naming_damage(path):
                rows: NDArray[Any] = dataset[start : start + n_rows]
            start += n_rows
            return rows

        return Column(shape, take, count_together(dtype.itemsize * prod(shape[1:])))


def _check_stored(dataset: Any) -> None:  # noqa: ANN401 - h5py may be missing
    """Refuse an array, or a chunk of one, of which the file cannot hold as much as it says."""
    most_bytes = MAX_DEFLATE_RATIO * dataset.id.get_storage_size()
    for shape in (dataset.shape, dataset.chunks or ()):
        check_size(shape, dataset.dtype, most_bytes)


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
