"""`--show`: what a terminal is sent, and what is left in it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.program import Run

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
)

pytestmark = pytest.mark.slow

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
