from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.randomness import Use, draw_words, permute, scale_words


@given(
    seed=st.integers(0, 2**63 - 1),
    use=st.sampled_from(Use),
    start=st.integers(0, 10**12),
    skip=st.integers(0, 50),
    size=st.integers(0, 50),
    width=st.integers(1, 13),
)
def test_a_sample_has_the_same_words_in_every_stretch(
    seed: int, use: Use, start: int, skip: int, size: int, width: int
) -> None:
    whole = draw_words(seed, use, start, start + skip + size, width)
    assert whole.shape == (skip + size, width)
    part = draw_words(seed, use, start + skip, start + skip + size, width)
    assert np.array_equal(part, whole[skip:])


def philox(counter: int, key: tuple[int, int]) -> list[int]:
    """Philox-4x64-10 as published (Random123, philox.h), in whole numbers of Python."""
    mask = 2**64 - 1
    words = [counter >> shift & mask for shift in (0, 64, 128, 192)]
    first, second = key
    for _ in range(10):
        left, right = words[0] * 0xD2E7470EE14C6C93, words[2] * 0xCA5A826395121157
        words = [
            right >> 64 ^ words[1] ^ first,
            right & mask,
            left >> 64 ^ words[3] ^ second,
            left & mask,
        ]
        first, second = first + 0x9E3779B97F4A7C15 & mask, second + 0xBB67AE8584CAA73B & mask
    return words


@given(seed=st.integers(0, 2**63 - 1), index=st.integers(0, 2**70))
def test_words_are_those_of_philox(seed: int, index: int) -> None:
    # NumPy counts up before it makes the first four words.
    words = draw_words(seed, Use.GAP, index, index + 1, 4)
    assert words[0].tolist() == philox(index + 1, (seed, Use.GAP))


@given(word=st.integers(0, 2**64 - 1), size=st.integers(1, 2**32 - 1))
def test_scaling_is_the_exact_high_half_of_the_product(word: int, size: int) -> None:
    assert scale_words(np.array([word], np.uint64), size).tolist() == [word * size >> 64]


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**63 - 1))
def test_a_permutation_meets_every_place_once(size: int, seed: int) -> None:
    assert sorted(permute(np.arange(size), size, seed).tolist()) == list(range(size))


@given(size=st.integers(1, 2**62), seed=st.integers(0, 2**63 - 1))
def test_a_large_permutation_stays_inside_and_apart(size: int, seed: int) -> None:
    index = np.arange(min(size, 200)) + (size - min(size, 200)) // 2
    places = permute(index, size, seed)
    assert len(set(places.tolist())) == len(index)
    assert places.min() >= 0
    assert places.max() < size


def test_first_places_of_permutations_are_uniform() -> None:
    # 12 places, 3,000 seeds, chi-square with 11 degrees of freedom: over 38.2 once in 14,000.
    first = [permute(np.array([0]), 12, seed)[0] for seed in range(3000)]
    counts = np.bincount(first, minlength=12)
    assert ((counts - 250) ** 2 / 250).sum() < 38.2
