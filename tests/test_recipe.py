from __future__ import annotations

import inspect
import json
import os
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import cut, parse_weights
from mnistseq_cli.errors import LayoutError, MnistseqError, TextError, UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import CHOICES, NAMED_RECIPES, Recipe, read_lines, read_texts

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
def test_a_saved_recipe_is_read_back_equal(
    recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("recipe")
    assert Recipe.load(recipe.save(folder)) == recipe


@given(recipe=RECIPES)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_the_docstring_lists_every_field() -> None:
    for field in fields(Recipe):
        assert f"\n{field.name} : " in (inspect.getdoc(Recipe) or "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 0}, "count is 0"),
        ({"count": -1}, "count is -1"),
        ({"count": 10**12}, "count is 1000000000000"),
        ({"count": True}, "count is True"),
        ({"count": "7"}, "count is '7'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "seed is"),
        ({"width_px": 0}, "width_px is 0"),
        ({"width_px": -5}, "width_px is -5"),
        ({"width_px": 10**6}, "width_px is 1000000"),
        ({"width_px": "wide"}, "width_px is 'wide'; expected .*, or natural, or widest"),
        ({"spacing_px": (10, 2)}, "from 10 to 2"),
        ({"spacing_px": (2,)}, "two whole numbers"),
        ({"spacing_px": (2.5, 3)}, "2.5"),
        ({"spacing_px": (-29, 3)}, "-29"),
        ({"length": (0, 3)}, "length is 0"),
        ({"length": (5, 3)}, "from 5 to 3"),
        ({"align": "centre"}, "'centre'; expected one of: left, center, right, random"),
        ({"edges": "yes"}, "edges is 'yes'"),
        ({"dataset": 7}, "dataset is 7"),
        ({"height_px": 15}, "height_px is 15; expected a whole number from 16 to 256"),
        ({"margin_px": (0, 11)}, "margin_px is 11; expected a whole number from 0 to 10"),
        ({"augment_prob": 2}, "augment_prob is 2; expected a number from 0 to 1"),
        ({"augment_prob": -0.1}, "augment_prob is -0.1"),
        ({"augment_prob": float("nan")}, "augment_prob is nan"),
        ({"augment_prob": "0.5"}, "augment_prob is '0.5'"),
        ({"augment_prob": True}, "augment_prob is True"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        Recipe(**{"length": (1, 5)} | values)


def test_numbers_of_numpy_are_kept_as_plain_ones() -> None:
    plain = Recipe(length=(2, 3), count=7, seed=5, width_px=100, spacing_px=(2, 10))
    values: dict[str, Any] = {
        "length": np.array([2, 3], np.uint8),
        "count": np.int64(7),
        "seed": np.array(5),
        "width_px": np.int32(100),
        "spacing_px": (np.int16(2), np.int16(10)),
    }
    recipe = Recipe(**values)
    assert recipe == plain
    assert json.dumps(recipe.to_dict()) == json.dumps(plain.to_dict())


@pytest.mark.parametrize(
    "value", [np.float64(3), np.True_, np.array([3]), np.array(["3"]), np.datetime64(3, "D")]
)
def test_what_is_no_whole_number_of_numpy_is_refused(value: Any) -> None:
    for name in ("count", "seed", "width_px"):
        with pytest.raises(UsageError, match=rf"{name} is {re.escape(repr(value))}; expected"):
            Recipe(length=(1, 2), **{name: value})


@pytest.mark.parametrize("value", [[2.5, 3], [[2, 3]], [True, True], [2]])
def test_an_array_that_is_no_pair_is_refused(value: Any) -> None:
    for name in ("length", "spacing_px"):
        values: dict[str, Any] = {"length": (1, 2)} | {name: np.array(value)}
        with pytest.raises(UsageError, match=f"{name} is .*; expected"):
            Recipe(**values)


def test_one_length_is_both_ends() -> None:
    one = Recipe(length=5, seed=1)
    assert one == Recipe(length=(5, 5), seed=1)
    assert repr(one) == "Recipe(length=(5, 5), seed=1)"
    with pytest.raises(UsageError, match="length is 0"):
        Recipe(length=0)


@pytest.mark.parametrize("value", [{}, {"digits": "1", "length": (1, 2)}, {"digits": ""}])
def test_exactly_one_source_of_text_is_asked_for(value: dict[str, Any]) -> None:
    with pytest.raises(TextError):
        Recipe(**value)


@pytest.mark.parametrize("name", ["digits", "pattern"])
def test_a_text_that_is_none_is_named(name: str) -> None:
    with pytest.raises(TextError, match=f"{name} is 35; expected a text in quotes"):
        Recipe(**cast("dict[str, Any]", {name: 35}))
    with pytest.raises(TextError, match=f"{name} is ''; expected 1 to"):
        Recipe(**cast("dict[str, Any]", {name: ""}))


def test_margins_cannot_be_negative() -> None:
    with pytest.raises(LayoutError, match="cut a digit off"):
        Recipe(digits="1", spacing_px=(-1, 4), edges=True)


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


def test_a_probability_without_distortions_is_read(tmp_path: Path) -> None:
    # Datasets without distortions were saved so, and one may be made again without some.
    (tmp_path / "recipe.toml").write_text('digits = "1"\naugment = []\naugment_prob = 0.5\n')
    assert Recipe.load(tmp_path / "recipe.toml").augment_prob == 0.5


def test_a_missing_recipe_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(MnistseqError, match="cannot read the recipe"):
        Recipe.load(tmp_path / "none.toml")


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


def use(values: dict[str, Any], glyphs: GlyphSet) -> None:
    recipe = Recipe.from_dict(values)
    cut(parse_weights(recipe.splits), 10**6)
    SequenceGenerator(recipe, glyphs)


@pytest.mark.parametrize(
    "values",
    [
        {"augment": ["rotate=" + "9" * 100_000 + "!"]},
        {"augment": ["rotate=" + "9" * 100_000]},
        {"augment": ["a" * 100_000]},
        {"augment": ["rotate=" + "1.." * 50_000]},
        {"splits": ["train=" + "9" * 6000]},
        {"splits": ["a=1"] * 100_000},
        {"width_px": "w" * 100_000},
        {"seed": 10**5000},
        {"x" * 100_000: 1},
        {"digits": "9" * 100_000},
        {"digits": None, "pattern": "[" * 100_000},
        {"digits": None, "texts": ["9" * 100_000]},
    ],
)
def test_what_is_long_is_refused_soon(values: dict[str, Any], glyphs: GlyphSet) -> None:
    with pytest.raises(UsageError) as caught:
        use({"digits": "1"} | values, glyphs)
    assert len(str(caught.value)) < 1000


def test_a_recipe_that_never_ends_or_is_too_large_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "recipe.toml").write_text('texts = "pipe"')
    (tmp_path / "large.toml").write_bytes(b"#" * (2**24 + 1))
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "recipe.toml"):
        with pytest.raises(MnistseqError, match="pipe or a device"):
            Recipe.load(path)
    with pytest.raises(MnistseqError, match="16,777,216"):
        Recipe.load(str(tmp_path / "large.toml"))


def test_only_as_many_texts_are_read_as_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("1\n\n22\n333\n" + "4" * 2000)
    assert read_lines(path, 3) == {1: "1", 3: "22", 4: "333"}
    with pytest.raises(TextError, match=r"line 5: .* has 2000 characters; expected at most 1000"):
        read_lines(path)


def test_texts_of_windows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeff350\r\n\r\n  007 \n\n".encode())
    assert read_texts(path) == ("350", "007")
    path.write_bytes("350\r\n007\r\n".encode("utf-16"))
    assert read_texts(path) == ("350", "007")
    path.write_bytes("350\r\n007\r\n".encode("utf-16-le"))
    assert read_texts(path) == ("350", "007")
    path.write_bytes(b"350\n\xe9\n")
    with pytest.raises(TextError, match=r"line 2: .*UTF-8"):
        read_texts(path)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe1"])
def test_a_file_without_texts_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(TextError, match=r"texts\.txt"):
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
    recipe = Recipe.named(name, count=300, seed=1, dataset="strokes")
    block = SequenceGenerator(recipe).block(0, 300)
    assert all(text.isdigit() for text in block.texts)
    for sample, blank in zip(block, SequenceGenerator(replace(recipe, paper=())), strict=False):
        assert sample.text == blank.text
        assert (sample.boxes == blank.boxes).all()


def test_a_built_in_recipe_is_changed_as_any_other() -> None:
    recipe = Recipe.named("form", length=3, count=2, seed=9)
    assert (recipe.lengths, recipe.count, recipe.seed) == ((3, 3), 2, 9)
    with pytest.raises(MnistseqError, match="cheque"):
        Recipe.named("chequ")
