"""A dataset cut into splits: consecutive samples, in proportion to weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnistseq_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

WEIGHT_LIMIT = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Share:
    """A part of a whole, as an interval: from `low` to `high` of `total`."""

    low: int
    high: int
    total: int

    def of(self, size: int) -> tuple[int, int]:
        """Give the first whole number of the share of 0..size-1, and the one after its last."""
        return size * self.low // self.total, size * self.high // self.total


@dataclass(frozen=True)
class Split:
    """One split.

    Parameters
    ----------
    name : str
        Also that of its folder; "" where a dataset has no splits.
    start, stop : int
        Its samples.
    texts : Share
        What it has of the texts.
    """

    name: str
    start: int
    stop: int
    texts: Share


def parse_weights(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Parse texts such as ``"train=80"`` into names and weights.

    Raises
    ------
    UsageError
        A text is not of that form.
    """
    pairs = [text.partition("=") for text in texts]
    for name, equals, weight in pairs:
        if not (equals and weight.isascii() and weight.isdigit()):
            raise UsageError(
                f"a split is {name + equals + weight!r}; allowed is NAME=WEIGHT, such as train=80"
            )
    return tuple((name, int(weight)) for name, _, weight in pairs)


def cut(weights: Iterable[tuple[str, int]], count: int) -> tuple[Split, ...]:
    """Cut samples into splits, in proportion to weights.

    Parameters
    ----------
    weights : iterable of (str, int)
        Name and weight of each split; none makes one split without a name.
    count : int
        Number of samples.

    Raises
    ------
    UsageError
        A name or weight is not allowed, or a split would be empty.
    """
    weights = tuple(weights)
    if not weights:
        return (Split("", 0, count, Share(0, 1, 1)),)
    _check(weights)
    total = sum(weight for _, weight in weights)
    splits, low = [], 0
    for name, weight in weights:
        share = Share(low, low + weight, total)
        start, stop = share.of(count)
        if start == stop:
            raise UsageError(
                f"split {name} would be empty: {count} samples, weight {weight} of {total}",
                "Ask for more samples, or give it a larger weight",
            )
        splits.append(Split(name, start, stop, share))
        low += weight
    return tuple(splits)


def _check(weights: tuple[tuple[str, int], ...]) -> None:
    names = [name for name, _ in weights]
    for name, weight in weights:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise UsageError(
                f"a split is named {name!r}; allowed are letters, digits, - and _, each name once"
            )
        if not 1 <= weight <= WEIGHT_LIMIT:
            raise UsageError(f"split {name} has weight {weight}; allowed are 1 to {WEIGHT_LIMIT}")
