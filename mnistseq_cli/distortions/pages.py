"""The stage of finished images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.distortions.digits import slide
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.randomness import expand_fractions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.painting import Stamps
    from mnistseq_cli.distortions.pipeline import Draw, Plan, Step
    from mnistseq_cli.recipe import Ink

_WAVE_PX = (50, 150)  # two digits to six


def bend_line(
    stamps: Stamps,
    widths_px: NDArray[np.int64],
    strengths: NDArray[np.float64],
    keys: NDArray[np.uint64],
) -> Stamps:
    """Let digits stand on a line with a slope and a wave.

    A digit moves up or down as a whole, by whole pixels, as far as the page lets it: it stays
    as sharp as it was, and its box moves with it.

    Parameters
    ----------
    stamps : Stamps
        Digits, on their pages.
    widths_px : ndarray of int64, shape (N,)
        Width of each page.
    strengths : ndarray of float64, shape (N, 2)
        How far the slope lowers the right end of the page, and the height of the wave, in
        pixels.
    keys : ndarray of uint64, shape (N,)
        Where the length of the wave comes from, and its beginning.
    """
    x = stamps.x_px + stamps.boxes[:, 0] + stamps.boxes[:, 2] / 2
    page = stamps.sample
    slope, height = strengths[page].T
    traits = (expand_fractions(keys, 1, 2)[:, 0] + 1) / 2
    shortest, longest = _WAVE_PX
    turns = x / (shortest + traits[page, 0] * (longest - shortest)) + traits[page, 1]
    down = slope * (2 * x / widths_px[page] - 1) + height * _wave(turns)
    top, bottom = stamps.boxes[:, 1], stamps.boxes[:, 1] + stamps.boxes[:, 3]
    down_px = np.clip(np.rint(down).astype(np.int64), -top, stamps.images.shape[1] - bottom)
    boxes = stamps.boxes.copy()
    boxes[:, 1] += down_px
    return replace(stamps, images=slide(stamps.images, 0, down_px), boxes=boxes)


def _wave(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a wave from -1 to 1 of period 1: a parabola up and one down, near a sine."""
    phase = 2 * (turns - np.floor(turns)) - 1
    wave: NDArray[np.float64] = 4 * phase * (1 - np.abs(phase))
    return wave


@dataclass(frozen=True)
class Pages:
    """Finished images, as distortions see them.

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

    def take(self, chosen: NDArray[np.int64]) -> Pages:
        """Give some of the images."""
        return replace(self, images=self.images[chosen], widths_px=self.widths_px[chosen])


def measure_halo(plan: Plan) -> int:
    """Give how far the lens may spread the ink of a row to either side, in pixels."""
    steps = [(step.record.growth, np.array([step.high])) for step in plan.at("lens")]
    return sum(int(growth(high)[0, 0]) for growth, high in steps if growth is not None)


def bend_lines(stamps: Stamps, widths_px: NDArray[np.int64], plan: Plan, draw: Draw) -> Stamps:
    """Move digits to the line they stand on, after they are placed on their pages.

    Parameters
    ----------
    stamps : Stamps
        `x_px` counts from the left edge of the page.
    widths_px : ndarray of int64, shape (N,)
        Width of each page.
    plan : Plan
        Only distortions of the line count.
    draw : callable
        ``draw(use, n)`` gives the words of a use, n for each page, shape (N, n).
    """
    for step in plan.at("line"):
        stamps = step.record.apply(stamps, widths_px, *plan.draw(step, draw))
    return stamps


def augment_pages(
    pages: Pages, stamps: Stamps, plan: Plan, draw: Draw
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Distort finished images.

    Parameters
    ----------
    pages : Pages
    stamps : Stamps
        The digits that were painted on them.
    plan : Plan
        Only distortions of the finished image count.
    draw : callable
        ``draw(use, n)`` gives the words of a use, n for each page, shape (N, n).

    Returns
    -------
    images : ndarray of uint8, shape (N, H, W)
    boxes : ndarray of int64, shape (M, 4)
        x, y, width, height on the page of the ink of each digit in `stamps`: what the digit,
        alone on the page, would show as ink after distortions of stage "lens". What others add
        or take away is nobody's ink, and moves no box.
    """
    images = pages.images
    for step in plan.at("lens", "page"):
        strengths, keys = plan.draw(step, draw)
        if step.record.stage == "lens":
            stamps = _look_through(step, stamps, pages, strengths, keys)
        images = _distort(step, replace(pages, images=images), strengths, keys)
        images = _cut_off(images, pages.widths_px)
    return images, _place_boxes(stamps, pages)


def _cut_off(images: NDArray[np.uint8], widths_px: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Leave blank what lies beyond narrower pages: nothing may come back from there."""
    if (widths_px == images.shape[2]).all():
        return images
    beyond = np.arange(images.shape[2]) >= widths_px[:, None]
    return np.where(beyond[:, None], np.uint8(0), images)


def _distort(
    step: Step, pages: Pages, strengths: NDArray[np.float64], keys: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Distort those images whose strength is not the neutral one."""
    chosen = np.flatnonzero((strengths != step.record.neutral).any(axis=1))
    if len(chosen) == len(strengths):
        changed: NDArray[np.uint8] = step.record.apply(pages, strengths, keys)
        return changed
    if not len(chosen):
        return pages.images
    images = pages.images.copy()
    images[chosen] = step.record.apply(pages.take(chosen), strengths[chosen], keys[chosen])
    return images


def _look_through(
    step: Step,
    stamps: Stamps,
    pages: Pages,
    strengths: NDArray[np.float64],
    keys: NDArray[np.uint64],
) -> Stamps:
    """Distort each digit alone as its page is distorted, to see where its ink is."""
    reach = 0 if step.record.growth is None else int(step.record.growth(strengths).max())
    images = np.pad(stamps.images, ((0, 0), (0, 0), (reach, reach)))
    page = stamps.sample
    alone = Pages(images, np.full(len(page), images.shape[2]), pages.ink)
    images = _distort(step, alone, strengths[page], keys[page])
    return replace(stamps, images=images, x_px=stamps.x_px - reach, boxes=measure_ink(images))


def _place_boxes(stamps: Stamps, pages: Pages) -> NDArray[np.int64]:
    boxes = stamps.boxes.copy()
    right = np.minimum(boxes[:, 0] + boxes[:, 2] + stamps.x_px, pages.widths_px[stamps.sample])
    boxes[:, 0] = np.maximum(boxes[:, 0] + stamps.x_px, 0)
    boxes[:, 2] = right - boxes[:, 0]
    return boxes
