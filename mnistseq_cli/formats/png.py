"""Greyscale PNG files, encoded block by block.

Format: PNG, third edition (W3C 2025): signature, then the chunks IHDR, IDAT and IEND, each with
length, type, data and CRC-32. Every row has filter 0: handwriting is runs of paper, which deflate
takes as they are. Deflate is zlib-ng's, at level 1: four times as fast as zlib's, and it gives the
same bytes on every processor.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from zlib_ng import zlib_ng

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 1
_LENGTH = struct.Struct(">I")
_HEADER = struct.Struct(">IIBBBBB")
_GREY_8_BIT = (8, 0, 0, 0, 0)  # depth, colour type, compression, filter, interlace


def encode_pngs(images: NDArray[np.uint8], widths_px: NDArray[np.int64]) -> list[bytes]:
    """Encode the images of a block.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W)
    widths_px : ndarray of int64, shape (N,)
        Width of each image, 1 to W; what is right of it is cut off.

    Returns
    -------
    list of bytes
        The same bytes for the same image, whatever block it is in.
    """
    rows = np.zeros((*images.shape[:2], images.shape[2] + 1), np.uint8)
    rows[:, :, 1:] = images
    if np.all(widths_px == images.shape[2]):
        cut = list(rows.reshape(len(images), -1))
    else:
        cut = [row[:, : width + 1].copy() for row, width in zip(rows, widths_px, strict=True)]
    height = images.shape[1]
    return [
        _encode(row, width, height) for row, width in zip(cut, widths_px.tolist(), strict=True)
    ]


def _encode(rows: NDArray[np.uint8], width: int, height: int) -> bytes:
    # Buffers are joined once: an image is copied as little as can be.
    data = zlib_ng.compress(rows.data, _LEVEL)
    crc = zlib.crc32(data, _IDAT_CRC)
    return b"".join(
        (_start(width, height), _LENGTH.pack(len(data)), b"IDAT", data, _LENGTH.pack(crc), _END)
    )


@lru_cache(maxsize=1024)
def _start(width: int, height: int) -> bytes:
    return _SIGNATURE + _chunk(b"IHDR", _HEADER.pack(width, height, *_GREY_8_BIT))


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return _LENGTH.pack(len(data)) + kind + data + _LENGTH.pack(crc)


_IDAT_CRC = zlib.crc32(b"IDAT")
_END = _chunk(b"IEND", b"")
