"""Makes the screenshots of the terminal and of the report: ``python docs/screenshots.py``.

The program runs in a terminal of 80 columns, with the built-in pen; what stands on the screen in
the end becomes an SVG picture. Chromium takes the picture of the report.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent / "images"
PROGRAM = Path(sys.executable).with_name("mnistseq")
COLUMNS, LINES = 80, 24
DATASET = "mnistseq batch -n 1000 --length 3 7 --dataset strokes --seed 7 -o train"

# Name of a picture, and the commands that are seen in it.
SCREENS = {
    "terminal-help": ["mnistseq --help"],
    "terminal-sequence": ["mnistseq sequence 350 --show --dataset strokes --seed 15"],
    "terminal-batch": [
        "mnistseq phone -n 1000 --labels coco --dataset strokes --seed 7",
        "mnistseq verify phone-numbers",
    ],
    "terminal-inspect": ["mnistseq inspect train"],
}
REPORT_PX = (1200, 2100)

_CONTROL = re.compile(
    r"(\r?\n|\r|\x1b\[\d*[A-KST]|\x1b\[\?\d+[hl]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
)
_SPEED = re.compile(r"[\d,]+/s")
_BLOCKS = re.compile(
    r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"[^>]*>([▀█▌]+)</text>'
)
_FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
_STYLE = "g rect {{ shape-rendering: crispEdges }}"
_CHARACTER_PX, _LINE_PX, _SHIFT_PX = 20, 24.4, 1.5  # as Rich lays its pictures out
_ROOM_PX = 3
_PLAIN = "#c5c8c6"  # what Rich takes for text without a colour


def type_command(command: str, folder: Path) -> str:
    """Run a command in a terminal and give what it wrote, with all its escape sequences."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "MNISTSEQ_OFFLINE": "1"}
    with subprocess.Popen(
        [PROGRAM, *command.split()[1:]],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=os.environ | own | {"MNISTSEQ_DATA_DIR": str(folder / ".data")},
    ) as program:
        os.close(theirs)
        written = _read_all(ours)
    if program.returncode:
        sys.exit(f"{command}\n{written}")
    return written


def _read_all(terminal: int) -> str:
    written = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the program has ended
            data = b""
        if not data:
            os.close(terminal)
            return written.decode()
        written += data


def settle(written: str) -> list[str]:
    """Give the lines that stand on the screen in the end, with their colours.

    Lines with a speed are left out: it is not the same twice.
    """
    lines, row = [""], 0
    for piece in _CONTROL.split(written):
        if piece in ("\n", "\r\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r" or piece.endswith("K"):
            lines[row] = lines[row] if piece == "\r" else ""
        elif piece.startswith("\x1b[") and piece.endswith("A"):
            row = max(0, row - int(piece[2:-1] or 1))
        elif not _CONTROL.fullmatch(piece):
            lines[row] += piece
    return [line for line in lines if not _SPEED.search(line)]


def draw(commands: list[str], folder: Path) -> str:
    """Run commands one after the other and draw the screen as SVG."""
    console = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for command in commands:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        lines = settle(type_command(command, folder))
        screen = Text.from_ansi("\n".join(lines).strip("\n"), no_wrap=True)
        screen.highlight_regex("[█▌]+", _PLAIN)  # as a style of its own, bars stand apart
        console.print(screen)
    form = _FONT_FACE.sub("", CONSOLE_SVG_FORMAT).replace("<style>", f"<style>{_STYLE}")
    svg = console.export_svg(title="mnistseq", unique_id="mnistseq", code_format=form)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    svg = svg.replace(' shape-rendering="crispEdges"', "")
    lines = [line.rstrip() for line in _BLOCKS.sub(_draw_blocks, svg).splitlines()]
    return "\n".join(lines) + "\n"


def _draw_blocks(found: re.Match[str]) -> str:
    """Draw blocks as rectangles: those of a font leave lines between them."""
    style, x, y, width, blocks = found.groups()
    top, height = float(y) - _CHARACTER_PX + _SHIFT_PX, _LINE_PX / 2
    if blocks[0] != "▀":  # a bar, with a little room above and below
        top, height = top + _ROOM_PX, _LINE_PX - 2 * _ROOM_PX
        width = f"{float(width) * (1 - blocks.count('▌') / (2 * len(blocks))):g}"
    return f'<rect class="{style}" x="{x}" y="{top:g}" width="{width}" height="{height:g}"/>'


def photograph(page: Path, picture: Path) -> None:
    """Let Chromium take a picture of a page."""
    width, height = REPORT_PX
    subprocess.run(
        [
            shutil.which("chromium") or "chromium",
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--window-size={width},{height}",
            "--virtual-time-budget=5000",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
    )


def main() -> None:
    """Make all screenshots, or those that are named."""
    named = sys.argv[1:] or [*SCREENS, "report"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for prepare in ("mnistseq download strokes", DATASET):
            type_command(prepare, folder)
        for picture, commands in SCREENS.items():
            if picture in named:
                (FOLDER / f"{picture}.svg").write_text(draw(commands, folder), encoding="utf-8")
        if "report" in named:
            type_command("mnistseq inspect train --report report.html", folder)
            photograph(folder / "report.html", FOLDER / "report.png")


if __name__ == "__main__":
    main()
