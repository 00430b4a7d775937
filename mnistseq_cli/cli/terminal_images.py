"""Pictures in the terminal: sharp through textual-image (extra show), else in half blocks."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from select import select
from time import monotonic
from typing import Any

import numpy as np
from PIL.Image import fromarray
from rich.console import Console
from rich.text import Text

from mnistseq_cli.cli.console import get_console, say
from mnistseq_cli.pixels import Pixels

UPPER_HALF = "▀"
FRAME_GREY = 128  # an edge that is seen on dark and on light
MOST_PX, MOST_SHARP_PX = 3, 6  # pixels of an image in a column, so that it can still be read
MOST_ROWS = 7
FINER = 8  # pixels stay squares when they are scaled
STATUS, WELL = b"\x1b[5n", b"\x1b[0n"  # are you well? The status report of ECMA-48
PATIENCE_S = 1.0


def show_images(images: Iterable[tuple[str, Pixels]]) -> None:
    """Draw greyscale images, each of shape (H, W), in the terminal, each under its label.

    A grey frame shows the edge on any background. Images too wide to be read are cut into pieces
    of about one width, from left to right. Nothing is drawn where stdout is no terminal.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return
    console = get_console(stderr=False)
    if hindrance := find_hindrance(console):
        say(f"Pictures are not shown: {hindrance}.")
        return
    if console.color_system == "standard":  # TERM=xterm says 16; such terminals know the others
        console = Console(color_system="256", highlight=False)
    with _find_renderer() as renderer:
        most_px = (MOST_SHARP_PX if renderer else MOST_PX) * max(1, console.width - 2)
        for label, image in images:
            if label:
                console.print(Text(label), soft_wrap=True)
            for piece in np.array_split(image, -(-image.shape[1] // most_px), axis=1):
                if renderer:
                    _draw_sharply(console, piece, renderer)
                else:
                    _draw_half_blocks(console, piece)
            console.print()


def find_hindrance(console: Console) -> str:
    """Return why a terminal cannot show images, or ""."""
    if console.no_color:
        return "no colours, as NO_COLOR is set"
    if console.color_system is None:
        return "this terminal has no colours"
    if not console.encoding.startswith("utf"):
        return f"this terminal takes {console.encoding}, not UTF-8"
    return ""


@contextmanager
def _find_renderer() -> Iterator[Any]:
    """Yield what textual-image draws sharply with, or None where it or the terminal cannot."""
    # What the terminal answers is kept off the screen and away from the prompt, late or not.
    if sys.platform == "win32" or find_spec("textual_image") is None or not _is_in_front():
        yield None
        return
    import termios
    import tty

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setcbreak(stdin)
    try:
        yield _ask_terminal()
        _read_answers(stdin)
    finally:
        termios.tcsetattr(stdin, termios.TCSAFLUSH, before)


def _is_in_front() -> bool:
    """Whether we may ask: in the background, a change of the terminal would stop us."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        in_front = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        return in_front and os.get_terminal_size(sys.stdout.fileno()).columns > 0
    except OSError:
        return False


def _read_answers(stdin: int) -> None:
    """Ask how the terminal is and read up to that answer; the library waits 0.1 s for its own."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), STATUS)
    said, end_s = b"", monotonic() + PATIENCE_S
    while WELL not in said and select([stdin], [], [], max(0.0, end_s - monotonic()))[0]:
        heard = os.read(stdin, 1024)
        if not heard:
            return
        said += heard


def _ask_terminal() -> Any:
    logging.getLogger("textual_image").addHandler(logging.NullHandler())
    stdout, sys.__stdout__ = sys.__stdout__, None  # type: ignore[misc]
    try:  # it asks when it is imported, of tmux too, which would make a title of the question
        from textual_image.renderable import SixelImage, TGPImage, sixel, tgp
    finally:
        sys.__stdout__ = stdout  # type: ignore[misc]
    with suppress(UnicodeDecodeError):  # noise instead of an answer
        if sixel.query_terminal_support():
            return SixelImage
        if "TMUX" not in os.environ and tgp.query_terminal_support():
            return TGPImage
    return None


def _draw_sharply(console: Console, image: Pixels, renderer: Any) -> None:
    pixels = fromarray(_frame(image).repeat(FINER, axis=0).repeat(FINER, axis=1))
    for rows in range(MOST_ROWS, 0, -1):
        drawn = renderer(pixels, width="auto", height=rows)
        if console.measure(drawn).maximum < console.width:
            break
    console.print(drawn)


def _draw_half_blocks(console: Console, image: Pixels) -> None:
    shrunk = fromarray(image).reduce(-(-image.shape[1] // max(1, console.width - 2)))
    framed = _frame(np.asarray(shrunk))
    even = np.pad(framed, ((0, len(framed) % 2), (0, 0)), mode="edge").tolist()
    for top, bottom in zip(even[0::2], even[1::2], strict=True):
        line = Text(no_wrap=True)
        for above, below in zip(top, bottom, strict=True):
            colours = f"rgb({above},{above},{above}) on rgb({below},{below},{below})"
            line.append(UPPER_HALF, colours)
        console.print(line, overflow="crop")


def _frame(image: Pixels) -> Pixels:
    return np.pad(image, 1, constant_values=FRAME_GREY)
