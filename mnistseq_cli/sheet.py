"""Contact sheets: samples with their labels and boxes in one picture, also for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mnistseq_cli.pixels import Ints, Pixels

SCALE = 2
WIDTH_PX = 960  # of a sheet, unless one image is wider
GAP_PX = 6
FRAME_PX = 1
FRAME_GREY = 170
LABELLED_SCALE = 3
LABELLED_WIDTH_PX = 1280
TEXT_PX = 18
LABEL_GREY = 60
BOX_COLOURS = ((0, 114, 240), (224, 96, 0))  # in turn; told apart also without red or green


class Drawable(Protocol):
    """A sample that was made, or read: what is drawn of it."""

    @property
    def text(self) -> str:
        """Its label."""

    @property
    def image(self) -> Pixels:
        """Shape (H, W)."""

    @property
    def boxes(self) -> Ints | None:
        """Of its digits, shape (n, 4), where they are known."""


def make_sheet(images: Sequence[Pixels], scale: int = SCALE) -> Pixels:
    """Put greyscale images, (H, W) with any W, side by side on white, enlarged and framed."""
    return _put_side_by_side([enlarge(image, scale) for image in images], WIDTH_PX)


def make_labelled_sheet(samples: Sequence[Drawable]) -> Pixels:
    """Put samples side by side, labelled and boxed, enlarged up to three times if two fit."""
    widest_px = max(sample.image.shape[1] for sample in samples)
    room_px = LABELLED_WIDTH_PX // 2 - 2 * GAP_PX
    scale = max(1, min(LABELLED_SCALE, room_px // widest_px))
    return _put_side_by_side([draw_sample(one, scale) for one in samples], LABELLED_WIDTH_PX)


def draw_sample(sample: Drawable, scale: int) -> Pixels:
    """Draw a sample enlarged, (height, width, 3), with its label, and boxes that cover no ink."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - not needed to write PNG files

    image = Image.fromarray(enlarge(sample.image, scale))
    font = ImageFont.load_default(TEXT_PX)
    text = "".join(one if one.isprintable() else "?" for one in sample.text)
    head_px = TEXT_PX + GAP_PX
    width_px = max(image.width, int(font.getlength(text)) + 1)
    page = Image.new("RGB", (width_px, head_px + image.height), (255, 255, 255))
    page.paste(image, (0, head_px))
    draw = ImageDraw.Draw(page)
    draw.text((0, 0), text, (LABEL_GREY,) * 3, font)
    boxes = [] if sample.boxes is None else sample.boxes.tolist()
    for place, (x, y, width, height) in enumerate(boxes):
        left, top = max(0, x * scale), max(0, y * scale)  # the frame has moved it by one already
        right = min(left + width * scale + 1, image.width - 1)
        bottom = min(top + height * scale + 1, image.height - 1)
        if left <= right and top <= bottom:
            corners = (left, head_px + top, right, head_px + bottom)
            draw.rectangle(corners, outline=BOX_COLOURS[place % len(BOX_COLOURS)])
    return np.asarray(page)


def _put_side_by_side(framed: list[Pixels], width_px: int) -> Pixels:
    width = max(image.shape[1] for image in framed) + GAP_PX
    n_columns = min(len(framed), max(1, (width_px - GAP_PX) // width))
    rows = [framed[start : start + n_columns] for start in range(0, len(framed), n_columns)]
    heights = [max(image.shape[0] for image in row) + GAP_PX for row in rows]
    shape = (sum(heights) + GAP_PX, n_columns * width + GAP_PX, *framed[0].shape[2:])
    sheet = np.full(shape, 255, np.uint8)
    top = GAP_PX
    for row, height in zip(rows, heights, strict=True):
        for column, image in enumerate(row):
            left = column * width + GAP_PX
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
        top += height
    return sheet


def enlarge(image: Pixels, scale: int) -> Pixels:
    """Enlarge an image by a whole number and put a thin frame around it."""
    large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    return np.pad(large, FRAME_PX, constant_values=FRAME_GREY)


def to_png(image: Pixels) -> bytes:
    """Return a picture as a PNG file."""
    from io import BytesIO  # noqa: PLC0415 - as below

    from PIL import Image  # noqa: PLC0415 - only notebooks and reports need it

    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def to_html(image: Pixels, caption: str) -> str:
    """Return a picture with a line under it as HTML that holds all it needs, for a notebook."""
    from base64 import b64encode  # noqa: PLC0415 - as below
    from html import escape  # noqa: PLC0415 - only notebooks need it

    source = f"data:image/png;base64,{b64encode(to_png(image)).decode()}"
    return f'<img src="{source}" alt=""><br><code>{escape(caption)}</code>'
