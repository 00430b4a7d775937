"""What is on the paper besides digits: tint, texture, rules, and strokes across."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.distortions.geometry import NODE_PX, interpolate
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.stamps import Pages
from mnistseq_cli.pixels import Floats, Ints, Pixels, Singles, Words, split_up
from mnistseq_cli.randomness import expand_bytes, expand_fractions

_OTHER_KEY = np.uint64(0xD1B54A32D192ED03)  # texture and tint of a page have words of their own
_TINT, _SLOPE, _MOTTLE, _FIBRE, _RULE = 0.25, 0.3, 0.15, 0.1, 0.35  # parts of the strength
_RULE_PX = (6, 12)
_UNRULED, _SQUARED = -0.25, 0.25  # of a number from -1 to 1
_LEVEL = 64  # darkness is counted in parts of a grey level
_UNIT = 64  # parts of a pixel
_CHUNK_PX = 2**18  # of strokes that are drawn at once


def background(pages: Pages, strengths: Floats, keys: Words) -> Pixels:
    """Lay digits on paper that is darker by up to a fraction of the grey levels, shape (N, 1).

    Each paper has a tint that grows in some direction, a mottled and fibrous texture, and often
    rules or squares. The ink lies on top like a glaze: light passes through both.
    """
    most = 255 * _LEVEL * strengths
    tone = _tint(pages, expand_fractions(keys, 1, 8)[:, 0], most)
    _add_texture(tone, keys + _OTHER_KEY, most, pages.scale)
    np.clip(tone, 0, 255 * _LEVEL, out=tone)
    tone >>= 6
    glaze = tone.view(np.uint16)
    glaze *= ~pages.images
    glaze += 128
    glaze += glaze >> 8  # with the next line: divide by 255, and round
    glaze >>= 8
    return pages.images + glaze.astype(np.uint8)


def lines(pages: Pages, strengths: Floats, keys: Words) -> Pixels:
    """Draw so many curved pen strokes across what is written, shape (N, 1)."""
    images, boxes = pages.images.copy(), measure_ink(pages.images)
    blank = np.flatnonzero(boxes[:, 2] == 0)  # an image without ink is written on everywhere
    boxes[blank, 2], boxes[blank, 3] = pages.widths_px[blank], images.shape[1]
    rows = boxes.T.astype(np.float32)
    for place in range(int(strengths.max(initial=0))):
        chosen = np.flatnonzero(strengths[:, 0] > place)
        traits = expand_fractions(keys[chosen], place + 1, 8)[:, place].astype(np.float32)
        for part in split_up(images[: len(chosen)], _CHUNK_PX):
            some = chosen[part]
            _draw_strokes(images, some, rows[:, some], traits[part], np.float32(pages.scale))
    return images


def _tint(pages: Pages, traits: Floats, most: Floats) -> NDArray[np.int16]:
    """Return how dark paper is, shape (N, H, W), with a tint that grows and with rules."""
    _, height, width = pages.images.shape
    tint, right, lower, size, start, kind, rule, _ = traits.T[:, :, None]
    tints = _TINT * (1 + tint) / 2 + _SLOPE / 2
    tints = tints + (np.arange(width) / pages.widths_px[:, None] - 0.5) * right * _SLOPE
    darker = (np.arange(height) / height - 0.5) * lower * _SLOPE
    smallest, largest = _RULE_PX
    period = smallest + np.floor((size + 1) / 2 * (largest - smallest + 1))
    period = np.floor(period * pages.scale)
    start, wide = np.floor((start + 1) / 2 * period), max(1, round(pages.scale))
    down, across = (np.arange(size) - start for size in (height, width))
    is_row = (down - np.floor(down / period) * period < wide) & (kind > _UNRULED)
    is_column = (across - np.floor(across / period) * period < wide) & (kind > _SQUARED)
    rule = _RULE * (1 + rule) / 2
    darker = np.rint(most * (darker + is_row * rule)).astype(np.int16)
    tints = np.rint(most * tints).astype(np.int16)
    columns = tints + np.rint(most * rule * is_column).astype(np.int16)
    tone: NDArray[np.int16] = columns[:, None] + darker[:, :, None]
    page, row = np.nonzero(is_row)
    tone[page, row] = tints[page] + darker[page, row, None]  # rules cross without a dot
    return tone


def _add_texture(tone: NDArray[np.int16], keys: Words, most: Floats, scale: float) -> None:
    """Make paper darker by spots, smooth between nodes, and by fibres of a pixel."""
    _, height, width = tone.shape
    node_px = round(NODE_PX * scale)
    spots = expand_bytes(keys, height // node_px + 3, width // node_px + 3).astype(np.float64)
    spots = spots[:, 1:] + spots[:, :-1]
    spots = (spots[:, :, 1:] + spots[:, :, :-1]) * (most * _MOTTLE / (4 * 255))[:, :, None]
    nodes = np.rint(spots).astype(np.int16)
    across = interpolate(nodes[:, :, :-1], nodes[:, :, 1:], node_px).transpose(1, 2, 3, 0)
    rows = across.reshape(*nodes.shape[:2], -1)[:, :, :width]
    for place, smooth in enumerate(interpolate(rows[:, :-1], rows[:, 1:], node_px)):
        lines = tone[:, place::node_px]
        lines += smooth[:, : lines.shape[1]]
    fibres = expand_bytes(keys + _OTHER_KEY, height, width).astype(np.uint16)
    fibres *= np.rint(most * (_FIBRE * 32 / 255)).astype(np.uint16)[:, :, None]
    fibres >>= 5
    tone += fibres.view(np.int16)


def _draw_strokes(
    images: Pixels, chosen: Ints, rows: Singles, traits: Singles, px: np.float32
) -> None:
    """Draw one stroke on each chosen image: a parabola, its middle within the row of digits.

    Lengths are meant for pages of 28 px, and are `px` times as long.
    """
    _, height, width = images.shape
    left, top, row_px, high = rows
    half = traits / 2 + np.float32(0.5)  # from 0 to 1
    reach = 8 * px + half[:, 0] * row_px * np.float32(0.45)
    middle, above = left + half[:, 1] * row_px, top + 2 * px + half[:, 2] * (high - 5 * px)
    slope = traits[:, 3] * (high / 2) / reach
    sag, pen, ink = traits[:, 4] * 4 * px, half[:, 5] * np.float32(0.6), 140 + 115 * half[:, 6]
    pen += (pen + np.float32(0.5)) * (px - 1)  # whose edge is a pixel wide, always
    along = np.arange(width, dtype=np.float32) - middle[:, None]
    part = along / reach[:, None]
    y = above[:, None] + slope[:, None] * along + sag[:, None] * (part * part - np.float32(0.5))
    ends = np.clip(reach[:, None] + 1 - np.abs(along), 0, 1) * ink[:, None]
    lean = _UNIT / np.sqrt(1 + slope * slope)  # of distances from the stroke, in whole parts
    whole = np.int16 if 2 * _UNIT * height < 2**15 else np.int32
    y = np.rint(np.clip(y, -height, 2 * height) * lean[:, None]).astype(whole)
    down = np.rint(np.arange(height, dtype=np.float32) * lean[:, None]).astype(whole)
    stroke = down[:, :, None] - y[:, None]
    np.abs(stroke, out=stroke)
    np.subtract(np.rint(_UNIT * (1 + pen)).astype(whole)[:, None, None], stroke, out=stroke)
    np.clip(stroke, 0, _UNIT, out=stroke)
    stroke *= np.rint(ends).astype(whole)[:, None]
    stroke += _UNIT // 2
    stroke >>= 6
    images[chosen] = np.maximum(images[chosen], stroke.astype(np.uint8))
