from __future__ import annotations

import hashlib
import pickle
import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.errors import GlyphError, LayoutError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe

LAYOUTS: dict[str, dict[str, Any]] = {
    "natural": {"length": (1, 7), "width_px": "natural"},
    "tight": {"length": (5, 5), "width_px": 116},
    "phone": {"pattern": "us", "edges": True, "align": "random", "width_px": 320},
    "fixed": {"digits": "350", "spacing_mode": "fixed", "ink": "white"},
    "cell": {"digits": "350", "measure": "cell", "width_px": 110},
    "overlap": {"length": (4, 6), "spacing_px": (-9, 3), "width_px": 120},
    "shrink": {"length": (3, 9), "fit": "shrink", "width_px": 90},
    "stretch": {"length": (3, 9), "fit": "stretch", "width_px": 90},
}


def hash_of(samples: list[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        record = [
            sample.text,
            sample.boxes.tolist(),
            sample.gaps.tolist(),
            sample.glyphs.tolist(),
            sample.image.shape,
        ]
        digest.update(repr(record).encode() + sample.image.tobytes())
    return digest.hexdigest()[:16]


@given(name=st.sampled_from(sorted(LAYOUTS)), start=st.integers(0, 10**6), size=st.integers(1, 9))
def test_a_sample_does_not_depend_on_its_block(
    name: str, start: int, size: int, glyphs: GlyphSet
) -> None:
    generator = SequenceGenerator(Recipe(**LAYOUTS[name], seed=1), glyphs)
    block = generator.block(start, start + size)
    alone = [generator.block(start + place, start + place + 1)[0] for place in range(size)]
    assert hash_of([block[place] for place in range(size)]) == hash_of(alone)


def test_samples_by_index_by_iteration_and_by_block_are_the_same(glyphs: GlyphSet) -> None:
    n = 128 + 3  # more than a block
    generator = SequenceGenerator(Recipe(length=(1, 4), count=n, seed=4), glyphs)
    assert len(generator) == n
    samples = list(generator)
    assert [sample.index for sample in samples] == list(range(n))
    assert hash_of(samples) == hash_of([generator[index] for index in range(n)])
    assert hash_of([generator[-1]]) == hash_of(samples[-1:])
    for beyond in (n, -n - 1):
        with pytest.raises(IndexError):
            generator[beyond]


@pytest.mark.parametrize("index", ["a", 1.0, np.float64(1), None, (1, 2)])
def test_an_index_that_is_no_whole_number_is_refused(index: Any, glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(digits="35", count=9), glyphs)
    message = rf"^sample {re.escape(repr(index))}: expected a whole number, or a slice"
    with pytest.raises(TypeError, match=message):
        generator[index]


def test_a_block_goes_on_beyond_the_count(glyphs: GlyphSet) -> None:
    short, long = (
        SequenceGenerator(Recipe(length=(1, 4), count=count), glyphs) for count in (3, 9)
    )
    assert hash_of(list(short.block(2, 6))) == hash_of(list(long.block(2, 6)))


def test_batches_go_on_without_end(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(length=(2, 2), count=3, seed=4), glyphs)
    longer = SequenceGenerator(Recipe(length=(2, 2), count=8, seed=4), glyphs).block(0, 8)
    batches = list(islice(generator.batches(4), 2))
    assert np.array_equal(np.concatenate([images for images, _ in batches]), longer.images)
    assert np.concatenate([texts for _, texts in batches]).tolist() == longer.texts.tolist()


def test_seeds_give_other_texts_glyphs_and_gaps(glyphs: GlyphSet) -> None:
    one, two = (
        SequenceGenerator(Recipe(length=(5, 5), seed=seed), glyphs).block(0, 50) for seed in (1, 2)
    )
    assert not np.array_equal(one.texts, two.texts)
    assert not np.array_equal(one.glyphs, two.glyphs)
    assert not np.array_equal(one.gaps, two.gaps)


def test_spacing_does_not_change_the_digits(glyphs: GlyphSet) -> None:
    near, far = (
        SequenceGenerator(Recipe(length=(5, 5), spacing_px=spacing), glyphs).block(0, 50)
        for spacing in ((0, 1), (9, 20))
    )
    assert near.texts.tolist() == far.texts.tolist()
    assert np.array_equal(near.glyphs, far.glyphs)


def test_other_glyphs_than_those_of_the_recipe_are_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(GlyphError, match="the recipe names 5eed"):
        SequenceGenerator(Recipe(digits="1", glyphs_sha256="5eed"), glyphs)
    assert SequenceGenerator(Recipe(digits="1"), glyphs).recipe.glyphs_sha256 == "b107"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"width_px": "widest"}, True),
        ({"width_px": 5 * 20 + 4 * 2}, True),
        ({"width_px": 90}, False),
        ({"width_px": 60, "fit": "shrink"}, True),
        ({"width_px": 9, "fit": "shrink"}, False),
        ({"width_px": 5 * 28 + 4 * 2, "measure": "cell"}, True),
        ({"width_px": 5 * 28 + 4 * 2 - 1, "measure": "cell"}, False),
        ({"width_px": 5 * 28 + 4 * 3, "measure": "cell", "spacing_mode": "fixed"}, True),
        ({"width_px": 5 * 28 + 4 * 3 + 1, "measure": "cell", "spacing_mode": "fixed"}, False),
    ],
)
def test_a_recipe_is_checked_before_the_work(
    values: dict[str, Any], fits: bool, glyphs: GlyphSet
) -> None:
    generator = SequenceGenerator(Recipe(length=(5, 5), count=3000, **values), glyphs)
    if fits:
        generator.check()
        assert sum(1 for _ in generator) == 3000
    else:
        with pytest.raises(LayoutError) as refused:
            generator.check()
        with pytest.raises(LayoutError) as met:
            list(generator)
        assert str(met.value) == str(refused.value)


def test_a_generator_travels_small_and_makes_the_same(glyph_folder: Path) -> None:
    recipe = Recipe(length=(1, 4), count=9, seed=3, augment=("light",), dataset=str(glyph_folder))
    generator = SequenceGenerator(recipe)
    data = pickle.dumps(generator)
    assert len(data) < 4096
    again = pickle.loads(data)  # noqa: S301 - written just now
    assert np.array_equal(again.block(0, 9).images, generator.block(0, 9).images)


def test_what_is_shown_of_samples_is_a_line(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(digits="350", count=9, width_px=100), glyphs)
    sample, block = generator[5], generator.block(2, 6)
    assert repr(sample) == "<Sample 5 '350': 100 × 28 px>"
    assert repr(block) == "<Block of samples 2 to 5: 100 × 28 px>"
    assert "9 samples" in repr(generator)
    assert sample == sample  # noqa: PLR0124 - arrays would have no truth
    assert len({sample, generator[5]}) == 2
