from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.patterns import DIGITS, PRESETS, parse_pattern
from mnistseq_cli.errors import TextError


@pytest.mark.parametrize(
    ("text", "choices", "grouped", "size"),
    [
        ("350", "3 5 0", "000", 1),
        ("#", DIGITS, "0", 10),
        ("0[789]", "0 789", "00", 3),
        ("[2-46]#", f"2346 {DIGITS}", "00", 40),
        ("1-2 3", "1 2 3", "011", 1),
        ("-12-", "1 2", "00", 1),
        ("1--2", "1 2", "01", 1),
        ("[33]", "3", "0", 1),
    ],
)
def test_a_pattern_is_read_place_by_place(
    text: str, choices: str, grouped: str, size: int
) -> None:
    pattern = parse_pattern(text)
    assert pattern.choices == tuple(choices.split())
    assert pattern.grouped == tuple(mark == "1" for mark in grouped)
    assert pattern.size == size


@pytest.mark.parametrize("text", ["", "-", "12x", "[", "[]", "[a]", "[5-2]", "１", "+81", "jpp"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="pattern"):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("jpmobile", "Did you mean 'jp-mobile'?"),
        ("jpp", "Did you mean 'jp'?"),
        ("US", "Did you mean 'us'?"),
        ("+81", ""),
        ("12a", ""),
    ],
)
def test_a_preset_spelt_wrong_is_told_the_nearest(text: str, hint: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_pattern(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_pattern(name: str) -> None:
    assert parse_pattern(name) == parse_pattern(PRESETS[name])
    assert parse_pattern(name).size >= 10**7


def test_the_default_plan_has_a_zero_and_ten_digits() -> None:
    assert parse_pattern("jp").choices == ("0", *[DIGITS] * 10)


@given(st.text("0123456789#[]- ", max_size=12))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        pattern = parse_pattern(text)
    except TextError:
        return
    assert len(pattern.choices) == len(pattern.grouped) > 0
