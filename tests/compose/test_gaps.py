from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnistseq_cli.compose.gaps import GapTable, draw_gaps
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.randomness import Use, draw_words

WORDS = 2**64
SMALL_SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def list_combinations(sizes: tuple[int, ...], slack: int) -> list[tuple[int, ...]]:
    return [gaps for gaps in product(*map(range, sizes)) if sum(gaps) <= slack]


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
    combinations = list_combinations(sizes, slack)
    table = GapTable(sizes)
    assert table.ways(0, slack) == len(combinations)
    probabilities = [probability_of(table, gaps, slack) for gaps in combinations]
    assert sum(probabilities) == 1
    for probability in probabilities:
        assert abs(probability * len(combinations) - 1) < Fraction(len(sizes) * 2**8, WORDS)


@given(sizes=SMALL_SIZES, slack=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_words_pick_the_gap_whose_bounds_they_lie_in(
    sizes: tuple[int, ...], slack: int, seed: int
) -> None:
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
def test_gaps_of_rows_that_must_fit_have_the_right_counts_and_covariance(
    size: int, slack: int
) -> None:
    n = 20_000
    words = draw_words(3, Use.GAP, 0, n, 5)
    drawn = draw_gaps(words, np.full((n, 5), size), np.full(n, slack))
    statistic, degrees = find_distance(drawn, size, slack)
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5  # mean and deviation of chi-square
    wrong = np.array(fill_from_the_left(np.random.default_rng(4), n, size, slack))
    assert find_distance(wrong, size, slack)[0] > 20 * degrees
