"""The stage of pages: digits on their lines, then finished images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.stamps import Pages, Stamps
from mnistseq_cli.pixels import Floats, Ints, Pixels, Words, split_up

if TYPE_CHECKING:
    from mnistseq_cli.distortions.stationery import Paper
    from mnistseq_cli.distortions.steps import Draw, Step
    from mnistseq_cli.recipe import Ink

    _Drawn: TypeAlias = tuple[Step, Floats, Words]

_CHUNK_PX = 2**18  # of pages that go through all steps before the next ones


@dataclass(frozen=True)
class PageStage:
    """Distortions of the line that digits stand on, and of finished images."""

    lines: tuple[Step, ...]
    inks: tuple[Step, ...]
    images: tuple[Step, ...]
    scale: float  # how much larger pages are than those of 28 px
    paper: Paper | None = None

    @property
    def changes_images(self) -> bool:
        """Whether anything is done to finished images."""
        return bool(self.inks or self.images or self.paper)

    @property
    def halo_px(self) -> int:
        """How far the lens may spread the ink of a row to either side."""
        lens = (step for step in self.images if step.record.stage == "lens")
        return sum(int(step.measure_growth(np.array([step.high]))[0, 0]) for step in lens)

    def bend_lines(self, stamps: Stamps, widths_px: Ints, draw: Draw) -> Stamps:
        """Move digits that stand on pages of these widths, shape (N,), to their lines."""
        for step in self.lines:
            stamps = step.record.apply(stamps, widths_px, *step.draw(draw), self.scale)
        return stamps

    def distort(self, pages: Pages, stamps: Stamps, draw: Draw) -> tuple[Pixels, Ints]:
        """Distort finished images on which these digits were painted; return them, and boxes.

        A box, x, y, width, height on the page, is around what the digit, alone on the page, shows
        as ink after stage "lens". What others add or take away is nobody's ink, and moves no box.
        """
        for step in self.inks:
            pages = replace(pages, images=step.change(pages.images, *step.draw(draw), pages.take))
        if self.paper:
            images = self.paper.lay_under(pages, draw)
            pages = replace(pages, images=_cut_off(images, pages.widths_px))
        drawn = [(step, *step.draw(draw)) for step in self.images]
        images = np.empty_like(pages.images)
        for some in split_up(images, _CHUNK_PX):
            part = pages.take(some)
            for step, strengths, keys in drawn:
                changed = step.change(part.images, strengths[some], keys[some], part.take)
                part = replace(part, images=_cut_off(changed, part.widths_px))
            images[some] = part.images
        return images, _find_boxes(stamps, self._draw_lens(draw), pages)

    def show_ink(self, stamps: Stamps, ink: Ink, draw: Draw) -> Stamps:
        """Return what each digit, alone on its page, shows as ink after stage "lens"."""
        lens = self._draw_lens(draw)
        reach = _find_reach(lens)
        images = np.pad(stamps.images, ((0, 0), (0, 0), (reach, reach)))
        images = _look_through(images, stamps.sample, ink, lens)
        return replace(stamps, images=images, x_px=stamps.x_px - reach)

    def _draw_lens(self, draw: Draw) -> list[_Drawn]:
        lens = [step for step in self.images if step.record.stage == "lens"]
        return [(step, *step.draw(draw)) for step in lens]


def _cut_off(images: Pixels, widths_px: Ints) -> Pixels:
    """Leave blank what lies beyond narrower pages: nothing may come back from there."""
    if (widths_px == images.shape[2]).all():
        return images
    beyond = np.arange(images.shape[2]) >= widths_px[:, None]
    return np.where(beyond[:, None], np.uint8(0), images)


def _find_boxes(stamps: Stamps, lens: list[_Drawn], pages: Pages) -> Ints:
    """Look at each digit alone as its page was looked at, to see where its ink is on the page."""
    boxes = stamps.boxes.copy()
    reach, height_px = _find_reach(lens), stamps.images.shape[1]
    n_groups = 1 + stamps.images.size // _CHUNK_PX
    by_width = np.argsort(boxes[:, 2], kind="stable")
    for chosen in np.array_split(by_width, n_groups) if lens else ():
        near_px = int((boxes[chosen, 0] + boxes[chosen, 2]).max(initial=1))
        room_px = -(-(near_px + 2 * reach) // 4) * 4  # whole words are faster
        images, page = np.zeros((len(chosen), height_px, room_px), np.uint8), stamps.sample[chosen]
        images[:, :, reach : reach + near_px] = stamps.images[chosen][:, :, :near_px]
        images = _look_through(images, page, pages.ink, lens)
        boxes[chosen] = found = measure_ink(images)
        boxes[chosen, 0] -= reach * (found[:, 2] > 0)  # what is blank has no place in its image
    left = boxes[:, 0] + stamps.x_px
    right = np.minimum(left + boxes[:, 2], pages.widths_px[stamps.sample])
    boxes[:, 0] = np.maximum(left, 0)
    boxes[:, 2] = right - boxes[:, 0]
    return boxes


def _find_reach(lens: list[_Drawn]) -> int:
    """Return how far ink may spread to either side."""
    return sum(int(step.measure_growth(strengths).max()) for step, strengths, _ in lens)


def _look_through(images: Pixels, page: Ints, ink: Ink, lens: list[_Drawn]) -> Pixels:
    """Look at digits, each alone, as at the pages that they stand on."""
    for step, strengths, keys in lens:
        alone = Pages(images, np.full(len(page), images.shape[2]), ink)
        images = step.change(images, strengths[page], keys[page], alone.take)
    return images
