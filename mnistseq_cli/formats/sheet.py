"""Contact sheets: many images side by side in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCALE = 2
WIDTH_PX = 960  # of a sheet, unless one image is wider
GAP_PX = 6
FRAME_PX = 1
FRAME_GREY = 170


def make_sheet(images: Sequence[NDArray[np.uint8]], scale: int = SCALE) -> NDArray[np.uint8]:
    """Put greyscale images side by side, enlarged, each in a thin frame, on white.

    Parameters
    ----------
    images : sequence of ndarray of uint8, each of shape (H, W)
        At least one; W may differ.
    scale : int
        How many pixels of the sheet show one of an image, each way.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    framed = [enlarge(image, scale) for image in images]
    height = max(image.shape[0] for image in framed) + GAP_PX
    width = max(image.shape[1] for image in framed) + GAP_PX
    n_columns = min(len(framed), max(1, (WIDTH_PX - GAP_PX) // width))
    n_rows = -(-len(framed) // n_columns)
    sheet = np.full((n_rows * height + GAP_PX, n_columns * width + GAP_PX), 255, np.uint8)
    for place, image in enumerate(framed):
        row, column = divmod(place, n_columns)
        top, left = row * height + GAP_PX, column * width + GAP_PX
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def enlarge(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Enlarge an image by a whole number and put a thin frame around it."""
    large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    return np.pad(large, FRAME_PX, constant_values=FRAME_GREY)
