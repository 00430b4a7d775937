"""Checks of values, with messages that say what is allowed."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from mnistseq_cli.errors import TextError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_choice(what: str, value: object, allowed: tuple[str, ...] | list[str]) -> None:
    """Refuse a value that is not in a list, naming the nearest that is."""
    if value in allowed:
        return
    hint = suggest(str(value), allowed)
    raise UsageError(f"{what} is {value!r}; allowed: {', '.join(allowed)}", hint)


def suggest(value: str, known: Iterable[str]) -> str:
    """Give the hint that names what is nearest to a value, if anything is near."""
    import difflib  # noqa: PLC0415 - only when there is an error

    near = difflib.get_close_matches(value, [*known], n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}; allowed: true, false")


def check_number(
    name: str, value: object, low: int, high: int, words: tuple[str, ...] = ()
) -> int:
    """Give a whole number, of NumPy too, as a plain one; refuse what is none from low to high.

    The message tells of words that are allowed too.
    """
    number = _to_int(value)
    if number is None or not low <= number <= high:
        allowed = ", ".join([f"whole numbers from {low} to {high}", *words])
        raise UsageError(f"{name} is {value!r}; allowed are {allowed}")
    return number


def check_pair(name: str, value: object, low: int, high: int) -> tuple[int, int]:
    """Give MIN and MAX as plain numbers; refuse what is no such pair, both from low to high."""
    pair = _to_tuple(value)
    if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004 - MIN and MAX
        raise UsageError(f"{name} is {value!r}; allowed are two whole numbers, MIN and MAX")
    least, most = (check_number(name, number, low, high) for number in pair)
    if least > most:
        raise UsageError(
            f"{name} goes from {least} to {most}; MIN must not be over MAX",
            f"Turn them round: {most} {least}",
        )
    return least, most


def check_text(name: str, value: object, longest: int) -> None:
    """Refuse what is no text, or an empty or too long one."""
    if not isinstance(value, str):
        raise TextError(f'{name} is {value!r:.60}; allowed is a text in quotes, such as "350"')
    if not 1 <= len(value) <= longest:
        raise TextError(f"{name} is {value!r:.60}; allowed are 1 to {longest} characters")


def check_texts(name: str, value: object) -> tuple[str, ...] | None:
    """Give several texts as a tuple, or None; refuse anything else."""
    texts = _to_tuple(value)
    if texts is None:
        return None
    if not isinstance(texts, tuple) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{name} is {value!r:.60}; allowed is a list of texts")
    return texts


def _to_int(value: object) -> int | None:
    plain = _to_plain(value)
    if isinstance(plain, bool):
        return None
    try:
        return operator.index(plain)  # type: ignore[arg-type]  # TypeError is its answer
    except TypeError:
        return None


def _to_tuple(value: object) -> object:
    """Give a list or an array as a tuple, and anything else as it is."""
    plain = _to_plain(value)
    return tuple(plain) if isinstance(plain, list) else plain


def _to_plain(value: object) -> object:
    """Give an array as lists and a number of NumPy as one of Python, without importing NumPy."""
    return value.tolist() if hasattr(value, "tolist") else value
