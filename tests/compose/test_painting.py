from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.painting import resample
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe


def mean_over(pixels: list[int], low: Fraction, high: Fraction) -> int:
    """Give the rounded mean of pixels, and paper around them, over a window."""
    total = Fraction(0)
    for place, value in enumerate(map(Fraction, pixels)):
        left, right = max(low, Fraction(place)), min(high, Fraction(place + 1))
        total += value * max(Fraction(0), right - left)
    mean = total / (high - low)
    return (2 * mean.numerator + mean.denominator) // (2 * mean.denominator)


@given(
    pixels=st.lists(st.integers(0, 255), min_size=1, max_size=12),
    start=st.integers(0, 30),
    more=st.integers(0, 30),
    fitted=st.integers(1, 90),
)
def test_a_pixel_is_the_mean_over_its_window(
    pixels: list[int], start: int, more: int, fitted: int
) -> None:
    row = start + len(pixels) + more
    image = np.array(pixels, np.uint8)[None, None]
    out, first = resample(image, np.array([start]), np.array([row]), np.array([fitted]))
    values = dict(enumerate(out[0, 0].tolist(), start=int(first[0])))
    half = max(Fraction(row, fitted), Fraction(1)) / 2
    for column in range(fitted):
        centre = Fraction((2 * column + 1) * row, 2 * fitted) - start
        assert values.pop(column, 0) == mean_over(pixels, centre - half, centre + half)
    assert not any(values.values())


def make(glyphs: GlyphSet, **values: Any) -> SequenceGenerator:
    defaults: dict[str, Any] = {"length": (3, 6), "count": 40}
    return SequenceGenerator(Recipe(**defaults | values), glyphs)


def test_shrink_scales_a_wide_row_down_as_a_whole(glyphs: GlyphSet) -> None:
    natural = make(glyphs, width_px="natural")
    assert sum(len(row.image[0]) > 60 for row in natural) > 20
    pages = zip(make(glyphs, width_px=60, fit="shrink"), make(glyphs, width_px=200), strict=True)
    wide = make(glyphs, width_px=200, fit="shrink")
    for row, (page, padded), kept in zip(natural, pages, wide, strict=True):
        assert np.array_equal(padded.image, kept.image)  # a row that fits is left alone
        assert np.array_equal(padded.boxes, kept.boxes)
        assert page.image.shape == (28, 60)
        width = row.image.shape[1]
        assert row.gaps.tolist() == page.gaps.tolist()
        if width > 60:
            assert page.boxes[0, 0] == 0
            assert page.boxes[-1, [0, 2]].sum() == 60
            assert abs(page.boxes[:, 3] - row.boxes[:, 3] * 60 / width).max() <= 2


@pytest.mark.parametrize("width", [60, 300])
def test_stretch_fills_every_width_and_keeps_the_height(width: int, glyphs: GlyphSet) -> None:
    natural = make(glyphs, width_px="natural", spacing_px=(1, 3))
    stretched = make(glyphs, width_px=width, fit="stretch", spacing_px=(1, 3))
    for row, page in zip(natural, stretched, strict=True):
        assert page.image.shape == (28, width)
        assert page.boxes[:, [1, 3]].tolist() == row.boxes[:, [1, 3]].tolist()
        assert page.boxes[0, 0] == 0
        assert page.boxes[-1, [0, 2]].sum() == width


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["shrink", "stretch"])
@pytest.mark.parametrize("spacing", [(2, 10), (-6, -2)])
def test_boxes_bound_digits_composed_alone(
    fit: str, spacing: tuple[int, int], glyphs: GlyphSet
) -> None:
    # Each digit is resampled alone here, in fractions, from where it stood in the row.
    natural = make(glyphs, width_px="natural", spacing_px=spacing, count=6)
    fitted = make(glyphs, width_px=70, spacing_px=spacing, count=6, fit=fit)
    for row, page in zip(natural, fitted, strict=True):
        width = row.image.shape[1]
        target = min(width, 70) if fit == "shrink" else 70
        left = (70 - target) // 2
        half = max(Fraction(width, target), Fraction(1)) / 2
        cut = glyphs.cut_out(row.glyphs)
        for number, (x, _, ink_px, _) in enumerate(row.boxes.tolist()):
            rows = cut.images[number, :, :ink_px].tolist()
            middles = [
                Fraction((2 * column + 1) * width, 2 * target) - x for column in range(target)
            ]
            inked = [
                column
                for column, middle in enumerate(middles)
                if any(mean_over(pixels, middle - half, middle + half) for pixels in rows)
            ]
            box = page.boxes[number]
            assert [box[0], box[0] + box[2] - 1] == [left + inked[0], left + inked[-1]]


def test_a_scale_that_cannot_be_read_is_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(LayoutError, match="cannot be read"):
        make(glyphs, length=(11, 11), width_px=10, fit="stretch").block(0, 1)
