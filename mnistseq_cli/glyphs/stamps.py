"""Digits cut out, and the pages that they are put on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mnistseq_cli.pixels import Array, Ints, Pixels
from mnistseq_cli.recipe import Ink


@dataclass(frozen=True)
class Stamps:
    """The digits of some samples: those of the first sample, then those of the second, and so on.

    Images that are lower than pages begin where their ink does, or end where pages do.
    """

    images: Pixels  # (M, H, W), 0 = paper, 255 = ink
    sample: Ints  # (M,), which sample a digit belongs to
    place: Ints  # (M,), which digit of it this is
    x_px: Ints  # (M,), where the image begins in its row; after fitting, on its page
    boxes: Ints  # (M, 4), x, y, width, height of the ink in the image


@dataclass(frozen=True)
class Pages:
    """Images with digits on them, before colours are chosen."""

    images: Pixels  # (N, H, W), 0 = paper, 255 = ink, whatever the colours will be
    widths_px: Ints  # (N,), what lies beyond is cut off
    ink: Ink  # the colour that ink will have
    scale: float = 1  # how much larger they are than pages of 28 px

    def take(self, chosen: Ints | slice) -> Pages:
        """Return some of the images."""
        return replace(self, images=self.images[chosen], widths_px=self.widths_px[chosen])


def view_windows(canvas: Pixels, size_px: tuple[int, int], width_px: int) -> Array:
    """Return the windows that begin at each pixel of images one after the other, row by row.

    A row is one item of the array: copying it as a whole is twice as fast as its pixels.
    """
    high_px, wide_px = size_px
    n_windows = canvas.size - (high_px - 1) * width_px - wide_px + 1
    return np.ndarray((n_windows, high_px), f"V{wide_px}", canvas, strides=(1, width_px))
