"""The line that digits stand on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.augment.digits import slide
from mnistseq_cli.compose.augment.words import expand_fractions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.paint import Stamps

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
