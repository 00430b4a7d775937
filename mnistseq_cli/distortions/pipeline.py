"""From words such as ``rotate=5..10`` to the steps that are done, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS, Augmentation, Stage
from mnistseq_cli.errors import UsageError
from mnistseq_cli.randomness import scale_words, to_fractions
from mnistseq_cli.validation import suggest

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


Draw = Callable[[int, int], "NDArray[np.uint64]"]
"""Gives the words of a use, so many for each digit or page: shape (M, n)."""


@dataclass(frozen=True)
class Step:
    """One distortion of a plan.

    Parameters
    ----------
    name : str
        A key of `AUGMENTATIONS`.
    low, high : tuple of float
        The range of each strength that is drawn.
    """

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def record(self) -> Augmentation:
        """What the table says of the distortion."""
        return AUGMENTATIONS[self.name]

    @property
    def is_neutral(self) -> bool:
        """Whether nothing but the strength that leaves everything as it is can be drawn."""
        return {*self.low, *self.high} == {self.record.neutral}

    def write(self) -> str:
        """Write the step as `make_plan` reads it: what is read is exactly the same."""
        low, high = (write_bound(self.record, bound) for bound in (self.low, self.high))
        return f"{self.name}={low}..{high}"


@dataclass(frozen=True)
class Plan:
    """Distortions in the order in which they are done.

    Parameters
    ----------
    steps : tuple of Step
    probability : float
        How likely each is for each digit or page, independently.
    """

    steps: tuple[Step, ...] = ()
    probability: float = 1.0

    def at(self, *stages: Stage) -> tuple[Step, ...]:
        """Give the steps of some stages that may change something."""
        if self.probability == 0:
            return ()
        here = (step for step in self.steps if step.record.stage in stages)
        return tuple(step for step in here if not step.is_neutral)

    def spell_out(self) -> tuple[str, ...]:
        """Give the steps as texts that `make_plan` reads, presets and defaults written out."""
        return tuple(step.write() for step in self.steps)

    def draw(self, step: Step, draw: Draw) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
        """Draw the strengths of a step, shape (M, n), and a key for each, shape (M,).

        The words are: one for the probability, one for each strength, one for the key.
        """
        n_strengths = len(step.low)
        words = draw(step.record.use, n_strengths + 2)
        strengths = _scale(step, words[:, 1:-1])
        left_out = to_fractions(words[:, 0]) >= self.probability
        strengths[left_out] = step.record.neutral
        return strengths, words[:, -1]


def make_plan(
    distortions: Sequence[str] | Mapping[str, Strength], probability: float = 1.0
) -> Plan:
    """Read what a user wrote.

    Parameters
    ----------
    distortions : sequence of str, or mapping
        Presets, ``"NAME"``, ``"NAME=VALUE"``, ``"NAME=LOW..HIGH"``; VALUE, LOW and HIGH may be
        ``WxH`` where width and height are drawn apart. Or names and strengths: a number, a pair
        (LOW, HIGH) of numbers or of pairs (W, H), a text as after ``=``, True for the default or
        a preset, False to leave it out. A name overrides a preset.
    probability : float
        0 to 1.

    Raises
    ------
    UsageError
        A name is unknown or given twice, or a strength is not allowed.
    """
    if not _is_share(probability):
        raise UsageError(f"augment_prob is {probability!r}; allowed are numbers from 0 to 1")
    if not isinstance(distortions, Mapping):
        distortions = _split(distortions)
    strengths = _expand({name: unpack(value) for name, value in distortions.items()})
    steps = (
        Step(name, *read_range(name, strengths[name]))
        for name in AUGMENTATIONS
        if name in strengths
    )
    return Plan(tuple(steps), float(probability))


def _is_share(value: object) -> bool:
    value = unpack(value)
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1


def _split(items: Sequence[str]) -> dict[str, Strength]:
    if isinstance(items, str) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"augment is {items!r}; allowed is a list of texts such as 'rotate=10'")
    chosen: dict[str, Strength] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if name in chosen:
            hint = f"For a range: {name}=LOW..HIGH" if name in AUGMENTATIONS else ""
            raise UsageError(f"{name} is given twice; allowed is once", hint)
        chosen[name] = value if equals else True
    return chosen


def _expand(strengths: Mapping[str, object]) -> dict[str, object]:
    """Write a preset out, under what is named; what is False is left out."""
    for name in strengths:
        _check_name(name)
    preset = _choose_preset({name: strengths[name] for name in strengths if name in PRESETS})
    named = {name: strengths[name] for name in strengths if name in AUGMENTATIONS}
    both = {**preset, **named}
    return {name: value for name, value in both.items() if value is not False}


def _choose_preset(presets: Mapping[str, object]) -> Mapping[str, str]:
    """Give what the preset stands for, if there is one that is not False."""
    chosen = {name: value for name, value in presets.items() if value is not False}
    for name, value in chosen.items():
        if value is not True:
            raise UsageError(
                f"{name} is a preset and takes no value; it was given {value!r}",
                f"A distortion of another strength goes beside it: {name} and rotate=10",
            )
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are presets; allowed is one preset")
    return PRESETS[next(iter(chosen))] if chosen else {}


def _check_name(name: str) -> None:
    known = [*AUGMENTATIONS, *PRESETS]
    if name not in known:
        message = f"there is no distortion {name!r}; allowed: {', '.join(known)}"
        raise UsageError(message, suggest(name, known))


def _scale(step: Step, words: NDArray[np.uint64]) -> NDArray[np.float64]:
    low, high = np.array(step.low), np.array(step.high)
    if step.record.whole:
        return low + scale_words(words, (high - low + 1).astype(np.int64))
    scaled: NDArray[np.float64] = low + (high - low) * to_fractions(words)
    return scaled
