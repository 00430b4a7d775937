"""What a survey of a dataset finds, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mnistseq_cli.formats.base import LoadedSample

ASPECTS = ("boxes", "gaps", "glyphs")  # of a sample, which not every container holds
INK_BINS = 200  # of ink shares, from 0 to 1
HEAT_DECIMALS = 4  # in JSON


@dataclass(frozen=True)
class Spread:
    """Least, mean and most of some numbers."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True)
class Source:
    """Where one of `ASPECTS` comes from.

    Parameters
    ----------
    n_labels : int
        Samples of which the dataset holds it.
    n_recipe : int
        Samples of which it is what the recipe makes: the dataset does not hold it.
    """

    n_labels: int
    n_recipe: int

    @property
    def n_known(self) -> int:
        """Samples of which it is known."""
        return self.n_labels + self.n_recipe


@dataclass(frozen=True)
class GapFigures:
    """Gaps against the distribution that they were drawn from.

    Parameters
    ----------
    counts : dict of int to int
        How often each gap was seen, by pixels, ascending; grouping (`-` in a pattern) taken off.
        With equal gaps each row counts once.
    expected : dict of int to float
        How often each would be expected, ascending; empty where there is nothing to compare with.
    rule : str
        In words, what the gaps were compared with, or why not.
    statistic : float or None
        Chi-square statistic; None where nothing was compared.
    degrees : int or None
        Its degrees of freedom.
    p_value : float or None
        How likely a statistic as large or larger is under the rule, 0 to 1.
    n_compared : int
        How many of the gaps were compared with what was expected.
    n_tested : int
        How many of these the test was made of: those that are independent of each other.
    """

    counts: dict[int, int]
    expected: dict[int, float]
    rule: str
    statistic: float | None
    degrees: int | None
    p_value: float | None
    n_compared: int
    n_tested: int


@dataclass(frozen=True)
class GlyphFigures:
    """Which source glyphs were used.

    Parameters
    ----------
    n_distinct : int
    uses : Spread
        How often a glyph is used that is used at all.
    most_used : dict of int to int
        Ids of the most used glyphs, the most used first, and how often each is.
    """

    n_distinct: int
    uses: Spread
    most_used: dict[int, int]


@dataclass(frozen=True)
class Survey:
    """What is in a dataset.

    Parameters
    ----------
    folder : Path
    format_name : str
        A name of `mnistseq_cli.formats.FORMATS`.
    is_finished : bool or None
        Whether the run that wrote it has ended; None where no run of this program wrote it.
    recipe : dict or None
        What it was made with, as plain values (see `Recipe.to_dict`; a list of texts by the hash
        of its file), where that is known.
    n_samples : int
    splits : dict of str to int
        Samples by split, in order; ``{"": n_samples}`` without splits.
    sizes : dict of (int, int) to int
        Images by width and height in pixels, the most frequent first.
    digits : dict of str to int
        How often each character is written, ascending.
    lengths : dict of int to int
        Samples by number of characters, ascending.
    has_boxes : bool
        Whether boxes are known, of all samples or of some.
    gaps : GapFigures or None
        None where gaps are not known, or there are none.
    glyphs : GlyphFigures or None
        None where glyph ids are not known.
    sources : dict of str to Source
        Where boxes, gaps and glyphs come from, by `ASPECTS`. Boxes that take long to make again
        are made for `samples` alone.
    why_not_recalled : str
        Why what the dataset does not hold could not be taken from its recipe, or not of all
        samples; "" where it could, and where there is no recipe.
    ink : "black" or "white"
        Black on white or white on black; from the recipe or else from the pixels.
    ink_share : Spread
        Mean ink of an image, 0 (paper only) to 1 (ink only).
    ink_histogram : ndarray of int64, shape (INK_BINS,)
        Images by ink share, in bins of equal width from 0 to 1.
    left_margin_px, right_margin_px : Spread
        Blank columns left and right of the digits: of the boxes where there are any, else
        columns with next to no ink.
    n_equal_images, n_equal_texts : int
        How many images, or texts, equal an earlier one.
    heat_map : ndarray of float64, shape (H, W)
        Mean ink of each pixel over all images, 0 to 1; smaller images count as paper beyond
        their right and lower edges.
    samples : tuple of LoadedSample
        Some samples, evenly spaced, in order.
    """

    folder: Path
    format_name: str
    is_finished: bool | None
    recipe: dict[str, Any] | None
    n_samples: int
    splits: dict[str, int]
    sizes: dict[tuple[int, int], int]
    digits: dict[str, int]
    lengths: dict[int, int]
    has_boxes: bool
    gaps: GapFigures | None
    glyphs: GlyphFigures | None
    sources: dict[str, Source]
    why_not_recalled: str
    ink: Literal["black", "white"]
    ink_share: Spread
    ink_histogram: NDArray[np.int64]
    left_margin_px: Spread
    right_margin_px: Spread
    n_equal_images: int
    n_equal_texts: int
    heat_map: NDArray[np.float64]
    samples: tuple[LoadedSample, ...]

    def choose(self, n_most: int) -> list[LoadedSample]:
        """Choose some of the samples, evenly spaced, in order."""
        n_all, n_chosen = len(self.samples), min(n_most, len(self.samples))
        return [self.samples[place * n_all // n_chosen] for place in range(n_chosen)]


def to_dict(survey: Survey) -> dict[str, Any]:
    """Give a survey as plain values, for JSON; of samples all but the image."""
    plain = {
        key: value
        for key, value in vars(survey).items()
        if key not in {"gaps", "glyphs", "sources", "samples"} and not isinstance(value, Spread)
    }
    return plain | {
        "folder": str(survey.folder),
        "sizes": [
            {"width_px": width, "height_px": height, "count": n}
            for (width, height), n in survey.sizes.items()
        ],
        "gaps": None if survey.gaps is None else vars(survey.gaps),
        "glyphs": None if survey.glyphs is None else _describe_glyphs(survey.glyphs),
        "sources": {aspect: vars(source) for aspect, source in survey.sources.items()},
        "ink_share": vars(survey.ink_share),
        "ink_histogram": survey.ink_histogram.tolist(),
        "left_margin_px": vars(survey.left_margin_px),
        "right_margin_px": vars(survey.right_margin_px),
        "heat_map": survey.heat_map.round(HEAT_DECIMALS).tolist(),
        "samples": [_describe_sample(seen) for seen in survey.samples],
    }


def _describe_glyphs(glyphs: GlyphFigures) -> dict[str, Any]:
    return vars(glyphs) | {"uses": vars(glyphs.uses)}


def _describe_sample(seen: LoadedSample) -> dict[str, Any]:
    held = {"boxes": seen.boxes, "gaps": seen.gaps, "glyphs": seen.glyphs}
    return {
        "name": seen.name,
        "split": seen.split,
        "text": seen.text,
        "width_px": seen.image.shape[1],
        "height_px": seen.image.shape[0],
        **{key: None if value is None else value.tolist() for key, value in held.items()},
    }
