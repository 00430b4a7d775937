"""Digits cut out, and the pages that they are put on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mnistseq_cli.pixels import Ints, Pixels
from mnistseq_cli.recipe import Ink


@dataclass(frozen=True)
class Stamps:
    """The digits of some samples: all first digits, then all second digits, and so on."""

    images: Pixels  # (M, height, W), 0 = paper, 255 = ink
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
