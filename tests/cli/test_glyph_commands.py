"""Glyphs that are brought, and glyphs in one's own hand: `download` and `hand`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnistseq_cli.glyphs.catalog import DATASETS, MNIST
from mnistseq_cli.glyphs.hand_sheet import draw_pages, list_fields
from tests.helpers.mirror import serve_well, serving
from tests.helpers.program import PROGRAM, Result, Run, run_program

SYMBOLS = "0123456789/.A"
NOWHERE = "http://127.0.0.1:9"  # a proxy that does not answer


def download(*words: object, data_dir: Path, **environment: str) -> Result:
    settings = {"MNISTSEQ_DATA_DIR": str(data_dir), "COLUMNS": "80"}
    return run_program("download", *words, environment=settings | environment)


def test_list_shows_every_data_set(tmp_path: Path) -> None:
    done = download("--list", data_dir=tmp_path)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    for dataset in DATASETS.values():
        line = next(line for line in lines if line.startswith(f"{dataset.name} "))
        assert f"{dataset.n_glyphs:,}" in line
        assert dataset.licence in line
        assert "no" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on this system")
def test_a_terminal_sees_a_bar_for_each_file(mnist_folder: Path, tmp_path: Path) -> None:
    from tests.helpers.terminal import open_terminal, read_until  # noqa: PLC0415

    settings = {"no_proxy": "127.0.0.1", "https_proxy": NOWHERE, "TERM": "xterm"}
    settings |= {"MNISTSEQ_DATA_DIR": str(tmp_path), "COLUMNS": "300"}
    names = [file.packed_name for file in MNIST.files()]
    bodies = {name: (mnist_folder / name).read_bytes() for name in names}
    with serving(serve_well(bodies)) as mirror:
        words = [*PROGRAM, "download", "--mirror", mirror.url]
        process, terminal = open_terminal(words, columns=300, env=os.environ | settings)
        seen = read_until(terminal, seconds=60).decode(errors="replace")
        assert process.wait(timeout=10) == 0
    os.close(terminal)
    assert f"{tmp_path / 'MNIST/raw'}\r\n" in seen
    assert mirror.asked[:4] == names
    assert all(name in seen for name in names)
    assert "Who wrote the glyphs of mnist stays unknown" in seen  # nobody has that file
    assert seen.index("\x1b[?25l") < seen.rindex("\x1b[?25h")


def test_real_files_are_brought_verified_and_mended(mnist_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    done = download("--from", str(mnist_folder), data_dir=tmp_path, MNISTSEQ_OFFLINE="1")
    assert (done.status, done.out) == (0, f"{raw}\n")
    damaged = raw / MNIST.train.labels.name
    right = damaged.read_bytes()
    damaged.write_bytes(right[:-1] + b"\0")
    for said in (f"{damaged.name} unpacked", "checksums match"):
        done = download("--verify", data_dir=tmp_path, MNISTSEQ_OFFLINE="1")
        assert (done.status, done.out) == (0, f"{raw}\n")
        assert said in done.err
    assert damaged.read_bytes() == right
    listed = download("--list", data_dir=tmp_path).out
    assert "yes" in next(line for line in listed.splitlines() if line.startswith("mnist "))


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
