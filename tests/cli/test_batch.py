"""`batch` and `phone`: what they write, and every option of theirs."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli import Recipe, SequenceGenerator
from mnistseq_cli.compose.presets import load_presets
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import NAMED_RECIPES
from mnistseq_cli.sheet import make_sheet
from tests.helpers.bulk_cases import read_tree
from tests.helpers.program import PROGRAM, Run


def read_labels(folder: Path | str) -> dict[str, str]:
    with (Path(folder) / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["file_name", "text"]
    return dict(rows[1:])


def read_images(folder: Path | str) -> list[NDArray[np.uint8]]:
    return [imageio.imread(Path(folder) / name) for name in read_labels(folder)]


def test_a_batch_holds_samples_of_the_library(run: Run, tmp_path: Path, glyphs: GlyphSet) -> None:
    result = run("batch -n 30 --length 3 7 -w 200 --seed 4 -o out --log-json log.jsonl")
    assert (result.status, result.out) == (0, "out\n")
    started, *events, finished = map(json.loads, Path("log.jsonl").read_text().splitlines())
    assert (started["event"], finished["event"]) == ("Started", "Finished")
    assert started["n_samples"] == finished["n_samples"] == 30
    assert started["seconds"] <= events[0]["seconds"] <= finished["seconds"]
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


def test_a_built_in_recipe_goes_by_its_name(run: Run, tmp_path: Path) -> None:
    listed = run("batch --list-recipes", glyphs=False).out
    assert all(name in listed for name in NAMED_RECIPES)
    assert run("batch --recipe photo -n 4 --length 2 --height 28 --seed 1 -o plates").status == 0
    saved = Recipe.load(tmp_path / "plates" / "recipe.toml")
    assert (saved.height_px, saved.lengths, saved.count) == (28, (2, 2), 4)
    assert saved.paper
    Path("form").write_text('digits = "7"\n')
    assert run("batch --recipe form -n 2 -o built-in").status == 0
    assert run("batch --recipe ./form -n 2 -o own").status == 0
    assert (
        Recipe.load("own/recipe.toml").digits == "7" != Recipe.load("built-in/recipe.toml").digits
    )


@pytest.mark.parametrize(
    "command",
    [
        "phone -n 5 --pattern us",
        "batch -n 5 --length 1 4 --edges --spacing 0 3",
        "batch --texts numbers.txt",
        "batch -n 12 --length 2 3 --image-format jpg",
        "batch -n 12 --length 2 3 --to npz",
        "batch -n 12 --length 2 3 --to webdataset --image-format bmp",
        'batch --digits 7 --labels coco --labels csv --name "it\'s {text}/no {index:03d}"',
        "batch -n 12 --length 2 3 --splits train=2 val=1",
    ],
)
def test_the_first_line_of_a_recipe_is_a_command_that_makes_the_same_files(
    command: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("numbers.txt").write_text("007\n350\n12\n")
    assert run(f"{command} -o out").status == 0
    before = read_tree(tmp_path / "out")
    line = (tmp_path / "out/recipe.toml").read_text(encoding="utf-8").splitlines()[0]
    head, *words = shlex.split(line.removeprefix("# Makes the same images again: "))
    assert head == "mnistseq"
    monkeypatch.chdir(tmp_path / "out")
    assert run(*words, glyphs=False).status == 0
    assert before == read_tree(tmp_path / "out") == read_tree(tmp_path / "again")


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
    command = "batch -n 5 --length 3 3 --seed 1 --labels csv"
    assert run(f"{command} --dataset fold -o pf", glyphs=False).status == 0
    pf = own_glyphs.parent / "pf"
    assert f'dataset = "{own_glyphs}"' in (pf / "recipe.toml").read_text(encoding="utf-8")
    monkeypatch.chdir(own_glyphs.parent / "deep")
    again = "batch --recipe ../pf/recipe.toml --labels csv -o again"
    assert run(again, glyphs=False).status == 0
    assert run(f"{command} --dataset ../fold -o new", glyphs=False).status == 0
    assert read_tree(pf) == read_tree(Path("again")) == read_tree(Path("new"))
    assert run("verify", pf, "--deep", glyphs=False).status == 0
    found = json.loads(run("inspect", pf, "--json", glyphs=False).out)
    assert found["sources"]["gaps"] == {"n_labels": 0, "n_recipe": 5}


def test_a_dataset_is_resumed_where_its_glyphs_lie_now(
    run: Run, own_glyphs: Path, pen_dir: Path
) -> None:
    command = "batch -n 5 --length 3 3 -o pf --resume --dataset"
    assert run(f"{command} fold", glyphs=False).status == 0
    image = Path("pf/images/00000/00000002.png")
    before = image.read_bytes()
    image.unlink()
    moved = own_glyphs.rename(own_glyphs.with_name("moved"))
    assert run(f"{command} moved", glyphs=False).status == 0
    assert image.read_bytes() == before
    assert f'dataset = "{moved}"' in Path("pf/recipe.toml").read_text(encoding="utf-8")
    assert run("verify pf --deep", glyphs=False).status == 0
    moved.rename(own_glyphs)
    for again in ("batch --recipe pf/recipe.toml -o o", "verify pf --deep"):
        missed = run(again, glyphs=False)
        assert missed.status == 1
        assert f"there is no file or folder {moved}" in missed.err.splitlines()[0]
        assert ("--dataset PATH" in missed.err) == again.startswith("batch")
    own_glyphs.rename(moved)
    _, labels = sorted(moved.iterdir())
    labels.write_bytes(labels.read_bytes()[:8] + labels.read_bytes()[8:][::-1])
    other = run(f"{command} moved", glyphs=False)
    assert other.status == 1
    assert "glyphs_sha256" in other.err
    other = run("verify pf --deep", glyphs=False)
    assert (other.status, "is not what the recipe was made with" in other.err) == (1, True)
    other = run(f"{command} strokes --data-dir {pen_dir}", glyphs=False)
    assert "dataset is " in other.err
    assert "glyphs_sha256" not in other.err


def test_texts_set_the_count_and_one_number_is_written_many_times(run: Run) -> None:
    Path("numbers.txt").write_text("\ufeff007\r\n\r\n350\n", encoding="utf-8")
    run("batch --texts numbers.txt -o all")
    assert list(read_labels("all").values()) == ["007", "350"]
    run("batch --texts numbers.txt -o more -n 3")
    assert list(read_labels("more").values()) == ["007", "350", "007"]
    run("batch --digits 070 --width natural")
    assert list(read_labels("sequences").values()) == ["070"] * 10
    assert len({image.shape for image in read_images("sequences")}) > 1


@pytest.mark.parametrize(("image_format", "tolerance"), [("png", 0), ("bmp", 0), ("jpg", 60)])
def test_images_labels_and_names_are_those_asked_for(
    image_format: str, tolerance: int, run: Run, glyphs: GlyphSet
) -> None:
    options = "--labels csv --name {text}/{index:03d}"
    run(f"batch --digits 35 -n 9 --seed 1 --image-format {image_format} -o out {options}")
    expected = SequenceGenerator(Recipe(digits="35", seed=1, count=9), glyphs)
    assert list(read_labels("out")) == [f"35/{index:03d}.{image_format}" for index in range(9)]
    assert not Path("out/metadata.jsonl").exists()
    for image, sample in zip(read_images("out"), expected, strict=True):
        assert abs(image.astype(int) - sample.image).max() <= tolerance


def test_a_dry_run_makes_nothing(run: Run, tmp_path: Path) -> None:
    result = run("batch -n 2500 --length 3 3 --seed 8 --dry-run")
    assert result.status == 0
    assert "seed = 8" in result.out
    assert "length = [3, 3]" in result.out
    for words in ("2,500 in 3 parts", "files", "size", "free", "time"):
        assert words in result.err
    assert not list(tmp_path.iterdir())


def test_resume_without_a_seed_takes_the_one_that_was_drawn(run: Run) -> None:
    command = "batch -n 30 --length 3 3 -o out"
    assert run(command).status == 0
    image = Path("out/images/00000/00000007.png")
    before = read_tree(Path("out"))
    for how, is_nothing in (("--resume", True), ("--overwrite --seed 1", False)):
        dry = run(f"{command} {how} --dry-run").err
        assert bool(re.search(r"on disk +0 bytes", dry)) == is_nothing
    image.unlink()
    for _ in range(2):
        assert run(f"{command} --resume").status == 0
        assert read_tree(Path("out")) == before
    other = run(f"{command} --resume --spacing 1 1")
    assert other.status != 0
    assert "spacing" in other.err


@pytest.mark.parametrize("weights", ["val=1 train=2", "val=1,train=2"])
def test_what_is_shown_of_splits_is_what_they_hold(weights: str, run: Run) -> None:
    command = f"batch --length 4 4 -n 12 --seed 1 -o out --splits {weights}"
    shown = run(f"{command} --dry-run --sheet before.png").err
    assert run(f"{command} --sheet after.png").out == "out\nafter.png\n"
    texts = [*read_labels("out/val").values(), *read_labels("out/train").values()]
    assert len({*texts}) == 12
    assert f"first    {', '.join(texts[:6])}\n" in shown
    images = [*read_images("out/val"), *read_images("out/train")]
    sheets = [imageio.imread(f"{name}.png") for name in ("before", "after")]
    assert all(np.array_equal(sheet, make_sheet(images)) for sheet in sheets)


def test_patterns_are_listed_each_with_an_example(run: Run) -> None:
    result = run("batch", "--list-patterns", glyphs=False)
    assert (result.status, result.err) == (0, "")
    head, *lines = result.out.splitlines()
    assert head.split() == ["name", "example", "numbers", "what"]
    found = {line.split()[0]: line for line in lines}
    assert [*found] == [*load_presets()]
    assert re.search(r" \d{4}-\d\d-\d\d +36,525 ", found["date-iso"])
    assert " repeat " in found["amount"]


def test_numbers_of_a_pattern_are_written_once_or_said_to_repeat(run: Run) -> None:
    result = run("batch", "--pattern", "year", "-n", 600, "-o", "years")
    assert result.status == 0
    assert "more than once" not in result.err
    assert sorted(read_labels("years").values()) == [str(year) for year in range(1500, 2100)]
    refused = run("batch", "--pattern", "year", "-n", 601, "-o", "more")
    assert refused.status == 2
    assert "has only 600 numbers" in refused.err
    splits = ("--splits", "train=8", "test=2", "-n", 50, "--dry-run")
    result = run("batch", "--pattern", "[1-9] {0,1}#{1,2}", *splits)
    assert "can come more than once, and splits share some numbers" in result.err
    assert "all splits share all texts" in run("batch --digits 3 --splits train=8 val=2").err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_run_is_finished_by_resume(
    name: str, status: int, glyph_folder: Path, tmp_path: Path
) -> None:
    words = "batch -n 60000 --seed 3 --workers 2 --part-size 500 --length 5 5 -o out --dataset"
    command, pipe = [*PROGRAM, *words.split(), str(glyph_folder)], subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        while not list((tmp_path / "out").glob("images/*/*.png")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert "Traceback" not in err
    assert "--resume" in err
    assert not (tmp_path / "out" / "dataset.json").exists()
