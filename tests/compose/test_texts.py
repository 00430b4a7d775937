import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.patterns import Pattern, parse_pattern
from mnistseq_cli.compose.presets import load_presets
from mnistseq_cli.errors import TextError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.conftest import make_set


def write(recipe: Recipe, glyphs: GlyphSet) -> list[str]:
    return [sample.text for sample in SequenceGenerator(recipe, glyphs)]


def test_texts_are_written_in_order_and_again(glyphs: GlyphSet) -> None:
    assert write(Recipe(digits="0070", count=5), glyphs) == ["0070"] * 5
    texts = ("7", "0350", "12")
    assert write(Recipe(texts=texts, count=5), glyphs) == [*texts, *texts[:2]]


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
def test_what_cannot_be_written(values: dict[str, Any], words: str, glyphs: GlyphSet) -> None:
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
    few = make_set(glyphs.labels[:3], glyphs.images[:3], name="few", split="test")
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


PRESETS = load_presets()


def list_numbers(pattern: Pattern, stop: int) -> list[str]:
    rows = np.ascontiguousarray(pattern.write(3, (range(stop),)), np.uint32)
    texts: list[str] = rows.view(f"U{rows.shape[1]}").ravel().tolist()
    return [text.replace("\0", "") for text in texts]


def write_preset(name: str, count: int = 3000) -> list[str]:
    return list_numbers(parse_pattern(name), count)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("350", "350"),
        ("#", "0 1 2 3 4 5 6 7 8 9"),
        ("[2-46]1", "21 31 41 61"),
        ("[33][A-C]", "3A 3B 3C"),
        ("1{3}", "111"),
        ("[12]{2}", "11 12 21 22"),
        ("[12]{0,1}[89]", "8 9 18 19 28 29"),
        ("(1)[+-]2", "(1)+2 (1)-2"),
        (r"\#\[\\[\]\-a-b]", r"#[\] #[\- #[\a #[\b"),
        ("€[,.]#{0}5", "€,5 €.5"),
    ],
)
def test_a_pattern_writes_each_of_its_numbers_once(text: str, numbers: str) -> None:
    pattern = parse_pattern(text)
    assert sorted(list_numbers(pattern, pattern.size)) == sorted(numbers.split(" "))
    assert list_numbers(pattern, 2 * pattern.size)[pattern.size :] == list_numbers(
        pattern, pattern.size
    )


BAD = [
    "",
    " ",
    "[",
    "[]",
    "[5-2]",
    "1]",
    "{2}",
    "1{3,2}",
    "1{2",
    "#{1,999}",
    "#{1001}",
    "1{0}",
    "1\\",
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="pattern"):
        parse_pattern(text)
    with pytest.raises(TextError, match="writes '11' in two ways"):
        parse_pattern("[12]{1,2}1{0,2}")


@pytest.mark.parametrize("text", ["#{40}", "#{17,40}", "[A-Z]{30}", "iban"])
def test_numbers_of_any_length_are_unique_and_vary_everywhere(text: str) -> None:
    numbers = list_numbers(parse_pattern(text), 4000)
    assert len(set(numbers)) == len(numbers)
    kinds = {(len(number), number[:2] if text == "iban" else "") for number in numbers}
    for length, country in kinds:
        alike = [one for one in numbers if len(one) == length and one.startswith(country)]
        fixed = [{*place} for place in zip(*alike, strict=True) if len({*place}) == 1]
        assert set().union(*fixed) <= {" ", *country}


@given(st.text("0123456789#[]{},-A\\ ", max_size=12))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        pattern = parse_pattern(text)
    except TextError:
        return
    numbers = list_numbers(pattern, min(pattern.size, 300))
    assert len(set(numbers)) == len(numbers) > 0


@pytest.mark.parametrize("name", PRESETS)
def test_numbers_of_a_preset_are_unique_unless_it_says_otherwise(name: str) -> None:
    pattern = parse_pattern(name)
    numbers = list_numbers(pattern, min(pattern.size, 20_000))
    assert (len(set(numbers)) == len(numbers)) is not pattern.repeats
    assert PRESETS[name].source
    forms = [form.list_columns() for form in pattern.forms]
    assert all(  # nothing is written that the widths do not allow for
        any(
            len(number) == len(form) and all(map(set.__contains__, form, number)) for form in forms
        )
        for number in numbers[:500]
    )


@pytest.mark.parametrize(
    ("text", "ignored", "repeats"),
    [
        ("amount-us", "", True),
        ("date", " ", False),
        ("date", "./-", True),
        ("meter", ",.", True),
        ("zip", " -", False),
        ("1 {0,1}#{1,2}", " ", True),
        ("#{1,2}", "", False),
    ],
)
def test_numbers_that_are_read_alike_may_differ(text: str, ignored: str, repeats: bool) -> None:
    assert parse_pattern(text).can_repeat(ignored) is repeats


