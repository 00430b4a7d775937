"""Image files of any format, encoded and decoded."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar
from warnings import catch_warnings, simplefilter

import numpy as np
from zlib_ng import zlib_ng

from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import IMAGE_FORMATS
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO
from mnistseq_cli.validation import suggest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnistseq_cli.formats import Output
    from mnistseq_cli.recipe import Recipe

    Encoder = Callable[[NDArray[np.uint8], NDArray[np.int64]], list[bytes]]
    from pathlib import Path

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


class Encoded:
    """A container of encoded images; see `Format`.

    Parameters
    ----------
    output : Output

    Raises
    ------
    UsageError
        The image format cannot be used, or a library is not installed.
    """

    needs: ClassVar[tuple[str, ...]] = ()  # libraries of an extra

    def __init__(self, output: Output) -> None:
        self._ending = output.image_format
        self._encode = open_encoder(output.image_format)
        encoders = ("zlib-ng",) if output.image_format == "png" else ("imageio", "pillow")
        self.libraries = (*self.needs, *encoders)

    def check(self, recipe: Recipe) -> None:
        """Take any recipe."""


def open_encoder(image_format: str) -> Encoder:
    """Give the function that encodes the images of a block.

    Parameters
    ----------
    image_format : str
        "png", or an ending for which Pillow, through imageio, writes grey images.

    Raises
    ------
    UsageError
        There is no such format, or it does not hold grey images.
    """
    if image_format == "png":
        return encode_pngs
    encoder = partial(_encode_with_imageio, image_format)
    _try_out(encoder, image_format)
    return encoder


def decode_image(data: bytes, image_format: str) -> NDArray[np.uint8]:
    """Decode a grey image, shape (H, W).

    Raises
    ------
    ValueError, OSError
        The bytes are no image of this format.
    """
    from imageio import v3 as imageio  # noqa: PLC0415 - not needed to write PNG files

    image: NDArray[np.uint8] = imageio.imread(data, extension=f".{image_format}", plugin="pillow")
    return image


def _encode_with_imageio(
    image_format: str, images: NDArray[np.uint8], widths_px: NDArray[np.int64]
) -> list[bytes]:
    from imageio import v3 as imageio  # noqa: PLC0415 - as above

    # imageio would take a plain (H, W) array with few columns for an image with channels.
    write = partial(
        imageio.imwrite, "<bytes>", extension=f".{image_format}", plugin="pillow", mode="L"
    )
    return [
        write(image[:, :width]) for image, width in zip(images, widths_px.tolist(), strict=True)
    ]


def _try_out(encoder: Encoder, image_format: str) -> None:
    image = np.arange(28 * 40, dtype=np.uint8).reshape(1, 28, 40)
    cause: Exception | None = None
    try:
        decoded = decode_image(encoder(image, np.array([40]))[0], image_format)
        if decoded.shape == image.shape[1:]:
            return
    except Exception as error:  # noqa: BLE001 - each plugin raises what it likes
        cause = error
    raise UsageError(
        f"image format is {image_format!r}, in which grey images cannot be written here; "
        f"allowed: {', '.join(IMAGE_FORMATS)}",
        suggest(image_format, IMAGE_FORMATS),
    ) from cause


_GREY_AXES = 2


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image; the ending of the name says in which format.

    The file appears complete under its name, or not at all.

    Parameters
    ----------
    path : Path
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
        Grey, or red, green and blue.

    Raises
    ------
    UsageError
        The format is unknown or cannot hold such images.
    OutputError
        The file cannot be written.
    """
    ending = path.suffix.removeprefix(".").lower()
    encode = open_encoder(ending)
    if image.ndim == _GREY_AXES:
        data = encode(image[None], np.array([image.shape[1]]))[0]
    else:
        data = _encode_colours(image, ending)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        hint = "Choose a folder that can be written." if isinstance(error, PermissionError) else ""
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint) from error
    finally:
        with suppress(OSError):  # where it could not be made, it cannot be looked for either
            part.unlink(missing_ok=True)


def _encode_colours(image: NDArray[np.uint8], ending: str) -> bytes:
    from imageio import v3 as imageio  # noqa: PLC0415 - not needed to write grey PNG files

    try:
        return imageio.imwrite(
            "<bytes>", image, extension=f".{ending}", plugin="pillow", mode="RGB"
        )
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"image format is {ending!r}, which holds no colours: {error}") from error
