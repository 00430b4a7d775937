"""Contact sheets: samples with their labels and boxes in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnistseq_cli.formats.base import LoadedSample

ADVANCE_PX, HEIGHT_PX = 6, 7
_WIDTH_PX = 5
# Rows from the top, five bits each.
_ROWS = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00010 00100 01000 11111",
    "3": "11111 00010 00100 00010 00001 10001 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "G": "01110 10001 10000 10111 10001 10001 01111",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "J": "00111 00010 00010 00010 00010 10010 01100",
    "K": "10001 10010 10100 11000 10100 10010 10001",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "Q": "01110 10001 10001 10001 10101 10010 01101",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "U": "10001 10001 10001 10001 10001 10001 01110",
    "V": "10001 10001 10001 10001 10001 01010 00100",
    "W": "10001 10001 10001 10101 10101 11011 10001",
    "X": "10001 10001 01010 00100 01010 10001 10001",
    "Y": "10001 10001 01010 00100 00100 00100 00100",
    "Z": "11111 00001 00010 00100 01000 10000 11111",
    " ": "00000 00000 00000 00000 00000 00000 00000",
    "-": "00000 00000 00000 11111 00000 00000 00000",
}
_OTHER = "11111 10001 10001 10001 10001 10001 11111"


def write_text(text: str) -> NDArray[np.bool_]:
    """Write a text; small letters as capital ones, what the font lacks as empty boxes.

    Returns
    -------
    ndarray of bool, shape (7, 6 * characters)
        Where there is ink.
    """
    page = np.zeros((HEIGHT_PX, ADVANCE_PX * len(text)), np.bool_)
    for place, character in enumerate(text.upper()[: len(text)]):
        rows = _ROWS.get(character, _OTHER).split()
        left = ADVANCE_PX * place
        page[:, left : left + _WIDTH_PX] = [[bit == "1" for bit in row] for row in rows]
    return page


SCALE = 2
WIDTH_PX = 960  # of a sheet, unless one image is wider
GAP_PX = 6
FRAME_PX = 1
FRAME_GREY = 170
LABELLED_SCALE = 3
LABELLED_WIDTH_PX = 1280
LABEL_SCALE = 2
LABEL_GREY = 60
BOX_COLOURS = ((0, 114, 240), (224, 96, 0))  # in turn; told apart also without red or green


def make_sheet(images: Sequence[NDArray[np.uint8]], scale: int = SCALE) -> NDArray[np.uint8]:
    """Put greyscale images side by side, enlarged, each in a thin frame, on white.

    Parameters
    ----------
    images : sequence of ndarray of uint8, each of shape (H, W)
        At least one; W may differ.
    scale : int
        How many pixels of the sheet show one of an image, each way.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    return _put_side_by_side([enlarge(image, scale) for image in images], WIDTH_PX)


def make_labelled_sheet(samples: Sequence[LoadedSample]) -> NDArray[np.uint8]:
    """Put samples side by side, with labels over them and boxes around their digits.

    Parameters
    ----------
    samples : sequence of LoadedSample
        At least one. They are enlarged up to three times, while two stand side by side.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Red, green, blue.
    """
    widest_px = max(seen.image.shape[1] for seen in samples)
    room_px = LABELLED_WIDTH_PX // 2 - 2 * GAP_PX
    scale = max(1, min(LABELLED_SCALE, room_px // widest_px))
    return _put_side_by_side([draw_sample(seen, scale) for seen in samples], LABELLED_WIDTH_PX)


def draw_sample(seen: LoadedSample, scale: int) -> NDArray[np.uint8]:
    """Draw a sample enlarged, with its label and its boxes, shape (height, width, 3).

    A box is drawn around its digit: the lines cover no ink of it.
    """
    image = np.repeat(enlarge(seen.image, scale)[..., None], 3, axis=2)
    boxes = [] if seen.boxes is None else seen.boxes.tolist()
    for place, (x, y, width, height) in enumerate(boxes):
        left, top = max(0, x * scale), max(0, y * scale)  # the frame has moved it by one already
        right, bottom = left + width * scale + 1, top + height * scale + 1
        colour = BOX_COLOURS[place % len(BOX_COLOURS)]
        image[[top, min(bottom, len(image) - 1)], left : right + 1] = colour
        image[top : bottom + 1, [left, min(right, image.shape[1] - 1)]] = colour
    label = write_text(seen.text).repeat(LABEL_SCALE, axis=0).repeat(LABEL_SCALE, axis=1)
    head_px = len(label) + 2 * LABEL_SCALE
    drawn = np.full((head_px + len(image), max(label.shape[1], image.shape[1]), 3), 255, np.uint8)
    drawn[: len(label), : label.shape[1]][label] = LABEL_GREY
    drawn[head_px:, : image.shape[1]] = image
    return drawn


def _put_side_by_side(framed: list[NDArray[np.uint8]], width_px: int) -> NDArray[np.uint8]:
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


def enlarge(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Enlarge an image by a whole number and put a thin frame around it."""
    large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    return np.pad(large, FRAME_PX, constant_values=FRAME_GREY)
