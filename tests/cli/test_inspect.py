"""`mnistseq inspect`: what it prints and what it writes."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.bulk.run import run as make_dataset
from mnistseq_cli.cli.console import get_console
from mnistseq_cli.inspection.survey import survey
from mnistseq_cli.sheet import (
    BOX_COLOURS,
    LABEL_GREY,
    draw_sample,
    make_labelled_sheet,
    make_sheet,
)
from tests.helpers.bulk_cases import Case
from tests.helpers.program import Result, Run, run_program


@pytest.fixture
def dataset(glyph_folder: Path, tmp_path: Path) -> Path:
    """Give a dataset with splits, that can be named from the folder the program runs in."""
    recipe = {"splits": ("train=80", "val=10", "test=10"), "count": 200}
    make_dataset(Case(glyph_folder, recipe).plan(tmp_path / "out"), workers=0)
    return Path("out")


@pytest.fixture
def inspect(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Give a function that runs the command in a terminal of some width."""

    def run_command(*words: object, columns: int = 80) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        get_console.cache_clear()  # a Console reads the width once
        return run("inspect", *words, glyphs=False)

    yield run_command
    get_console.cache_clear()


def test_the_summary_has_every_figure(dataset: Path, inspect: Run) -> None:
    found = survey(dataset)
    assert found.glyphs is not None
    assert found.gaps is not None
    result = inspect(dataset)
    assert (result.status, result.err) == (0, "")
    words = " ".join(result.out.split())
    assert words.startswith("out: 200 images Format folder (finished) Images 200 (train 160, val")
    margin_px, gaps = found.left_margin_px, found.gaps
    for said in (
        f"Size {next(iter(found.sizes))[0]} × 28 px",
        f"Ink {100 * found.ink_share.mean:.1f} % of an image on average",
        f"px on average, {margin_px.least:.0f} to {margin_px.most:.0f}",
        f"Duplicates {found.n_equal_images} images, {found.n_equal_texts} texts seen before",
        f"Glyphs {found.glyphs.n_distinct} different",
        *(f" {digit} {n} " for digit, n in found.digits.items()),
        *(f" {length} {n} {n / 2:.1f} % " for length, n in found.lengths.items()),
        *(f" {gap} {n} {gaps.expected[gap]:.0f} " for gap, n in gaps.counts.items()),
        "Compared with the uniform distribution from 2 to 10.",
        f"Chi-square {gaps.statistic:.1f} with 8 degrees of freedom, p = {gaps.p_value:.3f}:",
    ):
        assert said in words


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_the_summary_fits_the_terminal(columns: int, dataset: Path, inspect: Run) -> None:
    lines = inspect(dataset, columns=columns).out.splitlines()
    assert max(map(len, lines)) <= min(columns, 200)
    assert "\x1b" not in "".join(lines)


def test_everything_is_there_as_json(dataset: Path, inspect: Run) -> None:
    values, found = json.loads(inspect(dataset, "--json").out), survey(dataset)
    assert {*values} == {*vars(found)}
    assert (values["n_samples"], values["folder"], values["digits"]) == (200, "out", found.digits)
    assert values["recipe"] == json.loads((dataset / "dataset.json").read_text())["recipe"]
    assert values["sources"]["gaps"] == {"n_labels": 200, "n_recipe": 0}
    assert np.allclose(values["heat_map"], found.heat_map, atol=1e-4)
    assert np.array_equal(values["samples"][0]["boxes"], found.samples[0].boxes)  # type: ignore[arg-type]
    assert values["sizes"] == [
        {"width_px": width, "height_px": 28, "count": n} for (width, _), n in found.sizes.items()
    ]


