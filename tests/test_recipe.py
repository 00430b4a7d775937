from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import cut, parse_weights
from mnistseq_cli.errors import MnistseqError, TextError, UsageError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.recipe import CHOICES, NAMED_RECIPES, Recipe, read_lines, read_texts
from tests.helpers.program import Run

SOURCES = st.one_of(
    st.text("0123456789", min_size=1, max_size=20).map(lambda text: {"digits": text}),
    st.tuples(st.integers(1, 5), st.integers(5, 9)).map(lambda pair: {"length": pair}),
    st.just({"pattern": "0[789]0-####"}),
    st.lists(st.text("0123456789", min_size=1), min_size=1).map(lambda t: {"texts": tuple(t)}),
)
RECIPES = st.builds(
    lambda source, **values: Recipe(**source, **values),
    SOURCES,
    count=st.integers(1, 10**10),
    seed=st.integers(0, 2**63 - 1),
    width_px=st.one_of(st.integers(1, 65_535), st.sampled_from(["natural", "widest"])),
    spacing_px=st.tuples(st.integers(0, 9), st.integers(9, 99)),
    edges=st.booleans(),
    dataset=st.text(st.characters(codec="utf-8"), max_size=9),
    **{name: st.sampled_from(values) for name, values in CHOICES.items()},
)


@given(recipe=RECIPES)
def test_saved_recipes_are_equal(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert Recipe.load(recipe.save(tmp_path_factory.getbasetemp())) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("values", "words"),
    [
        *(({"count": n}, f"count is {n!r}") for n in (0, -1, 10**12, True, "7")),
        *(({"seed": n}, "seed is") for n in (-1, 2**63)),
        *(({"width_px": n}, f"width_px is {n}") for n in (0, -5, 10**6)),
        ({"width_px": "wide"}, "width_px is 'wide'; expected .*, or natural, or widest"),
        ({"spacing_px": (10, 2)}, "from 10 to 2"),
        ({"spacing_px": (2,)}, "two whole numbers"),
        ({"spacing_px": (2.5, 3)}, "2.5"),
        ({"spacing_px": (-29, 3)}, "-29"),
        ({"spacing_px": np.array([[2, 3]])}, "spacing_px is .*; expected"),
        ({"spacing_px": (-1, 4), "edges": True}, "cut a digit off"),
        ({"length": 0}, "length is 0"),
        ({"length": (5, 3)}, "from 5 to 3"),
        ({"length": None}, "a recipe needs one of"),
        ({"digits": "1"}, "it has digits and length"),
        ({"digits": "", "length": None}, "digits is ''; expected 1 to"),
        ({"pattern": 35, "length": None}, "pattern is 35; expected a text in quotes"),
        ({"align": "centre"}, "'centre'; expected one of: left, center, right, random"),
        ({"edges": "yes"}, "edges is 'yes'"),
        ({"dataset": 7}, "dataset is 7"),
        ({"height_px": 15}, "height_px is 15; expected a whole number from 16 to 256"),
        ({"margin_px": (0, 11)}, "margin_px is 11; expected a whole number from 0 to 10"),
        ({"touching": 0.5, "spacing_mode": "fixed"}, "touching is 0.5, but all gaps are to be"),
        *(
            ({"augment_prob": one}, f"augment_prob is {one!r}; expected a number from 0 to 1")
            for one in (2, -0.1, float("nan"), "0.5", True)
        ),
    ],
)
def test_a_value_that_is_not_allowed_is_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Recipe(**{"length": (1, 5)} | values)


def test_numbers_of_numpy_are_kept_as_plain_ones() -> None:
    plain = Recipe(length=(5, 5), count=7, width_px=100, spacing_px=(2, 10))
    values: Any = {
        "count": np.int64(7),
        "width_px": np.int32(100),
        "spacing_px": np.array([2, 10]),
    }
    recipe = Recipe(length=5, **values)
    assert recipe == plain
    assert json.dumps(recipe.to_dict()) == json.dumps(plain.to_dict())
    assert repr(recipe) == "Recipe(length=(5, 5), count=7, width_px=100)"


