"""Images of any height: whatever is made of them and read from them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.formats import FORMATS, LABEL_STYLES
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.recipe import Recipe
from tests.helpers.program import Run


@given(
    height=st.sampled_from([16, 28, 64]),
    margin=st.tuples(st.integers(0, 2), st.integers(2, 6)),
    augment=st.sampled_from([(), ("rotate=20", "thickness=1")]),
)
def test_so_much_paper_is_above_and_below_the_ink(
    height: int, margin: tuple[int, int], augment: tuple[str, ...]
) -> None:
    recipe = Recipe(length=5, count=20, height_px=height, margin_px=margin, augment=augment)
    margins = []
    for sample in SequenceGenerator(recipe, load_glyphs("strokes", "test")):
        rows = np.flatnonzero((sample.image != 255).any(axis=1))
        margins += [rows[0], height - 1 - rows[-1]]
    # The palest edge of the ink may be lost where it is scaled.
    assert min(margins) >= margin[0]
    assert max(margins) <= margin[1] + max(1, height // 28)
    assert len({*margins}) > 1 or margin[0] == margin[1]


def test_a_low_row_is_twice_as_large_at_most() -> None:
    low = np.zeros((1, 28, 28), np.uint8)
    low[0, 13:16, 5:23] = 255
    dash = GlyphSet(low, np.zeros(1, np.uint8), name="", split="", licence="", sha256="")
    (box,) = SequenceGenerator(Recipe(digits="0", margin_px=(0, 0)), dash)[0].boxes.tolist()
    assert box == [0, 11, 37, 6]


@pytest.mark.parametrize("height", [40, 56, 112])
def test_the_same_picture_comes_out_larger(height: int) -> None:
    recipe = Recipe(digits="350174", width_px=160, seed=3, augment=("medium",), count=20)
    strokes = load_glyphs("strokes", "test")
    small = SequenceGenerator(recipe, strokes)
    large = SequenceGenerator(recipe.at_height(height), strokes)
    assert [one.glyphs.tolist() for one in small] == [one.glyphs.tolist() for one in large]
    boxes = np.stack([[one.boxes for one in all_] for all_ in (small, large)]).astype(float)
    boxes[1] *= 28 / height
    difference = np.abs(boxes[1] - boxes[0])
    assert difference[..., [1, 3]].max() < 6
    assert difference[..., 1:].mean() < 2


@pytest.mark.parametrize(
    "option", [*(f"--to {to}" for to in FORMATS), *(f"--labels {style}" for style in LABEL_STYLES)]
)
def test_every_format_and_style_holds_any_height(option: str, run: Run) -> None:
    length = "1 1" if option == "--to idx" else "2 4"
    command = f"batch -n 12 --length {length} --height 40 --margin 1..4 --augment light {option}"
    made = run(f"{command} --workers 1 -o out")
    assert made.status == 0, made.err
    assert " x 40 px" in made.err
    assert run("verify --deep out", glyphs=False).status == 0
    assert json.loads(run("inspect --json out", glyphs=False).out)["n_samples"] == 12


def test_a_saved_recipe_is_written_again_larger(run: Run) -> None:
    assert run("batch -n 2 --digits 350 --width 100 --workers 1 -o a").status == 0
    done = run("batch --recipe a/recipe.toml --height 64 -o b", glyphs=False)
    assert done.status == 0, done.err
    larger = Recipe.load("b/recipe.toml")
    assert (larger.height_px, larger.width_px, larger.spacing_px) == (64, 229, (5, 23))
