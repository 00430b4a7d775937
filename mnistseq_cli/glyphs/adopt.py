"""Bring a data set into the cache from files that are on this machine already."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.cache import find_raw_dir, unpack
from mnistseq_cli.glyphs.catalog import SPLITS
from mnistseq_cli.glyphs.idx import encode_idx
from mnistseq_cli.glyphs.npz import read_npz
from mnistseq_cli.glyphs.place import place_file

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.glyphs.catalog import DataFile, Dataset


def adopt(dataset: Dataset, source: Path, data_dir: Path | None = None) -> Path:
    """Copy the files of a data set into the cache, each only if its hash is right.

    Parameters
    ----------
    dataset : Dataset
        What to bring.
    source : Path
        A folder with the gzip files or the unpacked IDX files, a root folder of torchvision, or
        a Keras `mnist.npz`.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.

    Returns
    -------
    Path
        The folder that has them now.

    Raises
    ------
    GlyphError
        A file is not there, or is not the one that the catalogue knows.
    CacheError
        The cache cannot be written.
    """
    folder = find_raw_dir(dataset, data_dir)
    if source.is_file():
        _adopt_npz(dataset, source, folder)
    elif source.is_dir():
        for file in dataset.files():
            _adopt_file(file, dataset, source, folder)
    else:
        raise GlyphError(f"there is no file or folder {source}")
    return folder


def _adopt_file(file: DataFile, dataset: Dataset, source: Path, folder: Path) -> None:
    places = (source, source / dataset.folder / "raw", source / "raw")
    packed = [place / file.gzip_name for place in places]
    unpacked = [place / file.name for place in places]
    if there := _first_file(packed):
        if _copy(there, file.sha256, folder / file.gzip_name):
            unpack(file, folder)
            return
    elif there := _first_file(unpacked):
        if not file.unpacked_sha256:
            raise _unproved(dataset, there)
        if _copy(there, file.unpacked_sha256, folder / file.name):
            return
    else:
        raise GlyphError(f"{source} has neither {file.gzip_name} nor {file.name}")
    raise GlyphError(f"{there} is not the file that {dataset.name} has: its SHA-256 differs")


def _adopt_npz(dataset: Dataset, source: Path, folder: Path) -> None:
    if not dataset.train.images.unpacked_sha256:
        raise _unproved(dataset, source)
    found = {}
    for name in SPLITS:
        images, labels = read_npz(source, name)
        found[dataset.split(name).images] = encode_idx(images)
        found[dataset.split(name).labels] = encode_idx(labels.astype(np.uint8))
    for file, data in found.items():
        if hashlib.sha256(data).hexdigest() != file.unpacked_sha256:
            raise GlyphError(f"{source} does not hold the {file.name} that {dataset.name} has")
    for file, data in found.items():
        place_file(folder / file.name, [data])


def _first_file(paths: list[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _copy(source: Path, sha256: str, path: Path) -> bool:
    """Copy a file if its hash is right; tell whether it was."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise GlyphError(f"cannot read {source}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        return False
    place_file(path, [data])
    return True


def _unproved(dataset: Dataset, source: Path) -> GlyphError:
    return GlyphError(
        f"{source} cannot be checked: of {dataset.name}, only the hashes of the gzip files "
        "are known",
        "Bring the .gz files, or fetch them: mnistseq download " + dataset.name,
    )
