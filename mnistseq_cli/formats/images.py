"""Image files of many formats, encoded and decoded."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import write_whole
from mnistseq_cli.formats import IMAGE_FORMATS
from mnistseq_cli.formats.png import SIGNATURE, decode_plain_png, encode_pngs
from mnistseq_cli.pixels import Array, Ints, Pixels
from mnistseq_cli.validation import suggest

if TYPE_CHECKING:
    from PIL import Image

    Encoder = Callable[[Pixels, Ints], list[bytes]]

# The formats of Pillow that are read and written, by their endings. Others are never tried: for
# some of them (EPS, WMF) Pillow starts other programs on what the file holds.
PILLOW_FORMATS = {
    "png": "PNG",
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "JPEG"),
    "bmp": "BMP",
    "dib": "DIB",
    "gif": "GIF",
    **dict.fromkeys(("jp2", "j2k", "jpf", "jpx"), "JPEG2000"),
    **dict.fromkeys(("pgm", "pbm", "ppm", "pnm"), "PPM"),
    "pcx": "PCX",
    "sgi": "SGI",
    "tga": "TGA",
    **dict.fromkeys(("tif", "tiff"), "TIFF"),
    "webp": "WEBP",
    "avif": "AVIF",
}
IMAGE_ENDINGS = frozenset(f".{ending}" for ending in PILLOW_FORMATS)
# Pixels a side, as the formats (16 bits for a length) or their only encoders have them: libjpeg's
# JPEG_MAX_DIMENSION, WebP's 14 bits.
_SIDE_LIMITS_PX = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535} | dict.fromkeys(
    ("GIF", "PCX", "SGI", "TGA"), 65_535
)
READ_LIMIT_PX = 2**26  # of one image
WRITE_LIMIT_PX = 2**24
_MOST_16_BIT = 65_535


def decode_grey(data: bytes) -> Pixels:
    """Decode the first frame of an image as grey of 8 bits, shape (H, W)."""
    if data.startswith(SIGNATURE):
        plain = decode_plain_png(data, READ_LIMIT_PX)
        if plain is not None:
            return plain
    with catch_warnings():
        simplefilter("ignore")  # of what Pillow makes up for
        with _open_image(data) as image:
            if image.mode.startswith(("I", "F")):
                return _to_8_bits(np.asarray(image))
            return np.asarray(image.convert("L"))


def _open_image(data: bytes) -> Image.Image:
    """Open an image of `PILLOW_FORMATS` whose header does not say that it is too large."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - not needed to read PNG files

    try:
        image = Image.open(BytesIO(data), formats=sorted({*PILLOW_FORMATS.values()}))
    except UnidentifiedImageError as error:
        raise ValueError("it is no image of a format that is read here") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"it has more than {READ_LIMIT_PX:,} pixels") from error
    if image.width * image.height > READ_LIMIT_PX:
        raise ValueError(
            f"it has {image.width} x {image.height} pixels; expected at most {READ_LIMIT_PX:,}"
        )
    return image


def _to_8_bits(image: Array) -> Pixels:
    """Scale 16-bit grey to 8 bits, rounded; refuse other numbers."""
    if image.dtype.kind == "f" or image.min() < 0 or image.max() > _MOST_16_BIT:
        raise ValueError(f"its pixels are {image.dtype}; expected 8 or 16 bits of grey")
    scaled = (image.astype(np.uint32) * 255 + _MOST_16_BIT // 2) // _MOST_16_BIT
    return scaled.astype(np.uint8)


def check_size(height_px: int, width_px: int, image_format: str = "") -> None:
    """Raise an error for images that are larger than a format can hold, or than are made here."""
    check_sides(height_px, width_px, image_format)
    if height_px * width_px > WRITE_LIMIT_PX:
        raise UsageError(
            f"images have up to {width_px:,} x {height_px} pixels; expected at most "
            f"{WRITE_LIMIT_PX:,}",
            "Use a smaller --width or --spacing, or fewer characters.",
        )


def check_sides(height_px: int, width_px: int, image_format: str) -> None:
    """Raise UsageError for images that are longer or wider than a format can hold."""
    side_px = _SIDE_LIMITS_PX.get(PILLOW_FORMATS.get(image_format, ""))
    if side_px and max(height_px, width_px) > side_px:
        raise UsageError(
            f"images have up to {width_px:,} x {height_px:,} px; {image_format} holds at most "
            f"{side_px:,} px a side",
            "Use a smaller --width or --spacing, fewer characters, or a format such as png.",
        )


def open_encoder(image_format: str) -> Encoder:
    """Return the function that encodes the images of a block; it is tried out before."""
    if image_format == "png":
        return encode_pngs
    cause: Exception | None = None
    try:
        data = encode_image(np.arange(28 * 40, dtype=np.uint8).reshape(28, 40), image_format)
        with _open_image(data) as written:
            if written.mode == "L" and written.size == (40, 28):
                return lambda images, widths_px: [
                    encode_image(image[:, :width], image_format)
                    for image, width in zip(images, widths_px.tolist(), strict=True)
                ]
    except Exception as error:  # noqa: BLE001 - each format raises what it likes
        cause = error
    raise UsageError(
        f"is {image_format!r}, in which grey images cannot be written here; expected one of: "
        f"{', '.join(IMAGE_FORMATS)}",
        suggest(image_format, IMAGE_FORMATS),
        field="image_format",
    ) from cause


def encode_image(image: Array, image_format: str) -> bytes:
    """Encode an image, grey of 8 or 16 bits or in colours."""
    from PIL import Image  # noqa: PLC0415 - not needed to write grey PNG files

    stream = BytesIO()
    Image.fromarray(image).save(stream, PILLOW_FORMATS[image_format])
    return stream.getvalue()


def write_image(path: Path, image: Pixels) -> None:
    """Write an image, (H, W) or (H, W, 3), in the format of its ending, whole or not at all."""
    ending = path.suffix.removeprefix(".").lower()
    encode = open_encoder(ending)
    height_px, width_px, *colours = image.shape
    check_sides(height_px, width_px, ending)
    try:
        if colours:
            data = encode_image(image, ending)
        else:
            (data,) = encode(image[None], np.array([width_px]))
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"image format is {ending!r}, which cannot hold it: {error}") from error
    write_whole(path, [data])
