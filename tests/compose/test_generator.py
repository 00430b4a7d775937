from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.errors import GlyphError
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


def hash_of(samples: Iterable[Sample]) -> str:
    digest = hashlib.sha256()
    for one in samples:
        arrays = (one.boxes.tolist(), one.gaps.tolist(), one.glyphs.tolist(), one.image.shape)
        digest.update(repr((one.text, *arrays)).encode() + one.image.tobytes())
    return digest.hexdigest()


@given(name=st.sampled_from(sorted(LAYOUTS)), start=st.integers(0, 10**6), size=st.integers(1, 9))
def test_a_sample_does_not_depend_on_its_block_nor_on_the_count(
    name: str, start: int, size: int, glyphs: GlyphSet
) -> None:
    generator = SequenceGenerator(Recipe(**LAYOUTS[name], seed=1), glyphs)
    alone = [generator.block(start + place, start + place + 1)[0] for place in range(size)]
    assert hash_of(generator.block(start, start + size)) == hash_of(alone)


def test_samples_by_index_by_iteration_and_by_block_are_the_same(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(length=(1, 4), count=131, seed=4), glyphs)
    samples = list(generator)
    assert [sample.index for sample in samples] == list(range(len(generator)))
    assert hash_of(samples) == hash_of(generator[index] for index in range(131))
    assert hash_of(samples) == hash_of(generator.block(0, 131)) == hash_of(generator[:])


def test_batches_go_on_without_end(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(length=(2, 2), count=3, seed=4), glyphs)
    longer = SequenceGenerator(Recipe(length=(2, 2), count=8, seed=4), glyphs).block(0, 8)
    batches = list(islice(generator.batches(4), 2))
    assert np.array_equal(np.concatenate([images for images, _ in batches]), longer.images)
    assert np.concatenate([texts for _, texts in batches]).tolist() == longer.texts.tolist()


def test_the_seed_changes_all_and_the_spacing_no_digit(glyphs: GlyphSet) -> None:
    one, other, near = (
        SequenceGenerator(Recipe(length=5, seed=seed, spacing_px=spacing), glyphs).block(0, 50)
        for seed, spacing in ((1, (9, 20)), (2, (9, 20)), (1, (0, 1)))
    )
    for name in ("texts", "glyphs", "gaps"):
        assert not np.array_equal(getattr(one, name), getattr(other, name))
        assert np.array_equal(getattr(one, name), getattr(near, name)) == (name != "gaps")


def test_other_glyphs_than_those_of_the_recipe_are_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(GlyphError, match="the recipe names 5eed"):
        SequenceGenerator(Recipe(digits="1", glyphs_sha256="5eed"), glyphs)
    assert SequenceGenerator(Recipe(digits="1"), glyphs).recipe.glyphs_sha256 == "b107"
