"""`batch` and `phone`: what they write, and every option of theirs."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli import Recipe, SequenceGenerator
from mnistseq_cli.cli.commands import open_command
from mnistseq_cli.formats.sheet import make_sheet
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from tests.helpers.bulk_cases import read_tree
from tests.helpers.program import Result

Run = Callable[..., Result]


def read_labels(folder: Path) -> dict[str, str]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["file_name", "text"]
    return dict(rows[1:])


def read_images(folder: Path) -> list[NDArray[np.uint8]]:
    return [imageio.imread(folder / name) for name in read_labels(folder)]


def test_a_batch_holds_the_samples_of_the_library(
    run: Run, tmp_path: Path, glyphs: GlyphSet
) -> None:
    result = run("batch", "-n", 30, "--length", 3, 7, "-w", 200, "--seed", 4, "-o", "out")
    assert (result.status, result.out) == (0, "out\n")
    out = tmp_path / "out"
    recipe = Recipe(length=(3, 7), width_px=200, seed=4, count=30)
    samples = list(SequenceGenerator(recipe, glyphs))
    assert list(read_labels(out).values()) == [sample.text for sample in samples]
    lines = (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    for image, line, sample in zip(read_images(out), lines, samples, strict=True):
        assert np.array_equal(image, sample.image)
        assert json.loads(line) == {
            "file_name": f"images/00000/{sample.index:08d}.png",
            "text": sample.text,
            "objects": {
                "bbox": sample.boxes.tolist(),
                "category": [int(digit) for digit in sample.text],
            },
            "glyphs": sample.glyphs.tolist(),
            "gaps": sample.gaps.tolist(),
        }


def test_a_saved_recipe_makes_the_same_images_again(run: Run, tmp_path: Path) -> None:
    texts = tmp_path / "numbers.txt"
    texts.write_text("007\n350\n12\n")
    for number, words in enumerate(
        [
            ["phone", "-n", 5, "--pattern", "us"],
            ["batch", "-n", 5, "--length", 1, 4, "--edges", "--spacing", 0, 3],
            ["batch", "--texts", texts],
        ]
    ):
        assert run(*words, "-o", f"first{number}").status == 0
        again = run("batch", "--recipe", f"first{number}/recipe.toml", "-o", f"again{number}")
        assert again.status == 0
        first, second = (
            {
                path.relative_to(tmp_path / folder): path.read_bytes()
                for path in (tmp_path / folder).rglob("*")
                if path.is_file() and path.name != "recipe.toml"
            }
            for folder in (f"first{number}", f"again{number}")
        )
        assert first == second


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--image-format", "jpg"],
        ["--to", "npz"],
        ["--to", "webdataset", "--image-format", "bmp"],
        ["--labels", "coco", "--labels", "csv", "--name", "it's {text}/no {index:03d}"],
        ["--splits", "train=2", "val=1"],
    ],
)
def test_the_first_line_of_a_recipe_is_a_command_that_makes_the_same_files(
    words: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("batch", "-n", 12, "--length", 2, 3, "-o", "out", *words).status == 0
    before = read_tree(tmp_path / "out")
    line = (tmp_path / "out/recipe.toml").read_text(encoding="utf-8").splitlines()[0]
    head, *command = shlex.split(line.removeprefix("# Makes the same images again: "))
    assert head == "mnistseq"
    monkeypatch.chdir(tmp_path / "out")
    assert run(*command, glyphs=False).status == 0
    assert before == read_tree(tmp_path / "out") == read_tree(tmp_path / "again")


def test_plain_options_make_a_plain_line(run: Run, tmp_path: Path) -> None:
    run("batch", "-n", 1, "--digits", 3, "--image-format", "jpg", "-o", "out", "--part-size", 7)
    line = (tmp_path / "out/recipe.toml").read_text(encoding="utf-8").splitlines()[0]
    command = "mnistseq batch --recipe recipe.toml --image-format jpg -o ../again"
    assert line == f"# Makes the same images again: {command}"


@pytest.fixture
def own_glyphs(glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with glyphs beside the one that the program runs in."""
    shutil.copytree(glyph_folder, tmp_path / "home/fold")
    (tmp_path / "home/deep").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home/fold"


