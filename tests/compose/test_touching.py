from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnistseq_cli.compose.gaps import GapTable, count_gaps
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.randomness import Use, draw_words
from mnistseq_cli.recipe import Recipe


@pytest.fixture(scope="module")
def strokes() -> GlyphSet:
    return load_glyphs("strokes", "test")


def find_apart(sample: Sample, glyphs: GlyphSet) -> list[int]:
    """Give the least distance of the ink of neighbours in any row; below 0 where they overlap."""
    cut = glyphs.cut_out(sample.glyphs)
    is_ink = cut.images > cut.images.max(axis=(1, 2), keepdims=True) // 2
    is_ink = np.pad(is_ink, ((0, 0), (0, 0), (0, 1)))
    x = sample.boxes[:, 0, None]
    first = x + np.where(is_ink.any(axis=2), is_ink.argmax(axis=2), 999)
    last = x + is_ink.shape[2] - 1 - is_ink[:, :, ::-1].argmax(axis=2)
    last[~is_ink.any(axis=2)] = -999
    apart: list[int] = (first[1:] - last[:-1] - 1).min(axis=1).tolist()
    return apart


@pytest.mark.parametrize("height", [28, 64])
def test_ink_meets_and_hardly_overlaps(height: int, strokes: GlyphSet) -> None:
    recipe = Recipe(length=8, count=60, touching=1.0, height_px=height, width_px="natural")
    generator = SequenceGenerator(recipe, strokes)
    apart = [one for sample in generator for one in find_apart(sample, generator.glyphs)]
    most = 2 * height // 28 + (height == 64)
    assert {*apart} <= {*range(-most, 1)} | {one for one in apart if one > 0}
    assert np.mean([one <= 0 for one in apart]) > 0.99  # of some only a tip would pass the other
    assert len({one for one in apart if one <= 0}) > 2


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_so_many_touch(share: float, strokes: GlyphSet) -> None:
    recipe = Recipe(length=9, count=500, touching=share, spacing_px=(3, 9), width_px="natural")
    gaps = SequenceGenerator(recipe, strokes).block(0, 500).gaps[:, 1:9]
    # Of 4000, a deviation of 0.008: four of them.
    assert abs((gaps < 3).mean() - share) < 0.032
    apart = gaps[gaps >= 3]
    counts = np.bincount(apart - 3, minlength=7)
    expected = len(apart) / 7
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # 6 degrees: once in 10,000
    grouped = Recipe(digits="12-34", count=50, touching=1.0, width_px="natural", spacing_px=(2, 5))
    gaps = SequenceGenerator(grouped, strokes).block(0, 50).gaps
    assert (gaps[:, 2] >= 16).all()  # groups stay apart
    assert (gaps[:, [1, 3]] <= 0).all()


@given(seed=st.integers(0, 2**32), measure=st.sampled_from(["ink", "cell"]))
def test_the_other_gaps_are_drawn_from_those_that_fit(
    seed: int, measure: str, strokes: GlyphSet
) -> None:
    values: dict[str, Any] = {"length": 6, "count": 30, "seed": seed, "measure": measure}
    width = 160 if measure == "ink" else 190
    recipe = Recipe(**values, touching=0.5, spacing_px=(2, 12), width_px=width)
    count_gaps.cache_clear()
    block = SequenceGenerator(recipe, strokes).block(0, 30)
    assert count_gaps.cache_info().currsize <= 6
    words = draw_words(seed, Use.GAP, 0, 30, 7)
    ends = block.boxes[:, -1, 0] + block.boxes[:, -1, 2]
    assert (block.boxes[:, 0, 0] >= 0).all()
    assert (ends <= width).all()
    if measure == "cell":
        return
    for row, gaps in enumerate(block.gaps):
        apart = np.flatnonzero(gaps[1:6] >= 2) + 1
        touching = [gap for gap in gaps[1:6] if gap < 2]
        slack = 160 - block.boxes[row, :, 2].sum() - sum(touching) - 2 * len(apart)
        if len(apart):
            drawn = GapTable((11,) * len(apart)).draw(
                words[row : row + 1, apart], np.array([slack])
            )
            assert (gaps[apart] == 2 + drawn[0]).all()


@pytest.mark.parametrize(
    "values", [{"touching": 0.8, "width_px": "natural"}, {"spacing_px": (-8, -4), "width_px": 160}]
)
def test_a_picture_is_its_digits_at_their_boxes(values: dict[str, Any], strokes: GlyphSet) -> None:
    recipe = Recipe(length=(1, 7), count=40, ink="white", **values)
    for sample in SequenceGenerator(recipe, strokes):
        expected: NDArray[np.uint8] = np.zeros_like(sample.image)
        cut = strokes.cut_out(sample.glyphs)
        for image, (x, y, width, height) in zip(cut.images, sample.boxes, strict=True):
            place = expected[:, x : x + width]
            np.maximum(place, image[:, :width], out=place)  # the darker pixel wins
            assert image.any(axis=1).nonzero()[0][[0, -1]].tolist() == [y, y + height - 1]
        assert np.array_equal(sample.image, expected)
