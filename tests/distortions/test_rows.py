"""Digits that the pen joins, rows that an edge cuts, images of a lower resolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.recipe import Recipe

PLAIN = Recipe(
    texts=("70010", "1000,-", "8", "11", "35 062"), unlabelled=",-", dashes="ink", count=200,
    seed=3, width_px="natural", dataset="strokes", spacing_px=(-4, 9),
)  # fmt: skip


def make(*augment: str, recipe: Recipe = PLAIN, masks: bool = False) -> Block:
    generator = SequenceGenerator(replace(recipe, augment=augment))
    return generator.block(0, recipe.count, masks=masks)


@pytest.mark.parametrize("height_px", [28, 64])
def test_a_join_is_ink_of_the_digit_on_its_left(height_px: int) -> None:
    recipe = PLAIN.at_height(height_px)
    plain, joined = (make(*names, recipe=recipe, masks=True) for names in ((), ("join=1..1",)))
    assert (joined.images <= plain.images).all()  # black ink is only added
    assert (joined.gaps == plain.gaps).all()
    ends = plain.boxes[..., 0] + plain.boxes[..., 2], joined.boxes[..., 0] + joined.boxes[..., 2]
    assert (joined.boxes[..., 0] == plain.boxes[..., 0]).all()
    assert (ends[1] >= ends[0]).all()
    longer = 0
    for one, other in zip(plain, joined, strict=True):
        x_ends = other.boxes[:, 0] + other.boxes[:, 2]
        assert (np.diff(x_ends) > 0).all()
        assert one.masks is not None
        assert other.masks is not None
        assert (other.masks[-1] == one.masks[-1]).all()  # nothing follows the last
        assert (other.masks.any(axis=0) == (other.image < 255)).all()
        longer += int((other.masks.sum(axis=(1, 2)) > one.masks.sum(axis=(1, 2))).sum())
    assert longer > 150
    of_11 = (joined.images[3::5] == plain.images[3::5]).all(axis=(1, 2))
    assert of_11.mean() > 0.5  # those with a foot are joined, others would become a 4


@pytest.mark.slow
def test_a_digit_keeps_what_an_edge_may_not_cut() -> None:
    recipe = replace(PLAIN, texts=None, unlabelled="", length=(1, 4), count=10_000)
    whole, cut = (
        make("baseline=3", name, recipe=recipe, masks=True) for name in ("crop=0", "crop=0..0.15")
    )
    assert whole.inks is not None
    assert cut.inks is not None
    before, after = (inks.images.sum(axis=(1, 2)) for inks in (whole.inks, cut.inks))
    assert (after >= 0.85 * before).all()
    assert (after < 0.9 * before).mean() > 0.03
    for sample in cut:
        x, y, width, height = sample.boxes.T
        assert (np.diff(x) > 0).all()
        assert (np.diff(x + width) > 0).all()
        rows, columns = sample.image.shape
        is_at_edge = (x.min() == 0, y.min() == 0, (x + width).max() == columns)
        assert any(is_at_edge) or (y + height).max() == rows


def test_half_of_the_rows_are_cut() -> None:
    share = (make("crop").images != make().images).any(axis=(1, 2)).mean()
    assert abs(share - 0.5) < 0.15  # of 200, four standard deviations


@pytest.mark.parametrize("height_px", [28, 50])
def test_a_lower_resolution_leaves_what_is_even(height_px: int) -> None:
    recipe = replace(PLAIN.at_height(height_px), ink="white")
    plain, coarse = make(recipe=recipe), make("resolution=0.4..0.6", recipe=recipe)
    assert (plain.boxes == coarse.boxes).all()
    for one, other in zip(plain, coarse, strict=True):
        assert abs(one.image.mean() - other.image.mean()) < 8
        steps = [np.abs(np.diff(image.astype(int))).max() for image in (one.image, other.image)]
        assert steps[1] < steps[0]


@pytest.mark.parametrize("name", ["join=0..1", "crop", "resolution"])
def test_a_row_does_not_depend_on_its_block(name: str) -> None:
    recipe = replace(PLAIN, augment=(name, "blur=0..1"), paper=("tinted=1",))
    generator = SequenceGenerator(recipe)
    for sample in generator.block(0, 30):
        alone = generator[sample.index]
        assert (alone.image == sample.image).all()
        assert (alone.boxes == sample.boxes).all()