def test_predictions_add_how_well_a_reader_reads(dataset: Path, inspect: Run) -> None:
    # The first digit of every fourth of train is wrong, and the last of all is missing.
    with (dataset / "train" / "labels.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = [*csv.reader(file)][:-1]
    with Path("reads.csv").open("w", encoding="utf-8", newline="") as file:
        reads = [(row[0], row[1] if n % 4 else f"x{row[1][1:]}") for n, row in enumerate(rows)]
        csv.writer(file).writerows([head, *reads])
    words = " ".join(inspect(dataset, "--predictions", "reads.csv").out.split())
    assert "Predictions from reads.csv Exact match 74.84 % (119 of 159 images)" in words
    assert "40 edits in" in words
    assert "No prediction 41 images" in words
    assert re.search(r"Confused: \d as x \(\d+\)", words)
    assert "Exact match, by length" in words
    assert "Exact match, by smallest gap" in words
    reader = json.loads(inspect(dataset, "--predictions", "reads.csv", "--json").out)["reader"]
    assert reader["all"] == {"n_samples": 159, "n_right": 119}
    assert (reader["n_edits"], reader["n_missing"]) == (40, 41)
    assert sum(share["n_right"] for share in reader["by_length"].values()) == 119
    assert reader["worst"][0]["read"].startswith("x")
    if find_spec("jinja2"):
        result = inspect(dataset, "--report", "page.html", "--predictions", "reads.csv")
        assert "page.html" in result.err
        page = Path("page.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert "74.8" in page


def test_a_sheet_has_labels_and_boxes_that_cover_no_ink(dataset: Path, inspect: Run) -> None:
    result = inspect(dataset, "--sheet", "sheet.png")
    assert (result.out, result.err) == ("", "24 samples drawn on sheet.png.\n")
    sheet, samples = imageio.imread("sheet.png"), survey(dataset).samples
    assert np.array_equal(sheet, make_labelled_sheet([samples[n * 200 // 24] for n in range(24)]))
    for colour in (*BOX_COLOURS, (LABEL_GREY,) * 3):
        assert (sheet == colour).all(axis=2).any()
    seen = samples[3]
    assert seen.boxes is not None
    drawn = draw_sample(seen, 2)[-2 * 28 - 2 :]  # below the label
    is_line = np.any([(drawn == colour).all(axis=2) for colour in BOX_COLOURS], axis=0)
    ink = (seen.image < 255).repeat(2, axis=0).repeat(2, axis=1)
    assert not is_line[1:-1, 1 : 1 + ink.shape[1]][ink].any()
    x, y, width, height = seen.boxes[0].tolist()
    left, top, right, bottom = 2 * x, 2 * y, 2 * (x + width) + 1, 2 * (y + height) + 1
    assert is_line[[top, bottom], left : right + 1].all()
    assert is_line[top : bottom + 1, [left, right]].all()


def test_a_report_without_jinja_is_refused(inspect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = inspect("none", "--report", "page.html")
    assert (result.status, result.out) == (2, "")
    assert "pip install 'mnistseq[report]'" in result.err


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_files_are_written_though_nobody_reads_the_summary(
    more: list[str], dataset: Path, tmp_path: Path, closed_pipe: int
) -> None:
    words = [dataset, "--sheet", "sheet.png", *more]
    words += ["--report", "page.html"] if find_spec("jinja2") else []
    result = run_program("inspect", *words, folder=tmp_path, stdout=closed_pipe)
    assert "Traceback" not in result.err
    assert (tmp_path / "sheet.png").exists()
    assert (tmp_path / "page.html").exists() == ("--report" in words)


def test_what_is_missing_or_damaged_is_told(dataset: Path, inspect: Run) -> None:
    for name in ("labels.csv", "metadata.jsonl"):
        path = dataset / "val" / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    result = inspect(dataset)
    assert result.status == 0
    assert "should hold 200 images, not 199" in result.err
    assert "mnistseq verify out" in result.err
    path = next((dataset / "train" / "images").rglob("*.png"))
    path.write_bytes(path.read_bytes()[:100])
    result = inspect(dataset)
    assert (result.status, f"{path} is damaged" in result.err) == (1, True)


def test_what_is_not_known_is_said(glyph_folder: Path, tmp_path: Path, inspect: Run) -> None:
    out = tmp_path / "out"
    make_dataset(Case(glyph_folder, output={"to": "webdataset"}).plan(out), workers=0)
    (out / "dataset.json").rename(out / ".mnistseq" / "plan.json")
    (out / "data-000003.tar").unlink()
    result = inspect("out")
    assert (result.status, result.err) == (0, "")
    assert "webdataset (unfinished: --resume makes the rest)" in result.out
    assert "out: 85 images" in result.out
    make_dataset(Case(glyph_folder, output={"to": "idx"}).plan(tmp_path / "idx"), workers=0)
    (tmp_path / "idx" / "dataset.json").unlink()
    words = " ".join(inspect("idx").out.split())
    assert "Glyphs not in this dataset Boxes not in this dataset Char" in words
    assert "Gaps in pixels Gaps are not in this dataset." in words


@pytest.mark.parametrize(
    "output", [{"labels": ("yolo",)}, {"labels": ("coco",), "name": "{index}"}, {"to": "idx"}]
)
@pytest.mark.parametrize("splits", [(), ("train=80", "test=20")])
def test_samples_are_named_by_paths_that_open(
    output: dict[str, Any],
    splits: tuple[str, ...],
    glyph_folder: Path,
    tmp_path: Path,
    inspect: Run,
) -> None:
    case = Case(glyph_folder, {"splits": splits}, output)
    make_dataset(case.plan(tmp_path / "out"), workers=0)
    lines = inspect("out", columns=200).out.partition("Some samples\n")[2].splitlines()
    for line, one in zip(lines, survey(tmp_path / "out").choose(4), strict=True):
        text, preposition, path = line.split()
        assert text == one.text
        if preposition == "at":  # a place in a container
            assert path.startswith("train/" if one.split == "train" else f"{one.split}")
        else:
            assert np.array_equal(imageio.imread(path), one.image)


def test_texts_of_others_control_no_terminal_and_need_no_unicode(tmp_path: Path) -> None:
    imageio.imwrite(tmp_path / "a.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "labels.csv").write_text('file_name,label\na.png,"\x1b[31m ä"\n', "utf-8")
    for locale in ("C.UTF-8", "C"):
        environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        out = run_program("inspect", tmp_path, environment=environment).out
        assert "\\x1b" in out
        assert "\x1b" not in out
        assert "space" in out
        assert out.isascii() == (locale == "C")


needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@needs_terminal
@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_samples_are_drawn_in_a_terminal_that_has_colours(
    environment: dict[str, str], glyph_folder: Path, tmp_path: Path
) -> None:
    from tests.helpers.terminal import PLAIN, decode_half_blocks, run_in_terminal  # noqa: PLC0415

    case = Case(glyph_folder, {"width_px": 60, "length": (1, 2)}, {"to": "npz"})
    make_dataset(case.plan(tmp_path / "out"), workers=0)
    shown = run_in_terminal(["inspect", "out"], tmp_path, answers=PLAIN, environment=environment)
    assert shown.status == 0
    assert b"95 images" in shown.out
    assert b"Pictures" not in shown.out
    drawn = decode_half_blocks(shown.out)
    chosen = [] if environment else survey(tmp_path / "out").choose(4)
    for page, sample in zip(drawn, chosen, strict=True):
        assert np.array_equal(page[1:29, 1:-1], sample.image)  # in a frame


@pytest.mark.parametrize("widths", [[30], [100] * 7, [3000, 20], [60, 90, 30]])
def test_every_image_is_on_the_sheet(widths: list[int]) -> None:
    images = [np.full((28, width), number, np.uint8) for number, width in enumerate(widths)]
    sheet = make_sheet(images)
    for number, width in enumerate(widths):
        assert (sheet == number).sum() == 4 * 28 * width
