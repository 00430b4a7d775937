"""Distortions, presets and kinds of paper, from the tables in ``distortions.json``.

The functions are named, and loaded when they are used: the command line lists distortions without.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistseq_cli.pixels import Floats, Ints

Stage = Literal["geometry", "shape", "line", "ink", "page", "lens"]


@dataclass(frozen=True)
class Augmentation:
    """A distortion.

    Its function ``apply(subject, strengths, keys)`` takes what the stage works on, float64
    strengths (M, n), and a word for each of M digits or images to make more random numbers from.
    The stages: "geometry" is where the ink of a digit goes, "shape" the pen of a digit, "line"
    where digits stand, "ink" what is written on blank paper, "page" the finished image, "lens"
    the finished image where that moves or widens ink, and with it boxes.
    """

    use: int  # number of its stream of words, as `randomness.Use`: never changed or used again
    stage: Stage
    apply_by: str  # module and name of its function
    default: str  # the strength of a bare name
    limits: tuple[float, float]  # a 0 counts as `neutral` where that is the smallest
    unit: str
    summary: str
    neutral: float = 0  # the strength that leaves everything as it is
    whole: bool = False  # whether strengths are whole numbers
    n_strengths: int = 1  # drawn apart, such as two for width and height
    by_size: bool = False  # whether strengths may be given apart, as WxH
    grow_by: str = ""  # the function that measures how far ink grows: left, up, right and down

    @cached_property
    def apply(self) -> Callable[..., Any]:
        """The function that distorts."""
        return _load(self.apply_by)

    @cached_property
    def growth(self) -> Callable[[Floats], Ints] | None:
        """The function that measures growth, if any."""
        return _load(self.grow_by) if self.grow_by else None


def _load(name: str) -> Callable[..., Any]:
    module, function = name.split(".")
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.{module}"), function)
    return found


@dataclass(frozen=True)
class PaperKind:
    """A kind of paper.

    Its function ``draw(sheet)`` returns how dark it makes each pixel, 0 to 1, shape (N, H, W).
    """

    use: int  # number of its stream of words, as of an `Augmentation`
    draw_by: str  # module and name of its function
    summary: str
    is_ink: bool = False  # whether it was written, not printed: it may be as dark as ink

    @cached_property
    def draw(self) -> Callable[..., Any]:
        """The function that draws."""
        return _load(self.draw_by)


_TABLES = json.loads(Path(__file__).with_name("distortions.json").read_text("utf-8"))

AUGMENTATIONS: dict[str, Augmentation] = {
    name: Augmentation(**values | {"limits": tuple(values["limits"])})
    for name, values in _TABLES["distortions"].items()
}
"""The distortions, in the order in which they are done."""

PRESETS: dict[str, dict[str, str]] = _TABLES["presets"] | {
    "all": {name: record.default for name, record in AUGMENTATIONS.items()}
}
"""What light, medium and heavy mean is part of a saved recipe; "all" is each at its default."""

PAPERS: dict[str, PaperKind] = {
    name: PaperKind(**values) for name, values in _TABLES["papers"].items()
}
"""Kinds of paper; 140 and on are the streams of folders of pictures."""
