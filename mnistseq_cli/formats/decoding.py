"""Encoded images to grey pixels; the greyscale PNG files of this program by a short way.

Format: PNG, third edition (W3C 2025). A row without a filter is its pixels.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from zlib_ng import zlib_ng

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">I4sIIBBBBB")
_CHUNK = struct.Struct(">I4s")
_CRC_BYTES = 4
_GREY_8_BIT = (8, 0, 0, 0, 0)  # depth, colour type, compression, filter, interlace


def decode_grey(data: bytes) -> NDArray[np.uint8]:
    """Decode an image of any format that Pillow reads, shape (H, W); colours become grey.

    Raises
    ------
    ValueError, OSError, SyntaxError
        The bytes are no image, or a damaged one.
    """
    if data.startswith(_SIGNATURE):
        image = _decode_plain_png(data)
        if image is not None:
            return image
    from imageio import v3 as imageio  # noqa: PLC0415 - not needed for PNG files of this program

    decoded: NDArray[np.uint8] = imageio.imread(data, plugin="pillow", mode="L")
    return decoded if decoded.ndim == 2 else decoded[0]  # noqa: PLR2004 - the first frame of several


def _decode_plain_png(data: bytes) -> NDArray[np.uint8] | None:
    """Decode a PNG file of 8-bit grey whose rows have no filter; None for any other."""
    _, _, width, height, *kind = _unpack(_HEADER, data, len(_SIGNATURE))
    if tuple(kind) != _GREY_8_BIT:
        return None
    at, packed = len(_SIGNATURE) + _HEADER.size + _CRC_BYTES, []
    while True:
        length, name = _unpack(_CHUNK, data, at)
        if name == b"IEND":
            break
        if name == b"IDAT":
            packed.append(data[at + _CHUNK.size : at + _CHUNK.size + length])
        elif name == b"tRNS":
            return None
        at += _CHUNK.size + length + _CRC_BYTES
    size_bytes = height * (width + 1)
    inflate = zlib_ng.decompressobj()
    pixels = inflate.decompress(b"".join(packed), size_bytes + 1)  # never more than was said
    if len(pixels) != size_bytes or not inflate.eof:
        raise ValueError(f"it does not hold {width} x {height} pixels")
    rows = np.frombuffer(pixels, np.uint8).reshape(height, width + 1)
    return None if rows[:, 0].any() else rows[:, 1:]


def _unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if at + layout.size > len(data):
        raise ValueError("it ends too early")
    return layout.unpack_from(data, at)
