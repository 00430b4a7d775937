"""The table of distortions, and the presets.

The functions are named, and loaded when they are used: the command line lists distortions without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

Stage = Literal["geometry", "shape", "line", "page", "lens"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A distortion.

    Its function ``apply(subject, strengths, keys)`` takes what the stage works on, float64
    strengths (M, n), and a word for each of M digits or images to make more random numbers from.
    The stages: "geometry" is where the ink of a digit goes, "shape" the pen of a digit, "line"
    where digits stand, "page" the finished image, "lens" the finished image where that moves or
    widens ink, and with it boxes.
    """

    use: int  # number of its stream of words, as `randomness.Use`: never changed or used again
    stage: Stage
    apply_by: str  # module and name of its function
    unit: str
    summary: str
    default: str  # the strength of a bare name
    limits: tuple[float, float]  # a 0 counts as `neutral` where that is the smallest
    neutral: float = 0  # the strength that leaves everything as it is
    whole: bool = False  # whether strengths are whole numbers
    n_strengths: int = 1  # drawn apart, such as two for width and height
    by_size: bool = False  # whether strengths may be given apart, as WxH
    grow_by: str = ""  # the function that measures how far ink grows: left, up, right and down

    @property
    def signed(self) -> bool:
        """Whether VALUE means from -VALUE to VALUE."""
        return self.limits[0] < 0

    @cached_property
    def apply(self) -> Callable[..., Any]:
        """The function that distorts."""
        return _load(self.apply_by)

    @cached_property
    def growth(self) -> Callable[[NDArray[np.float64]], NDArray[np.int64]] | None:
        """The function that measures growth, if any."""
        return _load(self.grow_by) if self.grow_by else None


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(
        import_module(f"mnistseq_cli.distortions.{module}"), function
    )
    return found


AUGMENTATIONS: dict[str, Augmentation] = {
    "scale": Augmentation(
        use=100,
        stage="geometry",
        apply_by="geometry.scale",
        unit="fractions of the size",
        summary="wider or narrower, and higher or lower",
        default="0.1",
        limits=(-0.5, 0.5),
        n_strengths=2,
        by_size=True,
    ),
    "shear": Augmentation(
        use=101,
        stage="geometry",
        apply_by="geometry.shear",
        unit="degrees",
        summary="leaning to the right or left",
        default="10",
        limits=(-45, 45),
    ),
    "rotate": Augmentation(
        use=102,
        stage="geometry",
        apply_by="geometry.rotate",
        unit="degrees",
        summary="turned clockwise or back",
        default="10",
        limits=(-180, 180),
    ),
    "perspective": Augmentation(
        use=103,
        stage="geometry",
        apply_by="geometry.tilt",
        unit="fractions of the size",
        summary="one side nearer than the other",
        default="0.1",
        limits=(-0.3, 0.3),
        n_strengths=2,
    ),
    "shift": Augmentation(
        use=104,
        stage="geometry",
        apply_by="geometry.shift",
        unit="pixels",
        summary="moved right or left, and up or down",
        default="2",
        limits=(-14, 14),
        n_strengths=2,
        by_size=True,
    ),
    "elastic": Augmentation(
        use=105,
        stage="geometry",
        apply_by="geometry.wave",
        unit="pixels",
        summary="each point displaced a little, smoothly",
        default="2",
        limits=(0, 4),
    ),
    "thickness": Augmentation(
        use=106,
        stage="shape",
        apply_by="morphology.thicken",
        unit="pixels at each edge",
        summary="a thicker or thinner pen",
        default="0.5",
        limits=(-2, 2),
        grow_by="morphology.measure_thickening",
    ),
    "erode": Augmentation(
        use=107,
        stage="shape",
        apply_by="morphology.erode",
        unit="pixels",
        summary="the least ink in a window",
        default="2x2",
        limits=(1, 5),
        neutral=1,
        whole=True,
        n_strengths=2,
        by_size=True,
    ),
    "dilate": Augmentation(
        use=108,
        stage="shape",
        apply_by="morphology.dilate",
        unit="pixels",
        summary="the most ink in a window",
        default="2x2",
        limits=(1, 5),
        neutral=1,
        whole=True,
        n_strengths=2,
        by_size=True,
        grow_by="morphology.measure_dilation",
    ),
    "baseline": Augmentation(
        use=109,
        stage="line",
        apply_by="geometry.bend_line",
        unit="pixels",
        summary="a line that slopes and waves",
        default="2",
        limits=(-14, 14),
        n_strengths=2,
    ),
    "lines": Augmentation(
        use=111,
        stage="page",
        apply_by="paper.lines",
        unit="strokes",
        summary="pen strokes across the digits",
        default="2",
        limits=(0, 20),
        whole=True,
    ),
    "blur": Augmentation(
        use=112,
        stage="lens",
        apply_by="filters.blur",
        unit="pixels",
        summary="out of focus; the sigma of a Gaussian",
        default="0.8",
        limits=(0, 4),
        grow_by="filters.measure_blur",
    ),
    "background": Augmentation(
        use=110,
        stage="page",
        apply_by="paper.background",
        unit="fractions of the grey levels",
        summary="darker paper: tint, texture, rules",
        default="0.3",
        limits=(0, 1),
    ),
    "contrast": Augmentation(
        use=113,
        stage="page",
        apply_by="filters.contrast",
        unit="fractions of the contrast",
        summary="more contrast or less",
        default="0.3",
        limits=(-0.9, 2),
    ),
    "brightness": Augmentation(
        use=114,
        stage="page",
        apply_by="filters.brightness",
        unit="fractions of the grey levels",
        summary="lighter or darker",
        default="0.15",
        limits=(-0.5, 0.5),
    ),
    "grain": Augmentation(
        use=115,
        stage="page",
        apply_by="filters.grain",
        unit="fractions of the grey levels",
        summary="Gaussian noise; its standard deviation",
        default="0.08",
        limits=(0, 0.5),
    ),
    "noise": Augmentation(
        use=116,
        stage="page",
        apply_by="filters.noise",
        unit="fractions of the pixels",
        summary="black and white pixels",
        default="0.03",
        limits=(0, 0.5),
    ),
    "jpeg": Augmentation(
        use=117,
        stage="page",
        apply_by="filters.jpeg",
        unit="the quality of JPEG",
        summary="what saving as JPEG leaves; 100 is as it was",
        default="30",
        limits=(5, 100),
        neutral=100,
        whole=True,
    ),
}
"""The distortions, in the order in which they are done."""

_PRESETS = {
    "light": "scale=0.06 shear=6 rotate=5 shift=1 elastic=1 thickness=0.2 baseline=1",
    "medium": "scale=0.12 shear=10 rotate=10 perspective=0.08 shift=2 elastic=2 thickness=0.4 "
    "baseline=2 blur=0.6 contrast=0.15 grain=0.03",
    "heavy": "scale=0.2 shear=18 rotate=16 perspective=0.15 shift=3 elastic=3 thickness=0.6 "
    "baseline=3 lines=2 blur=0.9 background=0.35 contrast=0.3 brightness=0.1 grain=0.08 "
    "noise=0.01",
}
PRESETS: dict[str, dict[str, str]] = {
    **{name: dict(one.split("=") for one in text.split()) for name, text in _PRESETS.items()},
    "all": {name: record.default for name, record in AUGMENTATIONS.items()},
}
"""What light, medium and heavy mean is part of a saved recipe; "all" is each at its default."""
