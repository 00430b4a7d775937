"""Boxes, and where the ink of a digit may be."""

import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.distortions.pipeline import make_pipeline
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.glyphs.glyph_set import GlyphInk, GlyphSet
from mnistseq_cli.glyphs.resize import SHARP
from mnistseq_cli.glyphs.stamps import Stamps
from mnistseq_cli.recipe import FlexibleWidth, Recipe
from tests.helpers.augment_cases import (
    DIGITS,
    PAGE_PX,
    cut,
    distort,
    draw_of,
    finish,
    put_on_pages,
)

OF_DIGITS = [name for name, row in AUGMENTATIONS.items() if row.stage in ("geometry", "shape")]
OF_PAGES = [name for name in AUGMENTATIONS if name not in OF_DIGITS and name != "jpeg"]
OF_ROWS = ("crop", "join")  # what happens to a digit follows from those beside it
PAGES = 12
SIDE = np.array([20])
CELL_PX = 44  # of a cell that has grown as far as it may


def extent(image: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(image)
    x, y = int(columns.min()), int(rows.min())
    return [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]


def same(one: GlyphInk, other: GlyphInk) -> bool:
    one, other = (replace(ink, images=widen(ink.images, CELL_PX)) for ink in (one, other))
    return all((vars(one)[name] == vars(other)[name]).all() for name in vars(one))


def widen(images: np.ndarray, width_px: int) -> np.ndarray:
    return np.pad(images, ((0, 0), (0, 0), (0, width_px - images.shape[2])))


@pytest.mark.parametrize("items", [*([name] for name in OF_DIGITS), ["medium"], ["heavy"], []])
def test_ink_stands_at_the_left_edge_and_is_measured(items: list[str], glyphs: GlyphSet) -> None:
    plan = make_pipeline(items, 0.8)
    ink = distort(glyphs, plan)
    for place, image in enumerate(ink.images):
        size = [0, ink.top_px[place], ink.width_px[place], ink.height_px[place]]
        assert extent(image) == size
    assert ink.images.shape == (len(ink.left_px), 28, ink.width_px.max())
    assert (ink.left_px >= -8).all()
    assert (ink.left_px + ink.width_px <= 36).all()
    for start in (0, 13, 39):  # whatever digits are around
        alone = plan.digits.distort(cut(glyphs, 1, start), draw_of(1, start=start))
        assert same(alone, ink.take(slice(start, start + 1)))
    left, width = plan.digits.bound(cut(glyphs, 60), draw_of(60))
    assert (left <= ink.left_px).all()
    assert (ink.left_px + ink.width_px <= left + width).all()
    assert (left + width - ink.left_px - ink.width_px).mean() < 6


def flood(images: np.ndarray) -> np.ndarray:
    """Mark what can be reached from outside without crossing ink."""
    paper = np.pad(images < 30, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    wet = np.zeros_like(paper)
    wet[:, 0, 0] = True
    while True:
        before = wet.sum()
        for axis in (1, 2):
            for step in (-1, 1):
                wet |= np.roll(wet, step, axis) & paper
        if wet.sum() == before:
            return wet[:, 1:-1, 1:-1]


def frame(n: int) -> GlyphInk:
    """Give digits that fill their cells: four strokes along its edges."""
    images = np.full((n, 28, 28), 255, np.uint8)
    images[:, 4:24, 4:24] = 0
    full = np.full(n, 28)
    return GlyphInk(images, full * 0, full * 0, full, full, np.full(n, SHARP))


def is_closed(ink: GlyphInk) -> np.ndarray:
    """Tell whether something inside each frame stays dry: not so where a side is cut off."""
    wet = flood(ink.images)
    inside = (ink.images == 0) & ~wet
    middle = (ink.top_px + ink.height_px // 2, ink.width_px // 2)
    closed: np.ndarray = inside.any(axis=(1, 2)) & ~wet[np.arange(len(wet)), *middle]
    return closed


@pytest.mark.parametrize("grow_px", [0, 8])
@pytest.mark.parametrize("name", [*OF_DIGITS, "heavy"])
def test_no_ink_is_cut_off_at_the_edge_of_the_cell(name: str, grow_px: int) -> None:
    n = 200
    assert flood(frame(1).images).sum() == 0
    plan = make_pipeline(["erode=2" if name == "erode" else name])
    after = plan.digits.distort(frame(n), draw_of(n), may_grow=grow_px > 0)
    assert is_closed(after).all()
    assert (after.left_px >= -grow_px).all()
    assert (after.left_px + after.width_px <= 28 + grow_px).all()


@pytest.mark.parametrize(
    ("strengths", "size"),
    [
        (["scale=0.4x0..0.4x0"], (40, 28)),
        (["shear=25..25"], (41, 28)),
        (["dilate=5..5"], (32, 28)),
        (["scale=0.5x0..0.5x0", "shear=45..45"], (CELL_PX, 28)),  # narrowed to the grown cell
        (["scale=0x0.5..0x0.5"], (28, 28)),  # lowered to the page
    ],
)
def test_a_cell_grows_to_hold_its_ink(strengths: list[str], size: tuple[int, int]) -> None:
    after = make_pipeline(strengths).digits.distort(frame(1), draw_of(1))
    assert is_closed(after).all()
    assert (after.width_px[0], after.height_px[0]) == pytest.approx(size, abs=1)
    assert after.width_px <= CELL_PX
    assert after.images.shape[1] == 28


def solids() -> GlyphInk:
    """Give ink that fills its box: every width, and heights from the least to the most."""
    width, height = (size.ravel() for size in np.meshgrid(np.arange(1, 29), [1, 10, 20, 28]))
    rows, columns = np.arange(28)[:, None], np.arange(28)
    images = (rows < height[:, None, None]) & (columns < width[:, None, None])
    sharp = np.full(len(width), SHARP)
    return GlyphInk(images * np.uint8(255), width * 0, width * 0, width, height, sharp)


@given(
    parts=st.dictionaries(
        st.sampled_from(["scale", "shear", "rotate", "perspective", "shift", "elastic"]),
        st.tuples(st.floats(0, 1) | st.just(1), st.floats(0, 1) | st.just(1)).map(sorted),
    ),
    size=st.sampled_from([0.1, 0.4, 1]),
    dilate=st.integers(0, 5),
    thickness=st.floats(-2, 2),
    seed=st.integers(0, 2**63 - 1),
)
def test_no_digit_is_wider_than_the_widest(
    glyphs: GlyphSet,
    parts: dict[str, list[float]],
    size: float,
    dilate: int,
    thickness: float,
    seed: int,
) -> None:
    texts = {}
    for name, ends in parts.items():
        low, high = AUGMENTATIONS[name].limits
        texts[name] = "..".join(f"{(low + end * (high - low)) * size:.4f}" for end in ends)
    plan = make_pipeline({**texts, "thickness": f"{thickness:.4f}", "dilate": dilate})
    for before in (cut(glyphs, 60), solids()):
        after = plan.digits.distort(before, draw_of(len(before.images), seed))
        bound = plan.digits.widest_px(before.width_px, before.height_px)
        assert (after.width_px <= bound).all()
        assert (bound <= CELL_PX).all()
        assert parts or dilate > 1 or thickness or (bound == before.width_px).all()
        cells_px = np.maximum(after.left_px + after.width_px, 28) - np.minimum(after.left_px, 0)
        assert cells_px.max() <= plan.digits.widest_cell_px(int(before.width_px.max()))


@pytest.mark.parametrize(
    "values",
    [
        {"augment": ("heavy", "blur=0"), "edges": True},
        {"augment": ("shear=45..45", "dilate=5")},
        {"augment": ("shift=14", "elastic=4"), "augment_prob": 0.7},
        {"augment": ("rotate=180", "scale=0.5"), "spacing_px": (-4, 3)},
    ],
)
@pytest.mark.parametrize("measure", ["ink", "cell"])
def test_rows_hold_grown_cells(values: dict[str, Any], measure: str, glyphs: GlyphSet) -> None:
    own: dict[str, Any] = {"length": (1, 6), "measure": measure, "seed": 3, "count": 60}
    recipe = Recipe(**own | values)
    widest_px = SequenceGenerator(recipe, glyphs).width_px
    generator = SequenceGenerator(replace(recipe, width_px="natural"), glyphs)
    for index, sample in enumerate(generator.block(0, recipe.count)):
        assert sample.image.shape[1] <= (widest_px or 0)
        x, ends = sample.boxes[:, 0], sample.boxes[:, 0] + sample.boxes[:, 2]
        assert x.min() >= 0
        assert ends.max() <= sample.image.shape[1]
        gaps = x[1:] - ends[:-1]
        drawn = sample.gaps[1:-1] if recipe.edges else sample.gaps
        assert (gaps == drawn if measure == "ink" else gaps >= drawn).all()
        assert (generator[index].image == sample.image).all()


def test_cells_with_equal_gaps_stay_equally_wide(glyphs: GlyphSet) -> None:
    values: dict[str, Any] = {"measure": "cell", "spacing_mode": "fixed", "spacing_px": (0, 9)}
    recipe = Recipe(length=(4, 4), width_px=127, augment=("heavy", "blur=0"), seed=1, **values)
    block = SequenceGenerator(recipe, glyphs).block(0, 100)
    assert (block.gaps[:, 1:4] == 5).all()
    inside_px = block.boxes[..., 0] - [0, 33, 66, 99]
    assert (inside_px >= 0).all()
    assert (inside_px + block.boxes[..., 2] <= 28).all()
    assert SequenceGenerator(replace(recipe, width_px="widest"), glyphs).width_px == 139


@pytest.mark.parametrize("fit", ["pad", "shrink"])
@pytest.mark.parametrize("spacing_mode", ["variable", "fixed"])
@pytest.mark.parametrize("spacing_px", [(-5, -2), (0, 9), (2, 2)])
def test_a_recipe_is_refused_before_or_not_at_all(
    fit: str, spacing_mode: str, spacing_px: tuple[int, int], glyphs: GlyphSet
) -> None:
    values: dict[str, Any] = {"fit": fit, "spacing_mode": spacing_mode, "spacing_px": spacing_px}
    widths: list[Any] = [11, 60, 108, 150, 200, "widest"]
    for augment, width_px in product([(), ("heavy",)], widths):
        recipe = Recipe(length=(1, 6), count=100, augment=augment, seed=2, **values)
        generator = SequenceGenerator(replace(recipe, width_px=width_px), glyphs)
        try:
            generator.check()
        except LayoutError as error:
            with pytest.raises(LayoutError, match=re.escape(str(error))):
                list(generator)
        else:
            list(generator)


@pytest.mark.parametrize(
    "items",
    [*([name] for name in OF_PAGES if name not in OF_ROWS), ["heavy"], ["blur=4", "lines"]],
)
def test_a_box_is_the_extent_of_the_digit_alone(items: list[str], glyphs: GlyphSet) -> None:
    """Compose each digit alone with the same words, without the marks that are no digit's."""
    plan = make_pipeline(items)
    stamps = put_on_pages(cut(glyphs, PAGES * DIGITS))
    _, boxes = finish(stamps, PAGES, plan)
    inks = replace(plan, steps=plan.at("line", "lens"))
    for digit in range(len(stamps.sample)):
        alone = Stamps(*(value[digit : digit + 1] for value in vars(stamps).values()))
        images, _ = finish(alone, PAGES, inks)
        assert extent(images[stamps.sample[digit]]) == boxes[digit].tolist()


@pytest.mark.parametrize("items", [*([name] for name in [*OF_PAGES, "jpeg"]), ["all"]])
def test_a_page_is_the_same_beside_wider_ones(items: list[str], glyphs: GlyphSet) -> None:
    plan = make_pipeline(items)
    stamps = put_on_pages(cut(glyphs, PAGES * DIGITS))
    narrow, boxes = finish(stamps, PAGES, plan)
    wide, wide_boxes = finish(stamps, PAGES, plan, PAGE_PX, array_px=PAGE_PX + 45)
    assert (wide[:, :, :PAGE_PX] == narrow).all()
    assert not wide[:, :, PAGE_PX:].any()
    assert (boxes == wide_boxes).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_real_digits_keep_their_ink_under_every_preset(preset: str, mnist: GlyphSet) -> None:
    before, digits = mnist.cut_out(mnist.ids[::60]), make_pipeline([preset]).digits
    after = digits.distort(before, draw_of(len(before.images)))
    had, has = (ink.images.sum(axis=(1, 2), dtype=np.int64) for ink in (before, after))
    assert (has * 4 > had).all()
    assert (after.width_px <= digits.widest_px(before.width_px, before.height_px)).all()


@pytest.mark.parametrize("width_px", ["natural", "widest"])
def test_a_blurred_row_is_not_cut_at_its_ends(width_px: FlexibleWidth, glyphs: GlyphSet) -> None:
    recipe = Recipe(length=(1, 4), seed=3, width_px=width_px, augment=("blur=2..2",))
    block = SequenceGenerator(recipe, glyphs).block(0, 40)
    wide = SequenceGenerator(replace(recipe, width_px=400), glyphs).block(0, 40)
    for image, width, whole in zip(block.images, block.widths_px, wide.images, strict=True):
        inked = np.flatnonzero((whole < 255).any(axis=0))
        shown = np.flatnonzero((image[:, :width] < 255).any(axis=0))
        assert (image[:, shown[0] : shown[-1] + 1] == whole[:, inked[0] : inked[-1] + 1]).all()
