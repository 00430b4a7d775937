"""The table of distortions, and the presets.

The functions are named, and loaded when they are used: the command line lists distortions without.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from importlib import import_module
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
    _: KW_ONLY
    neutral: float = 0  # the strength that leaves everything as it is
    whole: bool = False  # whether strengths are whole numbers
    n_strengths: int = 1  # drawn apart, such as two for width and height
    by_size: bool = False  # whether strengths may be given apart, as WxH
    grow_by: str = ""  # the function that measures how far ink grows: left, up, right and down

    @property
    def signed(self) -> bool:
        """Whether VALUE means from -VALUE to VALUE."""
        return self.limits[0] < 0

    @property
    def is_length(self) -> bool:
        """Whether strengths are pixels, of a page of 28 px: on larger pages they are more."""
        return self.unit.startswith("pixels")

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


# fmt: off
AUGMENTATIONS: dict[str, Augmentation] = {
    "scale": Augmentation(100, "geometry", "geometry.scale", "0.1", (-0.5, 0.5),
        "fractions of the size", "wider or narrower, and higher or lower",
        n_strengths=2, by_size=True),
    "shear": Augmentation(101, "geometry", "geometry.shear", "10", (-45, 45),
        "degrees", "leaning to the right or left"),
    "rotate": Augmentation(102, "geometry", "geometry.rotate", "10", (-180, 180),
        "degrees", "turned clockwise or back"),
    "perspective": Augmentation(103, "geometry", "geometry.tilt", "0.1", (-0.3, 0.3),
        "fractions of the size", "one side nearer than the other", n_strengths=2),
    "shift": Augmentation(104, "geometry", "geometry.shift", "2", (-14, 14),
        "pixels", "moved right or left, and up or down", n_strengths=2, by_size=True),
    "elastic": Augmentation(105, "geometry", "geometry.wave", "2", (0, 4),
        "pixels", "each point displaced a little, smoothly"),
    "thickness": Augmentation(106, "shape", "morphology.thicken", "0.5", (-2, 2),
        "pixels at each edge", "a thicker or thinner pen",
        grow_by="morphology.measure_thickening"),
    "erode": Augmentation(107, "shape", "morphology.erode", "2x2", (1, 5),
        "pixels", "the least ink in a window", neutral=1, whole=True, n_strengths=2, by_size=True),
    "dilate": Augmentation(108, "shape", "morphology.dilate", "2x2", (1, 5),
        "pixels", "the most ink in a window",
        neutral=1, whole=True, n_strengths=2, by_size=True, grow_by="morphology.measure_dilation"),
    "baseline": Augmentation(109, "line", "geometry.bend_line", "2", (-14, 14),
        "pixels", "a line that slopes and waves", n_strengths=2),
    "crop": Augmentation(133, "line", "rows.crop", "0.1", (-1, 0.15),
        "fractions of a digit's ink", "cut off at an edge of the image; below 0 none"),
    "join": Augmentation(132, "line", "rows.join", "0.3", (0, 1),
        "fractions of the neighbours", "the pen runs on into the next digit"),
    "fade": Augmentation(118, "ink", "filters.fade", "0.3", (0, 0.6),
        "fractions of the ink", "paler ink on the same paper"),
    "lines": Augmentation(111, "page", "paper.lines", "2", (0, 20),
        "strokes", "pen strokes across the digits", whole=True),
    "blur": Augmentation(112, "lens", "filters.blur", "0.8", (0, 4),
        "pixels", "out of focus; the sigma of a Gaussian", grow_by="filters.measure_blur"),
    "background": Augmentation(110, "page", "paper.background", "0.3", (0, 1),
        "fractions of the grey levels", "darker paper: tint, texture, rules"),
    "contrast": Augmentation(113, "page", "filters.contrast", "0.3", (-0.9, 2),
        "fractions of the contrast", "more contrast or less"),
    "brightness": Augmentation(114, "page", "filters.brightness", "0.15", (-0.5, 0.5),
        "fractions of the grey levels", "lighter or darker"),
    "sharpen": Augmentation(119, "page", "filters.sharpen", "0.5", (0, 2),
        "fractions of the difference", "edges as scanners sharpen them"),
    "grain": Augmentation(115, "page", "filters.grain", "0.08", (0, 0.5),
        "fractions of the grey levels", "Gaussian noise; its standard deviation"),
    "noise": Augmentation(116, "page", "filters.noise", "0.03", (0, 0.5),
        "fractions of the pixels", "black and white pixels"),
    "jpeg": Augmentation(117, "page", "filters.jpeg", "30", (5, 100),
        "the quality of JPEG", "what saving as JPEG leaves; 100 is as it was",
        neutral=100, whole=True),
    "resolution": Augmentation(134, "page", "filters.coarsen", "0.5", (0.25, 1),
        "fractions of the height", "fewer pixels, brought back to the size", neutral=1),
}
# fmt: on
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

PAPERS: dict[str, PaperKind] = {
    "tinted": PaperKind(120, "stationery.shade", "grey, darker towards one side"),
    "mottled": PaperKind(121, "stationery.mottle", "soft spots and fibres"),
    "woven": PaperKind(122, "stationery.weave", "threads across and down"),
    "ruled": PaperKind(123, "stationery.rule", "lines below, above, between or through digits"),
    "squared": PaperKind(124, "stationery.square", "squares"),
    "field": PaperKind(125, "stationery.frame", "the frame of a form, often with a comb"),
    "security": PaperKind(126, "stationery.secure", "the fine waves of cheques"),
    "print": PaperKind(127, "stationery.remnant", "a line of small print at an edge"),
    "fold": PaperKind(128, "stationery.fold", "a crease"),
    "shadow": PaperKind(129, "stationery.shadow", "a shadow with a soft edge"),
    "underline": PaperKind(
        130, "stationery.underline", "a pen stroke or two below the number", is_ink=True
    ),
    "neighbour": PaperKind(
        131, "stationery.neighbour", "bits of other writing at the edges", is_ink=True
    ),
    "cutoff": PaperKind(
        135, "stationery.cut_off", "the rest of a character at the left or right edge", is_ink=True
    ),
}
"""Kinds of paper; 140 and on are the streams of folders of pictures."""
