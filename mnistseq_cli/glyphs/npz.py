"""Keras' `mnist.npz` and files like it: what they claim is checked before memory is taken.

Nothing in such a file is run: arrays of Python objects, which are pickles, are refused.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from math import prod
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.catalog import SplitName

_MAX_BYTES = 2**32
_UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,  # a method of compression that zipfile does not know
    RuntimeError,  # encrypted
)
_MAX_HEADER_BYTES = 4096
_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[|<>]?[iu][1248])', 'fortran_order': False, "
    rb"'shape': \((?P<shape>[\d, ]*)\),? ?\}\s*"
)


def read_npz(path: Path, split: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Read the images and labels of a split.

    Parameters
    ----------
    path : Path
        An npz file with `x_train`, `y_train`, `x_test` and `y_test`.
    split : {"train", "test"}
        Which two to read.

    Returns
    -------
    images : ndarray of uint8, shape (N, H, W)
    labels : ndarray of integers, shape (N,)

    Raises
    ------
    GlyphError
        The file cannot be read, lacks an array, or an array is not what it should be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            images = _read_array(archive, f"x_{split}", path)
            labels = _read_array(archive, f"y_{split}", path)
    except _UNREADABLE as error:
        raise GlyphError(f"cannot read {path}: {error}") from error
    if images.dtype != np.uint8:
        raise GlyphError(f"x_{split} in {path} holds {images.dtype}; images are uint8")
    return images, labels


def _read_array(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[Any]:
    try:
        member = archive.getinfo(f"{key}.npy")
    except KeyError:
        raise GlyphError(
            f"{path} has no array {key}; x_train, y_train, x_test and y_test are expected"
        ) from None
    with archive.open(member) as stream:
        dtype, shape = _read_header(stream, f"{key} in {path}")
        n_bytes = prod(shape) * dtype.itemsize
        real_bytes = min(member.compress_size * MAX_DEFLATE_RATIO, _MAX_BYTES)
        if not 0 < n_bytes == member.file_size - stream.tell() <= real_bytes:
            raise GlyphError(
                f"{key} in {path} says it is an array of shape {shape}, {n_bytes:,} bytes, "
                f"in a file of {member.compress_size:,} bytes"
            )
        return np.frombuffer(stream.read(n_bytes), dtype).reshape(shape)


def _read_header(stream: IO[bytes], name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read the header of a .npy file (NumPy Enhancement Proposal 1), without evaluating it."""
    magic = stream.read(8)
    length = stream.read(2 if magic == b"\x93NUMPY\1\0" else 4)
    text = stream.read(min(int.from_bytes(length, "little"), _MAX_HEADER_BYTES))
    header = _HEADER.fullmatch(text)
    if not magic.startswith(b"\x93NUMPY") or not header:
        raise GlyphError(
            f"{name} is no NumPy array of whole numbers in C order; arrays of Python objects "
            "(pickles) are refused"
        )
    shape = tuple(int(length) for length in re.findall(rb"\d+", header["shape"]))
    return np.dtype(header["descr"].decode()), shape
