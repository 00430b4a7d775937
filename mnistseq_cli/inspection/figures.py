"""What a survey of a dataset finds, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mnistseq_cli.bulk.split_overlap import Overlap
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.pixels import Floats, Ints
from mnistseq_cli.recipe import Ink

T = TypeVar("T")
INK_BINS = 200  # of ink shares, from 0 to 1
_DECIMALS = 4  # of the heat map in JSON


def pick_evenly(items: Sequence[T], n_most: int) -> list[T]:
    """Return some of many, evenly spaced, in order."""
    n_picked = min(n_most, len(items))
    return [items[place * len(items) // n_picked] for place in range(n_picked)]


def copy_sample(sample: LoadedSample) -> LoadedSample:
    """Let go of the arrays that a sample is a view of."""
    copies: dict[str, Any] = {
        name: value.copy() for name, value in vars(sample).items() if isinstance(value, np.ndarray)
    }
    return replace(sample, **copies)


@dataclass(frozen=True)
class Spread:
    """Least, mean and most of some numbers."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True)
class Source:
    """Where boxes, gaps or glyphs come from."""

    n_labels: int  # samples of which the dataset holds them
    n_recipe: int  # samples of which they are what the recipe makes

    @property
    def n_known(self) -> int:
        """Samples of which they are known."""
        return self.n_labels + self.n_recipe


@dataclass(frozen=True)
class GapFigures:
    """Gaps against the distribution that they were drawn from; counts by px, ascending."""

    counts: dict[int, int]  # grouping taken off; with equal gaps each row counts once
    expected: dict[int, float]  # empty where there is nothing to compare with
    rule: str  # in words, what the gaps were compared with, or why not
    statistic: float | None = None  # of the chi-square test; None where nothing was tested
    degrees: int | None = None
    p_value: float | None = None  # how likely a statistic as large is under the rule
    n_compared: int = 0  # of the gaps, with what was expected
    n_tested: int = 0  # of these, those that are independent of each other


@dataclass(frozen=True)
class UseFigures:
    """Which source glyphs were used, or whose."""

    n_distinct: int
    uses: Spread  # of a glyph or a writer that is used at all
    most_used: dict[int, int] | dict[str, int]  # id or name to count, the most used first


@dataclass(frozen=True)
class Damage:
    """How many labels seem to be damaged in one way, and the first of them where it is known."""

    n: int
    name: str = ""
    text: str = ""


@dataclass(frozen=True)
class Survey:
    """What is in a dataset; counts ascend by their keys if not said otherwise."""

    folder: Path
    format_name: str  # of `mnistseq_cli.formats.FORMATS`
    is_finished: bool | None  # whether its run has ended; None where no run of ours wrote it
    recipe: dict[str, Any] | None  # as dataset.json has it
    n_samples: int
    splits: dict[str, int]  # in the order of the dataset; one called "" without splits
    overlaps: dict[str, Overlap]  # by the names of two splits; see `split_overlap`
    sizes: dict[tuple[int, int], int]  # width and height in px, the most frequent first
    n_marks: int  # characters that are written and not read
    digits: dict[str, int]
    lengths: dict[int, int]
    has_boxes: bool
    gaps: GapFigures | None  # None where they are not known, or there are none
    glyphs: UseFigures | None
    writers: UseFigures | None  # digits by the name of who wrote them
    sources: dict[str, Source]  # by `ASPECTS`; boxes that take long are made for `samples` alone
    why_not_recalled: str  # why what is lacking could not be made from the recipe, or ""
    damage: dict[str, Damage]  # to labels, by kind; see `Tally.damage`
    ink: Ink  # from the recipe or else from the pixels
    ink_share: Spread  # mean ink of an image, 0 (paper only) to 1 (ink only)
    digit_ink_px: Spread | None  # full pixels of ink in the columns of a digit's box
    ink_histogram: Ints  # shape (INK_BINS,): images by ink share, from 0 to 1
    left_margin_px: Spread  # blank columns outside of the boxes, else of next to no ink
    right_margin_px: Spread
    n_equal_images: int  # that equal an earlier one
    n_equal_texts: int
    heat_map: Floats  # shape (H, W): mean ink of each pixel (see `ink`)
    samples: tuple[LoadedSample, ...]  # some, evenly spaced, in order
    n_left_out: int = 0  # samples that were not looked at, where only some were asked for

    def choose(self, n_most: int) -> list[LoadedSample]:
        """Choose some of the samples, evenly spaced, in order."""
        return pick_evenly(self.samples, n_most)


def to_dict(survey: Survey) -> dict[str, Any]:
    """Return a survey as plain values, for JSON; of samples all but image and mask."""
    special = {
        "sizes": [
            {"width_px": width, "height_px": height, "count": n}
            for (width, height), n in survey.sizes.items()
        ],
        "heat_map": survey.heat_map.round(_DECIMALS),
        "samples": [_describe_sample(sample) for sample in survey.samples],
    }
    return {key: to_plain(value) for key, value in (vars(survey) | special).items()}


def to_plain(value: Any) -> Any:  # noqa: ANN401 - whatever a survey holds
    """Return a value as JSON takes it."""
    if is_dataclass(value):
        return to_plain(vars(value))
    if isinstance(value, dict):
        return {key: to_plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _describe_sample(sample: LoadedSample) -> dict[str, Any]:
    height, width = sample.image.shape
    held = vars(sample) | {"width_px": width, "height_px": height}
    return {name: to_plain(it) for name, it in held.items() if name not in {"image", "mask"}}
