"""Boxes, and where the ink of a digit may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from augment_cases import DIGITS, PAGE_PX, cut, distort, draw_of, finish, put_on_pages
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.augment import (
    AUGMENTATIONS,
    PRESETS,
    augment_digits,
    make_plan,
    widest_px,
)
from mnistseq_cli.compose.paint import Stamps
from mnistseq_cli.glyphs.glyphset import GlyphSet, Ink

OF_DIGITS = [name for name, row in AUGMENTATIONS.items() if row.stage in ("geometry", "shape")]
OF_PAGES = [name for name in AUGMENTATIONS if name not in OF_DIGITS and name != "jpeg"]
PAGES = 12


def extent(image: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(image)
    x, y = int(columns.min()), int(rows.min())
    return [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]


def same(one: Ink, other: Ink) -> bool:
    return all((vars(one)[name] == vars(other)[name]).all() for name in vars(one))


def strongest(name: str) -> str:
    low, high = AUGMENTATIONS[name].limits
    return f"{name}={low}..{high}"


@pytest.mark.parametrize("items", [*([name] for name in OF_DIGITS), ["medium"], ["heavy"], []])
def test_ink_stands_at_the_left_edge_and_its_extent_is_known(
    items: list[str], glyphs: GlyphSet
) -> None:
    ink = distort(glyphs, make_plan(items))
    for place, image in enumerate(ink.images):
        size = [0, ink.top_px[place], ink.width_px[place], ink.height_px[place]]
        assert extent(image) == size
    assert (ink.left_px >= 0).all()
    assert (ink.left_px + ink.width_px <= 28).all()


@pytest.mark.parametrize("items", [*([name] for name in OF_DIGITS), ["heavy"]])
def test_a_digit_does_not_depend_on_the_digits_around_it(
    items: list[str], glyphs: GlyphSet
) -> None:
    plan = make_plan(items, 0.7)
    whole = distort(glyphs, plan, 40)
    for start in (0, 13, 39):
        alone = augment_digits(cut(glyphs, 1, start), plan, draw_of(1, start=start))
        some = Ink(*(value[start : start + 1] for value in vars(whole).values()))
        assert same(alone, some)


@pytest.mark.parametrize("name", OF_DIGITS)
def test_without_a_distortion_digits_stay_where_they_were(name: str, glyphs: GlyphSet) -> None:
    before = cut(glyphs, 60)
    copies = Ink(*(value.copy() for value in vars(before).values()))
    plan = make_plan({name: AUGMENTATIONS[name].neutral})
    assert same(augment_digits(before, plan, draw_of(60)), before)
    assert same(before, copies)


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


@pytest.mark.parametrize("name", OF_DIGITS)
def test_no_ink_is_cut_off_at_the_edge_of_the_cell(name: str) -> None:
    """A frame that fills its cell stays closed: nothing flows in where a side would be cut."""
    n = 200
    images = np.full((n, 28, 28), 255, np.uint8)
    images[:, 4:24, 4:24] = 0
    assert flood(images[:1]).sum() == 0
    full = np.full(n, 28)
    plan = make_plan(["erode=2" if name == "erode" else name])
    after = augment_digits(Ink(images, full * 0, full * 0, full, full), plan, draw_of(n))
    wet = flood(after.images)
    inside = (after.images == 0) & ~wet
    assert inside.any(axis=(1, 2)).all()
    middle = (after.top_px + after.height_px // 2, after.width_px // 2)
    assert not wet[np.arange(n), *middle].any()


def test_a_digit_moves_only_as_far_as_it_must(glyphs: GlyphSet) -> None:
    before = cut(glyphs, 60)
    after = augment_digits(before, make_plan(["dilate=5x5..5x5"]), draw_of(60))
    top, bottom = before.top_px - 2, 28 - before.top_px - before.height_px - 2
    moved = np.where(top < 0, -top, np.minimum(bottom, 0))
    fits = before.height_px + 4 <= 28
    assert (after.top_px == before.top_px - 2 + moved)[fits].all()
    assert (after.height_px == before.height_px + 4)[fits].all()


@given(
    parts=st.dictionaries(
        st.sampled_from(["scale", "shear", "rotate", "perspective", "shift", "elastic"]),
        st.floats(0, 1),
    ),
    dilate=st.integers(0, 5),
    thickness=st.floats(-2, 2),
    seed=st.integers(0, 2**63 - 1),
)
def test_no_digit_is_wider_than_the_widest(
    glyphs: GlyphSet, parts: dict[str, float], dilate: int, thickness: float, seed: int
) -> None:
    strengths = {name: part * AUGMENTATIONS[name].limits[1] for name, part in parts.items()}
    texts = {name: f"{strength:.4f}" for name, strength in strengths.items()}
    plan = make_plan({**texts, "thickness": f"{thickness:.4f}", "dilate": dilate})
    before = cut(glyphs, 60)
    after = augment_digits(before, plan, draw_of(60, seed))
    bound = widest_px(plan, before.width_px, before.height_px)
    assert (after.width_px <= bound).all()
    assert (bound <= 28).all()
    assert parts or dilate > 1 or thickness or (bound == before.width_px).all()


@pytest.mark.parametrize("items", [*([name] for name in OF_PAGES), ["heavy"], ["blur=4", "lines"]])
def test_a_box_is_the_extent_of_the_digit_alone_on_the_page(
    items: list[str], glyphs: GlyphSet
) -> None:
    """Compose each digit alone with the same words, without the marks that are no digit's."""
    plan = make_plan(items)
    stamps = put_on_pages(cut(glyphs, PAGES * DIGITS))
    _, boxes = finish(stamps, PAGES, plan)
    inks = replace(plan, steps=plan.at("line", "lens"))
    for digit in range(len(stamps.sample)):
        alone = Stamps(*(value[digit : digit + 1] for value in vars(stamps).values()))
        images, _ = finish(alone, PAGES, inks)
        assert extent(images[stamps.sample[digit]]) == boxes[digit].tolist()


