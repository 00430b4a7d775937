"""The file: what saving as JPEG leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.augment.pages import Pages


def jpeg(pages: Pages, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Save as JPEG of a quality, shape (N, 1), and read again; 100 leaves images alone.

    The only distortion whose pixels follow an installed library: imageio's JPEG codec.
    """
    import imageio.v3 as iio  # noqa: PLC0415 - slow to import, and only this needs it

    images = pages.images.copy()
    flip = np.uint8(255 if pages.ink == "black" else 0)
    for image, width, quality in zip(images, pages.widths_px, strengths[:, 0], strict=True):
        seen = image[:, :width] ^ flip
        packed = iio.imwrite("<bytes>", seen, extension=".jpg", quality=int(quality))
        image[:, :width] = iio.imread(packed, extension=".jpg") ^ flip
    return images