def test_a_data_set_in_a_folder_is_found_from_everywhere(
    run: Run, own_glyphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["batch", "-n", 5, "--length", 3, 3, "--seed", 1, "--labels", "csv", "--dataset"]
    assert run(*words, "fold", "-o", "pf", glyphs=False).status == 0
    pf = own_glyphs.parent / "pf"
    assert f'dataset = "{own_glyphs}"' in (pf / "recipe.toml").read_text(encoding="utf-8")
    monkeypatch.chdir(own_glyphs.parent / "deep")
    again = ["batch", "--recipe", "../pf/recipe.toml", "--labels", "csv", "-o", "again"]
    assert run(*again, glyphs=False).status == 0
    assert run(*words, "../fold", "-o", "new", glyphs=False).status == 0
    assert read_tree(pf) == read_tree(Path("again")) == read_tree(Path("new"))
    assert run("verify", pf, "--deep", glyphs=False).status == 0
    found = json.loads(run("inspect", pf, "--json", glyphs=False).out)
    assert found["sources"]["gaps"] == {"n_labels": 0, "n_recipe": 5}


def test_a_data_set_that_is_not_there_any_more_is_named(run: Run, own_glyphs: Path) -> None:
    run("batch", "-n", 5, "--length", 3, 3, "-o", "pf", "--dataset", "fold", glyphs=False)
    own_glyphs.rename(own_glyphs.with_name("moved"))
    for words in (["batch", "--recipe", "pf/recipe.toml", "-o", "o"], ["verify", "pf", "--deep"]):
        result = run(*words, glyphs=False)
        assert result.status == 1
        assert f"there is no file or folder {own_glyphs}" in result.err.splitlines()[0]
        assert ("--dataset PATH" in result.err) == (words[0] == "batch")


def test_a_dataset_is_resumed_where_its_glyphs_lie_now(run: Run, own_glyphs: Path) -> None:
    words = ["batch", "-n", 5, "--length", 3, 3, "-o", "pf", "--resume", "--dataset"]
    assert run(*words, "fold", glyphs=False).status == 0
    image = Path("pf/images/00000/00000002.png")
    before = image.read_bytes()
    image.unlink()
    moved = own_glyphs.rename(own_glyphs.with_name("moved"))
    assert run(*words, "moved", glyphs=False).status == 0
    assert image.read_bytes() == before
    assert f'dataset = "{moved}"' in Path("pf/recipe.toml").read_text(encoding="utf-8")
    assert run("verify", "pf", "--deep", glyphs=False).status == 0
    images, labels = sorted(moved.iterdir())
    labels.write_bytes(labels.read_bytes()[:8] + labels.read_bytes()[8:][::-1])
    other = run(*words, "moved", glyphs=False)
    assert other.status == 1
    assert "glyphs_sha256" in other.err
    assert images.exists()


def test_outputs_need_not_be_readable() -> None:
    for name in ("batch", "phone"):
        command = open_command(name)
        paths = {param.name: param.type for param in command.params}
        assert not any(paths[option].readable for option in ("out", "sheet", "log_json"))


def test_phone_numbers_are_unique(run: Run, tmp_path: Path) -> None:
    assert run("phone", "-n", 300).out == "phone-numbers\n"
    numbers = list(read_labels(tmp_path / "phone-numbers").values())
    assert len(set(numbers)) == 300
    assert all(re.fullmatch("0[0-9]{10}", number) for number in numbers)
    widths = {image.shape for image in read_images(tmp_path / "phone-numbers")}
    assert len(widths) == 1


def test_texts_set_the_count(run: Run, tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("\ufeff007\r\n\r\n350\n", encoding="utf-8")
    run("batch", "--texts", "numbers.txt", "-o", "all")
    assert list(read_labels(tmp_path / "all").values()) == ["007", "350"]
    run("batch", "--texts", "numbers.txt", "-o", "more", "-n", 3)
    assert list(read_labels(tmp_path / "more").values()) == ["007", "350", "007"]


def test_one_number_many_times(run: Run, tmp_path: Path) -> None:
    run("batch", "--digits", "070", "--width", "natural")
    assert list(read_labels(tmp_path / "sequences").values()) == ["070"] * 10
    assert len({image.shape for image in read_images(tmp_path / "sequences")}) > 1


@pytest.mark.parametrize(("image_format", "tolerance"), [("png", 0), ("bmp", 0), ("jpg", 60)])
def test_images_have_the_format_asked_for(
    image_format: str, tolerance: int, run: Run, tmp_path: Path, glyphs: GlyphSet
) -> None:
    run("batch", "--digits", "350", "--seed", 1, "--image-format", image_format, "-o", "out")
    expected = SequenceGenerator(Recipe(digits="350", seed=1, count=10), glyphs)
    for name, image, sample in zip(
        read_labels(tmp_path / "out"), read_images(tmp_path / "out"), expected, strict=True
    ):
        assert name.endswith(f".{image_format}")
        assert abs(image.astype(int) - sample.image).max() <= tolerance


def test_labels_and_names_are_those_asked_for(run: Run, tmp_path: Path) -> None:
    run(
        "batch",
        "--digits",
        "35",
        "-n",
        3,
        "--labels",
        "csv",
        "--name",
        "{text}/{index:03d}",
        "-o",
        "out",
    )
    assert list(read_labels(tmp_path / "out")) == [f"35/{index:03d}.png" for index in range(3)]
    assert not (tmp_path / "out" / "metadata.jsonl").exists()
    assert (tmp_path / "out" / "35" / "002.png").is_file()


def test_workers_and_parts_change_nothing(run: Run, tmp_path: Path) -> None:
    found = []
    for number, options in enumerate(
        [["--workers", 0], ["--workers", 1, "--part-size", 7], ["--workers", 2, "--part-size", 64]]
    ):
        run("batch", "-n", 150, "--length", 1, 3, "--seed", 1, "-o", number, *options)
        out = tmp_path / str(number)
        names = ["labels.csv", "metadata.jsonl", *read_labels(out)]
        found.append([(out / name).read_bytes() for name in names])
    assert found[0] == found[1] == found[2]


def test_a_dry_run_makes_nothing(run: Run, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    result = run("batch", "-n", 2500, "--length", 3, 3, "--seed", 8, "--dry-run")
    assert result.status == 0
    assert "seed = 8" in result.out
    assert "length = [3, 3]" in result.out
    for words in ("2,500 in 3 parts", "files", "size", "free", "time"):
        assert words in result.err
    assert set(tmp_path.rglob("*")) == before


def test_a_full_folder_is_refused_and_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    result = run("batch", "--digits", "3", "-o", "out")
    assert result.status == 1
    assert "--resume" in result.err or "--overwrite" in result.err or "--out" in result.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_overwrite_replaces_a_dataset_and_nothing_else(run: Run, tmp_path: Path) -> None:
    run("batch", "--digits", "3", "-n", 5, "-o", "out")
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert run("batch", "--digits", "4", "-n", 2, "-o", "out", "--overwrite").status == 0
    assert list(read_labels(tmp_path / "out").values()) == ["4", "4"]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 2
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_resume_without_a_seed_takes_the_one_that_was_drawn(run: Run, tmp_path: Path) -> None:
    words = ["batch", "-n", 30, "--length", 3, 3, "-o", "out"]
    assert run(*words).status == 0
    image = tmp_path / "out/images/00000/00000007.png"
    before = image.read_bytes()
    image.unlink()
    assert run(*words, "--resume").status == 0
    assert image.read_bytes() == before


def test_a_dry_run_counts_what_overwrite_makes_again(run: Run) -> None:
    words = ["batch", "-n", 300, "--length", 3, 3, "-o", "out", "--seed", 1]
    assert run(*words).status == 0
    sizes = [run(*words, how, "--dry-run").err for how in ("--resume", "--overwrite")]
    assert [re.search(r"on disk +0 bytes", said) is not None for said in sizes] == [True, False]


def test_resume_of_a_finished_run_changes_nothing(run: Run, tmp_path: Path) -> None:
    words = ["batch", "--digits", "3", "-n", 5, "--seed", 1, "-o", "out"]
    run(*words)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert run(*words, "--resume").status == 0
    after = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert before == after
    other = run(*words[:-2], "-o", "out", "--resume", "--spacing", 1, 1)
    assert other.status != 0
    assert "spacing" in other.err


def test_events_are_logged(run: Run, tmp_path: Path) -> None:
    run("batch", "--digits", "3", "-n", 5, "-o", "out", "--log-json", "log.jsonl")
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events[0]["event"] == "Started"
    assert events[-1]["event"] == "Finished"
    assert events[-1]["n_samples"] == 5


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["batch"], 2, "batch needs one of --digits"),
        (["batch", "--digits", "3", "--length", "1", "2"], 2, "it has --digits and --length"),
        (["batch", "--digits", "3", "-n", "0"], 2, "--count is 0"),
        (["batch", "--digits", "3", "-n", "-1"], 2, "--count is -1"),
        (["batch", "--digits", "3", "-n", "1000000000000"], 2, "count is 1000000000000"),
        (["batch", "--length", "5", "2"], 2, "from 5 to 2"),
        (["batch", "--length", "9", "9", "-w", "60"], 2, "needs at least"),
        (["batch", "--texts", "none.txt"], 1, "none.txt is missing"),
        (["batch", "--digits", "3", "--to", "foldr"], 2, "--to is 'foldr'"),
        (["batch", "--digits", "3", "--labels", "cvs"], 2, "Did you mean 'csv'?"),
        (["batch", "--digits", "3", "--to", "idx", "--labels", "csv"], 2, "goes with --to folder"),
        (["batch", "--digits", "3", "--to", "npz", "-w", "natural"], 2, "width"),
        (["batch", "--digits", "3", "--image-format", "xyz"], 2, "--image-format is 'xyz'"),
        (["batch", "--digits", "3", "--name", "{text}"], 2, "{index}"),
        (["batch", "--digits", "3", "--name", "../{index}"], 2, "inside the dataset"),
        (["batch", "--digits", "3", "--name", "Labels.csv/{index}"], 2, "is a file of"),
        (["batch", "--digits", "3", "--workers", "-1"], 2, "--workers is -1"),
        (["batch", "--digits", "3", "--part-size", "0"], 2, "--part-size is 0"),
        (["phone", "-n", "21", "--pattern", "[24]#"], 2, "only 20 numbers"),
        (["phone", "--pattern", "+81"], 2, "'+' at place 1"),
        (["phone", "--measure", "cell", "--spacing-mode", "fixed", "-w", "330"], 2, "equal gaps"),
        (["batch", "--digits", "3", "-o", "/dev/null/out"], 1, "/dev/null"),
        (["batch", "-n", "1000000000", "--length", "5", "5"], 1, "are free"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    words: list[str], status: int, message: str, run: Run, tmp_path: Path
) -> None:
    result = run(*words)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.rglob("*.png"))


def start(folder: Path, glyph_folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "mnistseq_cli",
        "batch",
        "--dataset",
        str(glyph_folder),
        "--length",
        "5",
        "5",
        "-o",
        "out",
        *words,
    ]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_an_interrupted_run_is_finished_by_resume(
    signal_number: int, status: int, glyph_folder: Path, tmp_path: Path
) -> None:
    options = ["-n", "60000", "--seed", "3", "--workers", "2", "--part-size", "500"]
    with start(tmp_path, glyph_folder, *options) as process:
        while not list((tmp_path / "out").glob("images/*/*.png")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal_number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert "Traceback" not in err
    assert "--resume" in err
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize(("environment", "has_bar"), [({}, False), ({"FORCE_COLOR": "1"}, True)])
def test_a_bar_is_shown_only_in_a_terminal(
    environment: dict[str, str], has_bar: bool, glyph_folder: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "mnistseq_cli",
        "batch",
        "--dataset",
        str(glyph_folder),
        "--digits",
        "3",
    ]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("Images" in result.stderr) == has_bar
    assert ("\x1b" in result.stderr) == has_bar


@pytest.mark.parametrize("words", [["train=80", "val=10", "test=10"], ["train=80,val=10,test=10"]])
def test_splits_share_nothing_and_are_made_again(
    words: list[str], run: Run, tmp_path: Path
) -> None:
    options = ["batch", "--length", 4, 4, "-n", 50, "-o", "out", "--seed", 1]
    assert run(*options, "--splits", *words).status == 0
    texts: dict[str, set[str]] = {}
    used: dict[str, set[int]] = {}
    for split, count in (("train", 40), ("val", 5), ("test", 5)):
        lines = (tmp_path / "out" / split / "metadata.jsonl").read_text().splitlines()
        assert len(lines) == count
        values = [json.loads(line) for line in lines]
        texts[split] = {value["text"] for value in values}
        used[split] = {glyph for value in values for glyph in value["glyphs"]}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not texts[one] & texts[other]
        assert not used[one] & used[other]
    assert run("verify", "out", glyphs=False).status == 0
    assert run("batch", "--recipe", "out/recipe.toml", "-o", "again").status == 0
    names = ["train/labels.csv", "test/metadata.jsonl"]
    for name in [*names, *(f"val/{name}" for name in read_labels(tmp_path / "out" / "val"))]:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_what_is_shown_of_splits_is_what_they_hold(run: Run, tmp_path: Path) -> None:
    words = ["batch", "--length", 4, 4, "-n", 12, "--seed", 1, "-o", "out"]
    splits = ["--splits", "val=1", "train=2"]
    shown = run(*words, "--dry-run", "--sheet", "before.png", *splits).err
    assert run(*words, "--sheet", "after.png", *splits).status == 0
    texts = [*read_labels(tmp_path / "out/val").values()]
    texts += read_labels(tmp_path / "out/train").values()
    assert f"first    {', '.join(texts[:6])}\n" in shown
    images = [*read_images(tmp_path / "out/val"), *read_images(tmp_path / "out/train")]
    sheets = [imageio.imread(tmp_path / f"{name}.png") for name in ("before", "after")]
    assert all(np.array_equal(sheet, make_sheet(images)) for sheet in sheets)


def test_too_few_texts_for_splits_are_said(run: Run) -> None:
    result = run("batch", "--digits", "350", "-n", 50, "--splits", "train=8", "val=2")
    assert result.status == 0
    assert "all splits share all texts" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--splits", "train"], "a split is 'train'"),
        (["--splits", "train=x"], "a split is 'train=x'"),
        (["train=80"], "'train=80'"),
    ],
)
def test_splits_that_are_none_are_refused(words: list[str], message: str, run: Run) -> None:
    result = run("batch", "--digits", "3", *words)
    assert result.status == 2
    assert message in result.err


