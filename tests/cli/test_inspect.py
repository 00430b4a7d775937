"""`mnistseq inspect`: what it prints and what it writes."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.bulk.run import run as make_dataset
from mnistseq_cli.cli.console import get_console
from mnistseq_cli.cli.summary import TextPage
from mnistseq_cli.inspection.survey import survey
from mnistseq_cli.sheet import BOX_COLOURS, LABEL_GREY, draw_sample, make_labelled_sheet
from tests.helpers.bulk_cases import Case
from tests.helpers.program import PROGRAM, Result

Run = Callable[..., Result]


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
    result = inspect(dataset)
    assert (result.status, result.err) == (0, "")
    words = " ".join(result.out.split())
    width = next(iter(found.sizes))[0]
    assert words.startswith(
        "out: 200 images Format folder (finished) Images 200 (train 160, val 20,"
    )
    assert f"Size {width} × 28 px" in words
    assert f"Ink {100 * found.ink_share.mean:.1f} % of an image on average" in words
    margin_px = found.left_margin_px
    assert f"px on average, {margin_px.least:.0f} to {margin_px.most:.0f}" in words
    equal = f"{found.n_equal_images} images, {found.n_equal_texts} texts"
    assert f"Duplicates {equal} seen before" in words
    assert found.glyphs is not None
    assert f"Glyphs {found.glyphs.n_distinct} different" in words
    for digit, n in found.digits.items():
        assert f" {digit} {n} " in words
    for length, n in found.lengths.items():
        assert f" {length} {n} {n / 2:.1f} % " in words
    assert found.gaps is not None
    for gap, n in found.gaps.counts.items():
        assert f" {gap} {n} {found.gaps.expected[gap]:.0f} " in words
    assert "Compared with the uniform distribution from 2 to 10." in words
    p_value = f"p = {found.gaps.p_value:.3f}"
    assert f"Chi-square {found.gaps.statistic:.1f} with 8 degrees of freedom, {p_value}:" in words


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_the_summary_fits_the_terminal(columns: int, dataset: Path, inspect: Run) -> None:
    lines = inspect(dataset, columns=columns).out.splitlines()
    assert max(map(len, lines)) <= min(columns, 200)
    assert "\x1b" not in "".join(lines)


def test_the_longest_bar_is_that_of_the_largest_number(dataset: Path, inspect: Run) -> None:
    counts = survey(dataset).digits
    chart = inspect(dataset).out.partition("Length")[0]
    bars = dict(re.findall(r"^ +(\d) .*?([█▌]+)$", chart, re.MULTILINE))
    assert len(bars) == 10
    assert max(map(len, bars.values())) == len(bars[max(counts, key=lambda key: counts[key])])


def test_everything_is_there_as_json(dataset: Path, inspect: Run) -> None:
    result = inspect(dataset, "--json")
    values = json.loads(result.out)
    found = survey(dataset)
    assert values["n_samples"] == 200
    assert values["folder"] == "out"
    assert values["digits"] == found.digits
    assert values["recipe"] == json.loads((dataset / "dataset.json").read_text())["recipe"]
    assert "reader" not in values
    assert values["sources"]["gaps"] == {"n_labels": 200, "n_recipe": 0}
    assert set(vars(found)) == set(values)
    assert np.allclose(values["heat_map"], found.heat_map, atol=1e-4)
    first = found.samples[0]
    assert first.boxes is not None
    assert values["samples"][0]["boxes"] == first.boxes.tolist()
    assert values["sizes"] == [
        {"width_px": width, "height_px": 28, "count": n} for (width, _), n in found.sizes.items()
    ]


def write_reads(folder: Path) -> Path:
    """Write predictions: the first digit of every fourth is wrong, the last of all is missing."""
    with (folder / "train" / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:-1]
    path = folder.parent / "reads.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file)
        write.writerow(["file_name", "text"])
        for number, (name, text) in enumerate(rows):
            write.writerow([name, text if number % 4 else "x" + text[1:]])
    return path


def test_predictions_add_how_well_a_reader_reads(dataset: Path, inspect: Run) -> None:
    reads = write_reads(dataset)
    words = " ".join(inspect(dataset, "--predictions", reads).out.split())
    assert "Predictions from reads.csv Exact match 74.84 % (119 of 159 images)" in words
    assert "40 edits in" in words
    assert "No prediction 41 images" in words
    assert re.search(r"Confused: \d as x \(\d+\)", words)
    assert "Exact match, by length" in words
    assert "Exact match, by smallest gap" in words
    reader = json.loads(inspect(dataset, "--predictions", reads, "--json").out)["reader"]
    assert reader["all"] == {"n_samples": 159, "n_right": 119}
    assert (reader["n_edits"], reader["n_missing"]) == (40, 41)
    assert sum(share["n_right"] for share in reader["by_length"].values()) == 119
    assert reader["worst"][0]["read"].startswith("x")


def test_a_sheet_has_labels_and_boxes(dataset: Path, inspect: Run) -> None:
    result = inspect(dataset, "--sheet", "sheet.png")
    assert "24 samples drawn on sheet.png." in result.err
    assert result.out == ""
    sheet = imageio.imread("sheet.png")
    samples = survey(dataset).samples
    chosen = [samples[place * 200 // 24] for place in range(24)]
    assert np.array_equal(sheet, make_labelled_sheet(chosen))
    for colour in (*BOX_COLOURS, (LABEL_GREY,) * 3):
        assert (sheet == colour).all(axis=2).any()


def test_a_report_is_a_page(dataset: Path, inspect: Run) -> None:
    pytest.importorskip("jinja2", reason="Jinja2 is not installed: it makes the page")
    reads = write_reads(dataset)
    result = inspect(dataset, "--report", "page.html", "--predictions", reads)
    assert result.status == 0, result.err
    assert "page.html" in result.err
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "74.84" in page or "74.8" in page


def test_a_box_surrounds_its_digit_and_covers_no_ink(dataset: Path, inspect: Run) -> None:
    del inspect
    seen = survey(dataset).samples[3]
    assert seen.boxes is not None
    drawn = draw_sample(seen, 2)[-2 * 28 - 2 :]  # below the label
    ink = np.pad(seen.image < 255, 0).repeat(2, axis=0).repeat(2, axis=1)
    is_line = np.zeros(drawn.shape[:2], np.bool_)
    for colour in BOX_COLOURS:
        is_line |= (drawn == colour).all(axis=2)
    assert not is_line[1:-1, 1 : 1 + ink.shape[1]][ink].any()
    x, y, width, height = seen.boxes[0].tolist()
    left, top, right, bottom = 2 * x, 2 * y, 2 * (x + width) + 1, 2 * (y + height) + 1
    assert is_line[[top, bottom], left : right + 1].all()
    assert is_line[top : bottom + 1, [left, right]].all()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--predictions nothing.csv", "nothing.csv"),
        ("--sheet sheet", "For example: --sheet sheet.png"),
        ("--sheet sheet.doc", "For example: --sheet sheet.png"),
        ("--sheet ''", "For example: --sheet sheet.png"),
        ("--sheet ..", "For example: --sheet ../sheet.png"),
        ("--report page.pdf", "For example: --report page.html"),
        ("--report .", "For example: --report report.html"),
        ("--report /", "For example: --report /report.html"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_work(
    words: str, named: str, inspect: Run, tmp_path: Path
) -> None:
    result = inspect("no-dataset", *shlex.split(words))
    assert (result.status, result.out) == (2, "")
    assert named in result.err
    assert not list(tmp_path.iterdir())


def test_a_report_without_its_library_is_refused_before_work(
    dataset: Path, inspect: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = inspect(dataset, "--report", "page.html")
    assert (result.status, result.out) == (2, "")
    assert "pip install 'mnistseq[report]'" in result.err


@pytest.mark.parametrize("option", ["--sheet", "--report"])
def test_a_place_that_takes_no_file_is_refused_before_work(
    option: str, tmp_path: Path, inspect: Run
) -> None:
    if option == "--report":
        pytest.importorskip("jinja2", reason="Jinja2 is not installed")
    name = {"--sheet": "a.png", "--report": "a.html"}[option]
    (tmp_path / "full" / name).mkdir(parents=True)
    for path, why in (
        (tmp_path / "missing" / name, f"there is no folder {tmp_path / 'missing'}"),
        (tmp_path / "full" / name, "it is a folder"),
    ):
        result = inspect(tmp_path / "no dataset", option, path)
        assert result.status == 1
        assert f"cannot write {path}: {why}" in result.err
        assert ("mkdir -p" in result.err) == ("no folder" in why)


IS_ROOT = sys.platform == "win32" or os.geteuid() == 0


@pytest.mark.skipif(IS_ROOT, reason="nothing is forbidden to root, and Windows has other rights")
def test_a_folder_that_is_closed_is_named_before_work(tmp_path: Path, inspect: Run) -> None:
    for name in ("read only", "closed"):
        (tmp_path / name).mkdir(mode=0o555 if name == "read only" else 0)
    result = inspect("no dataset", "--sheet", tmp_path / "read only" / "a.png")
    assert result.status == 1
    assert f"the folder {tmp_path / 'read only'} cannot be written to" in result.err
    result = inspect("closed")
    assert (result.status, result.err) == (
        1,
        "Error: cannot read the folder closed: permission denied\n",
    )


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_files_are_written_though_nobody_reads_the_summary(
    more: list[str], dataset: Path, tmp_path: Path
) -> None:
    words = ["inspect", dataset, "--sheet", "sheet.png", *more]
    if find_spec("jinja2"):
        words += ["--report", "page.html"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        cwd=tmp_path,
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write_end)
    assert "Traceback" not in done.stderr
    assert (tmp_path / "sheet.png").exists()
    assert (tmp_path / "page.html").exists() == ("--report" in words)


def test_one_glyph_is_one(run: Run, inspect: Run) -> None:
    for n, words in (
        (1, "1 (number 7), used once"),
        (3, "1 (number 7), used 3 times"),
    ):
        folder = f"out {n}"
        assert run("batch", "--digits", "7", "-n", n, "--seed", 1, "-o", folder).status == 0
        path = Path(folder) / "metadata.jsonl"
        path.write_text(re.sub(r'"glyphs": \[\d+\]', '"glyphs": [7]', path.read_text()))
        shown = " ".join(inspect(folder).out.split())
        assert f"Glyphs {words}; from the labels Boxes" in shown
    assert run("batch", "--digits", "01", "-n", 1, "--seed", 1, "-o", "two").status == 0
    shown = " ".join(inspect("two").out.split())
    assert "Glyphs 2 different, each used once; most used: number" in shown
    assert re.search(r"Left margin \d+ px Right margin \d+ px Duplicates none", shown)


def test_missing_samples_are_told(dataset: Path, inspect: Run) -> None:
    for name in ("labels.csv", "metadata.jsonl"):
        path = dataset / "val" / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    result = inspect(dataset)
    assert result.status == 0
    assert "should hold 200 images, not 199" in result.err
    assert "mnistseq verify out" in result.err


def test_an_unfinished_dataset_is_said_to_be_so(
    glyph_folder: Path, tmp_path: Path, inspect: Run
) -> None:
    plan = Case(glyph_folder, output={"to": "webdataset"}).plan(tmp_path / "out")
    make_dataset(plan, workers=0)
    (tmp_path / "out" / "dataset.json").rename(tmp_path / "out" / ".mnistseq" / "plan.json")
    (tmp_path / "out" / "data-000003.tar").unlink()
    result = inspect("out")
    assert (result.status, result.err) == (0, "")
    assert "webdataset (unfinished: --resume makes the rest)" in result.out
    assert "out: 85 images" in result.out


def test_a_damaged_image_is_named(dataset: Path, inspect: Run) -> None:
    path = next((dataset / "val" / "images").rglob("*.png"))
    path.write_bytes(path.read_bytes()[:100])
    result = inspect(dataset)
    assert result.status == 1
    assert f"{path} is damaged" in result.err


def test_what_is_not_known_is_said(glyph_folder: Path, tmp_path: Path, inspect: Run) -> None:
    make_dataset(Case(glyph_folder, output={"to": "idx"}).plan(tmp_path / "out"), workers=0)
    (tmp_path / "out" / "dataset.json").unlink()
    words = " ".join(inspect("out").out.split())
    assert "Glyphs not in this dataset Boxes not in this dataset Char" in words
    assert "Gaps in pixels Gaps are not in this dataset." in words


@pytest.mark.parametrize(
    "output",
    [
        {"labels": ("jsonl",)},
        {"labels": ("easyocr",)},
        {"labels": ("yolo",)},
        {"labels": ("coco",), "name": "{index}"},
    ],
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
    seen = survey(tmp_path / "out").choose(4)
    assert len(lines) == len(seen) == 4
    for line, one in zip(lines, seen, strict=True):
        text, path = line.split(" in ")
        assert text.strip() == one.text
        assert np.array_equal(imageio.imread(path), one.image)


def test_samples_in_containers_are_named_with_their_split(
    glyph_folder: Path, tmp_path: Path, inspect: Run
) -> None:
    for to, name in (("webdataset", "000000000.png"), ("idx", "0")):
        case = Case(glyph_folder, {"splits": ("train=80", "test=20")}, {"to": to})
        make_dataset(case.plan(tmp_path / to), workers=0)
        first = survey(tmp_path / to).samples[0]
        assert f"  {first.text} at train/{name}\n" in inspect(to).out


def test_texts_of_others_control_no_terminal(tmp_path: Path, inspect: Run) -> None:
    imageio.imwrite(tmp_path / "a.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "labels.csv").write_text('file_name,label\na.png,"\x1b[31m ä"\n')
    out = inspect(tmp_path).out
    assert "\x1b" not in out
    assert "\\x1b" in out
    assert "space" in out


def test_without_unicode_all_is_ascii() -> None:
    page = TextPage(60, is_unicode=False)
    assert page.show("a\x1bé") == "a\\x1b?"
    assert page.write_chart(["é", "b"], {"n": ["1", "2"]}, [1, 2]) == [
        "     n",
        "  ?  1  ####################",
        "  b  2  ########################################",
    ]
