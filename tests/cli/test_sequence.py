from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import imageio.v3 as imageio
import numpy as np
import pytest

from mnistseq_cli import Recipe, SequenceGenerator
from mnistseq_cli.cli.commands import open_command
from mnistseq_cli.cli.sequence import join_digits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from tests.helpers.program import Result

    Run = Callable[..., Result]


@pytest.mark.parametrize("option", ["--out", "--data-dir", "--sheet"])
def test_a_url_makes_no_local_folder(option: str, run: Run, tmp_path: Path) -> None:
    result = run("sequence", "350", option, "s3://bucket/x.png", glyphs=False)
    assert result.status == 2
    assert "object stores are not supported" in result.err
    assert not list(tmp_path.rglob("s3:"))


@pytest.mark.parametrize("digits", [["3", "5", "0"], ["350"], ["3,5,0"], ["3,", "5", ",0"]])
def test_digits_are_typed_in_any_way(digits: list[str], run: Run, tmp_path: Path) -> None:
    result = run("sequence", *digits, "--width", 100)
    assert (result.status, result.out) == (0, "350.png\n")
    assert imageio.imread(tmp_path / "350.png").shape == (28, 100)


def test_the_picture_is_that_of_the_library(run: Run, tmp_path: Path, glyphs: GlyphSet) -> None:
    run(
        "sequence",
        "0070",
        "-w",
        150,
        "--seed",
        5,
        "--spacing",
        1,
        4,
        "--edges",
        "--align",
        "right",
        "--ink",
        "white",
    )
    recipe = Recipe(
        digits="0070",
        width_px=150,
        seed=5,
        spacing_px=(1, 4),
        edges=True,
        align="right",
        ink="white",
    )
    image = SequenceGenerator(recipe, glyphs)[0].image
    assert np.array_equal(imageio.imread(tmp_path / "0070.png"), image)


def test_nothing_is_overwritten_without_a_name(run: Run, tmp_path: Path) -> None:
    names = [run("sequence", "7", "--seed", seed).out.strip() for seed in range(3)]
    assert names == ["7.png", "7-2.png", "7-3.png"]
    assert run("sequence", "7", "-n", 2).out.split() == ["7-4.png", "7-5.png"]
    assert len(list(tmp_path.glob("7*.png"))) == 5


def test_a_named_file_is_replaced(run: Run, tmp_path: Path) -> None:
    assert run("sequence", "1", "-o", "new/one.png", "-w", 40).out == "new/one.png\n"
    run("sequence", "1", "-o", "new/one.png", "-w", 50)
    assert imageio.imread(tmp_path / "new" / "one.png").shape == (28, 50)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.png"]
    names = run("sequence", "1", "-n", 3, "-o", "v.png").out.split()
    assert names == ["v.png", "v-2.png", "v-3.png"]


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "PNG"])
def test_the_ending_names_the_format(ending: str, run: Run, tmp_path: Path) -> None:
    assert run("sequence", "35", "-o", f"a.{ending}", "-w", 80).status == 0
    image = imageio.imread(tmp_path / f"a.{ending}", plugin="pillow")
    grey = image if image.ndim == 2 else image.reshape(28, 80, -1)[..., 0]
    assert grey.min() < 100
    assert grey[:, 0].min() > 200


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.mp4x"])
def test_an_unknown_format_is_refused(name: str, run: Run, tmp_path: Path) -> None:
    result = run("sequence", "35", "-o", name)
    assert result.status == 2
    assert f"--out is {name!r}" in result.err
    assert ".png, .jpg" in result.err
    assert not (tmp_path / name).exists()


def test_json_tells_all_of_a_picture(run: Run, glyphs: GlyphSet) -> None:
    result = run("sequence", "350", "-n", 2, "--seed", 9, "--json")
    generator = SequenceGenerator(
        Recipe(digits="350", count=2, seed=9, width_px="natural"), glyphs
    )
    for line, sample in zip(result.out.splitlines(), generator, strict=True):
        values = json.loads(line)
        assert values.pop("path").endswith(".png")
        assert values == {
            "text": "350",
            "boxes": sample.boxes.tolist(),
            "gaps": sample.gaps.tolist(),
            "glyphs": sample.glyphs.tolist(),
            "seed": 9,
            "index": sample.index,
        }


