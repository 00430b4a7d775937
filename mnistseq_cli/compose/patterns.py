r"""Patterns of numbers, and how many there are of each.

A pattern is what is written as it stands, ``#`` for any digit, ``[2-9]`` or ``[A-Z]`` for some
characters, ``{n}`` or ``{m,n}`` for so many of the one before, and ``\`` before a character that
is to stand for itself. Parentheses stand for themselves. A preset is named in place of a pattern.

A pattern has forms, one for each way in which its repetitions can come out. A form has places, and
its numbers are all that can be had by choosing at each place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, combinations, product
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.compose.presets import (
    CHECK_DIGIT,
    FIRST_DIGIT,
    FIRST_DIGITS,
    Places,
    list_dates,
    load_presets,
)
from mnistseq_cli.errors import TextError
from mnistseq_cli.pixels import Bools, Ints
from mnistseq_cli.randomness import Samples, Use, draw_for, list_indices, permute, scale_words
from mnistseq_cli.recipe import LENGTH_LIMIT
from mnistseq_cli.validation import quote

_Codes: TypeAlias = NDArray[np.uint32]  # code points of characters
DIGITS = "0123456789"
SIZE_LIMIT = 2**62  # what `permute` can take
_FORM_LIMIT = 200
_TOKEN = re.compile(
    r"(?:\[(?P<set>(?:\\.|[^\]\\])*)\]|\\(?P<escaped>.)|(?P<plain>[^\[\]{}\\]))"
    r"(?:\{(?P<least>[0-9]{1,4})(?:,(?P<most>[0-9]{1,4}))?\})?",
    re.DOTALL,
)
_RANGE = re.compile(r"(?:\\(.)|([^\\]))(?:-(?:\\(.)|([^\\])))?", re.DOTALL)


class Form(NamedTuple):
    """One way in which the numbers of a pattern are written, and how many of these are used."""

    places: Places
    size: int

    def list_columns(self) -> list[set[str]]:
        """Return what each character of its numbers can be."""
        columns = [set(column) for choices in self.places for column in zip(*choices, strict=True)]
        return [{*DIGITS} if CHECK_DIGIT in column else column for column in columns]


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern."""

    forms: tuple[Form, ...]
    check: str = ""  # the rule of its check digits, a name in `CHECKS`
    repeats: bool = False  # whether a number may come again

    @property
    def size(self) -> int:
        """How many numbers the pattern has."""
        return sum(form.size for form in self.forms)

    def can_repeat(self, ignored: str) -> bool:
        """Whether two numbers may be the same when some characters are ignored."""
        left_out = {*ignored}
        forms = [form.list_columns() for form in self.forms]
        if self.repeats or any(c & left_out and c - left_out for form in forms for c in form):
            return True
        # By what is left out, and where; numbers that differ in nothing of it differ elsewhere.
        kinds: dict[str, list[list[set[str]]]] = {}
        for form in forms:
            kind = "".join(min(column) if column <= left_out else "\0" for column in form)
            kinds.setdefault(kind, []).append([c for c in form if not c <= left_out])
        pairs = (pair for two in combinations(kinds.values(), 2) for pair in product(*two))
        return any(_find_common(*pair) for pair in pairs)

    def write(self, seed: int, samples: Samples) -> _Codes:
        """Return the code points of the numbers of samples, shape (N, n), with zeros at the end.

        Number i is number p(i) of the pattern, p a permutation with the seed as its key: none
        comes again before all have come. Its rank in its form is spelt out by the last places,
        each a digit of a number of mixed radix. Where a form has more numbers than are used,
        words of number i decide what the rank leaves open.
        """
        of, size = self._tables, self.size
        number = permute(list_indices(samples) % size, size, seed)
        form = np.searchsorted(of.starts, number, side="right") - 1
        rank = (number - of.starts[form]) % of.n_ranks[form]
        radices = of.radices[form]
        chosen = np.zeros_like(radices)
        if of.is_drawn.any() or of.steps.max() > 1:
            words = draw_for(seed, Use.TEXT, samples, radices.shape[1])
            rank = rank * of.steps[form] + scale_words(words[:, -1], of.steps[form])
            chosen = scale_words(words, radices)
            radices = np.where(of.is_drawn[form], 1, radices)
        for at in range(radices.shape[1] - 1, -1, -1):
            rank, digit = np.divmod(rank, radices[:, at])
            chosen[:, at] = np.where(radices[:, at] > 1, digit, chosen[:, at])
        at_characters = np.take_along_axis(chosen, of.places[form], axis=1)
        codes: _Codes = of.pool[of.offsets[form] + at_characters]
        if self.check:
            codes[codes == ord(CHECK_DIGIT)] = CHECKS[self.check](codes).ravel() + ord("0")
        return codes

    @cached_property
    def _tables(self) -> _Tables:
        return _make_tables(self.forms)


