"""Patterns of phone numbers, and presets that follow numbering plans.

A pattern is literal digits, ``#`` for any digit, ``[789]`` or ``[2-9]`` for some, and ``-`` or a
space where numbers are grouped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from mnistseq_cli.errors import TextError
from mnistseq_cli.validation import quote, suggest

DIGITS = "0123456789"

PRESETS: dict[str, str] = {
    # Japan, as the assignment of old: a leading 0 and ten more digits.
    "jp": "0##########",
    # Japan, mobile: MIC, "Telecommunications Numbering Plan", 070, 080 and 090 numbers.
    "jp-mobile": "0[789]0-####-####",
    # Canada, Caribbean, USA: NANPA, "About the North American Numbering Plan", NXX-NXX-XXXX.
    "us": "[2-9]##-[2-9]##-####",
    # United Kingdom, mobile: Ofcom, "The National Telephone Numbering Plan", no 070, 076.
    "uk-mobile": "07[1-57-9]## ######",
    # France: ARCEP, decision 2018-0881, ten digits in pairs.
    "fr": "0[1-9] ## ## ## ##",
    # India, mobile: DoT, "National Numbering Plan 2003", ten digits from 6 to 9 on.
    "in-mobile": "[6-9]####-#####",
    # China, mobile: MIIT numbering plan, eleven digits from 13 to 19 on.
    "cn-mobile": "1[3-9]#-####-####",
}

_TOKEN = re.compile(r"\[(?P<set>[^\]]*)\]|(?P<any>#)|(?P<digit>[0-9])|(?P<group>[- ])")


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: the digits allowed at each place, and whether a group begins there."""

    choices: tuple[str, ...]
    grouped: tuple[bool, ...]

    @property
    def size(self) -> int:
        """How many numbers the pattern has."""
        return prod(len(choice) for choice in self.choices)


def parse_pattern(text: str) -> Pattern:
    """Parse the name of a preset, or a pattern."""
    pattern = PRESETS.get(text, text)
    choices: list[str] = []
    grouped: list[bool] = []
    at, group = 0, False
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise TextError(
                f"the pattern {quote(text)} has {pattern[at]!r} at place {at + 1}; expected "
                f"digits, #, [789], [2-9], - and space, or a preset: {', '.join(PRESETS)}",
                suggest(text.lower(), PRESETS),
            )
        at = token.end()
        if token["group"]:
            group = bool(choices)
            continue
        choices.append(_parse_choice(token, text))
        grouped.append(group)
        group = False
    if not choices:
        raise TextError(f"the pattern {quote(text)} has no digits")
    return Pattern(tuple(choices), tuple(grouped))


def _parse_choice(token: re.Match[str], text: str) -> str:
    if token["any"]:
        return DIGITS
    if token["digit"]:
        return token["digit"]
    chosen = re.sub(
        r"([0-9])-([0-9])",
        lambda ends: DIGITS[int(ends[1]) : int(ends[2]) + 1] or "?",
        token["set"],
    )
    if not chosen or set(chosen) - set(DIGITS):
        raise TextError(
            f"the pattern {quote(text)} has {token[0]!r}; expected digits and ranges such as [2-9]"
        )
    return "".join(sorted(set(chosen)))
