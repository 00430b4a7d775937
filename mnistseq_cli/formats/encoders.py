"""Containers of encoded images, and what encodes them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mnistseq_cli.checks import suggest
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import IMAGE_FORMATS
from mnistseq_cli.formats.png import encode_pngs

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnistseq_cli.formats import Output
    from mnistseq_cli.recipe import Recipe

    Encoder = Callable[[NDArray[np.uint8], NDArray[np.int64]], list[bytes]]


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
