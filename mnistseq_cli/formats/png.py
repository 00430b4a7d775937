"""Greyscale PNG files, encoded block by block, and decoded.

Format: PNG, third edition (W3C 2025): signature, then the chunks IHDR, IDAT and IEND, each with
length, type, data and CRC-32. Every row has filter 0: handwriting is runs of paper, which deflate
takes as they are. Deflate is zlib-ng's, at level 1: four times as fast as zlib's, and it gives the
same bytes on every processor. Pillow takes eight times as long to encode, four times to decode.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 1
_CACHED_PX = 2**17  # few enough to stay in a processor's cache
_LENGTH = struct.Struct(">I")
_CHUNK = struct.Struct(">I4s")
_CRC_BYTES = 4
_SIZE = struct.Struct(">II")
_GREY_8_BIT = bytes([8, 0, 0, 0, 0])  # depth, colour type, compression, filter, interlace


def encode_pngs(images: NDArray[np.uint8], widths_px: NDArray[np.int64]) -> list[bytes]:
    """Encode the images of a block, shape (N, H, W), of which what is right of a width is cut off.

    The same image has the same bytes, whatever block it is in.
    """
    encoded: list[bytes] = []
    n, height, width = images.shape
    rows = np.zeros((max(1, min(n, _CACHED_PX // (height * width))), height, width + 1), np.uint8)
    whole, pack = [row.data for row in rows], _LENGTH.pack
    for start in range(0, n, len(rows)):
        some = slice(start, start + len(rows))
        rows[: len(images[some]), :, 1:] = images[some]
        for row, own in zip(whole, widths_px[some].tolist(), strict=False):
            pixels = row if own == width else np.asarray(row)[:, : own + 1].tobytes()
            data = zlib_ng.compress(pixels, _LEVEL)
            length, crc = pack(len(data)), pack(zlib_ng.crc32(data, _IDAT_CRC))
            # Buffers are joined once: an image is copied as little as can be.
            encoded.append(b"".join((_start(own, height), length, b"IDAT", data, crc, _END)))
    return encoded


@lru_cache(maxsize=1024)
def _start(width: int, height: int) -> bytes:
    return SIGNATURE + _chunk(b"IHDR", _SIZE.pack(width, height) + _GREY_8_BIT)


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib_ng.crc32(kind + data)
    return _LENGTH.pack(len(data)) + kind + data + _LENGTH.pack(crc)


_IDAT_CRC = zlib_ng.crc32(b"IDAT")
_END = _chunk(b"IEND", b"")


def decode_plain_png(data: bytes, pixels_limit: int) -> NDArray[np.uint8] | None:
    """Decode a PNG file of 8-bit grey whose rows have no filter; None for any other."""
    start = len(SIGNATURE) + _CHUNK.size
    width, height = _unpack(_SIZE, data, start)
    start += _SIZE.size
    if data[start : start + len(_GREY_8_BIT)] != _GREY_8_BIT:
        return None
    at, packed = start + len(_GREY_8_BIT) + _CRC_BYTES, []
    while True:
        length, name = _unpack(_CHUNK, data, at)
        if name == b"IEND":
            break
        if name == b"IDAT":
            packed.append(data[at + _CHUNK.size : at + _CHUNK.size + length])
        elif name == b"tRNS":
            return None
        at += _CHUNK.size + length + _CRC_BYTES
    if height * width > pixels_limit:
        raise ValueError(f"it has {width} x {height} pixels; expected at most {pixels_limit:,}")
    size_bytes, deflated = height * (width + 1), b"".join(packed)
    if not 0 < height * width <= MAX_DEFLATE_RATIO * len(deflated):
        raise ValueError(f"it does not hold {width} x {height} pixels")
    inflate = zlib_ng.decompressobj()
    pixels = inflate.decompress(deflated, size_bytes + 1)  # never more than was said
    if len(pixels) != size_bytes or not inflate.eof:
        raise ValueError(f"it does not hold {width} x {height} pixels")
    if pixels[:: width + 1].strip(b"\0"):  # the filters of rows
        return None
    return np.frombuffer(pixels, np.uint8).reshape(height, width + 1)[:, 1:]


def _unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if at + layout.size > len(data):
        raise ValueError("it ends too early")
    return layout.unpack_from(data, at)
