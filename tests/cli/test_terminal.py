"""What a terminal is sent: pictures, a bar that goes on, a cursor that comes back."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from subprocess import Popen
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.bulk.events import Event, PartFinished, PartRetried, Progressed, Started, Stopped
from mnistseq_cli.cli import progress
from mnistseq_cli.cli.progress import RunProgress
from tests.helpers.program import PROGRAM, Run

if sys.platform == "win32":
    pytest.skip("terminals are played with pseudo-terminals", allow_module_level=True)

from tests.helpers import terminal
from tests.helpers.terminal import (
    ATTRIBUTES,
    KITTY,
    KITTY_QUERY,
    PLAIN,
    SIXEL,
    STATUS,
    decode_half_blocks,
    decode_kitty,
    decode_sixel,
    open_terminal,
    read_until,
)

pytestmark = pytest.mark.slow

EVENTS: list[Event] = [
    Started(n_samples=3000, n_parts=3, n_samples_done=1000, n_parts_done=1, n_workers=2),
    PartRetried("00000001", 2, -9),
    Progressed(n_samples=1200, size_bytes=123_000),
    PartFinished("00000001", n_samples=1000, n_files=1000, size_bytes=100_000),
    Progressed(n_samples=1500, size_bytes=150_000),
    Stopped(n_samples_done=2000, n_parts_done=2),
]
HAS_GRAPHICS = find_spec("textual_image") is not None
needs_graphics = pytest.mark.skipif(
    not HAS_GRAPHICS, reason="textual-image, extra show, is not installed"
)
Show = Callable[..., terminal.Shown]
Decode = Callable[[bytes], list[NDArray[np.uint8]]]
DECODERS: list[Decode] = [decode_sixel, decode_kitty]


@pytest.fixture
def show(glyph_folder: Path, tmp_path: Path) -> Show:
    """Return a function that writes a picture in a terminal, and shows it there."""

    def run(answers: dict[bytes, bytes], *words: object, **more: Any) -> terminal.Shown:
        told = [*(words or ["sequence", "350", "-o", "a.png", "--show"])]
        told += ["--dataset", glyph_folder]
        shown = terminal.run_in_terminal(told, tmp_path, answers=answers, **more)
        assert shown.status == 0
        assert (shown.left, shown.echoes) == ("", True)
        assert b"Traceback" not in shown.out
        return shown

    return run


def read_picture(folder: Path) -> NDArray[np.uint8]:
    return imageio.imread(folder / "a.png")


def frame(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(picture, 1, constant_values=128)


def assert_is_picture(sent: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
    """Compare what was sent, enlarged, with each pixel of the picture and its frame."""
    framed = frame(picture)
    rows, columns = (
        ((np.arange(n) + 0.5) * n_sent / n).astype(int)
        for n, n_sent in zip(framed.shape, sent.shape, strict=True)
    )
    difference = np.abs(sent[np.ix_(rows, columns)].astype(int) - framed)
    # Sixel has 101 greys, and scaling softens what is beside an edge.
    assert difference.mean() < 6
    assert sent.shape[0] > 3 * framed.shape[0]


@needs_graphics
@pytest.mark.parametrize(
    ("answers", "decode"),
    [(KITTY, decode_kitty), (SIXEL, decode_sixel), (terminal.ITERM2, decode_sixel)],
    ids=["kitty", "sixel", "iterm2"],
)
def test_the_picture_is_sharp_where_the_terminal_can(
    answers: dict[bytes, bytes], decode: Decode, show: Show, tmp_path: Path
) -> None:
    shown = show(answers)
    (sent,) = decode(shown.out)
    assert_is_picture(sent, read_picture(tmp_path))
    assert "▀" not in shown.out.decode()


@needs_graphics
@pytest.mark.parametrize(
    ("attributes", "decode"), [(b"", decode_half_blocks), (b";4", decode_sixel)]
)
def test_tmux_is_not_sent_a_title(attributes: bytes, decode: Decode, show: Show) -> None:
    answers = PLAIN | {ATTRIBUTES: b"\x1b[?1;2%bc" % attributes}
    shown = show(answers, environment={"TMUX": "/tmp/tmux-0/default,1,0"})  # noqa: S108 - a value
    assert len(decode(shown.out)) == 1
    assert KITTY_QUERY not in shown.out


@pytest.mark.parametrize(
    ("answers", "ink"),
    [(PLAIN, "black"), (PLAIN, "white"), ({}, "black")],
    ids=["plain", "white ink", "mute"],
)
def test_half_blocks_with_a_frame_are_drawn_elsewhere(
    answers: dict[bytes, bytes], ink: str, show: Show, tmp_path: Path
) -> None:
    shown = show(answers, "sequence", "35", "-o", "a.png", "--show", "--ink", ink)
    (drawn,) = decode_half_blocks(shown.out)
    assert np.array_equal(drawn, frame(read_picture(tmp_path)))
    assert shown.seconds < 10


@needs_graphics
@pytest.mark.parametrize(
    ("answers", "delay_s"),
    [
        (SIXEL, 0.2),
        (KITTY, 0.2),
        ({STATUS: b"ls\r\x1b[0n", ATTRIBUTES: b"q\x1b[?62;4c"}, 0),
        ({STATUS: b"\x1b[0n", ATTRIBUTES: b"\x1b[?"}, 0),
        ({STATUS: b"\x1b[0n", ATTRIBUTES: b"\xff\xfe"}, 0),
    ],
    ids=["sixel, far away", "kitty, far away", "keys", "half an answer", "noise"],
)
def test_no_answer_is_left_over(answers: dict[bytes, bytes], delay_s: float, show: Show) -> None:
    shown = show(answers, delay_s=delay_s)
    assert any(decode(shown.out) for decode in [*DECODERS, decode_half_blocks])


def test_a_job_in_the_background_is_not_stopped(show: Show, tmp_path: Path) -> None:
    shown = show(SIXEL, background=True)
    (drawn,) = decode_half_blocks(shown.out)
    assert np.array_equal(drawn, frame(read_picture(tmp_path)))
    assert STATUS not in shown.out


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"NO_COLOR": "1"}, b"no colours, as NO_COLOR is set"),
        ({"TERM": "dumb"}, b"this terminal has no colours"),
    ],
)
def test_without_colours_one_is_told(environment: dict[str, str], why: bytes, show: Show) -> None:
    words = ["sequence", "3", "-n", 3, "-o", "a.png", "--show"]
    shown = show(KITTY, *words, environment=environment)
    assert shown.out.count(b"Pictures are not shown: " + why + b".") == 1
    assert "▀" not in shown.out.decode()
    assert STATUS not in shown.out


def test_without_show_or_a_terminal_nothing_is_asked_or_shown(show: Show, run: Run) -> None:
    for words in (["sequence", "3", "-o", "a.png"], ["phone", "-n", 2]):
        shown = show(KITTY, *words)
        assert not any(word in shown.out for word in (STATUS, ATTRIBUTES, KITTY_QUERY))
    result = run("sequence", "3", "-o", "a.png", "--show")
    assert result.out == "a.png\n"
    assert "▀" not in result.err
    assert "not shown" not in result.err


@pytest.mark.parametrize(
    "words", [["phone", "-n", 9, "--show"], ["batch", "--digits", "07", "--show"]]
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_the_first_samples_are_shown(words: list[object], more: list[object], show: Show) -> None:
    shown = show(PLAIN, *words, *more)
    n_pieces = 2 if words[0] == "phone" else 1  # a phone number is too wide for 80 columns
    assert len(decode_half_blocks(shown.out)) == 6 * n_pieces
    said = shown.out.decode().replace("\r\n", " ")
    (texts,) = re.findall(r"first +((?:\d+, +)*\d+)", said)
    assert len(texts.split(",")) == 6


@pytest.mark.parametrize("columns", [20, 100])
@pytest.mark.parametrize("answers", [PLAIN, SIXEL, KITTY], ids=["plain", "sixel", "kitty"])
def test_wide_pictures_fit_and_can_be_read(
    answers: dict[bytes, bytes], columns: int, show: Show, tmp_path: Path
) -> None:
    shown = show(answers, "sequence", "0123456789" * 4, "-o", "a.png", "--show", columns=columns)
    width = read_picture(tmp_path).shape[1]
    is_sharp = answers is not PLAIN and HAS_GRAPHICS
    decoders = DECODERS if is_sharp else [decode_half_blocks]
    sent = [image for decode in decoders for image in decode(shown.out)]
    assert all(image.shape[1] <= columns * (10 if is_sharp else 1) for image in sent)
    assert all(image.shape[0] >= (30 if is_sharp else 8) for image in sent)
    assert len(sent) == -(-width // ((6 if is_sharp else 3) * (columns - 2)))


def test_without_a_terminal_there_are_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0)
    with RunProgress() as display:
        for event in EVENTS:
            display(event)
    shown = capsys.readouterr()
    assert shown.out == ""
    *_, made, stopped = shown.err.splitlines()
    assert re.fullmatch(
        r"2,500 of 3,000 images, [\d,]+/s, 2,000 kept, 150\.0 kB, 1 retried, \d+ s left", made
    )
    assert stopped.startswith("Stopped: 2,000 of 3,000 images")
    assert "--resume" in stopped
    assert "\x1b" not in shown.err
    with RunProgress() as display:  # before it has begun
        display(Stopped(n_samples_done=0, n_parts_done=0))
    assert " 0 of 0 " not in capsys.readouterr().err


def start(folder: Path, words: str, dataset: Path, columns: int) -> tuple[Popen[bytes], int]:
    more = "--length 1 3 --part-size 100 --workers 2 --force -o out --dataset"
    command = [*PROGRAM, "batch", *words.split(), *more.split(), str(dataset)]
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    return open_terminal(command, columns=columns, cwd=folder, env=environment)


@pytest.mark.parametrize("columns", [20, 100])
def test_ctrl_c_gives_the_cursor_back(glyph_folder: Path, tmp_path: Path, columns: int) -> None:
    process, terminal = start(tmp_path, "-n 500000", glyph_folder, columns)
    shown = read_until(terminal, b" of 500,")
    start_s = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    shown += read_until(terminal)
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - start_s < 2
    os.close(terminal)
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") > -1
    assert b"Traceback" not in shown
    assert b"--resume" in shown.replace(b"\r\n", b" ")


def test_a_closed_terminal_ends_the_run_in_order(glyph_folder: Path, tmp_path: Path) -> None:
    process, terminal = start(tmp_path, "-n 20000", glyph_folder, 80)
    read_until(terminal, b" kept")
    os.close(terminal)  # as a window that is closed
    assert process.wait(timeout=20) == 143
    # A part that was stopped on its way to its final names left its record, for the next run.
    left_over = {path.name for path in tmp_path.glob("out/.mnistseq/staging/*/*")}
    assert left_over <= {"record.json"}
    assert not (tmp_path / "out/dataset.json").exists()
    process, terminal = start(tmp_path, "-n 20000 --resume", glyph_folder, 80)
    read_until(terminal, seconds=60)
    os.close(terminal)
    assert process.wait(timeout=20) == 0
    assert not (tmp_path / "out/.mnistseq/staging").exists()
