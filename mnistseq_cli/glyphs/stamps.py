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
    """The digits of some samples: all first digits, then all second digits, and so on."""

    images: NDArray[np.uint8]  # (M, height, W), 0 = paper, 255 = ink
    sample: NDArray[np.int64]  # (M,), which sample a digit belongs to
    place: NDArray[np.int64]  # (M,), which digit of it this is
    x_px: NDArray[np.int64]  # (M,), where the image begins in its row; after fitting, on its page
    boxes: NDArray[np.int64]  # (M, 4), x, y, width, height of the ink in the image


@dataclass(frozen=True)
class Pages:
    """Images with digits on them, before colours are chosen."""

    images: NDArray[np.uint8]  # (N, H, W), 0 = paper, 255 = ink, whatever the colours will be
    widths_px: NDArray[np.int64]  # (N,), what lies beyond is cut off
    ink: Ink  # the colour that ink will have
    scale: float = 1  # how much larger they are than pages of 28 px

    def take(self, chosen: NDArray[np.int64] | slice) -> Pages:
        """Return some of the images."""
        return replace(self, images=self.images[chosen], widths_px=self.widths_px[chosen])
