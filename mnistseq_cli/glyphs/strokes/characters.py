"""The ways people write each character, read from ``characters.txt``, which explains itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple


class Allograph(NamedTuple):
    """One way to write a character."""

    character: str
    share: int  # how many in a hundred hands write the character this way
    path: str
    habits: str


class Forms(NamedTuple):
    """All that the pen knows."""

    proportions: dict[str, tuple[float, ...]]  # of each character, digits first
    widest_px: dict[str, int]  # of each character on a page 28 px high
    allographs: tuple[Allograph, ...]  # those of one character beside each other


@cache
def read_forms() -> Forms:
    """Return proportions and ways of all characters."""
    text = Path(__file__).with_name("characters.txt").read_text("utf-8")
    proportions: dict[str, tuple[float, ...]] = {}
    widest_px: dict[str, int] = {}
    ways = []
    rest = iter(line for line in text.splitlines() if line and line[0] != ";")
    for line in rest:
        if line.startswith("= "):
            _, character, *numbers, widest = line.split()
            proportions[character] = tuple(map(float, numbers))
            widest_px[character] = int(widest)
        else:
            share, path = line.split(maxsplit=1)
            ways.append(Allograph(character, int(share), path, next(rest).strip()))
    return Forms(proportions, widest_px, tuple(ways))


PEN_CHARACTERS = "".join(read_forms().proportions)
# What the pen adds to sets that lack it. Not digits: who names a set of digits means its own.
PEN_ADDITIONS = "".join(one for one in PEN_CHARACTERS if not one.isdigit())
