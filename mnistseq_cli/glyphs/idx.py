"""IDX files, the format of MNIST: bytes to arrays and back, headers checked.

The format (Y. LeCun, "The MNIST database", section "File formats"): two zero bytes, a byte for
the type of the items, a byte for the number of axes, the length of each axis as a big-endian
32-bit number, then the items, big-endian, in C order.
"""

from __future__ import annotations

import gzip
import io
import lzma
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.files import naming_damage, open_regular

MAX_BYTES = 2**31  # of one array in memory: 2.7 million glyphs
PACKED_SUFFIXES = (".gz", ".xz")
# Deflate makes nothing smaller than this many times (Adler and Gailly, "zlib Technical Details").
MAX_DEFLATE_RATIO = 1032
_MAX_AXES = 3
_BLOCK_BYTES = 1 << 20
_TYPES: dict[int, np.dtype[np.integer[Any]]] = {
    0x08: np.dtype(np.uint8),
    0x0C: np.dtype(np.int32).newbyteorder(">"),
}
_CODES = {dtype: code for code, dtype in _TYPES.items()}


class IdxHeader(NamedTuple):
    """What the first bytes of an IDX file say."""

    dtype: np.dtype[np.integer[Any]]  # uint8, or int32 big-endian
    shape: tuple[int, ...]  # no axis is 0 long
    offset_bytes: int  # place of the first item
    size_bytes: int  # of the whole file


def read_header(stream: BinaryIO, name: str) -> IdxHeader:
    """Read the header of an IDX file, and check all that can be checked without the items."""
    magic = stream.read(4)
    if len(magic) != 4 or magic[:2] != b"\0\0":  # noqa: PLR2004 - the four bytes read above
        raise GlyphError(f"{name} is no IDX file: it begins with {magic!r}, not with two zeros")
    code, n_axes = magic[2:]
    if code not in _TYPES or not 1 <= n_axes <= _MAX_AXES:
        raise GlyphError(
            f"{name} is an IDX file of type 0x{code:02x} with {n_axes} axes; "
            f"expected 0x08 (uint8) or 0x0c (int32) with 1 to {_MAX_AXES}"
        )
    lengths = stream.read(4 * n_axes)
    if len(lengths) != 4 * n_axes:
        raise GlyphError(f"{name} ends within its IDX header")
    shape, offset_bytes = tuple(np.frombuffer(lengths, ">u4").tolist()), 4 + 4 * n_axes
    size_bytes = offset_bytes + _TYPES[code].itemsize * prod(shape)
    if prod(shape) == 0 or size_bytes > 2 * MAX_BYTES:
        raise GlyphError(f"{name} says it holds an array of shape {shape}: no items, or too many")
    return IdxHeader(_TYPES[code], shape, offset_bytes, size_bytes)


def read_idx(path: Path) -> NDArray[np.integer[Any]]:
    """Map an IDX file into memory, or unpack it into memory if it is packed (.gz, .xz).

    The size of the file is compared with its header first: reading a page that a mapped file
    does not have ends the process with SIGBUS. So the file must be replaced, never rewritten.
    """
    with open_regular(path, error=GlyphError) as stream, naming_damage(path, GlyphError):
        if path.suffix in PACKED_SUFFIXES:
            return read_idx_stream(stream, str(path))
        header = read_header(stream, str(path))
        _compare_size(stream.seek(0, io.SEEK_END), header, str(path))
        # By its name, so that the array knows where it lies when it is pickled.
        mapped = np.memmap(path, header.dtype, "r", header.offset_bytes, header.shape)
    return mapped.view(np.ndarray)


def read_idx_stream(stream: BinaryIO, name: str) -> NDArray[np.integer[Any]]:
    """Read an IDX file, packed or not, into memory; never more than its header says."""
    with unpacking(stream, name) as unpacked, naming_damage(name, GlyphError):
        header = read_header(unpacked, name)
        check_size(header.size_bytes, name)
        n_bytes = header.size_bytes - header.offset_bytes
        items = bytearray()  # which grows with what is there, not with what the header says
        while block := unpacked.read(min(n_bytes - len(items), _BLOCK_BYTES)):
            items += block
        more = unpacked.read(1)
    _compare_size(header.offset_bytes + len(items) + len(more), header, name)
    return np.frombuffer(items, header.dtype).reshape(header.shape)


def check_size(size_bytes: int, name: str) -> None:
    """Raise for what would take too much memory."""
    if size_bytes > MAX_BYTES:
        raise GlyphError(f"{name} would take {size_bytes:,} bytes; expected at most {MAX_BYTES:,}")


def unpacking(stream: BinaryIO, name: str) -> BinaryIO:
    """Return a stream of what a file holds, unpacked as the ending of its name says."""
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # it reads bytes
    return lzma.LZMAFile(stream) if name.endswith(".xz") else stream  # type: ignore[return-value]


def encode_idx(array: NDArray[np.integer[Any]]) -> bytes:
    """Return the bytes of an IDX file of an array of uint8 or int32."""
    dtype = array.dtype.newbyteorder(">")
    header = bytes([0, 0, _CODES[dtype], array.ndim])
    return header + np.array(array.shape, ">u4").tobytes() + array.astype(dtype).tobytes()


def _compare_size(size_bytes: int, header: IdxHeader, name: str) -> None:
    if size_bytes != header.size_bytes:
        or_more = " or more" if size_bytes > header.size_bytes else ""
        raise GlyphError(
            f"{name} has {size_bytes:,} bytes{or_more}, its header says {header.size_bytes:,}"
        )
