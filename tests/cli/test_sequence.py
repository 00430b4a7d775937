"""`sequence`: the pictures it writes, and what it says of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from mnistseq_cli import Recipe, SequenceGenerator
from mnistseq_cli.cli.commands import open_command
from mnistseq_cli.cli.sequence import join_digits
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from tests.helpers.program import PROGRAM, Result, run_program

Run = Callable[..., Result]


@pytest.mark.parametrize("digits", ["3 5 0", "350", "3,5,0", "3, 5 ,0"])
def test_digits_are_typed_in_any_way(digits: str, run: Run, tmp_path: Path) -> None:
    result = run(f"sequence {digits} --width 100")
    assert (result.status, result.out) == (0, "350.png\n")
    assert imageio.imread(tmp_path / "350.png").shape == (28, 100)


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


def test_the_picture_is_that_of_the_library(run: Run, tmp_path: Path, glyphs: GlyphSet) -> None:
    run("sequence 0070 -w 150 --seed 5 --spacing 1 4 --edges --align right --ink white")
    values = {"spacing_px": (1, 4), "edges": True, "align": "right", "ink": "white"}
    recipe = Recipe.from_dict({"digits": "0070", "width_px": 150, "seed": 5} | values)
    image = SequenceGenerator(recipe, glyphs)[0].image
    assert np.array_equal(imageio.imread(tmp_path / "0070.png"), image)


def test_only_a_file_that_is_named_is_replaced(run: Run, tmp_path: Path) -> None:
    names = [run(f"sequence 7 --seed {seed}").out.strip() for seed in range(3)]
    assert names == ["7.png", "7-2.png", "7-3.png"]
    assert run("sequence 7 -n 2").out.split() == ["7-4.png", "7-5.png"]
    assert len(list(tmp_path.glob("7*.png"))) == 5
    assert run("sequence 1 -o new/one.png -w 40").out == "new/one.png\n"
    run("sequence 1 -o new/one.png -w 50")
    assert imageio.imread(tmp_path / "new" / "one.png").shape == (28, 50)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.png"]
    assert run("sequence 1 -n 3 -o v.png").out.split() == ["v.png", "v-2.png", "v-3.png"]


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "PNG"])
def test_the_ending_names_the_format(ending: str, run: Run, tmp_path: Path) -> None:
    assert run(f"sequence 35 -o a.{ending} -w 80").status == 0
    image = imageio.imread(tmp_path / f"a.{ending}", plugin="pillow")
    grey = image if image.ndim == 2 else image.reshape(28, 80, -1)[..., 0]
    assert grey.min() < 100
    assert grey[:, 0].min() > 200


def test_json_tells_all_of_a_picture(run: Run, glyphs: GlyphSet) -> None:
    result = run("sequence 350 -n 2 --seed 9 --json --show")
    recipe = Recipe(digits="350", count=2, seed=9, width_px="natural")
    for line, sample in zip(
        result.out.splitlines(), SequenceGenerator(recipe, glyphs), strict=True
    ):
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
    seed = run("sequence 350 -o a.png").err.split()[-1]
    run(f"sequence 350 -o b.png --seed {seed}")
    run("sequence 350 -o c.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_a_recipe_is_the_start_and_options_change_it(run: Run, tmp_path: Path) -> None:
    Recipe(digits="12", width_px=90, seed=4, ink="white").save(tmp_path)
    run("sequence --recipe recipe.toml -o a.png")
    run("sequence 12 -w 90 --seed 4 --ink white -o b.png")
    run("sequence --recipe recipe.toml --ink black -o c.png")
    a, b, c = (imageio.imread(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert np.array_equal(a, 255 - c)


def test_a_recipe_of_many_gives_its_first_sample(
    run: Run, tmp_path: Path, glyphs: GlyphSet
) -> None:
    recipe = Recipe(length=(3, 3), count=100_000, seed=4)
    recipe.save(tmp_path)
    result = run("sequence --recipe recipe.toml")
    first = SequenceGenerator(recipe, glyphs)[0]
    assert result.out == f"{first.text}.png\n"
    assert result.err.startswith("the first of 100,000 samples of the recipe, ")
    assert np.array_equal(imageio.imread(tmp_path / f"{first.text}.png"), first.image)
    assert len(run("sequence --recipe recipe.toml -n 3").out.split()) == 3


def test_a_missing_data_set_offline_says_how_to_get_it(run: Run) -> None:
    result = run("sequence 350 --dataset mnist", glyphs=False)
    assert result.status == 1
    assert "mnistseq download" in result.err


def test_plain_surroundings_are_no_hindrance(glyph_folder: Path, tmp_path: Path) -> None:
    words = ["sequence", "350", "--dataset", glyph_folder, "--json", "--show"]
    for environment in ({"LC_ALL": "C", "PYTHONUTF8": "0"}, {"NO_COLOR": "1", "COLUMNS": "20"}):
        result = run_program(*words, folder=tmp_path, environment=environment)
        assert result.status == 0, result.err
        assert json.loads(result.out)["text"] == "350"
        assert "\x1b" not in result.err


def test_a_closed_pipe_ends_quietly(glyph_folder: Path, tmp_path: Path) -> None:
    words = f"sequence 3 -n 5000 --json -o a.png --dataset {glyph_folder}".split()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*PROGRAM, *words], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in err


def test_a_sheet_shows_all_pictures_in_one(run: Run, tmp_path: Path) -> None:
    result = run("sequence 350 -n 5 --augment medium --sheet sheet.png")
    assert (result.status, result.out) == (0, "sheet.png\n")
    assert [path.name for path in tmp_path.glob("*.png")] == ["sheet.png"]
    assert imageio.imread(tmp_path / "sheet.png").shape[0] >= 2 * 28


def test_a_file_that_is_to_be_written_need_not_be_readable() -> None:
    paths = {param.name: param.type for param in open_command("sequence").params}
    assert not paths["out"].readable
    assert not paths["sheet"].readable


def test_distortions_and_hands_change_the_picture(run: Run, tmp_path: Path) -> None:
    for name, options in {
        "plain": "",
        "turned": "--augment rotate=20..30",
        "never": "--augment rotate=20..30 --augment-prob 0",
        "hand": "--one-hand",
    }.items():
        run(f"sequence 350 --seed 1 -w 150 -o {name}.png {options}")
    plain, turned, never, hand = (
        (tmp_path / f"{name}.png").read_bytes() for name in ("plain", "turned", "never", "hand")
    )
    assert plain == never
    assert len({plain, turned, hand}) == 3
