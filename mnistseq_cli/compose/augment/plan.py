"""Which distortions, how strong: from what a user writes to drawn strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.checks import suggest
from mnistseq_cli.compose.augment.presets import PRESETS
from mnistseq_cli.compose.augment.strengths import Strength, read_range, unpack, write_bound
from mnistseq_cli.compose.augment.table import AUGMENTATIONS, Augmentation, Stage
from mnistseq_cli.compose.augment.words import to_fractions
from mnistseq_cli.errors import UsageError
from mnistseq_cli.randomness import scale_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