@pytest.mark.parametrize(("name", "order"), [("iso", "ymd"), ("dmy", "dmy"), ("mdy", "mdy")])
def test_dates_are_all_real_dates_of_a_hundred_years(name: str, order: str) -> None:
    pattern = parse_pattern(f"date-{name}")
    texts = list_numbers(pattern, pattern.size)
    assert len(set(texts)) == len(texts)
    found = set()
    for numbers in {text.translate(str.maketrans("/-", "  ")).replace(".", " ") for text in texts}:
        parts = dict(zip(order, map(int, numbers.split()), strict=True))
        year = parts["y"]
        full_year = year if year > 99 else 1900 + year if year >= 40 else 2000 + year
        found.add(date(full_year, parts["m"], parts["d"]))
    assert (min(found), max(found)) == (date(1940, 1, 1), date(2039, 12, 31))
    assert len(found) == (date(2040, 1, 1) - date(1940, 1, 1)).days
    is_short = (re.fullmatch(r"\d[./]\d[./]\d\d", text) for text in texts)
    assert any(is_short) == (name != "iso")


def check_card(text: str) -> bool:
    digits = [int(digit) for digit in text[::-1]]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[0::2]) + doubled) % 10 == 0


def check_iban(text: str) -> bool:
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


def check_isbn(text: str) -> bool:
    digits = [int(digit) for digit in text]
    return (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


@pytest.mark.parametrize(
    ("name", "check", "known"),
    [
        ("card", check_card, "4111111111111111"),
        ("iban", check_iban, "DE89370400440532013000"),
        ("isbn", check_isbn, "9783161484100"),
    ],
)
def test_check_digits_are_right(name: str, check: Callable[[str], bool], known: str) -> None:
    assert check(known)
    numbers = [re.sub("[ -]", "", number) for number in write_preset(name)]
    assert all(map(check, numbers))
    lengths = {number[:2]: len(number) for number in numbers}
    if name == "iban":
        assert lengths == IBAN_LENGTHS
    elif name == "isbn":
        assert lengths == {"97": 13}
    else:
        assert {len(number) for number in numbers} == {15, 16}
        assert 300 < sum(number[:2] in {"34", "37"} for number in numbers) < 700


# ISO 13616-1 and the SWIFT IBAN Registry: how long the number of a country is.
IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27,
    "GB": 22, "HU": 28, "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25,
    "SE": 24,
}  # fmt: skip


def test_first_digits_of_amounts_follow_benford() -> None:
    """Pearson's chi-square, 8 degrees of freedom; a false alarm comes in one of 1000 seeds."""
    amounts = write_preset("amount", 20_000)
    first = [re.search(r"\d", amount)[0] for amount in amounts]  # type: ignore[index]
    expected = {str(digit): 20_000 * np.log10(1 + 1 / digit) for digit in range(1, 10)}
    statistic = sum((first.count(one) - n) ** 2 / n for one, n in expected.items())
    assert statistic < 26.12


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("amount-us", r"\$?[1-9](\d*|\d{0,2}(,\d{3})*)\.\d\d"),
        ("amount-uk", r"£?[1-9](\d*|\d{0,2}(,\d{3})*)\.\d\d"),
        ("amount-de", r"[1-9](\d*|\d{0,2}(\.\d{3})*),\d\d( €)?"),
        ("amount-fr", r"[1-9](\d*|\d{0,2}( \d{3})*),\d\d( €)?"),
        ("amount-ch", r"[1-9](\d*|\d{0,2}('\d{3})*)\.(\d\d|-)"),
        ("amount-jp", r"¥?[1-9]\d{0,2}(,\d{3})*"),
        ("time", r"([01]?\d|2[0-3])[:.][0-5]\d"),
        ("year", r"1[5-9]\d\d|20\d\d"),
        ("zip", r"\d{5}(-\d{4})?|\d{3}-\d{4}|\d{5}-\d{3}|\d{3} \d{3}|\d{4}"),
        ("zip-us", r"(?!00[0-4])\d{5}(-\d{4})?"),
        ("zip-uk", r"[A-Z]{1,2}\d{1,2} \d[A-Z]{2}"),
        ("zip-ca", r"[A-Z]\d[A-Z] \d[A-Z]\d"),
        ("zip-nl", r"[1-9]\d{3} [A-Z]{2}"),
        ("meter", r"\d{5,6}([.,]\d|[.,]\d{3})?"),
        ("jp", r"0\d{10}"),
    ],
)
def test_presets_write_what_they_say(name: str, form: str) -> None:
    numbers = write_preset(name)
    assert [one for one in numbers if not re.fullmatch(form, one)] == []
    if name == "zip-us":  # long codes do not crowd out short ones
        assert 0.25 < np.mean([len(code) == 5 for code in numbers]) < 0.5
    if name == "time":
        times = {f"{hour:02}:{minute:02}" for hour, minute in product(range(24), range(60))}
        assert times < {*list_numbers(parse_pattern(name), parse_pattern(name).size)}
