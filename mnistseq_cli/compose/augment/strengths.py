"""How strong a distortion is: from what a user writes to a range, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mnistseq_cli.compose.augment.table import AUGMENTATIONS, Augmentation
from mnistseq_cli.errors import UsageError

Bound = float | str | np.generic | Sequence[float]
Strength = Bound | Sequence[Bound]
"""A number, a pair (LOW, HIGH) of numbers or of pairs (W, H), a text, True or False."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_BOUND = re.compile(rf"({_NUMBER})(?:x({_NUMBER}))?", re.ASCII)
_IN_PYTHON = "In Python: a number, a pair (LOW, HIGH), a text such as '5..10', True or False"


def read_range(name: str, value: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the smallest and the largest of each strength that is drawn.

    Parameters
    ----------
    name : str
        A key of `AUGMENTATIONS`.
    value : Strength
        Not False.

    Raises
    ------
    UsageError
        It is none, out of the limits, or LOW is over HIGH.
    """
    record = AUGMENTATIONS[name]
    allowed = _tell_allowed(record)
    first, dots, last = (record.default if value is True else _write(value)).partition("..")
    low, high = _read_bound(record, first), _read_bound(record, last if dots else first)
    if low is None or high is None:
        hint = "" if isinstance(value, str) else _IN_PYTHON
        raise UsageError(f"{name} is {value!r}; {allowed}", hint)
    if not all(_allows(record, strength) for strength in low + high):
        raise UsageError(f"{name} is {value}; {allowed}")
    if not dots:
        return _around_neutral(record, high)
    if any(below > above for below, above in zip(low, high, strict=True)):
        is_turned = all(below >= above for below, above in zip(low, high, strict=True))
        hint = f"Turn them round: {name}={last}..{first}" if is_turned else ""
        raise UsageError(f"{name} is {value}, with LOW over HIGH; {allowed}", hint)
    return low, high


def write_bound(record: Augmentation, bound: tuple[float, ...]) -> str:
    """Write strengths as a user would; what is read from it is exactly the same."""
    texts = [str(int(strength)) if record.whole else repr(strength) for strength in bound]
    return "x".join(texts) if record.by_size else texts[0]


def unpack(value: object) -> object:
    """Turn what NumPy holds into plain values."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _write(value: object, sign: str = "..") -> str:
    """Write a value of Python as a user would after ``=``; "" where it is no pair."""
    value = unpack(value)
    if isinstance(value, list | tuple):
        is_pair = len(value) == 2  # noqa: PLR2004 - LOW and HIGH, or W and H
        return sign.join(_write(part, "x") for part in value) if is_pair else ""
    return str(value)


def _tell_allowed(record: Augmentation) -> str:
    kind = "whole numbers" if record.whole else "numbers"
    forms = ", as WxH or as LOW..HIGH" if record.by_size else " or as LOW..HIGH"
    low, high = record.limits
    return f"allowed are {kind} from {low:g} to {high:g} ({record.unit}), alone{forms}"


def _read_bound(record: Augmentation, text: str) -> tuple[float, ...] | None:
    """Read one end of a range, or give None where it is none."""
    match = _BOUND.fullmatch(text)
    if match is None or (match[2] is not None and not record.by_size):
        return None
    values = [float(number) for number in match.groups() if number is not None]
    if record.limits[0] == record.neutral:
        # A window of no pixels is one of a pixel: drawn apart, "none" would be twice as likely.
        values = [value or float(record.neutral) for value in values]
    missing = record.n_strengths - len(values)
    return tuple(values + values[-1:] * missing)


def _allows(record: Augmentation, strength: float) -> bool:
    low, high = record.limits
    return low <= strength <= high and (not record.whole or strength == int(strength))


def _around_neutral(
    record: Augmentation, bound: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the range of strengths up to the largest: both ways where there are two."""
    if record.signed:
        largest = tuple(abs(value) for value in bound)
        return tuple(max(-value, record.limits[0]) for value in largest), largest
    pairs = [sorted((record.neutral, value)) for value in bound]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
