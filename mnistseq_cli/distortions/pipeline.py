"""From what a user writes, such as ``rotate=5..10``, to distortions in the order they are done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.distortions.digits import DigitStage
from mnistseq_cli.distortions.pages import PageStage
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS, Augmentation, Stage
from mnistseq_cli.distortions.steps import Step
from mnistseq_cli.errors import UsageError
from mnistseq_cli.validation import check_share, quote, suggest, to_plain

if TYPE_CHECKING:
    from mnistseq_cli.distortions.stationery import Paper

Bound = float | str | np.generic | Sequence[float]
Strength = Bound | Sequence[Bound]
"""A number, a pair (LOW, HIGH) of numbers or of pairs (W, H), a text, True or False."""

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
_BOUND = re.compile(rf"({_NUMBER})(?:x({_NUMBER}))?", re.ASCII)
_IN_PYTHON = "In Python: a number, a pair (LOW, HIGH), a text such as '5..10', True or False"


@dataclass(frozen=True)
class AugmentPipeline:
    """Distortions in the order of the table."""

    steps: tuple[Step, ...]
    scale: float = 1  # how much larger pages are than those that strengths are meant for
    paper: Paper | None = None

    def at(self, *stages: Stage) -> tuple[Step, ...]:
        """Return the steps of some stages that may change something."""
        here = (step for step in self.steps if step.record.stage in stages)
        return tuple(step.scale(self.scale) for step in here if not step.is_neutral)

    def spell_out(self) -> tuple[str, ...]:
        """Return the steps as a user would write them, presets and defaults written out."""
        return tuple(step.write() for step in self.steps)

    @cached_property
    def digits(self) -> DigitStage:
        """What is done to each digit, before digits are laid out."""
        return DigitStage(self.at("geometry"), self.at("shape"), self.scale)

    @cached_property
    def pages(self) -> PageStage:
        """What is done to digits on their pages, and to finished images."""
        lines, inks, images = self.at("line"), self.at("ink"), self.at("lens", "page")
        return PageStage(lines, inks, images, self.scale, self.paper)


def make_pipeline(
    distortions: Sequence[str] | Mapping[str, Strength],
    probability: float = 1.0,
    *,
    scale: float = 1,
    paper: Sequence[str] = (),
) -> AugmentPipeline:
    """Return the pipeline of what a user wrote.

    Distortions are presets, ``"NAME"``, ``"NAME=VALUE"``, ``"NAME=LOW..HIGH"``, where VALUE, LOW
    and HIGH may be ``WxH`` if width and height are drawn apart; or names and strengths: a number,
    a pair (LOW, HIGH) of numbers or of pairs (W, H), a text as after ``=``, True for the default
    or a preset, False to leave it out. A name overrides a preset. Paper is kinds or folders,
    ``"NAME"`` or ``"NAME=P"``. Strengths in pixels are meant for pages `scale` times as small.
    """
    probability = float(check_share("augment_prob", probability))
    if not isinstance(distortions, Mapping):
        distortions = _split(distortions)
    strengths = _expand({name: to_plain(value) for name, value in distortions.items()})
    steps = tuple(
        Step(name, *_read_range(name, value), probability) for name, value in strengths.items()
    )
    if not paper:
        return AugmentPipeline(steps, scale)
    from mnistseq_cli.distortions.stationery import read_paper  # noqa: PLC0415 - most have none

    return AugmentPipeline(steps, scale, read_paper(paper))


def _split(items: Sequence[str]) -> dict[str, Strength]:
    if isinstance(items, str) or not all(isinstance(item, str) for item in items):
        raise UsageError(
            f"is {quote(items)}; expected a list of texts such as 'rotate=10'", field="augment"
        )
    chosen: dict[str, Strength] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if name in chosen:
            hint = f"For a range: {name}=LOW..HIGH" if name in AUGMENTATIONS else ""
            raise UsageError(f"{quote(name)} is given twice; expected once", hint)
        chosen[name] = value if equals else True
    return chosen


def _expand(strengths: Mapping[str, object]) -> dict[str, object]:
    """Write a preset out, under what is named, in the order of the table, without False."""
    known = [*AUGMENTATIONS, *PRESETS]
    for name in strengths:
        if name not in known:
            message = f"there is no distortion {quote(name)}; expected one of: {', '.join(known)}"
            raise UsageError(message, suggest(name, known))
    presets = [name for name in PRESETS if strengths.get(name, False) is not False]
    for name in presets:
        if (value := strengths[name]) is not True:
            raise UsageError(
                f"{name} is a preset and takes no value; it was given {quote(value)}",
                f"A distortion of another strength goes beside it: {name} and rotate=10",
            )
    if len(presets) > 1:
        raise UsageError(f"{' and '.join(presets)} are presets; expected one preset at most")
    both = {**(PRESETS[presets[0]] if presets else {}), **strengths}
    return {name: both[name] for name in AUGMENTATIONS if both.get(name, False) is not False}


def _read_range(name: str, value: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the smallest and the largest of each strength that is drawn."""
    record = AUGMENTATIONS[name]
    kind = "whole numbers" if record.whole else "numbers"
    forms = ", as WxH or as LOW..HIGH" if record.by_size else " or as LOW..HIGH"
    least, most = record.limits
    allowed = f"expected {kind} from {least:g} to {most:g} ({record.unit}), alone{forms}"
    first, dots, last = (record.default if value is True else _write_value(value)).partition("..")
    low, high = _read_bound(record, first), _read_bound(record, last if dots else first)
    if (
        low is None
        or high is None
        or not all(
            least <= one <= most and (not record.whole or one == int(one)) for one in low + high
        )
    ):
        is_form = isinstance(value, str) or None not in {low, high}
        raise UsageError(
            f"is {quote(value)}; {allowed}", "" if is_form else _IN_PYTHON, field=name
        )
    if not dots:
        return _around_neutral(record, high)
    if any(below > above for below, above in zip(low, high, strict=True)):
        is_turned = all(below >= above for below, above in zip(low, high, strict=True))
        hint = f"Swap them: {name}={last}..{first}" if is_turned else ""
        raise UsageError(f"is {quote(value)}, with LOW over HIGH; {allowed}", hint, field=name)
    return low, high


def _write_value(value: object, sign: str = "..") -> str:
    """Return a value as a user would write it after ``=``; "" where it is no pair."""
    value = to_plain(value)
    if isinstance(value, list | tuple):
        is_pair = len(value) == 2  # noqa: PLR2004 - LOW and HIGH, or W and H
        return sign.join(_write_value(part, "x") for part in value) if is_pair else ""
    return str(value)


def _read_bound(record: Augmentation, text: str) -> tuple[float, ...] | None:
    """Return one end of a range, or None where the text is none."""
    match = _BOUND.fullmatch(text)
    if match is None or (match[2] is not None and not record.by_size):
        return None
    values = [float(number) for number in match.groups() if number is not None]
    if record.limits[0] == record.neutral:
        # A window of no pixels is one of a pixel: drawn apart, "none" would be twice as likely.
        values = [value or float(record.neutral) for value in values]
    missing = record.n_strengths - len(values)
    return tuple(values + values[-1:] * missing)


def _around_neutral(
    record: Augmentation, bound: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the range of strengths up to the largest: both ways where there are two."""
    ends = [(max(-abs(one), record.limits[0]), abs(one)) for one in bound]
    if record.limits[0] >= 0:  # there is one way
        ends = [(min(record.neutral, one), max(record.neutral, one)) for one in bound]
    return tuple(low for low, _ in ends), tuple(high for _, high in ends)
