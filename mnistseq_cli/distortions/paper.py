"""What is on the paper besides digits: tint, texture, rules, and strokes across.

Whole arrays of float32 are added, multiplied and compared, one operation at a time: every
processor rounds them alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.distortions.geometry import NODE_PX, interpolate, unfold
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.randomness import expand_fractions, expand_shorts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.stamps import Pages

_OTHER_KEY = np.uint64(0xD1B54A32D192ED03)  # texture and tint of a page have words of their own
_TINT, _SLOPE, _MOTTLE, _FIBRE, _RULE = 0.25, 0.3, 0.15, 0.1, 0.35  # parts of the strength
_RULE_PX = (6, 12)
_UNRULED, _SQUARED = -0.25, 0.25  # of a number from -1 to 1


def background(
    pages: Pages, strengths: NDArray[np.float64], keys: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Lay digits on paper that is darker by up to a fraction of the grey levels, shape (N, 1).

    Each paper has a tint that grows in some direction, a mottled and fibrous texture, and often
    rules or squares. The ink lies on top like a glaze: light passes through both.
    """
    traits = expand_fractions(keys, 1, 8)[:, 0].astype(np.float32)[:, :, None, None]
    tone = _shade(pages, traits) + _texture(pages, keys + _OTHER_KEY)
    tone += _draw_rules(pages, traits)
    tone *= (255 * strengths).astype(np.float32)[:, :, None]
    darkness = np.clip(np.rint(tone, out=tone), 0, 255, out=tone).astype(np.uint16)
    light = (255 - darkness) * (255 - pages.images.astype(np.uint16))
    return (255 - (light + 127) // 255).astype(np.uint8)


def lines(
    pages: Pages, strengths: NDArray[np.float64], keys: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Draw so many curved pen strokes across what is written, shape (N, 1)."""
    images, rows = pages.images.copy(), _find_rows(pages)
    for place in range(int(strengths.max(initial=0))):
        chosen = np.flatnonzero(strengths[:, 0] > place)
        traits = expand_fractions(keys[chosen], place + 1, 8)[:, place].astype(np.float32)
        strokes = _draw_strokes(images.shape[1:], rows[:, chosen], traits, pages.scale)
        images[chosen] = np.maximum(images[chosen], strokes)
    return images


def _shade(pages: Pages, traits: NDArray[np.float32]) -> NDArray[np.float32]:
    _, height, width = pages.images.shape
    across = np.arange(width, dtype=np.float32) / pages.widths_px.astype(np.float32)[:, None] - 0.5
    down = np.arange(height, dtype=np.float32)[:, None] / height - 0.5
    slope = (across[:, None] * traits[:, 1] + down * traits[:, 2]) * _SLOPE
    shade: NDArray[np.float32] = slope + (_TINT * (1 + traits[:, 0]) / 2 + _SLOPE / 2)
    return shade


def _texture(pages: Pages, keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    _, height, width = pages.images.shape
    fibre = expand_shorts(keys + _OTHER_KEY, height, width) >> np.uint16(8)
    # What is mottled is as large as the page, drawn small.
    rows, columns = ((np.arange(size) / pages.scale).astype(np.int64) for size in (height, width))
    height, width = int(rows[-1]) + 1, int(columns[-1]) + 1
    n_rows, n_columns = -(-height // NODE_PX) + 2, -(-width // NODE_PX) + 2
    nodes = (expand_shorts(keys, n_rows, n_columns) >> 8).astype(np.int32)
    nodes = nodes[:, 1:] + nodes[:, :-1]
    smooth = unfold((interpolate(nodes[:, :, 1:] + nodes[:, :, :-1]) >> 6), height, width)
    if pages.scale != 1:
        smooth = smooth[:, rows[:, None], columns]
    texture = smooth * np.float32(_MOTTLE / 255)
    texture += fibre * np.float32(_FIBRE / 255)
    return texture


def _draw_rules(pages: Pages, traits: NDArray[np.float32]) -> NDArray[np.float32]:
    _, height, width = pages.images.shape
    smallest, largest = _RULE_PX
    period = smallest + np.floor((traits[:, 3] + 1) / 2 * (largest - smallest + 1))
    period = np.floor(period * np.float32(pages.scale))
    start, wide = np.floor((traits[:, 4] + 1) / 2 * period), max(1, round(pages.scale))
    down = (np.arange(height, dtype=np.float32)[:, None] - start) % period < wide
    across = (np.arange(width, dtype=np.float32) - start) % period < wide
    kind = traits[:, 5]
    ruled = (down & (kind > _UNRULED)) | (across & (kind > _SQUARED))
    rules: NDArray[np.float32] = ruled * (_RULE * (1 + traits[:, 6]) / 2)
    return rules


def _find_rows(pages: Pages) -> NDArray[np.float32]:
    """Return where what is written stands: x, y, width, height, shape (4, N).

    A blank image is written on everywhere.
    """
    boxes, height = measure_ink(pages.images), pages.images.shape[1]
    blank = np.flatnonzero(boxes[:, 2] == 0)
    boxes[blank, 2], boxes[blank, 3] = pages.widths_px[blank], height
    return boxes.T.astype(np.float32)


def _draw_strokes(
    shape: tuple[int, ...],
    rows: NDArray[np.float32],
    traits: NDArray[np.float32],
    scale: float,
) -> NDArray[np.uint8]:
    """Draw one stroke on each image: a parabola, its middle within the row of digits."""
    height, width = shape
    left, top, row_px, high = rows
    half = traits / 2 + np.float32(0.5)  # from 0 to 1
    px = np.float32(scale)  # of a page of 28 px
    reach = 8 * px + half[:, 0] * row_px * np.float32(0.45)
    middle, above = left + half[:, 1] * row_px, top + 2 * px + half[:, 2] * (high - 5 * px)
    slope = traits[:, 3] * (high / 2) / reach
    sag, pen, ink = traits[:, 4] * 4 * px, half[:, 5] * np.float32(0.6), 140 + 115 * half[:, 6]
    pen += (pen + np.float32(0.5)) * (px - 1)  # whose edge is a pixel wide, always
    along = np.arange(width, dtype=np.float32) - middle[:, None]
    part = along / reach[:, None]
    y = above[:, None] + slope[:, None] * along + sag[:, None] * (part * part - np.float32(0.5))
    lean = 1 / np.sqrt(1 + slope * slope)
    ends = np.clip(reach[:, None] + 1 - np.abs(along), 0, 1) * ink[:, None]
    away = np.abs(np.arange(height, dtype=np.float32)[:, None] - y[:, None])
    away *= lean[:, None, None]
    np.subtract((1 + pen)[:, None, None], away, out=away)
    stroke = np.clip(away, 0, 1, out=away)
    stroke *= ends[:, None]
    drawn: NDArray[np.uint8] = np.rint(stroke, out=stroke).astype(np.uint8)
    return drawn
