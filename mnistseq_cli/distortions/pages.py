"""The stage of pages: digits on their lines, then finished images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.stamps import Pages, Stamps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.distortions.stationery import Paper
    from mnistseq_cli.distortions.steps import Draw, Step


@dataclass(frozen=True)
class PageStage:
    """Distortions of the line that digits stand on, and of finished images."""

    lines: tuple[Step, ...]
    images: tuple[Step, ...]
    scale: float  # how much larger pages are than those of 28 px
    paper: Paper | None = None

    @property
    def changes_images(self) -> bool:
        """Whether anything is done to finished images."""
        return bool(self.images or self.paper)

    @property
    def halo_px(self) -> int:
        """How far the lens may spread the ink of a row to either side."""
        lens = (step for step in self.images if step.record.stage == "lens")
        return sum(int(step.measure_growth(np.array([step.high]))[0, 0]) for step in lens)

    def bend_lines(self, stamps: Stamps, widths_px: NDArray[np.int64], draw: Draw) -> Stamps:
        """Move digits that stand on pages of these widths, shape (N,), to their lines."""
        for step in self.lines:
            stamps = step.record.apply(stamps, widths_px, *step.draw(draw), self.scale)
        return stamps

    def distort(
        self, pages: Pages, stamps: Stamps, draw: Draw
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Distort finished images on which these digits were painted.

        Returns
        -------
        images : ndarray of uint8, shape (N, H, W)
        boxes : ndarray of int64, shape (M, 4)
            x, y, width, height on the page of the ink of each digit in `stamps`: what the digit,
            alone on the page, would show as ink after distortions of stage "lens". What others
            add or take away is nobody's ink, and moves no box.
        """
        if self.paper:
            images = self.paper.lay_under(pages, draw)
            pages = replace(pages, images=_cut_off(images, pages.widths_px))
        for step in self.images:
            strengths, keys = step.draw(draw)
            if step.record.stage == "lens":
                stamps = _look_through(step, stamps, pages, strengths, keys)
            images = step.change(pages.images, strengths, keys, pages.take)
            pages = replace(pages, images=_cut_off(images, pages.widths_px))
        return pages.images, _place_boxes(stamps, pages.widths_px)


def _cut_off(images: NDArray[np.uint8], widths_px: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Leave blank what lies beyond narrower pages: nothing may come back from there."""
    if (widths_px == images.shape[2]).all():
        return images
    beyond = np.arange(images.shape[2]) >= widths_px[:, None]
    return np.where(beyond[:, None], np.uint8(0), images)


def _look_through(
    step: Step,
    stamps: Stamps,
    pages: Pages,
    strengths: NDArray[np.float64],
    keys: NDArray[np.uint64],
) -> Stamps:
    """Distort each digit alone as its page is distorted, to see where its ink is."""
    reach = int(step.measure_growth(strengths).max())
    images = np.pad(stamps.images, ((0, 0), (0, 0), (reach, reach)))
    page = stamps.sample
    alone = Pages(images, np.full(len(page), images.shape[2]), pages.ink)
    images = step.change(images, strengths[page], keys[page], alone.take)
    return replace(stamps, images=images, x_px=stamps.x_px - reach, boxes=measure_ink(images))


def _place_boxes(stamps: Stamps, widths_px: NDArray[np.int64]) -> NDArray[np.int64]:
    boxes = stamps.boxes.copy()
    right = np.minimum(boxes[:, 0] + boxes[:, 2] + stamps.x_px, widths_px[stamps.sample])
    boxes[:, 0] = np.maximum(boxes[:, 0] + stamps.x_px, 0)
    boxes[:, 2] = right - boxes[:, 0]
    return boxes
