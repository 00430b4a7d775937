"""Encoded images to grey pixels; the greyscale PNG files of this program by a short way.

Format: PNG, third edition (W3C 2025). A row without a filter is its pixels.
"""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from zlib_ng import zlib_ng

from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">I4sIIBBBBB")
_CHUNK = struct.Struct(">I4s")
_CRC_BYTES = 4
_GREY_8_BIT = (8, 0, 0, 0, 0)  # depth, colour type, compression, filter, interlace
_MOST_16_BIT = 65_535
PIXELS_LIMIT = 1 << 25  # of one image
_TOO_LARGE = "it says that it has more pixels than are read here"


def decode_grey(data: bytes) -> NDArray[np.uint8]:
    """Decode an image of any format that Pillow reads, shape (H, W); colours become grey.

    Grey of 16 bits becomes 8 bits; of several frames the first is taken.

    Raises
    ------
    ValueError, OSError, SyntaxError
        The bytes are no image, or a damaged one.
    """
    if data.startswith(_SIGNATURE):
        image = _decode_plain_png(data)
        if image is not None:
            return image
    with catch_warnings():
        simplefilter("ignore")  # of what Pillow makes up for
        return _decode_any(data)


def _decode_any(data: bytes) -> NDArray[np.uint8]:
    from imageio import v3 as imageio  # noqa: PLC0415 - not needed for PNG files of this program
    from PIL.Image import DecompressionBombError, DecompressionBombWarning  # noqa: PLC0415 - as above

    simplefilter("error", DecompressionBombWarning)
    try:
        file = imageio.imopen(data, "r", plugin="pillow")
    except OSError as error:
        if isinstance(error.__cause__, DecompressionBombError | DecompressionBombWarning):
            raise ValueError(_TOO_LARGE) from error  # noqa: TRY004 - of a file, not of a call
        raise ValueError("it is no image of a format that Pillow knows") from error
    with file:
        if prod(file.properties(index=0).shape[:2]) > PIXELS_LIMIT:
            raise ValueError(_TOO_LARGE)
        pixels: NDArray[Any] = file.read(index=0)
        is_grey = pixels.ndim == 2  # noqa: PLR2004 - rows and columns
        if is_grey and pixels.dtype != np.bool_:
            return pixels if pixels.dtype == np.uint8 else _to_8_bits(pixels)
        converted: NDArray[np.uint8] = file.read(index=0, mode="L")
        return converted


def _to_8_bits(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 16-bit grey to 8 bits, rounded; refuse other numbers."""
    if image.dtype.kind == "f" or image.min() < 0 or image.max() > _MOST_16_BIT:
        raise ValueError(f"its pixels are {image.dtype}; allowed are 8 or 16 bits of grey")
    scaled = (image.astype(np.uint32) * 255 + _MOST_16_BIT // 2) // _MOST_16_BIT
    return scaled.astype(np.uint8)


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
    size_bytes, deflated = height * (width + 1), b"".join(packed)
    if height * width > PIXELS_LIMIT:
        raise ValueError(_TOO_LARGE)
    if not 0 < height * width <= MAX_DEFLATE_RATIO * len(deflated):
        raise ValueError(f"it does not hold {width} x {height} pixels")
    inflate = zlib_ng.decompressobj()
    pixels = inflate.decompress(deflated, size_bytes + 1)  # never more than was said
    if len(pixels) != size_bytes or not inflate.eof:
        raise ValueError(f"it does not hold {width} x {height} pixels")
    rows = np.frombuffer(pixels, np.uint8).reshape(height, width + 1)
    return None if rows[:, 0].any() else rows[:, 1:]


def _unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if at + layout.size > len(data):
        raise ValueError("it ends too early")
    return layout.unpack_from(data, at)
