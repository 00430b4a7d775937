"""HDF5 files, through h5py; the extra ``hdf5``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.arrays import (
    COLUMNS,
    Columnar,
    iterate_samples,
    list_columns,
    read_column,
    read_shape,
)
from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.arrays import ArrayLike, Shape
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted

_CHUNK_BYTES = 1 << 18
_DEFLATE_LEVEL = 1


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
            shape = read_shape(split)
            with self._h5py.File(writer.path(f"{split.folder}data.h5"), "w") as file:
                file.attrs.update(self._licence)
                for name in list_columns(split):
                    dataset = _create_dataset(file, name, shape)
                    start = 0
                    for column in read_column(split, shape, name):
                        dataset[start : start + len(column)] = column
                        start += len(column)

    def read_split(
        self, split: str, folder: Path, wanted: Wanted | None
    ) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        path = folder / "data.h5"
        with naming_damage(path), self._h5py.File(path) as file:
            names = [*file]  # looking a name up would follow a link
            columns = {name: self._open_column(file, name) for name in COLUMNS if name in names}
            yield from iterate_samples(split, columns, wanted, where=path)

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


def _create_dataset(file: Any, name: str, shape: Shape) -> Any:  # noqa: ANN401 - h5py may be missing
    whole, dtype = shape.of(name), COLUMNS[name].dtype
    n_together = max(1, _CHUNK_BYTES // (dtype.itemsize * prod(whole[1:])))
    return file.create_dataset(
        name,
        whole,
        dtype,
        chunks=(min(n_together, whole[0]), *whole[1:]),
        compression="gzip",
        compression_opts=_DEFLATE_LEVEL,
        track_times=False,
    )
