"""`sequence`: the pictures it writes, and what it says of them."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from mnistseq_cli import Recipe, SequenceGenerator
from mnistseq_cli.cli.sequence import join_digits
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from tests.helpers.program import Run, run_program


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


def test_the_picture_is_that_of_the_library_whether_said_or_saved(
    run: Run, tmp_path: Path, glyphs: GlyphSet
) -> None:
    said = "--seed 5 --spacing 1 4 --edges --align right --ink white"
    assert run(f"sequence 0 0 7 0 -w 150 {said}").out == "0070.png\n"
    values = {"spacing_px": (1, 4), "edges": True, "align": "right", "ink": "white"}
    recipe = Recipe.from_dict({"digits": "0070", "width_px": 150, "seed": 5} | values)
    image = SequenceGenerator(recipe, glyphs)[0].image
    recipe.save(tmp_path)
    run("sequence --recipe recipe.toml -o same.png")
    run("sequence --recipe recipe.toml --ink black -o other.png")
    for name, expected in (("0070", image), ("same", image), ("other", 255 - image)):
        assert np.array_equal(imageio.imread(f"{name}.png"), expected)


def test_only_a_file_that_is_named_is_replaced(run: Run, tmp_path: Path) -> None:
    names = [run(f"sequence 7 --seed {seed}").out.strip() for seed in range(3)]
    assert names == ["7.png", "7-2.png", "7-3.png"]
    assert run("sequence 7 -n 2").out.split() == ["7-4.png", "7-5.png"]
    assert len(list(tmp_path.glob("7*.png"))) == 5
    assert run("sequence 3/5").out == "3_5.png\n"
    assert run("sequence .5").out == "_5.png\n"
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


def test_a_recipe_of_many_gives_its_first(run: Run, tmp_path: Path, glyphs: GlyphSet) -> None:
    recipe = Recipe(length=(3, 3), count=100_000, seed=4)
    recipe.save(tmp_path)
    result = run("sequence --recipe recipe.toml")
    first = SequenceGenerator(recipe, glyphs)[0]
    assert result.out == f"{first.text}.png\n"
    assert result.err.startswith("the first of 100,000 samples of the recipe, ")
    assert np.array_equal(imageio.imread(tmp_path / f"{first.text}.png"), first.image)
    assert len(run("sequence --recipe recipe.toml -n 3").out.split()) == 3


def test_plain_surroundings_are_no_hindrance(glyph_folder: Path, tmp_path: Path) -> None:
    words = ["sequence", "350", "--dataset", glyph_folder, "--json", "--show"]
    for environment in ({"LC_ALL": "C", "PYTHONUTF8": "0"}, {"NO_COLOR": "1", "COLUMNS": "20"}):
        result = run_program(*words, folder=tmp_path, environment=environment)
        assert result.status == 0, result.err
        assert json.loads(result.out)["text"] == "350"
        assert "\x1b" not in result.err


def test_a_closed_pipe_ends_quietly(glyph_folder: Path, tmp_path: Path, closed_pipe: int) -> None:
    words = f"sequence 3 -n 300 --json -o a.png --dataset {glyph_folder}".split()
    result = run_program(*words, folder=tmp_path, stdout=closed_pipe)
    assert result.status == 1
    assert "Traceback" not in result.err


def test_options_change_the_picture_and_the_seed_makes_it_again(run: Run) -> None:
    seed = run("sequence 350 -w 150 -o drawn.png").err.split()[-1]
    for name, options in {
        "again": "",
        "turned": "--augment rotate=20..30",
        "never": "--augment rotate=20..30 --augment-prob 0",
        "hand": "--one-hand",
        "sheet": "-n 5 --sheet sheet.png",
    }.items():
        out = "" if name == "sheet" else f"-o {name}.png"
        assert run(f"sequence 350 --seed {seed} -w 150 {out} {options}").out == f"{name}.png\n"
    made = {path.stem: path.read_bytes() for path in Path().glob("*.png")}
    assert made["drawn"] == made["again"] == made["never"]
    assert len(made) == 6
    assert len({*made.values()}) == 4
