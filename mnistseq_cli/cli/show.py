"""Pictures in the terminal: sharp where it has graphics, two pixels to a character elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.text import Text

from mnistseq_cli.cli.console import get_console, say
from mnistseq_cli.cli.graphics import open_graphics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

UPPER_HALF = "▀"
FRAME_GREY = 128  # an edge that is seen on dark and on light
MOST_PX, MOST_SHARP_PX = 3, 6  # pixels of an image in a column, so that it can still be read


def show_images(images: Iterable[NDArray[np.uint8]]) -> None:
    """Draw greyscale images, each of shape (H, W), in the terminal.

    A grey frame shows the edge on any background. Images too wide to be read are cut into pieces
    of about one width, from left to right. Nothing is drawn where stdout is no terminal.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return
    console = get_console(stderr=False)
    if hindrance := _find_hindrance(console):
        say(f"Pictures are not shown: {hindrance}.")
        return
    if console.color_system == "standard":  # TERM=xterm says 16; such terminals know the others
        console = Console(color_system="256", highlight=False)
    with open_graphics(console) as draw:
        most_px = (MOST_SHARP_PX if draw else MOST_PX) * max(1, console.width - 2)
        for image in images:
            n_pieces = -(-image.shape[1] // most_px)
            for piece in np.array_split(image, n_pieces, axis=1):
                if draw:
                    draw(_frame(piece))
                else:
                    _draw_half_blocks(console, piece)
            console.print()


def _find_hindrance(console: Console) -> str:
    if console.no_color:
        return "no colours, as NO_COLOR is set"
    if console.color_system is None:
        return "this terminal has no colours"
    if not console.encoding.startswith("utf"):
        return f"this terminal takes {console.encoding}, not UTF-8"
    return ""


def _frame(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(image, 1, constant_values=FRAME_GREY)


def _draw_half_blocks(console: Console, image: NDArray[np.uint8]) -> None:
    framed = _frame(_shrink(image, -(-image.shape[1] // max(1, console.width - 2))))
    for top, bottom in zip(framed[0::2].tolist(), framed[1::2].tolist(), strict=True):
        line = Text(no_wrap=True)
        for above, below in zip(top, bottom, strict=True):
            line.append(
                UPPER_HALF, f"rgb({above},{above},{above}) on rgb({below},{below},{below})"
            )
        console.print(line, overflow="crop")


def _shrink(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Give the means of squares of pixels; the height becomes even."""
    height, width = image.shape
    whole = np.pad(image, ((0, -height % (2 * step)), (0, -width % step)), mode="edge")
    squares = whole.reshape(whole.shape[0] // step, step, whole.shape[1] // step, step)
    means: NDArray[np.uint8] = squares.mean(axis=(1, 3)).astype(np.uint8)
    return means