class _Tables(NamedTuple):
    """The forms of a pattern as arrays: F forms of up to P places, one more, and n characters."""

    starts: Ints  # (F,), the first number of each form
    radices: Ints  # (F, P + 1), how many choices there are at each place
    is_drawn: Bools  # (F, P + 1), whether words decide there, not the rank
    steps: Ints  # (F,), how many choices at the other places share a rank
    n_ranks: Ints  # (F,), how many ranks there are
    places: Ints  # (F, n), the place of each character
    offsets: Ints  # (F, n), where the pool has it, of the first choice at its place
    pool: _Codes  # code points: one character of all choices at a place, then the next


def _make_tables(forms: tuple[Form, ...]) -> _Tables:
    n_places = max(len(form.places) for form in forms)
    n_characters = max(sum(len(one[0]) for one in form.places) for form in forms)
    radices = np.ones((len(forms), n_places + 1), np.int64)
    is_drawn = np.zeros(radices.shape, np.bool_)
    steps, n_ranks = np.ones((2, len(forms)), np.int64)
    places = np.full((len(forms), n_characters), n_places)
    offsets = np.zeros_like(places)
    pool, pooled = [0], dict[tuple[str, ...], int]()
    for row, form in enumerate(forms):
        sizes = [len(choices) for choices in form.places]
        n_drawn, n_choices = _count_choices(sizes)
        radices[row, : len(sizes)] = sizes
        is_drawn[row, :n_drawn] = True
        steps[row] = max(1, n_choices // form.size)
        n_ranks[row] = n_choices // steps[row]
        columns = [
            (place, characters)
            for place, choices in enumerate(form.places)
            for characters in zip(*choices, strict=True)
        ]
        for at, (place, characters) in enumerate(columns):
            if characters not in pooled:
                pooled[characters] = len(pool)
                pool += map(ord, characters)
            places[row, at], offsets[row, at] = place, pooled[characters]
    starts = np.cumsum([0, *(form.size for form in forms[:-1])])
    codes = np.array(pool, np.uint32)
    return _Tables(starts, radices, is_drawn, steps, n_ranks, places, offsets, codes)


def _count_choices(sizes: list[int]) -> tuple[int, int]:
    """Return how many places are drawn, and the choices at the others, which a rank can spell."""
    counts = ((n, prod(sizes[n:])) for n in range(len(sizes) + 1))
    return next((n, n_choices) for n, n_choices in counts if n_choices <= SIZE_LIMIT)


@lru_cache(maxsize=8)
def parse_pattern(text: str) -> Pattern:
    """Parse the name of a preset, or a pattern, which may write no number in two ways."""
    if preset := load_presets().get(text):
        ways = [*list_dates(preset.dates), *(way for one in preset.forms for way in _parse(one))]
        forms = (_use(way, preset.share or SIZE_LIMIT, again=preset.repeats) for way in ways)
        return Pattern(tuple(forms), preset.check, preset.repeats)
    ways = _parse(text)
    for one, other in combinations([[*map(set, way)] for way in ways], 2):
        if number := _find_common(one, other):
            raise TextError(f"the pattern {quote(text)} writes {quote(number)} in two ways")
    return Pattern(tuple(_use(way, SIZE_LIMIT // len(ways)) for way in ways))


def _find_common(one: list[set[str]], other: list[set[str]]) -> str:
    """Return a number that two forms can both write, from what each character can be, or ""."""
    common = [these & those for these, those in zip(one, other, strict=False)]
    return "".join(map(min, common)) if len(one) == len(other) and all(common) else ""


def _use(places: Places, most: int, *, again: bool = False) -> Form:
    """Return a form with the count of its numbers in use: up to so many, repeated to come near."""
    n_choices = _count_choices([len(choices) for choices in places])[1]
    size = n_choices // -(-n_choices // most)
    return Form(places, size * (most // size) if again else size)


def _parse(text: str) -> list[Places]:
    """Return the places of each form of a pattern."""
    ways: list[Places] = [()]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise TextError(
                f"the pattern {quote(text)} has {text[at]!r} at place {at + 1}; expected "
                "characters, #, [2-9], {2} or {1,3} after one of these, \\ before one of []{}\\#"
            )
        at = token.end()
        choices = _find_choices(token, text)
        least = int(token["least"] or 1)
        most = int(token["most"] or least)
        is_short = len(ways[-1]) + most <= LENGTH_LIMIT  # the last is the longest
        if not (is_short and 1 <= len(ways) * (most - least + 1) <= _FORM_LIMIT):
            raise TextError(
                f"the pattern {quote(text)} has {token[0]!r}; expected MIN to be at most MAX, up "
                f"to {LENGTH_LIMIT} characters, and up to {_FORM_LIMIT} ways of repetition"
            )
        ways = [way + (choices,) * times for way in ways for times in range(least, most + 1)]
    if any(set("".join(map("".join, way))) <= {" "} for way in ways):
        raise TextError(f"the pattern {quote(text)} has nothing to write")
    return ways


def _find_choices(token: re.Match[str], text: str) -> tuple[str, ...]:
    """Return the characters that a token stands for, each once."""
    if token["set"] is None:
        plain = token["plain"] or ""
        alone = (plain or token["escaped"],)
        return {"#": (*DIGITS,), FIRST_DIGIT: FIRST_DIGITS}.get(plain, alone)
    ends = [(one[1] or one[2], one[3] or one[4]) for one in _RANGE.finditer(token["set"])]
    ranges = [range(ord(low), ord(high or low) + 1) for low, high in ends]
    if not ranges or not all(ranges):  # one is empty where its ends are turned round
        raise TextError(
            f"the pattern {quote(text)} has {token[0]!r}; expected characters and ranges such as "
            "[2-9]"
        )
    return tuple(map(chr, sorted({*chain.from_iterable(ranges)})))


def _read_digits(codes: _Codes) -> tuple[Ints, Ints]:
    """Return the digits among characters, 0 for others, and the place of each, 0 for the last."""
    is_digit = (codes >= ord("0")) & (codes <= ord("9"))
    is_counted = is_digit | (codes == ord(CHECK_DIGIT))
    place = is_counted[:, ::-1].cumsum(axis=1)[:, ::-1] - 1
    return np.where(is_digit, codes, ord("0")).astype(np.int64) - ord("0"), place


def _luhn(codes: _Codes) -> Ints:
    """Return the last digit, as Luhn has it (ISO/IEC 7812-1, annex B): every second is doubled."""
    digits, place = _read_digits(codes)
    digits <<= place % 2
    return np.asarray(-(digits // 10 + digits % 10).sum(axis=1) % 10)


def _isbn(codes: _Codes) -> Ints:
    """Return the last digit of an ISBN-13 (ISO 2108, annex A): every second counts three times."""
    digits, place = _read_digits(codes)
    return np.asarray(-(digits * (1 + place % 2 * 2)).sum(axis=1) % 10)


def _iban(codes: _Codes) -> Ints:
    """Return the third and fourth character of an IBAN (ISO 7064, mod 97-10), shape (N, 2)."""
    rest = np.zeros(len(codes), np.int64)
    for code in np.roll(codes, -4, axis=1).astype(np.int64).T:
        is_letter, is_digit = code >= ord("A"), (code >= ord("0")) & (code <= ord("9"))
        kinds = [is_letter, is_digit, code == ord(CHECK_DIGIT)]
        value = np.select(kinds, [code - ord("A") + 10, code - ord("0"), 0 * code])
        rest = (rest * np.select(kinds, [100, 10, 10], 1) + value) % 97
    return np.stack(np.divmod(98 - rest, 10), axis=1)


CHECKS: dict[str, Callable[[_Codes], Ints]] = {"luhn": _luhn, "isbn": _isbn, "iban": _iban}
