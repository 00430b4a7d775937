"""Checks of values, with messages that say what was expected."""

from __future__ import annotations

import operator
import re
import reprlib
from collections.abc import Iterable
from pathlib import Path

from mnistseq_cli.errors import TextError, UsageError

_URL = r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]"  # a drive of Windows has one letter
_LONGEST_QUOTE = 60
_LONGEST_GUESS = 100  # difflib takes time with the square of the length


class _Quoter(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _LONGEST_QUOTE

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python writes no number of more than 4300 digits
            return f"a number of {x.bit_length()} bits"


def count(number: int, noun: str) -> str:
    """Return how many: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def quote(value: object) -> str:
    """Return a value as Python writes it, shortened in its middle where that is long."""
    return _Quoter().repr(value)


def suggest(value: str, known: Iterable[str]) -> str:
    """Return a hint that names what is nearest to a value, or "" where nothing is near."""
    import difflib  # noqa: PLC0415 - only when there is an error

    near = difflib.get_close_matches(value[:_LONGEST_GUESS], [*known], n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def check_choice(name: str, value: object, allowed: tuple[str, ...] | list[str]) -> None:
    """Raise if a value is not in a list, naming the nearest that is."""
    if not isinstance(value, str) or value not in allowed:
        hint = suggest(value, allowed) if isinstance(value, str) else ""
        problem = f"is {quote(value)}; expected one of: {', '.join(allowed)}"
        raise UsageError(problem, hint, field=name)


def is_url(name: Path | str) -> bool:
    """Whether a name is a URL, such as that of an object store."""
    return bool(re.match(_URL, str(name)))


def check_local(name: str, path: Path | str) -> None:
    """Raise if a path to write at is a URL: it would make a local folder such as ``s3:``."""
    if scheme := re.match(_URL, str(path)):
        raise UsageError(
            f"{name} is {scheme[0]}…, but object stores are not supported here",
            "Name a file or folder of this machine; --out of phone and batch takes a URL",
        )


def check_flag(name: str, value: object) -> None:
    """Raise if a value is neither true nor false."""
    if not isinstance(value, bool):
        raise UsageError(f"is {quote(value)}; expected true or false", field=name)


def check_share(name: str, value: object) -> float:
    """Return a number from 0 to 1 as a plain one."""
    plain = to_plain(value)
    if isinstance(plain, bool) or not isinstance(plain, float | int) or not 0 <= plain <= 1:
        raise UsageError(f"is {quote(value)}; expected a number from 0 to 1", field=name)
    return plain


def check_number(name: str, value: object, low: int, high: int, also: tuple[str, ...] = ()) -> int:
    """Return a whole number from `low` to `high` as a plain one; the message names `also` too."""
    number = to_int(value)
    if number is None or not low <= number <= high:
        others = "".join(f", or {word}" for word in also)
        raise UsageError(
            f"is {quote(value)}; expected a whole number from {low} to {high}{others}",
            suggest(value, also) if isinstance(value, str) else "",
            field=name,
        )
    return number


def check_pair(name: str, value: object, low: int, high: int) -> tuple[int, int]:
    """Return MIN and MAX, both from `low` to `high`, as plain numbers."""
    pair = _to_tuple(value)
    if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004 - MIN and MAX
        raise UsageError(f"is {quote(value)}; expected two whole numbers, MIN and MAX", field=name)
    least, most = (check_number(name, number, low, high) for number in pair)
    if least > most:
        raise UsageError(
            f"goes from {least} to {most}; expected MIN to be at most MAX",
            f"Swap them: {name} {most} {least}",
            field=name,
        )
    return least, most


def check_text(name: str, value: object, longest: int) -> None:
    """Raise if a value is no text, or an empty or too long one."""
    if not isinstance(value, str):
        raise TextError(f'is {quote(value)}; expected a text in quotes, such as "350"', field=name)
    if not 1 <= len(value) <= longest:
        raise TextError(f"is {quote(value)}; expected 1 to {longest} characters", field=name)


def check_texts(name: str, value: object) -> tuple[str, ...] | None:
    """Return several texts as a tuple, or None where there are none."""
    texts = _to_tuple(value)
    if texts is None:
        return None
    if not isinstance(texts, tuple) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"is {quote(value)}; expected a list of texts", field=name)
    return texts


def to_int(value: object) -> int | None:
    """Return a whole number as a plain one, and None for anything else."""
    plain = to_plain(value)
    is_whole = hasattr(plain, "__index__") and not isinstance(plain, bool)
    return operator.index(plain) if is_whole else None  # type: ignore[arg-type]


def to_plain(value: object) -> object:
    """Return an array as lists and a number of NumPy as one of Python, without importing NumPy."""
    return value.tolist() if hasattr(value, "tolist") else value


def _to_tuple(value: object) -> object:
    plain = to_plain(value)
    return tuple(plain) if isinstance(plain, list) else plain
