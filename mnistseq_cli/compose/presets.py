"""Presets of ``--pattern``, from a file: what people write most, each with who says how."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

Places = tuple[tuple[str, ...], ...]  # what can stand at each place, at one place equally long

CHECK_DIGIT, FIRST_DIGIT = "\1", "\2"  # in forms; none can be typed
# Of 1000 amounts, so many begin with 1, 2, …: 1000 log10(1 + 1 / digit), after Benford, "The law
# of anomalous numbers", Proceedings of the American Philosophical Society 78 (1938).
_BENFORD = (301, 176, 125, 97, 79, 67, 58, 51, 46)
FIRST_DIGITS = tuple("".join(str(at) * times for at, times in enumerate(_BENFORD, 1)))
_AMOUNT_SHARE = 10**10  # each number of digits is as likely, in each style
YEARS = range(1940, 2040)  # a hundred, so that two digits say which


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A pattern with a name; ``presets.toml`` says what its fields mean."""

    about: str
    source: str
    forms: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    check: str = ""
    share: int = 0
    repeats: bool = False


@cache
def load_presets() -> dict[str, Preset]:
    """Read the presets."""
    import tomllib  # noqa: PLC0415 - only patterns need it

    text = Path(__file__).with_name("presets.toml").read_text("utf-8")
    presets = {}
    for name, values in tomllib.loads(text).items():
        if amounts := values.pop("amounts", ()):
            forms = [form for style in amounts for form in _list_amounts(*style)]
            values |= {"forms": forms, "share": _AMOUNT_SHARE, "repeats": True}
        if "check" in values:
            values["forms"] = [form.replace("?", CHECK_DIGIT) for form in values["forms"]]
        presets[name] = Preset(**values)
    return presets


def describe_presets() -> dict[str, str]:
    """Return what each preset writes, by name."""
    return {name: preset.about for name, preset in load_presets().items()}


def _list_amounts(before: str, separator: str, after: str) -> Iterator[str]:
    """Yield the forms of amounts of one to six digits, the zeros of round ones among them."""
    for n_digits in range(1, 7 - after.count("0")):
        digits = FIRST_DIGIT + "#" * (n_digits - 1)
        first = (n_digits - 1) % 3 + 1
        groups = [digits[:first], *(digits[at : at + 3] for at in range(first, n_digits, 3))]
        yield before + separator.join(groups) + after


def list_dates(styles: Iterable[str]) -> Iterator[Places]:
    """Yield the places of all real dates of `YEARS` in some styles, such as ``"DD.MM.YYYY"``.

    ``D`` and ``M`` are written without a leading zero, and stand for those dates alone that
    ``DD`` and ``MM`` write otherwise.
    """
    n_days = dict(enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))
    days = [(month, day) for month in n_days for day in range(1, n_days[month] + 1)]
    leap_years = [year for year in YEARS if year % 4 == 0]  # 2000 is one
    for style in styles:
        yield from _place_dates(style, days, YEARS)
        yield from _place_dates(style, [(2, 29)], leap_years)


def _place_dates(
    style: str, days: Iterable[tuple[int, int]], years: Iterable[int]
) -> Iterator[Places]:
    before, year, after = re.split("(Y+)", style)
    written = tuple(str(one)[-len(year) :] for one in years)
    texts = [_spell(before or after, *pair) for pair in days]
    if "MM" not in style:
        texts = [text for text in texts if len(text) < len(before or after) + 2]
    for _, same in groupby(sorted(texts, key=len), len):
        alike = tuple(same)
        yield (alike, written) if before else (written, alike)


def _spell(style: str, month: int, day: int) -> str:
    for letter, number in (("M", month), ("D", day)):
        style = style.replace(2 * letter, f"{number:02}").replace(letter, str(number))
    return style