@pytest.mark.parametrize("name", ["background", "lines", "contrast", "brightness", "grain"])
def test_marks_that_are_no_ink_of_a_digit_move_no_box(name: str, glyphs: GlyphSet) -> None:
    stamps = put_on_pages(cut(glyphs, PAGES * DIGITS))
    _, before = finish(stamps, PAGES, make_plan([]))
    _, after = finish(stamps, PAGES, make_plan([strongest(name)]))
    assert (after == before).all()


def test_boxes_end_where_the_page_ends(glyphs: GlyphSet) -> None:
    stamps = put_on_pages(cut(glyphs, PAGES * DIGITS))
    page_px = int((stamps.x_px + stamps.boxes[:, 2]).max())
    images, boxes = finish(stamps, PAGES, make_plan(["blur=3..3"]), page_px)
    assert images.shape[2] == page_px
    assert (boxes[:, 0] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2]).max() == page_px


@pytest.mark.parametrize("items", [*([name] for name in [*OF_PAGES, "jpeg"]), ["all"]])
def test_a_page_is_the_same_beside_wider_ones(items: list[str], glyphs: GlyphSet) -> None:
    plan = make_plan(items)
    stamps = put_on_pages(cut(glyphs, PAGES * DIGITS))
    narrow, boxes = finish(stamps, PAGES, plan)
    wide, wide_boxes = finish(stamps, PAGES, plan, PAGE_PX, array_px=PAGE_PX + 45)
    assert (wide[:, :, :PAGE_PX] == narrow).all()
    assert not wide[:, :, PAGE_PX:].any()
    assert (boxes == wide_boxes).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_real_digits_keep_their_ink_under_every_preset(preset: str, mnist: GlyphSet) -> None:
    before = mnist.cut_out(mnist.ids[::60])
    after = augment_digits(before, make_plan([preset]), draw_of(len(before.images)))
    had, has = (ink.images.sum(axis=(1, 2), dtype=np.int64) for ink in (before, after))
    assert (has * 4 > had).all()
    assert (
        after.width_px <= widest_px(make_plan([preset]), before.width_px, before.height_px)
    ).all()
