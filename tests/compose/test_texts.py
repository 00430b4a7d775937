from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import TextError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe


def write(recipe: Recipe, glyphs: GlyphSet) -> list[str]:
    return [sample.text for sample in SequenceGenerator(recipe, glyphs)]


def test_a_text_is_written_in_every_sample(glyphs: GlyphSet) -> None:
    assert write(Recipe(digits="0070", count=3), glyphs) == ["0070"] * 3


def test_listed_texts_are_written_in_order_and_again(glyphs: GlyphSet) -> None:
    texts = ("7", "0350", "12")
    assert write(Recipe(texts=texts, count=5), glyphs) == ["7", "0350", "12", "7", "0350"]


def test_lengths_and_digits_are_uniform(glyphs: GlyphSet) -> None:
    # Lengths 2 to 4 (2 degrees of freedom: over 18.4 once in 10,000), digits (9: over 33.7).
    texts = write(Recipe(length=(2, 4), count=3000, seed=5), glyphs)
    lengths = np.bincount([len(text) for text in texts], minlength=5)[2:]
    assert ((lengths - 1000) ** 2 / 1000).sum() < 18.4
    digits = np.bincount([int(digit) for text in texts for digit in text])
    expected = digits.sum() / 10
    assert ((digits - expected) ** 2 / expected).sum() < 33.7


def test_phone_numbers_are_unique_and_follow_the_pattern(glyphs: GlyphSet) -> None:
    numbers = write(Recipe(pattern="0[789]0-####", count=2000, seed=1), glyphs)
    assert len(set(numbers)) == 2000
    for number in numbers:
        assert len(number) == 7
        assert number[0] == number[2] == "0"
        assert number[1] in "789"


def test_a_pattern_gives_all_its_numbers(glyphs: GlyphSet) -> None:
    numbers = write(Recipe(pattern="[24]#", count=20, seed=3), glyphs)
    assert sorted(numbers) == [f"{first}{second}" for first in "24" for second in range(10)]
    assert numbers != sorted(numbers)


def test_more_numbers_than_a_pattern_has_are_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(TextError, match="only 20 numbers"):
        SequenceGenerator(Recipe(pattern="[24]#", count=21), glyphs)


def test_a_pattern_beyond_the_permutation_is_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(TextError, match="up to 18 free digits"):
        SequenceGenerator(Recipe(pattern="#" * 19), glyphs)


@pytest.mark.parametrize("text", ["3a", "-3", "３", "3 5", "3.5", "\ud800"])
def test_a_character_that_is_no_digit_is_named(text: str, glyphs: GlyphSet) -> None:
    with pytest.raises(TextError, match="not in the alphabet of blots; allowed: 0123456789"):
        SequenceGenerator(Recipe(digits=text), glyphs)


def test_a_class_without_glyphs_is_named(glyphs: GlyphSet) -> None:
    few = GlyphSet(
        glyphs.images[:3], glyphs.labels[:3], name="few", split="test", licence="", sha256=""
    )
    assert write(Recipe(digits="210"), few) == ["210"]
    for recipe in (Recipe(digits="23"), Recipe(length=(1, 1)), Recipe(pattern="#")):
        with pytest.raises(TextError, match="few test has no glyph of '3'"):
            SequenceGenerator(recipe, few)


@given(
    source=st.sampled_from([{"length": (1, 9)}, {"pattern": "##-##"}, {"texts": ("1", "23")}]),
    start=st.integers(0, 10**6),
    size=st.integers(1, 20),
)
def test_texts_do_not_depend_on_the_block(
    source: dict[str, object], start: int, size: int, glyphs: GlyphSet
) -> None:
    generator = SequenceGenerator(Recipe(**source, count=100, seed=9), glyphs)  # type: ignore[arg-type]
    block = generator.block(start, start + size)
    for place in range(size):
        assert generator.block(start + place, start + place + 1)[0].text == block[place].text
