"""Pictures in the terminal."""

from __future__ import annotations

import os
import re
import struct
import sys
from base64 import b64encode
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO, StringIO
from select import select
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from mnistseq_cli.cli.console import get_console, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from PIL.Image import Image

    Ask = Callable[[bytes], bytes]
    from collections.abc import Iterable

STATUS, WELL = b"\x1b[5n", b"\x1b[0n"  # are you well? The status report of ECMA-48
WHO = b"\x1b[>q\x1b[c"  # who are you (XTVERSION), and what can you do? 4 is Sixel
ITERM2, TMUX, SIXEL = b"\x1bP>|iTerm2 ", b"\x1bP>|tmux ", re.compile(rb"\x1b\[\?[\d;]*;4[;c]")
# Has it Kitty's graphics? Some terminals print the question, hence the end of the line.
IS_KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\r\x1b[K"
KITTY = b"\x1b_Gi=31;OK"
HOW_LARGE, CELL = b"\x1b[16t", re.compile(rb"\x1b\[6;(\d+);(\d+)t")  # pixels of a character
USUAL_CELL_PX = (10, 20)
PATIENCE_S = 1.0
MOST_ROWS = 7
CELL_RATIO = 2  # about the height of a character over its width
PAYLOAD_BYTES = 4096  # the most that Kitty's protocol takes at once
FINER = 8  # pixels stay squares when they are scaled


@contextmanager
def open_graphics(console: Console) -> Iterator[Callable[[NDArray[np.uint8]], None] | None]:
    """Give a function that draws an image, shape (H, W), sharply; None where there is no way.

    Within the context nothing that the terminal answers is echoed, and afterwards nothing of it
    is left to read. Where the terminal does not answer, it takes a second.
    """
    if find_spec("textual_image") is None or not _is_ours():
        yield None
        return
    with _asking() as ask:
        yield _choose(console, ask)


def _choose(console: Console, ask: Ask | None) -> Callable[[NDArray[np.uint8]], None] | None:
    answer = ask(WHO) if ask else b""
    if not ask or not answer:
        return None
    if ITERM2 in answer:
        return partial(_send_file, console)
    has_sixel = bool(SIXEL.search(answer))
    # In tmux the question would become the title.
    if has_sixel or (TMUX not in answer and KITTY in ask(IS_KITTY)):
        return partial(_draw, console, _measure_cell(ask), is_kitty=not has_sixel)
    return None


def _is_ours() -> bool:
    """Tell whether we may ask: in the background, a change of the terminal would stop us."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        in_front = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        return in_front and os.get_terminal_size(sys.stdout.fileno()).columns > 0
    except OSError:
        return False


@contextmanager
def _asking() -> Iterator[Ask | None]:
    """Keep answers of the terminal off the screen, and give how to ask; None if it is mute."""
    import termios
    import tty

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setcbreak(stdin)
    answers = b""
    try:
        answers = _ask(stdin)
        yield partial(_ask, stdin) if answers else None
    finally:
        try:
            if answers:
                _ask(stdin)
        finally:
            termios.tcsetattr(stdin, termios.TCSAFLUSH, before)


def _ask(stdin: int, question: bytes = b"") -> bytes:
    """Ask the terminal, last how it is, and read up to that answer; give nothing if none comes."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), question + STATUS)
    end_s = monotonic() + PATIENCE_S
    said = b""
    while WELL not in said:
        if not select([stdin], [], [], max(0.0, end_s - monotonic()))[0]:
            return b""
        heard = os.read(stdin, 1024)
        if not heard:
            return b""
        said += heard
    return said


def _measure_cell(ask: Ask) -> tuple[int, int]:
    """Give width and height of a character in pixels."""
    from fcntl import ioctl
    from termios import TIOCGWINSZ

    size = struct.unpack("HHHH", ioctl(sys.stdout.fileno(), TIOCGWINSZ, bytes(8)))
    rows, columns, width_px, height_px = size
    if width_px and height_px:
        return width_px // columns, height_px // rows
    answer = CELL.search(ask(HOW_LARGE))
    return (int(answer[2]), int(answer[1])) if answer else USUAL_CELL_PX


@contextmanager
def _open_library(cell_px: tuple[int, int]) -> Iterator[Any]:
    """Give the class of textual-image that draws as Sixel, and let it ask the terminal nothing."""
    names = ("TEXTUAL_CELL_WIDTH", "TEXTUAL_CELL_HEIGHT")
    # It reads these where stdout is no terminal.
    stdout, sys.__stdout__ = sys.__stdout__, StringIO()  # type: ignore[misc, assignment]
    os.environ.update(zip(names, map(str, cell_px), strict=True))
    try:
        yield import_module("textual_image.renderable").SixelImage
    finally:
        sys.__stdout__ = stdout  # type: ignore[misc]
        for name in names:
            del os.environ[name]


def _draw(
    console: Console, cell_px: tuple[int, int], image: NDArray[np.uint8], *, is_kitty: bool
) -> None:
    pixels = _enlarge(image)
    with _open_library(cell_px) as sixel:
        for rows in range(MOST_ROWS, 0, -1):
            drawn = sixel(pixels, width="auto", height=rows)
            columns = console.measure(drawn).maximum
            if columns < console.width:
                break
        if is_kitty:
            _place(console, pixels, columns, rows)
        else:
            console.print(drawn)


def _place(console: Console, pixels: Image, columns: int, rows: int) -> None:
    """Draw as all terminals with Kitty's protocol can: the library needs Kitty 0.28 or Ghostty.

    Source: https://sw.kovidgoyal.net/kitty/graphics-protocol/, a=T, chunks of base64.
    """
    data = b64encode(_encode(pixels)).decode()
    starts = range(0, len(data), PAYLOAD_BYTES)
    for start in starts:
        control = f"a=T,f=100,q=2,c={columns},r={rows}," if start == 0 else ""
        more = int(start != starts[-1])
        payload = data[start : start + PAYLOAD_BYTES]
        console.file.write(f"\x1b_G{control}m={more};{payload}\x1b\\")
    console.print()


def _send_file(console: Console, image: NDArray[np.uint8]) -> None:
    """Draw as iTerm2 does, which scales by itself: only the longer way needs to be told.

    Source: https://iterm2.com/documentation-images.html, width and height in cells.
    """
    height, width = image.shape
    columns = console.width - 1
    fits = MOST_ROWS * CELL_RATIO * width <= columns * height
    size = f"height={MOST_ROWS}" if fits else f"width={columns}"
    png = _encode(_enlarge(image))
    data = b64encode(png).decode()
    console.file.write(f"\x1b]1337;File=inline=1;size={len(png)};{size}:{data}\a")
    console.print()


def _enlarge(image: NDArray[np.uint8]) -> Image:
    from PIL.Image import fromarray

    return fromarray(image.repeat(FINER, axis=0).repeat(FINER, axis=1))


def _encode(pixels: Image) -> bytes:
    png = BytesIO()
    pixels.save(png, "PNG")
    return png.getvalue()


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
