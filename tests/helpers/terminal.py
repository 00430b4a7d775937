"""A terminal to test with: it answers like a real one and decodes the pictures it is sent."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray

ROWS, CELL_PX = 24, (10, 20)
STATUS, ATTRIBUTES, CELL, KITTY_QUERY = b"\x1b[5n", b"\x1b[c", b"\x1b[16t", b"\x1b_G"
QUESTION = re.compile(rb"\x1b\[5n|\x1b\[c|\x1b\[16t|\x1b_G(?=[^\x1b]*a=q)")

# What terminals answer.
PLAIN = {STATUS: b"\x1b[0n", ATTRIBUTES: b"\x1b[?62;22c"}
SIXEL = PLAIN | {ATTRIBUTES: b"\x1b[?62;4;22c", CELL: b"\x1b[6;20;10t"}
KITTY = PLAIN | {KITTY_QUERY: b"\x1b_Gi=31;OK\x1b\\", CELL: b"\x1b[6;20;10t"}
# reportDeviceAttribute (VT400) in sources/VT100Output.m of https://github.com/gnachman/iTerm2.
ITERM2 = KITTY | {ATTRIBUTES: b"\x1b[?64;1;2;4;6;17;18;21;22c"}


TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True)
class Shown:
    """What became of a program in a terminal."""

    status: int
    out: bytes  # all that it wrote
    left: str  # what the next program, a shell, would read without a key pressed
    echoes: bool  # whether the terminal shows again what is typed
    seconds: float  # how long it ran


def open_terminal(
    command: list[str],
    *,
    columns: int = 80,
    rows: int = ROWS,
    has_pixels: bool = True,
    **more: Any,
) -> tuple[subprocess.Popen[bytes], int]:
    """Run a program at a terminal of its own; return it, and our end of the terminal."""
    ours, theirs = pty.openpty()
    # One that is far away does not tell its size in pixels.
    size_px = (columns * CELL_PX[0], rows * CELL_PX[1]) if has_pixels else (0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, *size_px))
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        **more,
    )
    os.close(theirs)
    return process, ours


def read_until(
    terminal: int,
    words: bytes | None = None,
    seconds: float = 20,
    answers: dict[bytes, bytes] | None = None,
    delay_s: float = 0,
) -> bytes:
    """Read what a program shows until some words, or until it ends; answer its questions."""
    shown, asked_at, end_s = b"", 0, time.monotonic() + seconds
    due: list[tuple[float, bytes]] = []
    while time.monotonic() < end_s and not (words and words in shown):
        while due and due[0][0] <= time.monotonic():
            os.write(terminal, due.pop(0)[1])
        if not select.select([terminal], [], [], 0.02)[0]:
            continue
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # so Linux says that it is closed
            break
        if not data:
            break
        shown += data
        for question in QUESTION.finditer(shown, asked_at):
            asked_at = question.end()
            if answers and question.group() in answers:
                due.append((time.monotonic() + delay_s, answers[question.group()]))
    return shown


def run_in_terminal(
    words: list[object],
    folder: Path,
    *,
    answers: dict[bytes, bytes],
    columns: int = 80,
    delay_s: float = 0,
    background: bool = False,
    environment: dict[str, str] | None = None,
) -> Shown:
    """Run the program in a terminal that answers after a delay, and afterwards play its shell."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    result = folder / "shell.json"
    played = [str(result), str(delay_s), str(int(background)), *map(str, words)]
    shell, ours = open_terminal(
        [sys.executable, __file__, *played],
        columns=columns,
        has_pixels=not delay_s,
        cwd=folder,
        env=kept | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | (environment or {}),
    )
    out = read_until(ours, seconds=90, answers=answers, delay_s=delay_s)
    assert shell.wait() == 0, out.decode()
    os.close(ours)
    return Shown(out=out, **json.loads(result.read_text(encoding="utf-8")))


UNWANTED = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM_PROGRAM", "GITHUB_ACTIONS")


def _play_shell(result: str, delay_s: str, background: str, *words: str) -> None:
    command = [sys.executable, "-m", "mnistseq_cli", *words]
    began_s = time.monotonic()
    group = 0 if int(background) else None
    status = subprocess.run(command, process_group=group, timeout=60, check=False).returncode
    seconds = time.monotonic() - began_s
    echoes = bool(termios.tcgetattr(0)[3] & termios.ECHO)
    tty.setcbreak(0, termios.TCSANOW)
    left = b""
    while select.select([0], [], [], 0.1 + 2 * float(delay_s))[0]:
        left += os.read(0, 4096)
    found = {"status": status, "left": left.decode(), "echoes": echoes, "seconds": seconds}
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def decode_kitty(out: bytes) -> list[NDArray[np.uint8]]:
    """Decode the pictures sent with Kitty's protocol as PNG, as they are placed."""
    images: dict[bytes, bytes] = {}
    for number, payload in re.findall(rb"\x1b_Gi=(\d+),m=[01],f=100,q=2;([^\x1b]*)\x1b\\", out):
        images[number] = images.get(number, b"") + payload
    placed = re.findall(rb"\x1b_Ga=p,i=(\d+),c=(\d+),r=(\d+),U=1,q=2\x1b\\", out)
    assert "\U0010eeee" in out.decode() or not placed
    return [
        _scale(
            imageio.imread(base64.b64decode(images[number]), extension=".png", mode="L"),
            int(rows) * CELL_PX[1],
            int(columns) * CELL_PX[0],
        )
        for number, columns, rows in placed
    ]


def _scale(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    sizes = zip((height, width), image.shape, strict=True)
    return image[np.ix_(*(np.arange(new) * old // new for new, old in sizes))]


def decode_sixel(out: bytes) -> list[NDArray[np.uint8]]:
    """Decode the grey pictures sent as Sixel; see the manual of the VT330/VT340, chapter 14."""
    return [
        _paint(int(width), int(height), body)
        for width, height, body in re.findall(
            rb'\x1bP[\d;]*q"\d+;\d+;(\d+);(\d+)([^\x1b]*)\x1b\\', out
        )
    ]


def _paint(width: int, height: int, body: bytes) -> NDArray[np.uint8]:
    canvas = np.zeros((height + 6, width), np.uint8)
    greys: dict[int, int] = {}
    x = y = grey = 0
    for color, percent, repeat, sign in re.findall(
        rb"#(\d+)(?:;2;(\d+);\d+;\d+)?|(?:!(\d+))?([?-~$-])", body
    ):
        if color:
            if percent:
                greys[int(color)] = round(int(percent) * 255 / 100)
            grey = greys[int(color)]
        elif sign == b"$":
            x = 0
        elif sign == b"-":
            x, y = 0, y + 6
        else:
            length = int(repeat or 1)
            for bit in range(6):
                if (sign[0] - 63) >> bit & 1:
                    canvas[y + bit, x : x + length] = grey
            x += length
    return canvas[:height]


def decode_half_blocks(out: bytes) -> list[NDArray[np.uint8]]:
    """Decode the grey pictures drawn in half blocks; each begins with its frame of 128."""
    images: list[list[list[int]]] = []
    for line in out.decode().split("\n"):
        cells = re.findall(r"\x1b\[38;2;(\d+);\d+;\d+;48;2;(\d+);\d+;\d+m(▀+)", line)
        upper, lower = ([int(cell[half]) for cell in cells for _ in cell[2]] for half in (0, 1))
        if cells and set(upper) == {128}:
            images.append([])
        if cells:
            images[-1] += [upper, lower]
    return [np.array(image, np.uint8) for image in images]


if __name__ == "__main__":
    _play_shell(*sys.argv[1:])
