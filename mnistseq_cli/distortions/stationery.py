"""Paper that numbers are written on: ruled, squared, in forms, on cheques; pictures of paper.

Lengths are in units, of which a page is 28 high, so that a taller page looks the same. Whole
arrays of float32 are added, multiplied and compared, one operation at a time: every processor
rounds them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.distortions.registry import PAPERS, PaperKind
from mnistseq_cli.distortions.steps import Draw
from mnistseq_cli.errors import GlyphError, UsageError
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.pictures import PICTURE_SUFFIXES, read_picture
from mnistseq_cli.glyphs.sources import open_source
from mnistseq_cli.glyphs.stamps import Pages
from mnistseq_cli.pixels import Ints, Pixels, Words
from mnistseq_cli.randomness import (
    expand,
    expand_fractions,
    expand_shorts,
    scale_words,
    to_fractions,
)
from mnistseq_cli.recipe import PAGE_PX
from mnistseq_cli.validation import check_share, quote, suggest

Tone = NDArray[np.floating[Any]]  # float32: darkness of each pixel, 0 to 1, shape (N, H, W)

PICTURES_USE = 140  # the stream of words of pictures, after those of the kinds
DARKEST = 150  # grey levels: ink on the darkest paper stands out by 105
DEFAULT_SHARE = 0.5
_N_TRAITS = 16
_MOST_PIXELS = 2**19  # of a picture that is kept: more detail than any page shows
_MOST_BYTES = 2**26  # of all pictures, in each process


class Sheet:
    """The paper of some pages, measured in units, and random numbers for what is on it."""

    def __init__(self, pages: Pages, keys: Words) -> None:
        _, height, width = pages.images.shape
        self.pages, self.keys = pages, keys
        self.unit_px = np.float32(pages.scale)
        self.x: Tone = np.arange(width, dtype=np.float32) / self.unit_px  # of columns, (W,)
        self.y: Tone = (np.arange(height, dtype=np.float32) / self.unit_px)[:, None]  # (H, 1)
        # The right edge of each page, (N, 1, 1).
        self.right: Tone = pages.widths_px.astype(np.float32)[:, None, None] / self.unit_px
        traits = expand_fractions(keys, 1, _N_TRAITS)[:, 0].astype(np.float32)
        self._traits: Tone = traits[:, :, None, None] / 2 + np.float32(0.5)

    def pick(self, place: int, low: float, high: float) -> Tone:
        """Return a random number for each page, shape (N, 1, 1); a place is used once a kind."""
        return np.float32(low) + np.float32(high - low) * self._traits[:, place]

    def draw_line(self, distance: Tone, pen: Tone | float) -> Tone:
        """Return a line as wide as the pen, both in units, with soft edges."""
        reach = np.float32(0.5) + self.unit_px * np.float32(0.5) * np.asarray(pen, np.float32)
        return np.clip(reach - self.unit_px * np.abs(distance), 0, 1)


def _repeat(along: Tone, period: Tone) -> Tone:
    """Return how far it is to the nearest multiple of the period."""
    part = along / period
    part -= np.rint(part)
    part *= period
    return part


def _swell(part: Tone) -> Tone:
    """Return a smooth wave between 0 and 1 of period 1."""
    inside = part - np.floor(part)
    half = inside * (1 - inside)
    return 16 * half * half


def shade(sheet: Sheet) -> Tone:
    """Tint the paper, darker towards one side."""
    slope = sheet.x / np.float32(100) * sheet.pick(1, -0.1, 0.1)
    slope = slope + sheet.y / np.float32(PAGE_PX) * sheet.pick(2, -0.1, 0.1)
    return slope + sheet.pick(0, 0.05, 0.4)


def mottle(sheet: Sheet) -> Tone:
    """Mottle the paper with soft spots and fibres."""
    size = sheet.pick(0, 2, 7)
    columns, rows = sheet.x / size, sheet.y / size
    nodes = expand_shorts(sheet.keys, PAGE_PX // 2 + 2, int(sheet.x[-1]) // 2 + 3)
    spots = _interpolate(nodes.astype(np.float32) / 65535, columns, rows)
    grains = expand_shorts(sheet.keys + np.uint64(1), len(sheet.y), len(sheet.x))
    fibres = grains / np.float32(65535) * sheet.pick(2, 0, 0.15)
    return spots * sheet.pick(1, 0.05, 0.3) + fibres


def _interpolate(nodes: Tone, columns: Tone, rows: Tone) -> Tone:
    """Return values between nodes, shape (N, H, W)."""
    number = np.arange(len(nodes))[:, None, None]
    left, top = np.floor(columns).astype(np.int64), np.floor(rows).astype(np.int64)
    right, below = columns - left, rows - top
    upper, lower = (
        nodes[number, row, left] * (1 - right) + nodes[number, row, left + 1] * right
        for row in (top, top + 1)
    )
    return np.asarray(upper * (1 - below) + lower * below)


def weave(sheet: Sheet) -> Tone:
    """Weave threads across and down."""
    period = sheet.pick(0, 1.5, 4)
    lean = sheet.pick(1, -0.3, 0.3)
    across = _swell((sheet.x + sheet.y * lean) / period)
    down = _swell((sheet.y - sheet.x * lean) / period)
    return across * down * sheet.pick(2, 0.1, 0.35) + sheet.pick(3, 0, 0.2)


def rule(sheet: Sheet) -> Tone:
    """Rule lines: below, above, between, or through what is written."""
    down = sheet.y + sheet.x * sheet.pick(0, -0.03, 0.03) - sheet.pick(1, 0, PAGE_PX)
    distance = _repeat(down, sheet.pick(2, 10, 34))
    return sheet.draw_line(distance, sheet.pick(3, 0.1, 1.2)) * sheet.pick(4, 0.15, 0.6)


def square(sheet: Sheet) -> Tone:
    """Rule squares."""
    period, lean = sheet.pick(0, 5, 13), sheet.pick(1, -0.03, 0.03)
    down = _repeat(sheet.y + sheet.x * lean - sheet.pick(2, 0, 13), period)
    across = _repeat(sheet.x - sheet.y * lean - sheet.pick(3, 0, 13), period)
    nearest = np.minimum(np.abs(down), np.abs(across))
    return sheet.draw_line(nearest, sheet.pick(4, 0.1, 0.7)) * sheet.pick(5, 0.1, 0.5)


def frame(sheet: Sheet) -> Tone:
    """Print the field of a form: a frame, often with a comb that parts the characters."""
    left, right = sheet.x - sheet.pick(0, -3, 3), sheet.x - (sheet.right - sheet.pick(1, -3, 3))
    top, bottom = sheet.y - sheet.pick(2, -3, 3), sheet.y - (PAGE_PX - sheet.pick(3, -3, 3))
    beside = np.minimum(np.abs(left), np.abs(right))
    nearest = np.minimum(beside, np.minimum(np.abs(top), np.abs(bottom)))
    teeth = np.abs(_repeat(sheet.x - sheet.pick(4, 0, 30), sheet.pick(5, 13, 26)))
    is_tooth = (sheet.y > sheet.pick(6, -10, 26)) & (sheet.pick(7, 0, 1) > np.float32(0.5))
    nearest = np.where(is_tooth, np.minimum(nearest, teeth), nearest)
    return sheet.draw_line(nearest, sheet.pick(8, 0.2, 1.2)) * sheet.pick(9, 0.2, 0.6)


def secure(sheet: Sheet) -> Tone:
    """Print what keeps cheques from being copied: fine waves that cross, or dots."""
    tone = sheet.pick(0, 0.05, 0.4) + np.zeros((len(sheet.y), len(sheet.x)), np.float32)
    for place in (1, 7):
        is_there = sheet.pick(place, 0, 1 + place / 7) < np.float32(1.3)
        slope = sheet.pick(place + 1, -1.2, 1.2)
        swing = _swell((sheet.x - sheet.y * slope) / sheet.pick(place + 2, 10, 60))
        along = sheet.y + sheet.x * slope + swing * sheet.pick(place + 3, 0, 12)
        distance = _repeat(along, sheet.pick(place + 4, 2, 6))
        lines = sheet.draw_line(distance, 0.4) * sheet.pick(place + 5, 0.1, 0.35)
        tone = tone + lines * is_there
    return tone


def remnant(sheet: Sheet) -> Tone:
    """Leave a line of small print at an edge."""
    size = sheet.pick(0, 0.8, 1.4)  # of a dot; a character has three by five
    n_columns = int(sheet.x[-1] / np.float32(0.8)) + 1
    dots = expand_shorts(sheet.keys, 5, n_columns) > np.uint16(2**15)
    dots[:, :, 3::4] = False  # between characters
    words = np.repeat(expand_shorts(sheet.keys + np.uint64(1), 1, n_columns // 4 + 1), 4, axis=2)
    dots &= words[:, :, :n_columns] > np.uint16(2**14)
    top = np.where(sheet.pick(1, 0, 1) < np.float32(0.5), 0, PAGE_PX - 5 * size)
    row = np.floor((sheet.y - top - sheet.pick(2, -2, 2)) / size).astype(np.int64)
    column = np.floor(sheet.x / size).astype(np.int64)
    number = np.arange(len(dots))[:, None, None]
    printed = dots[number, np.clip(row, 0, 4), column] & (row >= 0) & (row <= 4)  # noqa: PLR2004
    return printed * sheet.pick(3, 0.25, 0.55)


def fold(sheet: Sheet) -> Tone:
    """Fold the paper once: a crease, and a side that is darker."""
    x = sheet.pick(0, 0, 1) * sheet.right
    distance = sheet.x - x + sheet.y * sheet.pick(1, -0.5, 0.5)
    crease = sheet.draw_line(distance, sheet.pick(2, 0.3, 1)) * sheet.pick(3, 0.1, 0.4)
    soft = np.clip(1 - np.abs(distance) / sheet.pick(4, 5, 20), 0, 1)
    return crease + soft * (distance > 0) * sheet.pick(5, 0.05, 0.25)


def shadow(sheet: Sheet) -> Tone:
    """Throw a shadow with a soft edge over a part of the page."""
    x = sheet.pick(0, -0.2, 1) * sheet.right
    distance = sheet.x - x + sheet.y * sheet.pick(1, -2, 2)
    side = np.where(sheet.pick(2, -1, 1) < 0, np.float32(-1), np.float32(1))
    edge = np.clip(distance * side / sheet.pick(3, 2, 30) + np.float32(0.5), 0, 1)
    return edge * sheet.pick(4, 0.1, 0.4)


def underline(sheet: Sheet) -> Tone:
    """Underline with a pen, once or twice, below what is written."""
    left, top, width, height = (
        measure_ink(sheet.pages.images).T.astype(np.float32)[:, :, None, None] / sheet.unit_px
    )
    middle = left + width * sheet.pick(0, 0.3, 0.7)
    reach = width * sheet.pick(1, 0.2, 0.6)
    part = (sheet.x - middle) / np.maximum(reach, 1)
    sag = part * part * sheet.pick(2, -2, 2) + part * sheet.pick(3, -1.5, 1.5)
    distance = sheet.y - (top + height + sheet.pick(4, 0.5, 4)) - sag
    second = sheet.pick(5, -4, 4)  # how far below the first; none above it
    nearest = np.minimum(np.abs(distance), np.abs(distance - second))
    stroke = sheet.draw_line(np.where(second > 1, nearest, distance), sheet.pick(6, 0.6, 2))
    return np.where(np.abs(part) < 1, stroke, 0) * sheet.pick(7, 0.4, 1)


def neighbour(sheet: Sheet) -> Tone:
    """Let parts of other writing reach over the edges: loops and stems of another line."""
    is_above = sheet.pick(2, 0, 1) < np.float32(0.5)
    away = np.where(is_above, sheet.y, (PAGE_PX - 1) - sheet.y)
    return _draw_loops(sheet, away, sheet.x, sheet.right, range(3, 15, 3))


def cut_off(sheet: Sheet) -> Tone:
    """Leave the rest of a character that was cut off at the left or the right edge."""
    is_left = sheet.pick(2, 0, 1) < np.float32(0.5)
    away = np.where(is_left, sheet.x, sheet.right - 1 - sheet.x)
    return _draw_loops(sheet, away, sheet.y, PAGE_PX, range(3, 9, 3))


def _draw_loops(
    sheet: Sheet, away: Tone, along: Tone, length: Tone | float, places: range
) -> Tone:
    """Draw loops that reach over an edge; pixels are so far away from it, and so far along it."""
    strokes = np.zeros(sheet.pages.images.shape, np.float32)
    pen, ink = sheet.pick(0, 1, 2.4), sheet.pick(1, 0.5, 1)
    for place in places:
        x = along - sheet.pick(place, 0, 1) * np.float32(length)
        depth = sheet.pick(place + 1, -4, 4)  # how far a loop comes into the page, if at all
        bend = sheet.pick(place + 2, 0.1, 0.6)
        steep = 1 / np.sqrt(1 + 4 * bend * bend * x * x)  # of the curve, so that it is even
        distance = (away - depth + bend * x * x) * steep
        strokes = np.maximum(strokes, sheet.draw_line(distance, pen))
    return strokes * ink


@dataclass(frozen=True)
class PictureFolder:
    """Pictures of paper, each in shades of grey, shape (h, w): a kind as those of `PAPERS`."""

    pictures: tuple[Pixels, ...]
    use: int
    is_ink = False

    def draw(self, sheet: Sheet) -> Tone:
        """Return a window of a picture for each page, at a random place and size."""
        shape = sheet.pages.images.shape[1:]
        numbers = expand(sheet.keys, 1, 4)[:, 0]
        return np.stack([_cut_window(self.pictures, some, shape) for some in numbers])


class Layer(NamedTuple):
    """A kind of paper, or a folder, and how likely it is for a page."""

    name: str
    share: float
    kind: PaperKind | PictureFolder


@dataclass(frozen=True)
class Paper:
    """What may lie on a page, from below."""

    layers: tuple[Layer, ...]

    def write(self) -> tuple[str, ...]:
        """Return it as a user would write it."""
        return tuple(f"{name}={share!r}" for name, share, _ in self.layers)

    @property
    def sha256(self) -> str:
        """Content hash of all pictures; "" if there are none."""
        folders = [kind for *_, kind in self.layers if isinstance(kind, PictureFolder)]
        digest = sha256()
        for picture in (picture for folder in folders for picture in folder.pictures):
            digest.update(np.array(picture.shape, "<i8").tobytes() + picture.tobytes())
        return digest.hexdigest() if folders else ""

    def lay_under(self, pages: Pages, draw: Draw) -> Pixels:
        """Return images, shape (N, H, W), of what is written lying on the paper.

        The ink lies on top like a glaze: light passes through both. Paper is never darker than
        `DARKEST`, so that what is written can be read.
        """
        printed, written = np.zeros((2, *pages.images.shape), np.float32)
        for _, share, kind in self.layers:
            words = draw(kind.use, 2)
            chosen = np.flatnonzero(to_fractions(words[:, 0]) < share)
            if chosen.size:
                drawn = kind.draw(Sheet(pages.take(chosen), words[chosen, 1]))
                if kind.is_ink:
                    written[chosen] = np.maximum(written[chosen], drawn)
                else:
                    printed[chosen] += drawn
        darkness = np.clip(np.rint(printed * 255), 0, DARKEST).astype(np.uint16)
        ink = np.maximum(pages.images, np.rint(written * 255).astype(np.uint8))
        light = (255 - darkness) * (255 - ink.astype(np.uint16))
        return np.asarray((255 - (light + 127) // 255).astype(np.uint8))


def _cut_window(pictures: tuple[Pixels, ...], numbers: Words, shape: tuple[int, ...]) -> Tone:
    """Return a window of a picture, at a random place and size, as large as a page."""
    picture = pictures[scale_words(numbers[:1], len(pictures))[0]]
    step = 8 + int(scale_words(numbers[1:2], 17)[0])  # of a pixel of the page, in 1/16 of theirs
    rows = _place_window(picture.shape[0], shape[0], step, int(numbers[2]))
    columns = _place_window(picture.shape[1], shape[1], step, int(numbers[3]))
    return np.asarray((255 - picture[rows[:, None], columns]) / np.float32(255))


def _place_window(size_px: int, wanted_px: int, step: int, number: int) -> Ints:
    """Return the rows or columns of a picture that a page shows; a small one is mirrored."""
    start = number % max(1, size_px - wanted_px * step // 16)
    place = (start + np.arange(wanted_px) * step // 16) % (2 * size_px)
    return np.minimum(place, 2 * size_px - 1 - place)


def read_paper(items: Sequence[str]) -> Paper:
    """Read what a user wrote: ``"NAME"`` or ``"FOLDER"``, with ``=P`` for how likely it is."""
    kinds, folders = dict[str, Layer](), list[Layer]()
    for item in items:
        name, share = _split_share(item)
        if name in PAPERS:
            kinds[name] = Layer(name, share, PAPERS[name])
        elif name and (path := Path(name).resolve()).is_dir():
            pictures = PictureFolder(_read_pictures(path), PICTURES_USE + len(folders))
            folders.append(Layer(str(path), share, pictures))
        else:
            raise UsageError(
                f"is {quote(item)}; expected a folder of pictures, or one of: {', '.join(PAPERS)}",
                suggest(name, PAPERS),
                field="paper",
            )
    return Paper((*(kinds[name] for name in PAPERS if name in kinds), *folders))


def _split_share(item: str) -> tuple[str, float]:
    name, _, share = item.rpartition("=")
    if name and not Path(item).is_dir():
        with suppress(ValueError):  # of float: there is no such folder, and the whole is named
            return name, float(check_share("paper", float(share)))
    return item, DEFAULT_SHARE


def _read_pictures(folder: Path) -> tuple[Pixels, ...]:
    pictures, n_bytes = [], 0
    with open_source(folder) as entries:
        for entry in entries:
            if not entry.name.lower().endswith(PICTURE_SUFFIXES):
                continue
            with entry.open() as stream:
                pictures.append(_reduce(read_picture(stream, entry.title)))
            n_bytes += pictures[-1].size
            if n_bytes > _MOST_BYTES:
                raise GlyphError(
                    f"the pictures of paper in {folder} are larger than {_MOST_BYTES >> 20} MB",
                    "Use fewer or smaller pictures",
                )
    if not pictures:
        raise GlyphError(f"there are no pictures in {folder}; expected pictures of paper")
    return tuple(pictures)


def _reduce(picture: Pixels) -> Pixels:
    """Return the means of squares of pixels, so that the picture is at most `_MOST_PIXELS`."""
    side = 1 + isqrt((picture.size - 1) // _MOST_PIXELS)
    height, width = (size // side for size in picture.shape)
    squares = picture[: height * side, : width * side].reshape(height, side, width, side)
    sums = squares.sum(axis=(1, 3), dtype=np.int64)
    return np.asarray(((sums + side * side // 2) // (side * side)).astype(np.uint8))
