"""The distortions of a recipe, in the order in which they are done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mnistseq_cli.distortions.digits import DigitStage
from mnistseq_cli.distortions.pages import PageStage
from mnistseq_cli.distortions.steps import read_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnistseq_cli.distortions.registry import Stage
    from mnistseq_cli.distortions.steps import Step, Strength


@dataclass(frozen=True)
class AugmentPipeline:
    """Distortions in the order of the table."""

    steps: tuple[Step, ...]

    def at(self, *stages: Stage) -> tuple[Step, ...]:
        """Return the steps of some stages that may change something."""
        here = (step for step in self.steps if step.record.stage in stages)
        return tuple(step for step in here if not step.is_neutral)

    def spell_out(self) -> tuple[str, ...]:
        """Return the steps as a user would write them, presets and defaults written out."""
        return tuple(step.write() for step in self.steps)

    @cached_property
    def digits(self) -> DigitStage:
        """What is done to each digit, before digits are laid out."""
        return DigitStage(self.at("geometry"), self.at("shape"))

    @cached_property
    def pages(self) -> PageStage:
        """What is done to digits on their pages, and to finished images."""
        return PageStage(self.at("line"), self.at("lens", "page"))


def make_pipeline(
    distortions: Sequence[str] | Mapping[str, Strength], probability: float = 1.0
) -> AugmentPipeline:
    """Return the pipeline of what a user wrote; see `read_steps`."""
    return AugmentPipeline(read_steps(distortions, probability))
