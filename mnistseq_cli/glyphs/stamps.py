"""Digits cut out, and the pages that they are put on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnistseq_cli.recipe import Ink


@dataclass(frozen=True)
class Stamps:
    """The digits of some samples: all first digits, then all second digits, and so on.

    Parameters
    ----------
    images : ndarray of uint8, shape (M, 28, W)
        0 = paper, 255 = ink.
    sample, place : ndarray of int64, shape (M,)
        Which sample a digit belongs to, and which digit of it this is.
    x_px : ndarray of int64, shape (M,)
        Where the image begins in its row; after fitting, on its page.
    boxes : ndarray of int64, shape (M, 4)
        x, y, width, height of the ink in the image.
    """

    images: NDArray[np.uint8]
    sample: NDArray[np.int64]
    place: NDArray[np.int64]
    x_px: NDArray[np.int64]
    boxes: NDArray[np.int64]


@dataclass(frozen=True)
class Pages:
    """Images with digits on them, before colours are chosen.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W)
        0 = paper, 255 = ink, whatever the colours will be.
    widths_px : ndarray of int64, shape (N,)
        Width of each image; what lies beyond is cut off.
    ink : "black" or "white"
        The colour that ink will have.
    """

    images: NDArray[np.uint8]
    widths_px: NDArray[np.int64]
    ink: Ink

    def take(self, chosen: NDArray[np.int64] | slice) -> Pages:
        """Return some of the images."""
        return replace(self, images=self.images[chosen], widths_px=self.widths_px[chosen])