def test_a_sheet_of_the_first_images(run: Run, tmp_path: Path) -> None:
    result = run("phone", "-n", 5, "--dry-run", "--sheet", "sheet.png", "--augment", "light")
    assert (result.status, result.out.splitlines()[-1]) == (0, "sheet.png")
    assert imageio.imread(tmp_path / "sheet.png").shape[0] > 56


def test_verify_names_what_is_wrong(run: Run, tmp_path: Path) -> None:
    run("batch", "--digits", "35", "-n", 5, "-o", "out")
    assert run("verify", "out", "--deep", glyphs=False).status == 0
    names = list(read_labels(tmp_path / "out"))
    (tmp_path / "out" / names[1]).unlink()
    (tmp_path / "out" / names[2]).write_bytes(b"no image")
    result = run("verify", "out", glyphs=False)
    assert result.status == 1
    assert names[1] in result.out
    assert names[2] in result.out


@pytest.mark.parametrize(("width", "is_warned"), [(76, False), (75, True)])
def test_a_dry_run_warns_when_a_reader_could_not_see_a_label(
    width: int, is_warned: bool, run: Run
) -> None:
    # 10 digits can need 19 steps of 4 px.
    options = ["-w", width, "--fit", "shrink", "--spacing", 0, 1, "--dry-run"]
    result = run("batch", "--digits", "1" * 10, *options)
    assert result.status == 0
    assert ("CTC" in result.err) == is_warned