@pytest.mark.parametrize(
    "value", [np.float64(3), np.True_, np.array([3]), np.array(["3"]), np.datetime64(3, "D")]
)
def test_what_is_no_whole_number_of_numpy_is_refused(value: Any) -> None:
    for name in ("count", "seed", "width_px"):
        with pytest.raises(UsageError, match=rf"{name} is {re.escape(repr(value))}; expected"):
            Recipe(length=(1, 2), **{name: value})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed = [", "is not a recipe"),
        ("\xff", "UTF-8"),
        ("count = " + "9" * 6000, "too many digits"),
        ('digits = "1"\ncount = 0x' + "f" * 60_000, "count is a number of 240000 bits"),
        ("a = " + "[" * 100_000, "nested"),
        ("a = " + "{a = " * 20_000, "nested"),
        (".".join("a" * 50_000) + " = 1", "too many dots"),
        ("[" + ".".join("a" * 50_000) + "]", "too many dots"),
        ("digits = 350", "digits is 350"),
        ('digits = "1"\nwidht_px = 100', "'widht_px'; expected .*\nDid you mean 'width_px'"),
        ('digits = "1"\nwidth_px = [1]', "width_px is"),
        ('digits = "1"\nversion = 3', "version 3; expected 1 to 2"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=f"(?s)recipe.toml.*{words}"):
        Recipe.load(path)


@pytest.mark.parametrize(
    "name", ["../out.txt", "/etc/hosts", "link.txt", "a\0b", "a/../t.txt", ""]
)
def test_a_recipe_names_texts_in_its_own_folder_only(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    (folder / "a").mkdir(parents=True)
    for path in (tmp_path / "out.txt", folder / "t.txt"):
        path.write_text("350\n")
    (folder / "link.txt").symlink_to("../out.txt")
    path = folder / "recipe.toml"
    path.write_text(f"texts = {json.dumps(name)}\n")
    with pytest.raises(MnistseqError):
        Recipe.load(path)
    path.write_text('texts = "t.txt"\n')
    assert Recipe.load(path).texts == ("350",)


LONG = [
    *({"augment": [one]} for one in ("rotate=" + "9" * 100_000 + "!", "rotate=" + "1.." * 50_000)),
    {"augment": ["a" * 100_000]},
    {"splits": ["train=" + "9" * 6000]},
    {"splits": ["a=1"] * 100_000},
    {"width_px": "w" * 100_000},
    {"seed": 10**5000},
    {"x" * 100_000: 1},
    {"digits": "9" * 100_000},
    {"digits": None, "pattern": "[" * 100_000},
    {"digits": None, "texts": ["9" * 100_000]},
]


@pytest.mark.parametrize("values", LONG)
def test_what_is_long_is_refused_soon(values: dict[str, Any], glyphs: GlyphSet) -> None:
    with pytest.raises(UsageError) as caught:  # noqa: PT012 - by one of them
        recipe = Recipe.from_dict({"digits": "1"} | values)
        cut(parse_weights(recipe.splits), 10**6)
        SequenceGenerator(recipe, glyphs)
    assert len(str(caught.value)) < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among its files")
def test_a_recipe_that_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "recipe.toml").write_text('texts = "pipe"')
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "recipe.toml"):
        with pytest.raises(MnistseqError, match="pipe or a device"):
            Recipe.load(path)


def test_a_recipe_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (2**24 + 1))
    for name, words in (("large.toml", "16,777,216"), ("none.toml", "cannot read the recipe")):
        with pytest.raises(MnistseqError, match=words):
            Recipe.load(str(tmp_path / name))


def test_only_as_many_texts_are_read_as_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("1\n\n22\n333\n" + "4" * 2000)
    assert read_lines(path, 3) == {1: "1", 3: "22", 4: "333"}
    with pytest.raises(TextError, match=r"line 5: .* has 2000 characters; expected at most 1000"):
        read_lines(path)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("\ufeff350\r\n\r\n  007 \n\n".encode(), ("350", "007")),
        ("350\r\n007\r\n".encode("utf-16"), ("350", "007")),
        ("350\r\n007\r\n".encode("utf-16-le"), ("350", "007")),
        (b"350\n\xe9\n", r"texts\.txt, line 2: .*UTF-8"),
        *((empty, r"texts\.txt") for empty in (b"", b"\n \n", b"\xff\xfe1")),
    ],
)
def test_files_of_texts(content: bytes, texts: tuple[str, ...] | str, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    if isinstance(texts, tuple):
        assert read_texts(path) == texts
    else:
        with pytest.raises(TextError, match=texts):
            read_texts(path)


def test_a_recipe_of_version_1_is_what_it_was() -> None:
    old = {"version": 1, "digits": "350", "one_hand": True, "spacing_px": [3, 4]}
    recipe = Recipe.from_dict(old)
    assert recipe == Recipe(digits="350", hand="alike", spacing_px=(3, 4), height_px=28)
    assert recipe.to_dict()["version"] == 2


def test_lengths_follow_the_height() -> None:
    recipe = Recipe(digits="350", width_px=100, margin_px=(1, 3))
    larger = recipe.at_height(64)
    assert larger == Recipe(digits="350", height_px=64, width_px=229, margin_px=(2, 7))
    assert larger.spacing_px == (5, 23)
    assert larger.at_height(28) == recipe
    assert repr(larger) == ("Recipe(digits='350', height_px=64, width_px=229, margin_px=(2, 7))")
    natural = Recipe(digits="350", spacing_px=(-28, 1), width_px="natural").at_height(64)
    assert (natural.spacing_px, natural.width_px) == ((-64, 2), "natural")


@pytest.mark.parametrize("name", NAMED_RECIPES)
def test_built_in_recipes_make_labels_that_can_be_read(name: str) -> None:
    recipe = Recipe.named(name, count=40, seed=1, dataset="strokes")
    assert (recipe.count, recipe.seed) == (40, 1)
    block = SequenceGenerator(recipe).block(0, 40)
    assert all(text.isdigit() for text in block.texts)
    for sample, blank in zip(block, SequenceGenerator(replace(recipe, paper=())), strict=False):
        assert sample.text == blank.text
        assert (sample.boxes == blank.boxes).all()
    with pytest.raises(MnistseqError, match=name):
        Recipe.named(name[:-1])


@settings(max_examples=30)
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
