"""Presets of ``--pattern``: what people write most, each with who says how it is written.

A form is a pattern in the language of `mnistseq_cli.compose.patterns`; `CHECK_DIGIT` in it is a
digit that follows from the others, `FIRST_DIGIT` one that is drawn by Benford's law.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Places = tuple[tuple[str, ...], ...]  # what can stand at each place, at one place equally long

CHECK_DIGIT, FIRST_DIGIT = "\1", "\2"  # none can be typed
# Of 1000 amounts, so many begin with 1, 2, …: 1000 log10(1 + 1 / digit), after Benford, "The law
# of anomalous numbers", Proceedings of the American Philosophical Society 78 (1938).
_BENFORD = (301, 176, 125, 97, 79, 67, 58, 51, 46)
FIRST_DIGITS = tuple("".join(str(at) * times for at, times in enumerate(_BENFORD, 1)))
YEARS = range(1940, 2040)  # a hundred, so that two digits say which


@dataclass(frozen=True)
class Preset:
    """A pattern with a name.

    Parameters
    ----------
    about : str
        What it writes.
    source : str
        Who says how that is written.
    forms : tuple of str
        Its patterns.
    dates : tuple of str
        Styles of dates in place of patterns; see `list_dates`.
    check : "", "luhn", "isbn" or "iban"
        The rule of its check digits.
    share : int
        So many numbers are taken of each form that has as many, lest long ones crowd out short
        ones; 0 takes all.
    repeats : bool
        Whether a number may come again, as amounts do.
    """

    about: str
    source: str
    forms: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    check: str = ""
    share: int = 0
    repeats: bool = False


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


def _list_amounts(before: str, separator: str, after: str) -> Iterator[str]:
    """Yield the patterns of amounts of one to six digits and what stands around them."""
    for n_digits in range(1, 7):
        digits = FIRST_DIGIT + "#" * (n_digits - 1)
        first = (n_digits - 1) % 3 + 1
        groups = [digits[:first], *(digits[at : at + 3] for at in range(first, n_digits, 3))]
        yield before + separator.join(groups) + after


# By country: what stands before the amount, between thousands, and after it, in CLDR.
_AMOUNTS = {
    "us": (("$", ",", ".##"), ("", ",", ".##"), ("", "", ".##")),
    "uk": (("£", ",", ".##"), ("", ",", ".##"), ("", "", ".##")),
    "de": (("", ".", ",## €"), ("", ".", ",##"), ("", "", ",##")),
    "fr": (("", " ", ",## €"), ("", " ", ",##"), ("", "", ",##")),
    "ch": (("", "'", ".##"), ("", "", ".##"), ("", "'", ".-")),
    "jp": (("¥", ",", ""), ("", ",", "")),
}


def _make_amounts(about: str, *countries: str) -> Preset:
    styles = dict.fromkeys(style for country in countries for style in _AMOUNTS[country])
    return Preset(
        about,
        "Unicode CLDR, number and currency patterns; first digits after Benford",
        tuple(form for style in styles for form in _list_amounts(*style)),
        share=10**10,  # each number of digits is as likely, in each style
        repeats=True,
    )


def _check(forms: str) -> tuple[str, ...]:
    return tuple(forms.replace("?", CHECK_DIGIT).split("|"))


_DOTTED = ("DD.MM.YYYY", "DD.MM.YY", "D.M.YYYY", "D.M.YY")
_DASHED = ("DD-MM-YYYY", "DD-MM-YY")
_SLASHED = ("DD/MM/YYYY", "DD/MM/YY", "D/M/YYYY", "D/M/YY")
_AMERICAN = ("MM/DD/YYYY", "MM/DD/YY", "M/D/YYYY", "M/D/YY")
_CLDR = "Unicode CLDR, short dates"
_UPU = "Universal Postal Union, postal addressing systems"

PRESETS: dict[str, Preset] = {
    "jp": Preset("Japan: a leading 0 and ten more digits", "assignment of old", ("0##########",)),
    "jp-mobile": Preset(
        "Japan, mobile",
        "MIC, Telecommunications Numbering Plan: 070, 080 and 090",
        ("0[789]0-####-####",),
    ),
    "us": Preset(
        "Canada, Caribbean, USA",
        "NANPA, About the North American Numbering Plan: NXX-NXX-XXXX",
        ("[2-9]##-[2-9]##-####",),
    ),
    "uk-mobile": Preset(
        "United Kingdom, mobile",
        "Ofcom, The National Telephone Numbering Plan: without 070 and 076",
        ("07[1-57-9]## ######",),
    ),
    "fr": Preset(
        "France, ten digits in pairs", "ARCEP, decision 2018-0881", ("0[1-9] ## ## ## ##",)
    ),
    "in-mobile": Preset(
        "India, mobile", "DoT, National Numbering Plan 2003: from 6 on", ("[6-9]####-#####",)
    ),
    "cn-mobile": Preset(
        "China, mobile", "MIIT, numbering plan: from 13 to 19 on", ("1[3-9]#-####-####",)
    ),
    "amount": _make_amounts("Amounts of several countries", *_AMOUNTS),
    "amount-us": _make_amounts("Amounts in dollars", "us"),
    "amount-uk": _make_amounts("Amounts in pounds", "uk"),
    "amount-de": _make_amounts("Amounts in euros, as in Germany, Italy and Spain", "de"),
    "amount-fr": _make_amounts("Amounts in euros, as in France and Finland", "fr"),
    "amount-ch": _make_amounts("Amounts as in Switzerland", "ch"),
    "amount-jp": _make_amounts("Amounts in yen", "jp"),
    "date": Preset(
        "Real dates of 1940 to 2039 in the styles below",
        f"ISO 8601; {_CLDR}",
        dates=("YYYY-MM-DD", *_DOTTED, *_DASHED, *_AMERICAN),
    ),
    "date-iso": Preset("Year, month, day", "ISO 8601", dates=("YYYY-MM-DD",)),
    "date-dmy": Preset("Day, month, year", _CLDR, dates=(*_DOTTED, *_DASHED, *_SLASHED)),
    "date-mdy": Preset("Month, day, year", _CLDR, dates=(*_AMERICAN, "MM-DD-YYYY", "MM-DD-YY")),
    "time": Preset(
        "Hours and minutes, of 24 and of 12 hours",
        "ISO 8601; Unicode CLDR, short times",
        tuple(f"{hours}{sign}[0-5]#" for sign in ":." for hours in ("[01]#", "2[0-3]", "[1-9]")),
    ),
    "year": Preset("Years from 1500 to 2099", "since parish registers", ("1[5-9]##", "20##")),
    "zip": Preset(
        "USA, with and without +4, Japan, Brazil, India, and four digits as in Australia",
        f"USPS, Publication 28; {_UPU}",
        (
            *("[1-9]####", "0[1-9]###", "00[5-9]##", "[1-9]####-####", "0[1-9]###-####"),
            *("###-####", "#####-###", "[1-8]## ###", "[1-9]###"),
        ),
        share=90_000,
    ),
    "zip-us": Preset(
        "USA, with and without +4",
        "USPS, Publication 28; none is below 00501",
        ("[1-9]####", "0[1-9]###", "00[5-9]##", "[1-9]####-####", "0[1-9]###-####"),
        share=90_000,
    ),
    "zip-uk": Preset(
        "United Kingdom",
        "Royal Mail, Programmer's guide to PAF",
        tuple(
            f"{outward} #[ABD-HJLNP-UW-Z]{{2}}"
            for outward in ("[A-PR-UWYZ]#{1,2}", "[A-PR-UWYZ][A-HK-Y]#{1,2}")
        ),
        share=260_000,
    ),
    "zip-ca": Preset(
        "Canada",
        "Canada Post, Addressing guidelines",
        ("[ABCEGHJ-NPRSTVXY]#[ABCEGHJ-NPRSTV-Z] #[ABCEGHJ-NPRSTV-Z]#",),
    ),
    "zip-nl": Preset("Netherlands", _UPU, ("[1-9]### [A-RT-Z][A-Z]",)),
    "card": Preset(
        "Payment cards: Visa, Mastercard, American Express, Discover, JCB",
        "ISO/IEC 7812-1, with Luhn's check digit; ranges as the networks publish them",
        _check(
            "4### #### #### ###?|5[1-5]## #### #### ###?|2[3-6]## #### #### ###?|"
            "3[47]## ###### ####?|6011 #### #### ###?|35[3-8]# #### #### ###?"
        ),
        check="luhn",
        share=10**11,
    ),
    "iban": Preset(
        "Bank accounts of 19 countries",
        "ISO 13616-1 and the SWIFT IBAN Registry, check digits after ISO 7064, mod 97-10",
        # Of each country, n of the registry is #, a is [A-Z]; of c, digits are taken.
        _check(
            "AT?? #### #### #### ####|BE?? #### #### ####|CH?? #### #### #### #### #|"
            "CZ?? #### #### #### #### ####|DE?? #### #### #### #### ##|DK?? #### #### #### ##|"
            "ES?? #### #### #### #### ####|FI?? #### #### #### ##|"
            "FR?? #### #### #### #### #### ###|GB?? [A-Z]{4} #### #### #### ##|"
            "HU?? #### #### #### #### #### ####|IE?? [A-Z]{4} #### #### #### ##|"
            "IT?? [A-Z]### #### #### #### #### ###|LU?? #### #### #### ####|"
            "NL?? [A-Z]{4} #### #### ##|NO?? #### #### ###|PL?? #### #### #### #### #### ####|"
            "PT?? #### #### #### #### #### #|SE?? #### #### #### #### ####"
        ),
        check="iban",
        share=10**11,
    ),
    "isbn": Preset(
        "Books: ISBN of 13 digits, with hyphens",
        "ISO 2108; International ISBN Agency, Range Message",
        _check(
            "978-0-[01]#-######-?|978-0-[2-6]##-#####-?|978-1-0#-######-?|978-1-4###-####-?|"
            "978-2-[01]#-######-?|978-3-[2-6]##-#####-?|978-4-[2-6]##-#####-?|979-10-[2-6]##-####-?"
        ),
        check="isbn",
    ),
    "meter": Preset(
        "Readings of meters: electricity, gas, water",
        "registers of five and six digits, with up to three decimals",
        ("#####", "######", "#####[,.]#", "######[,.]#", "#####[,.]###"),
        share=100_000,
    ),
}
ABOUT = {name: preset.about for name, preset in PRESETS.items()}