def test_a_drawn_seed_is_shown_and_makes_the_same_picture(run: Run, tmp_path: Path) -> None:
    seed = run("sequence", "350", "-o", "a.png").err.split()[-1]
    run("sequence", "350", "-o", "b.png", "--seed", seed)
    run("sequence", "350", "-o", "c.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_a_recipe_is_the_start_and_options_change_it(run: Run, tmp_path: Path) -> None:
    Recipe(digits="12", width_px=90, seed=4, ink="white").save(tmp_path)
    run("sequence", "--recipe", "recipe.toml", "-o", "a.png")
    run("sequence", "12", "-w", 90, "--seed", 4, "--ink", "white", "-o", "b.png")
    run("sequence", "--recipe", "recipe.toml", "--ink", "black", "-o", "c.png")
    a, b, c = (imageio.imread(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert np.array_equal(a, 255 - c)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["3a"], 2, "'a' is not in the alphabet"),
        (["３"], 2, "'３' is not in the alphabet"),
        ([","], 2, "is ','"),
        ([], 2, "there are no digits to write"),
        (["350", "--width", "20", "--seed", "1"], 2, "the width is 20"),
        (["350", "--width", "0"], 2, "--width is 0"),
        (["350", "--width", "-4"], 2, "--width is -4"),
        (["350", "--width", "wide"], 2, "--width: 'wide'"),
        (["350", "--spacing", "9", "2"], 2, "--spacing goes from 9 to 2"),
        (["350", "-n", "0"], 2, "--count is 0"),
        (["350", "--seed", "-1"], 2, "--seed is -1"),
        (["350", "--align", "centre"], 2, "Did you mean 'center'?"),
        (["350", "--measure", "inc"], 2, "Did you mean 'ink'?"),
        (["350", "--spacing-mode", "fix"], 2, "variable, fixed"),
        (["350", "--recipe", "none.toml"], 1, "cannot read the recipe"),
        (["350", "-o", "/dev/null/x.png"], 1, "/dev/null"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_or_two(
    words: list[str], status: int, message: str, run: Run, tmp_path: Path
) -> None:
    result = run("sequence", *words)
    assert result.status == status
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    assert not list(tmp_path.glob("*.png"))


def test_a_missing_data_set_offline_says_how_to_get_it(run: Run) -> None:
    result = run("sequence", "350", "--dataset", "mnist", glyphs=False)
    assert result.status == 1
    assert "mnistseq download" in result.err


def test_an_unknown_data_set_names_the_nearest(run: Run) -> None:
    result = run("sequence", "350", "--dataset", "mnits", glyphs=False)
    assert result.status == 2
    assert "Did you mean mnist?" in result.err


def run_outside(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mnistseq_cli", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_plain_surroundings_are_no_hindrance(glyph_folder: Path, tmp_path: Path) -> None:
    words = ["sequence", "350", "--dataset", str(glyph_folder), "--json", "--show"]
    for environment in ({"LC_ALL": "C", "PYTHONUTF8": "0"}, {"NO_COLOR": "1", "COLUMNS": "20"}):
        result = run_outside(tmp_path, *words, **environment)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["text"] == "350"
        assert "\x1b" not in result.stderr


def test_a_closed_pipe_ends_quietly(glyph_folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mnistseq_cli",
        "sequence",
        "3",
        "-n",
        "5000",
        "--json",
        "-o",
        "a.png",
        "--dataset",
        str(glyph_folder),
    ]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in err


def test_a_sheet_shows_all_pictures_in_one(run: Run, tmp_path: Path) -> None:
    result = run("sequence", "350", "-n", 5, "--augment", "medium", "--sheet", "sheet.png")
    assert (result.status, result.out) == (0, "sheet.png\n")
    assert [path.name for path in tmp_path.glob("*.png")] == ["sheet.png"]
    sheet = imageio.imread(tmp_path / "sheet.png")
    assert sheet.shape[0] >= 2 * 28


@pytest.mark.parametrize("words", [["-o", "one.png"], ["--json"]])
def test_a_sheet_takes_the_place_of_single_pictures(
    words: list[str], run: Run, tmp_path: Path
) -> None:
    result = run("sequence", "350", "--sheet", "sheet.png", *words)
    assert (result.status, result.out) == (2, "")
    name = {"-o": "--out"}.get(words[0], words[0])
    assert result.err.startswith(f"Error: {name} does not go with --sheet, which writes all")
    assert not list(tmp_path.glob("*.png"))


def test_a_recipe_of_many_gives_its_first_sample(
    run: Run, tmp_path: Path, glyphs: GlyphSet
) -> None:
    recipe = Recipe(length=(3, 3), count=100_000, seed=4)
    recipe.save(tmp_path)
    result = run("sequence", "--recipe", "recipe.toml")
    first = SequenceGenerator(recipe, glyphs)[0]
    assert result.out == f"{first.text}.png\n"
    assert result.err.startswith("the first of 100,000 samples of the recipe, ")
    assert np.array_equal(imageio.imread(tmp_path / f"{first.text}.png"), first.image)
    assert len(run("sequence", "--recipe", "recipe.toml", "-n", 3).out.split()) == 3


def test_a_file_that_is_to_be_written_need_not_be_readable() -> None:
    command = open_command("sequence")
    paths = {param.name: param.type for param in command.params}
    assert not paths["out"].readable
    assert not paths["sheet"].readable


def test_distortions_change_the_picture(run: Run, tmp_path: Path) -> None:
    words = ["sequence", "350", "--seed", 1, "-w", 150]
    run(*words, "-o", "plain.png")
    run(*words, "-o", "turned.png", "--augment", "rotate=20..30")
    run(*words, "-o", "never.png", "--augment", "rotate=20..30", "--augment-prob", 0)
    plain, turned, never = (
        (tmp_path / f"{name}.png").read_bytes() for name in ("plain", "turned", "never")
    )
    assert plain == never != turned
    wrong = run(*words, "--augment", "rotat=3")
    assert wrong.status == 2
    assert "Did you mean 'rotate'?" in wrong.err
    assert run(*words, "--augment", "rotate", "--augment-prob", 2).status == 2


def test_one_hand_writes_otherwise(run: Run, tmp_path: Path) -> None:
    run("sequence", "0123456789", "--seed", 1, "-o", "any.png")
    run("sequence", "0123456789", "--seed", 1, "-o", "one.png", "--one-hand")
    assert (tmp_path / "any.png").read_bytes() != (tmp_path / "one.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["3,5,0"], "350"),
        (["3,", "5,", "0"], "350"),
        (["3", "5", "0"], "350"),
        (["1,250"], "1,250"),
        (["3,5"], "3,5"),
        (["12,34,56"], "12,34,56"),
        (["090-1234"], "090-1234"),
    ],
)
def test_commas_separate_three_single_characters_or_more(words: list[str], text: str) -> None:
    assert join_digits(words) == text
