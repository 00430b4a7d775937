"""Which distortions, how strong: from what a user writes to drawn strengths."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.augment.presets import PRESETS
from mnistseq_cli.compose.augment.table import AUGMENTATIONS, Augmentation, Stage
from mnistseq_cli.compose.augment.words import to_fractions
from mnistseq_cli.errors import UsageError
from mnistseq_cli.randomness import scale_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

Draw = Callable[[int, int], "NDArray[np.uint64]"]
"""Gives the words of a use, so many for each digit or page: shape (M, n)."""
Strength = float | str | tuple[float, float] | bool

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_BOUND = re.compile(rf"({_NUMBER})(?:x({_NUMBER}))?", re.ASCII)


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

    def write_bound(self, bound: tuple[float, ...]) -> str:
        """Write strengths as a user would."""
        return "x".join(map(repr, bound)) if self.record.by_size else repr(bound[0])


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
        """Give the steps of some stages."""
        return tuple(step for step in self.steps if step.record.stage in stages)

    def spell_out(self) -> tuple[str, ...]:
        """Give the steps as texts that `make_plan` reads, presets and defaults written out."""
        return tuple(
            f"{step.name}={step.write_bound(step.low)}..{step.write_bound(step.high)}"
            for step in self.steps
        )

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
        (low, high), a text as after ``=``, or True for the default. A name overrides a preset.
    probability : float
        0 to 1.

    Raises
    ------
    UsageError
        A name is unknown or given twice, or a strength is not allowed.
    """
    if not 0 <= probability <= 1:
        raise UsageError(f"augment_prob is {probability!r}; allowed is 0 to 1")
    if not isinstance(distortions, Mapping):
        distortions = _split(distortions)
    steps = {name: _read(name, value) for name, value in distortions.items()}
    return Plan(tuple(steps[name] for name in AUGMENTATIONS if name in steps), float(probability))


def _split(items: Sequence[str]) -> dict[str, Strength]:
    if isinstance(items, str) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"augment is {items!r}; allowed is a list of texts such as 'rotate=10'")
    presets = [item for item in items if item in PRESETS]
    if len(presets) > 1:
        raise UsageError(f"augment has {' and '.join(presets)}; one preset is allowed")
    chosen: dict[str, Strength] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if item in presets:
            continue
        if name in chosen:
            raise UsageError(f"augment has {name} twice", f"For a range: {name}=LOW..HIGH")
        chosen[name] = value if equals else True
    return {**(PRESETS[presets[0]] if presets else {}), **chosen}


def _read(name: str, value: Strength) -> Step:
    if name not in AUGMENTATIONS:
        known = [*AUGMENTATIONS, *PRESETS]
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"there is no distortion {name!r}; allowed: {', '.join(known)}",
            f"Did you mean {near[0]!r}?" if near else "",
        )
    record = AUGMENTATIONS[name]
    if value is True:
        value = record.default
    if isinstance(value, tuple):
        value = f"{value[0]}..{value[1]}"
    first, dots, last = str(value).partition("..")
    low, high = _read_bound(name, first), _read_bound(name, last if dots else first)
    if not dots:
        low, high = _around_neutral(record, high)
    if any(below > above for below, above in zip(low, high, strict=True)):
        raise UsageError(f"{name} is {value}; LOW must not be over HIGH")
    return Step(name, low, high)


def _around_neutral(
    record: Augmentation, bound: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the range of strengths up to the largest: both ways where there are two."""
    if record.signed:
        largest = tuple(abs(value) for value in bound)
        return tuple(max(-value, record.limits[0]) for value in largest), largest
    pairs = [sorted((record.neutral, value)) for value in bound]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def _read_bound(name: str, text: str) -> tuple[float, ...]:
    record = AUGMENTATIONS[name]
    match = _BOUND.fullmatch(text)
    if match is None or (match[2] is not None and not record.by_size):
        form = "a number, WxH" if record.by_size else "a number"
        raise UsageError(f"{name} is {text!r}; allowed is {form} or LOW..HIGH, in {record.unit}")
    values = [float(number) for number in match.groups() if number is not None]
    for value in values:
        low, high = record.limits
        if not low <= value <= high or (record.whole and value != int(value)):
            kind = "whole numbers " if record.whole else ""
            raise UsageError(
                f"{name} is {text}; allowed are {kind}from {low:g} to {high:g}, in {record.unit}"
            )
    missing = record.n_strengths - len(values)
    return tuple(values + values[-1:] * missing)


def _scale(step: Step, words: NDArray[np.uint64]) -> NDArray[np.float64]:
    low, high = np.array(step.low), np.array(step.high)
    if step.record.whole:
        return low + scale_words(words, (high - low + 1).astype(np.int64))
    scaled: NDArray[np.float64] = low + (high - low) * to_fractions(words)
    return scaled
