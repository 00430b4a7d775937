from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import cut, deal_glyphs
from mnistseq_cli.errors import TextError
from mnistseq_cli.glyphs.hands import measure_styles
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.recipe import Hand, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

    MakeSet = Callable[..., GlyphSet]

AMOUNT = Recipe(digits="$1,250.00-", dashes="ink", count=200, seed=3, spacing_px=(3, 3))


def test_digits_are_the_same_beside_symbols(glyphs: GlyphSet) -> None:
    """Of one seed, the glyphs at the places of digits are those without symbols."""
    symbols, digits = (
        SequenceGenerator(Recipe(digits=text, count=50, seed=1), glyphs).block(0, 50)
        for text in ("3.5", "335")
    )
    assert (symbols.glyphs[:, [0, 2]] == digits.glyphs[:, [0, 2]]).all()
    assert (symbols.glyphs[:, 1] >= len(glyphs.images)).all()


def test_a_set_writes_what_it_has_itself(punctuated: GlyphSet) -> None:
    block = SequenceGenerator(AMOUNT, punctuated).block(0, 200)
    is_own = block.glyphs < len(punctuated.images)
    assert (is_own == [one in "1,250.00" for one in AMOUNT.digits or ""]).all()
    assert block.alphabet == "0123456789$,-."


@pytest.mark.parametrize("height_px", [28, 64])
def test_symbols_have_slant_and_pen_of_their_row(height_px: int, mnist: GlyphSet) -> None:
    recipe = Recipe(digits="B47147", count=600, hand="alike", height_px=height_px)
    block = SequenceGenerator(recipe, mnist).block(0, 600)
    digits = measure_styles(mnist.images[block.glyphs[:, 1:].ravel()]).reshape(600, 5, 2)
    cells = np.zeros((600, height_px, height_px), np.uint8)  # the ink in the box of the symbol
    boxes = block.boxes[:, 0].tolist()
    for cell, image, (x, _, width, _) in zip(cells, block.images, boxes, strict=True):
        cell[:, :width] = 255 - image[:, x : x + width]
    symbols = measure_styles(cells)
    for axis in (0, 1):
        assert np.corrcoef(digits[:, :, axis].mean(axis=1), symbols[:, axis])[0, 1] > 0.75


@pytest.mark.parametrize("hand", ["any", "writer"])
def test_the_pen_writes_symbols_with_the_hand_of_its_digits(hand: Hand, strokes: GlyphSet) -> None:
    recipe = replace(AMOUNT, hand=hand)
    for sample in SequenceGenerator(recipe, strokes).block(0, 50):
        assert {sample.writers[place] for place in (0, 2, 6, 9)} == {sample.writers[1]}
    block = SequenceGenerator(Recipe(digits="ABBA", count=300, hand=hand), strokes).block(0, 300)
    assert block.writers is not None
    assert (block.writers == block.writers[:, :1]).all()  # letters alone, too
    assert len(np.unique(block.writers)) > 200


def test_symbols_of_splits_are_of_different_hands(pen_dir: Path) -> None:
    united = SequenceGenerator(AMOUNT, load_glyphs("strokes", "all", pen_dir)).glyphs
    dealt = deal_glyphs(united, cut((("train", 8), ("val", 1), ("test", 1)), 10))
    n_own = len(united.images)
    assert united.writers is not None
    writers = united.writers.spell()
    hands = {name: {*writers[ids[ids >= n_own]].tolist()} for name, ids in dealt.items()}
    sizes = {name: len(own) for name, own in hands.items()}
    assert sizes == {"train": 889, "val": 111, "test": 200}
    assert len(set.union(*hands.values())) == 1200
    for name, ids in dealt.items():
        own = replace(united, ids=ids)
        used = SequenceGenerator(replace(AMOUNT, glyphs="all"), own).block(0, 200)
        assert np.isin(used.glyphs, ids).all(), name


def test_the_widest_symbol_is_as_wide_as_it_is_said(strokes: GlyphSet) -> None:
    for height_px in (28, 50):
        recipe = replace(AMOUNT, digits="/-$.,€", height_px=height_px, count=1500)
        generator = SequenceGenerator(recipe, strokes)
        widest = generator.glyphs.widest_px[generator.glyphs.classes_of("/-$.,€")]
        assert (generator.block(0, 1500).boxes[..., 2].max(axis=0) <= widest).all()


def test_the_pen_adds_no_digits_to_a_set_without_them(make_set: MakeSet) -> None:
    letters = make_set(np.zeros(1), alphabet="A")
    assert SequenceGenerator(Recipe(digits="A,A"), letters)[0].text == "A,A"
    with pytest.raises(TextError, match="'0' cannot be written: made-up has only A"):
        SequenceGenerator(Recipe(digits="A0", dashes="ink"), letters)


@pytest.mark.parametrize(("height_px", "side_px"), [(28, 13), (28, 26), (56, 13)])
def test_symbols_are_as_large_as_the_digits_of_the_set(
    height_px: int, side_px: int, make_set: MakeSet
) -> None:
    images = np.zeros((60, 28, 28), np.uint8)
    images[:, 14 - side_px // 2 : 14 - side_px // 2 + side_px, 12:15] = 255
    recipe = Recipe(digits="1B", count=60, height_px=height_px)
    block = SequenceGenerator(recipe, make_set(np.ones(60), images)).block(0, 60)
    digit, letter = np.median(block.boxes[:, :, 3], axis=0)
    assert 0.8 < letter / digit < 1.15
