"""What is in a dataset, read with the libraries that others read it with."""

from __future__ import annotations

import io
import tarfile
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from imageio import v3 as imageio

from tests.golden.digests import hash_arrays, hash_bytes

Contents: TypeAlias = Any  # plain values


def read_contents(path: Path) -> Contents:
    """Read what a file holds, arrays as their hashes."""
    return READERS[path.suffix](path)


def read_image(path: Path) -> Contents:
    return decode(path.read_bytes())


def decode(data: bytes) -> str:
    """Hash the pixels of an encoded image."""
    return hash_arrays(imageio.imread(io.BytesIO(data), plugin="pillow"))


def read_tar(path: Path) -> Contents:
    with tarfile.open(path) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar]
        data = [(name, file.read() if file else b"") for name, file in members]
    return [[name, decode(it) if name.endswith(".png") else hash_bytes(it)] for name, it in data]


def read_parquet(path: Path) -> Contents:
    file = import_module("pyarrow.parquet").ParquetFile(path)
    rows: list[dict[str, Any]] = file.read().to_pylist()
    for row in rows:
        row["image"]["bytes"] = decode(row["image"]["bytes"])
    schema = file.schema_arrow
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    columns = [[field.name, str(field.type)] for field in schema]
    return [columns, metadata, file.num_row_groups, rows]


def read_lmdb(path: Path) -> Contents:
    with (
        import_module("lmdb").open(str(path.parent), readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        pairs = [(bytes(key).decode(), bytes(value)) for key, value in transaction.cursor()]
    return [
        [key, decode(value) if key.startswith("image-") else value.decode()]
        for key, value in pairs
    ]


def read_hdf5(path: Path) -> Contents:
    with import_module("h5py").File(path) as file:
        names = sorted(file)
        return [
            [name, hash_arrays(file[name][:]), file[name].chunks, file[name].compression]
            for name in names
        ]


def read_npz(path: Path) -> Contents:
    with np.load(path) as arrays:
        return [[name, hash_arrays(arrays[name])] for name in arrays]


READERS = {
    ".png": read_image,
    ".pgm": read_image,
    ".tar": read_tar,
    ".parquet": read_parquet,
    ".mdb": read_lmdb,
    ".h5": read_hdf5,
    ".npz": read_npz,
}
