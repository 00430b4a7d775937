"""The way from a sheet to numbers in one's own hand, through the command line."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw

from mnistseq_cli.glyphs.hand_sheet import draw_pages, list_fields
from tests.helpers.program import Run

SYMBOLS = "0123456789/.A"


def fill_in(characters: str, path: Path) -> None:
    """Fill a page in: each character is a bar of a length of its own."""
    page = draw_pages(characters, 3)[0]
    draw = ImageDraw.Draw(page)
    for number, (left, top, _) in enumerate(list_fields(characters, 3)):
        if number % 3 < 2:
            x, y = left + 40, top + 26
            draw.rectangle((x, y, x + 6, y + 36 + 5 * (number % 3)), 40)
    page.save(path)


def test_from_a_sheet_to_a_number(run: Run) -> None:
    result = run("hand", "sheet", "--characters", SYMBOLS, "--fields", 3, glyphs=False)
    assert (result.status, result.out) == (0, "sheet.pdf\n")
    assert Path("sheet.pdf").read_bytes().startswith(b"%PDF")
    fill_in(SYMBOLS, Path("photo.png"))
    result = run("hand", "read", "photo.png", "-o", "mine", "--writer", "anna", glyphs=False)
    assert (result.status, result.out) == (0, "mine\n")
    assert "26 glyphs; left out: 13 empty" in result.err
    names = {path.relative_to("mine").as_posix() for path in Path("mine").glob("*/*")}
    folders = {"/": "U+002F", ".": "U+002E"}
    assert names == {
        f"{folders.get(one, one)}/anna_{number:03}.png" for one in SYMBOLS for number in (1, 2)
    }
    sheet = imageio.imread("mine/contact-sheet.png")
    assert (sheet < 100).mean() > 0.01
    words = ("sequence", "3/5.A", "--dataset", "mine", "-o", "a.png", "--seed", 1)
    assert run(*words, glyphs=False).status == 0
    image = imageio.imread("a.png")
    assert np.median(image) == 255
    assert (image < 100).mean() > 0.03


def test_a_folder_can_hold_several_writers_each_once(run: Run) -> None:
    fill_in("01", Path("photo.png"))
    assert run("hand", "read", "photo.png", glyphs=False).status == 0
    assert run("hand", "read", "photo.png", "--writer", "bob", glyphs=False).status == 0
    assert {path.name for path in Path("my-hand/0").iterdir()} == {
        f"{writer}_{number:03}.png" for writer in ("my-hand", "bob") for number in (1, 2)
    }
    again = run("hand", "read", "photo.png", "--writer", "bob", glyphs=False)
    assert again.status == 2
    assert "my-hand has glyphs of bob already" in again.err


def test_what_is_no_sheet_leaves_nothing(run: Run) -> None:
    Image.new("L", (100, 100)).save("photo.png")
    draw_pages("01", 3)[0].save("empty.png")
    for photo in ("photo.png", "empty.png"):
        result = run("hand", "read", photo, glyphs=False)
        assert result.status == 1
        assert photo in result.err
    assert not Path("my-hand").exists()
