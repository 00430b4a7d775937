from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import TextError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe


def write(recipe: Recipe, glyphs: GlyphSet) -> list[str]:
    return [sample.text for sample in SequenceGenerator(recipe, glyphs)]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({"digits": "0070"}, ["0070"] * 5),
        ({"texts": ("7", "0350", "12")}, ["7", "0350", "12", "7", "0350"]),
    ],
)
def test_texts_are_written_in_order_and_again(
    values: dict[str, Any], texts: list[str], glyphs: GlyphSet
) -> None:
    assert write(Recipe(**values, count=5), glyphs) == texts


def test_lengths_and_digits_are_uniform(glyphs: GlyphSet) -> None:
    # Lengths 2 to 4 (2 degrees of freedom: over 18.4 once in 10,000), digits (9: over 33.7).
    texts = write(Recipe(length=(2, 4), count=3000, seed=5), glyphs)
    lengths = np.bincount([len(text) for text in texts], minlength=5)[2:]
    assert ((lengths - 1000) ** 2 / 1000).sum() < 18.4
    digits = np.bincount([int(digit) for text in texts for digit in text])
    expected = digits.sum() / 10
    assert ((digits - expected) ** 2 / expected).sum() < 33.7


def test_forms_of_a_pattern_have_lengths_and_groups_of_their_own(glyphs: GlyphSet) -> None:
    recipe = Recipe(pattern="[1-3] {0,1}#{1,2}", count=660, spacing_px=(2, 2), width_px="natural")
    block = SequenceGenerator(recipe, glyphs).block(0, 660)
    texts = block.texts.tolist()
    assert sorted(texts) == sorted(2 * [f"{n}" for n in [*range(10, 40), *range(100, 400)]])
    assert {sample.gaps.tolist()[0] for sample in block} == {2, 16}
    assert {len(sample.gaps) for sample in block} == {1, 2}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pattern": "jpmobile"}, r"\nDid you mean 'jp-mobile'\?"),
        ({"pattern": "yaer"}, r"\nDid you mean 'year'\?"),
        ({"pattern": "year", "count": 601}, "only 600 numbers\nAsk for fewer"),
        *(({"pattern": text}, "nothing to") for text in ("-", "-{0,1}", "[- ]")),
        *(
            ({name: text}, "cannot be written: blots has only 0123456789")
            for name, text in (("pattern", "+81é"), ("digits", "3a"), ("digits", "3é5"))
        ),
        ({"digits": "３"}, "cannot be written"),
        ({"digits": "\ud800"}, "cannot be written"),
        *(({"digits": text}, "only between digits") for text in ("-3", "3-", " 3", "-", "3 ")),
        ({"texts": ("12", "3-")}, "only between digits.*\n.*--dashes ink"),
    ],
)
def test_what_cannot_be_written_is_told(
    values: dict[str, Any], words: str, glyphs: GlyphSet
) -> None:
    with pytest.raises(TextError, match=words):
        SequenceGenerator(Recipe(**values), glyphs)


def test_each_text_has_groups_of_its_own(glyphs: GlyphSet) -> None:
    texts = ("1-2", "34", "5--6 7", "8")
    block = SequenceGenerator(Recipe(texts=texts, count=5, spacing_px=(2, 2)), glyphs).block(0, 5)
    assert block.texts.tolist() == ["12", "34", "567", "8", "12"]
    assert block.gaps[:, 1:3].tolist() == [[16, 0], [2, 0], [16, 16], [0, 0], [16, 0]]
    pattern = SequenceGenerator(Recipe(pattern="5--6 7", spacing_px=(2, 2)), glyphs)[0]
    assert (pattern.text, pattern.gaps.tolist()) == ("567", [16, 16])
    plain, grouped = (
        SequenceGenerator(Recipe(texts=("11", text)), glyphs).width_px for text in ("11", "1-1")
    )
    assert grouped == (plain or 0) + 14


def test_a_class_without_glyphs_is_named(glyphs: GlyphSet) -> None:
    few = GlyphSet(
        glyphs.images[:3], glyphs.labels[:3], name="few", split="test", licence="", sha256=""
    )
    assert write(Recipe(digits="210"), few) == ["210"]
    for recipe in (Recipe(digits="23"), Recipe(length=(1, 1)), Recipe(pattern="#")):
        with pytest.raises(TextError, match="few test has no glyph of '3'"):
            SequenceGenerator(recipe, few)


def test_marks_are_written_and_not_read(punctuated: GlyphSet) -> None:
    texts = ("1,250.00", "12", "3 5,")
    recipe = Recipe(texts=texts, unlabelled=".,", count=30, spacing_px=(3, 3))
    all_read = SequenceGenerator(replace(recipe, unlabelled=""), punctuated)
    for sample, other in zip(SequenceGenerator(recipe, punctuated), all_read, strict=True):
        written = texts[sample.index % 3].replace(" ", "")
        assert (sample.written, sample.text) == (written, written.translate({44: "", 46: ""}))
        assert np.array_equal(sample.image, other.image)
        assert (other.text, other.written, other.marks) == (written, written, ())
        boxes = {mark.box: mark.character for mark in sample.marks}
        boxes |= zip(map(tuple, sample.boxes.tolist()), sample.text, strict=True)
        assert "".join(boxes[tuple(box)] for box in other.boxes.tolist()) == written
        assert sample.gaps.tolist() == other.gaps.tolist()
    with pytest.raises(TextError, match="nothing that is to be read"):
        SequenceGenerator(Recipe(texts=("1", ".,"), unlabelled=".,"), punctuated)


@pytest.mark.parametrize(
    ("more", "text", "written"),
    [({}, "12", "12"), ({"dashes": "ink"}, "1-2", "1-2"), ({"unlabelled": "-"}, "12", "1-2")],
)
@pytest.mark.parametrize("source", [{"digits": "1-2"}, {"pattern": "1-2"}])
def test_a_dash_is_a_gap_or_ink(
    source: dict[str, str], more: dict[str, str], text: str, written: str, glyphs: GlyphSet
) -> None:
    sample = SequenceGenerator(Recipe(**source, **more), glyphs)[0]  # type: ignore[arg-type]
    assert (sample.text, sample.written) == (text, written)


def test_classes_are_digits_then_letters_then_the_others(glyphs: GlyphSet) -> None:
    texts = ("A.5", "$7-B")
    generator = SequenceGenerator(Recipe(texts=texts, count=2, dashes="ink"), glyphs)
    block = generator.block(0, 2)
    assert block.alphabet == generator.alphabet == "0123456789AB$-."
    assert block.texts.tolist() == list(texts)
    assert block.classes.tolist() == [[10, 14, 5, 0], [12, 7, 13, 11]]
