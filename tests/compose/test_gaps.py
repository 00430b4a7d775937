from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnistseq_cli.compose.gaps import GapTable, count_gaps, draw_gaps
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.randomness import Use, draw_words
from mnistseq_cli.recipe import Recipe

WORDS = 2**64
SMALL_SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def probability_of(table: GapTable, gaps: tuple[int, ...], slack: int) -> Fraction:
    """Multiply the exact probabilities with which the table draws each gap in turn."""
    probability = Fraction(1)
    for place, gap in enumerate(gaps):
        bounds = [-1, *table.bounds(place, slack), WORDS - 1]
        probability *= Fraction(bounds[gap + 1] - bounds[gap], WORDS)
        slack -= gap
    return probability


@given(sizes=SMALL_SIZES, slack=st.integers(0, 20))
def test_every_combination_that_fits_is_equally_likely(sizes: tuple[int, ...], slack: int) -> None:
    combinations = [gaps for gaps in product(*map(range, sizes)) if sum(gaps) <= slack]
    table = GapTable(sizes)
    assert table.ways(0, slack) == len(combinations)
    probabilities = [probability_of(table, gaps, slack) for gaps in combinations]
    assert sum(probabilities) == 1
    for probability in probabilities:
        assert abs(probability * len(combinations) - 1) < Fraction(len(sizes) * 2**8, WORDS)


@given(sizes=SMALL_SIZES, slack=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_words_pick_gaps_by_their_bounds(sizes: tuple[int, ...], slack: int, seed: int) -> None:
    words = draw_words(seed, Use.GAP, 0, 8, len(sizes))
    drawn = draw_gaps(words, np.array([sizes] * 8), np.full(8, slack))
    assert np.array_equal(drawn, GapTable(sizes).draw(words, np.full(8, slack)))
    for sample_words, gaps in zip(words.tolist(), drawn.tolist(), strict=True):
        left = slack
        for place, (word, gap) in enumerate(zip(sample_words, gaps, strict=True)):
            assert gap == sum(word > bound for bound in GapTable(sizes).bounds(place, left))
            left -= gap
        assert left >= 0


def test_too_many_ways_to_count_are_refused() -> None:
    with pytest.raises(LayoutError, match="entries; expected at most 2000000"):
        GapTable((9,) * 900)


def fill_from_the_left(rng: np.random.Generator, n: int, size: int, slack: int) -> list[list[int]]:
    """Draw five gaps one by one, each no larger than what is left: what a sampler may not do."""
    rows = []
    for _ in range(n):
        left, row = slack, []
        for gap in rng.integers(size, size=5).tolist():
            row.append(min(gap, left))
            left -= row[-1]
        rows.append(row)
    return rows


def find_distance(gaps: NDArray[np.int64], size: int, slack: int) -> tuple[float, int]:
    """Find how far counts are from those expected, in the metric of their exact covariance.

    The gaps of a row depend on each other, so Pearson's statistic does not follow chi-square;
    this one does, and has as many degrees of freedom as the covariance has ranks.
    """
    n_rows, n_gaps = gaps.shape
    table = GapTable((size,) * n_gaps)
    total = table.ways(0, slack)
    alone = np.array([table.ways(1, slack - gap) / total for gap in range(size)])
    sums = np.array([table.ways(2, slack - both) / total for both in range(2 * size - 1)])
    pairs = sums[np.add.outer(np.arange(size), np.arange(size))]
    covariance = n_gaps * (np.diag(alone) - n_gaps * np.outer(alone, alone))
    covariance += n_gaps * (n_gaps - 1) * pairs
    variances, axes = np.linalg.eigh(n_rows * covariance)
    varies = variances > 1e-9 * variances.max()
    difference = np.bincount(gaps.ravel(), minlength=size) - n_rows * n_gaps * alone
    statistic = ((axes[:, varies].T @ difference) ** 2 / variances[varies]).sum()
    return float(statistic), int(varies.sum())


@pytest.mark.parametrize(("size", "slack"), [(29, 40), (29, 12), (9, 15), (4, 3)])
def test_gaps_that_must_fit_have_their_counts_and_covariance(size: int, slack: int) -> None:
    n = 20_000
    words = draw_words(3, Use.GAP, 0, n, 5)
    drawn = draw_gaps(words, np.full((n, 5), size), np.full(n, slack))
    statistic, degrees = find_distance(drawn, size, slack)
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5  # mean and deviation of chi-square
    wrong = np.array(fill_from_the_left(np.random.default_rng(4), n, size, slack))
    assert find_distance(wrong, size, slack)[0] > 20 * degrees


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
def test_other_gaps_are_of_those_that_fit(seed: int, measure: str, strokes: GlyphSet) -> None:
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
