"""The ways people write each digit: read from ``characters.txt``, which says what they mean."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Allograph(NamedTuple):
    """One way to write a digit."""

    digit: int
    share: int  # how many in a hundred hands write the digit this way
    path: str
    habits: str


@cache
def read_allographs() -> tuple[Allograph, ...]:
    """Return all ways, those of one digit beside each other."""
    text = files(__package__).joinpath("characters.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    ways = []
    for first, habits in zip(lines[::2], lines[1::2], strict=True):
        digit, share, path = first.split(maxsplit=2)
        ways.append(Allograph(int(digit), int(share), path, habits.strip()))
    return tuple(ways)
