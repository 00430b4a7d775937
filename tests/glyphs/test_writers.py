from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.writers import SLANT_UNITS, STROKE_UNITS, find_hands, measure_styles
from mnistseq_cli.recipe import Recipe


def draw_bar(width_px: int, slant: float) -> NDArray[np.uint8]:
    image = np.zeros((28, 28), np.uint8)
    for y in range(4, 24):
        x = round(12 + (14 - y) * slant)
        image[y, x : x + width_px] = 255
    return image


@pytest.mark.parametrize("width_px", [2, 3, 5])
@pytest.mark.parametrize("slant", [-0.5, 0.0, 0.5])
def test_slant_and_stroke_width_of_a_bar(width_px: int, slant: float) -> None:
    measured = measure_styles(draw_bar(width_px, slant)[None])[0]
    assert measured[0] / SLANT_UNITS == pytest.approx(-slant, abs=0.05)
    if slant == 0:
        # The edges of a bar are its two long sides and its short ones.
        expected = 2 * 20 * width_px / (2 * 20 + 2 * width_px)
        assert measured[1] / STROKE_UNITS == pytest.approx(expected, abs=1 / STROKE_UNITS)


def spread_in_rows(glyphs: GlyphSet, one_hand: bool) -> NDArray[np.float64]:
    recipe = Recipe(length=(6, 6), count=1500, seed=3, one_hand=one_hand)
    ids = SequenceGenerator(recipe, glyphs).block(0, 1500).glyphs
    styles = measure_styles(glyphs.images[ids.ravel()]).reshape(-1, 6, 2)
    spread: NDArray[np.float64] = styles.std(axis=1).mean(axis=0)
    return spread


def test_real_digits_of_a_row_look_alike(mnist: GlyphSet) -> None:
    assert (spread_in_rows(mnist, one_hand=True) < spread_in_rows(mnist, one_hand=False) / 2).all()


def test_the_pen_writes_a_row_with_one_hand(tmp_path_factory: pytest.TempPathFactory) -> None:
    strokes = load_glyphs("strokes", "test", tmp_path_factory.mktemp("cache"))
    assert strokes.writers is not None
    recipe = Recipe(length=(6, 6), count=500, one_hand=True)
    ids = SequenceGenerator(recipe, strokes).block(0, 500).glyphs
    writers = strokes.writers[ids]
    assert (writers == writers[:, :1]).all()
    assert len(set(writers[:, 0].tolist())) > 150
    slant, stroke = spread_in_rows(strokes, one_hand=True) / spread_in_rows(
        strokes, one_hand=False
    )
    # The slant that is measured holds the shapes of the digits too, not the hand alone.
    assert slant < 0.7
    assert stroke < 0.5


def test_digits_stay_random(mnist: GlyphSet) -> None:
    free, same = (
        SequenceGenerator(Recipe(length=(6, 6), count=2000, one_hand=one_hand), mnist).block(
            0, 2000
        )
        for one_hand in (False, True)
    )
    assert free.texts.tolist() == same.texts.tolist()
    assert (mnist.labels[same.glyphs] == same.classes).all()
    # 12,000 draws among 60,000 glyphs: few are met twice, though rows keep to their hands.
    assert len(np.unique(same.glyphs)) > 8000
    rows = Counter(map(tuple, same.glyphs.tolist()))
    assert max(rows.values()) == 1


def test_hands_are_as_frequent_as_their_styles(glyphs: GlyphSet) -> None:
    hands = find_hands(glyphs)
    assert hands.glyphs.shape == (len(np.unique(hands.hand_of)), 10, 12)
    for label in range(10):
        assert (glyphs.labels[hands.glyphs[:, label]] == label).all()
