import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import LayoutError
from mnistseq_cli.glyphs.glyph_set import GlyphSet, measure_ink
from mnistseq_cli.glyphs.resize import find_reach, weigh_windows
from mnistseq_cli.recipe import CHOICES, Recipe
from tests.conftest import make_set

ROWS = st.fixed_dictionaries(
    {
        "length": st.tuples(st.integers(1, 3), st.integers(3, 6)),
        "seed": st.integers(0, 2**32),
        "height_px": st.sampled_from([28, 28, 16, 48, 130]),
        "margin_px": st.none() | st.tuples(st.integers(0, 2), st.integers(2, 5)),
        "width_px": st.integers(1600, 1800) | st.sampled_from(["natural", "widest"]),
        "spacing_px": st.tuples(st.integers(0, 4), st.integers(4, 12)),
        "edges": st.booleans(),
        "augment": st.sampled_from([(), (), ("shift=3", "scale=0.2", "dilate=2")]),
        **{name: st.sampled_from(CHOICES[name]) for name in ("measure", "align", "ink")},
    }
)


def make(glyphs: GlyphSet, n: int = 1, **values: Any) -> Block:
    defaults: dict[str, Any] = {"length": (5, 5), "count": n}
    recipe = Recipe(**defaults | values)
    return SequenceGenerator(recipe, glyphs).block(0, n)


@given(values=ROWS)
def test_boxes_bound_ink_and_gaps_lie_between_it(values: dict[str, Any], glyphs: GlyphSet) -> None:
    low, high = values["spacing_px"]
    for sample in make(glyphs, 8, **values):
        inked = sample.image != (255 if values["ink"] == "black" else 0)
        assert len(inked) == values["height_px"]
        assert len(sample.gaps) == len(sample.text) + (1 if values["edges"] else -1)
        assert all(low <= gap <= high for gap in sample.gaps)
        assert "".join(str(glyphs.labels[glyph]) for glyph in sample.glyphs) == sample.text
        if values["measure"] == "ink":
            inner = sample.gaps[1:-1] if values["edges"] else sample.gaps
            ends = sample.boxes[:, 0] + sample.boxes[:, 2]
            assert np.array_equal(sample.boxes[1:, 0] - ends[:-1], inner)
        for x, y, width, height in sample.boxes:
            part = inked[:, x : x + width]
            assert part.any(axis=1).nonzero()[0][[0, -1]].tolist() == [y, y + height - 1]
            assert part[:, [0, -1]].any(axis=0).all()
            inked[y : y + height, x : x + width] = False
        assert not inked.any()


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("align", ["left", "center", "right", "random"])
def test_alignment_shares_out_what_is_left(align: str, edges: bool, glyphs: GlyphSet) -> None:
    for sample in make(glyphs, 40, align=align, edges=edges, width_px=260):
        first, last = (sample.gaps[0], sample.gaps[-1]) if edges else (0, 0)
        left = sample.boxes[0, 0] - first
        right = 260 - (sample.boxes[-1, 0] + sample.boxes[-1, 2]) - last
        assert min(left, right) >= 0
        expected = {"left": left == 0, "right": right == 0, "center": right - left in (0, 1)}
        assert expected.get(align, True)


def test_random_alignment_reaches_both_edges_uniformly(glyphs: GlyphSet) -> None:
    # One digit in 12 px of room; 11 places, 10 degrees of freedom: over 35.6 once in 10,000.
    width = int(glyphs.cut_out(np.array([7])).width_px[0]) + 10
    one = make_set(np.zeros(1), glyphs.images[7:8])
    block = make(one, 4400, digits="0", length=None, width_px=width, align="random")
    counts = np.bincount(block.boxes[:, 0, 0], minlength=11)
    assert len(counts) == 11
    assert ((counts - 400) ** 2 / 400).sum() < 35.6


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("width", ["natural", 120])
def test_gaps_are_uniform_at_both_ends(edges: bool, width: int | str, glyphs: GlyphSet) -> None:
    # Cells leave 120 - 3 * 28 = 36 px, room for all gaps up to 9: 9 degrees of freedom,
    # over 33.7 once in 10,000, for each of the four.
    values: dict[str, Any] = {"measure": "cell", "spacing_px": (0, 9), "edges": edges, "seed": 2}
    block = make(glyphs, 6000, digits="350", length=None, width_px=width, **values)
    drawn = block.gaps[:, :4] if edges else block.gaps[:, 1:3]
    for gaps in drawn.T:
        counts = np.bincount(gaps, minlength=10)
        assert ((counts - 600) ** 2 / 600).sum() < 33.7


@pytest.mark.parametrize("fit", ["shrink", "stretch"])
@pytest.mark.parametrize("width", [100, 5 * 28 + 4 * 6, 400])
def test_fixed_gaps_are_one_draw(fit: str, width: int, glyphs: GlyphSet) -> None:
    values: dict[str, Any] = {"spacing_mode": "fixed", "measure": "cell", "spacing_px": (3, 6)}
    natural = make(glyphs, 100, width_px="natural", **values)
    assert (natural.gaps[:, 1:5] == natural.gaps[:, 1:2]).all()
    assert set(natural.gaps[:, 1].tolist()) == {3, 4, 5, 6}
    assert np.array_equal(make(glyphs, 100, width_px=width, fit=fit, **values).gaps, natural.gaps)


def test_a_width_shares_fixed_gaps_equally_or_says_why_not(glyphs: GlyphSet) -> None:
    values: dict[str, Any] = {"spacing_mode": "fixed", "measure": "cell", "width_px": 5 * 28 + 24}
    assert set(make(glyphs, 9, **values).gaps[:, 1:5].ravel().tolist()) == {6}
    assert set(make(glyphs, 9, edges=True, **values).gaps.ravel().tolist()) == {4}
    one = make(glyphs, 3, length=(1, 1), spacing_mode="fixed", width_px=60)
    assert [sample.gaps.tolist() for sample in one] == [[]] * 3
    for extra_px, words in (
        (25, "leaves 25 px for 4 equal gaps, 6.25 px each; expected a whole number from 2 to 10"),
        (44, "11 px each.*\nUse --width widest, --spacing-mode variable or --fit shrink"),
        (4, "needs at least 148 px: 5 digits.*\nUse --width widest"),
    ):
        with pytest.raises(LayoutError, match=words):
            make(glyphs, **values | {"width_px": 5 * 28 + extra_px})


CROWDED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "length": st.tuples(st.integers(1, 3), st.integers(3, 4)) | st.just((3, 3)),
        "seed": st.integers(0, 2**32),
        "width_px": st.integers(1, 150),
        "spacing_px": st.tuples(st.integers(-28, 12), st.integers(12, 14)),
        "edges": st.booleans(),
        **{name: st.sampled_from(CHOICES[name]) for name in ("fit", "measure", "spacing_mode")},
    }
)


@given(values=CROWDED.filter(lambda values: values["spacing_px"][0] >= 0 or not values["edges"]))
def test_all_that_is_advised_works(values: dict[str, Any], glyphs: GlyphSet) -> None:
    recipe = Recipe(count=20, **values)
    try:
        SequenceGenerator(recipe, glyphs).block(0, 20)
    except LayoutError as error:
        advice = follow(error.hint)
    else:
        return
    for change in advice:
        for seed in (recipe.seed, recipe.seed + 1):  # where none is given, each run has its own
            mended = replace(recipe, seed=seed, **change)
            SequenceGenerator(mended, glyphs).block(0, 20)


def follow(hint: str) -> list[dict[str, Any]]:
    """Give the changes to a recipe that a hint names; it names nothing else."""
    assert hint.startswith("Use --")
    changes: list[dict[str, Any]] = []
    named = re.sub(r" \(always enough\)| or more$", "", hint.removeprefix("Use "))
    for way in re.split(", | or ", named):
        option, *words = way.split()
        name = option.removeprefix("--").replace("-", "_")
        numbers = [int(word) if word.isdecimal() else word for word in words]
        if name == "spacing":
            changes.append({"spacing_px": tuple(numbers)})
        else:
            changes.append({"width_px" if name == "width" else name: numbers[0]})
    return changes


@given(seed=st.integers(0, 2**32), least=st.integers(-28, -1), most=st.integers(0, 3))
@pytest.mark.parametrize("measure", ["ink", "cell"])
def test_a_digit_that_would_pass_has_its_smallest_gap_raised(
    measure: str, seed: int, least: int, most: int, glyphs: GlyphSet
) -> None:
    values: dict[str, Any] = {"measure": measure, "width_px": "natural", "seed": seed}
    block = make(glyphs, 20, spacing_px=(least, most), **values)
    widths = block.boxes[..., 2] if measure == "ink" else np.full((20, 5), 28)
    lowest = np.maximum(least, 1 - np.minimum(widths[:, :-1], widths[:, 1:]))
    assert (block.gaps[:, 1:5] >= lowest).all()
    assert (block.gaps[:, 1:5] <= np.maximum(most, lowest)).all()


def test_the_widest_width_holds_every_row_and_is_reached(glyphs: GlyphSet) -> None:
    for measure, edges in product(["ink", "cell"], [False, True]):
        values: dict[str, Any] = {"length": (1, 3), "measure": measure, "edges": edges}
        natural = make(glyphs, 200, **values, width_px="natural")
        widest = make(glyphs, 1, **values, width_px="widest").images.shape[2]
        assert natural.widths_px.max() <= widest
    text = str(int(np.argmax(glyphs.widest_px)))
    values = {"digits": 2 * text, "length": None, "spacing_px": (4, 4), "width_px": "natural"}
    assert make(glyphs, 2000, **values).widths_px.max() == 2 * glyphs.widest_px.max() + 4


def weigh(had: int, have: int, pixels: range, column: int) -> list[int]:
    """Give the 256ths of a window that lie in each of some pixels, rounded along the window."""
    wide = max(Fraction(had, have), Fraction(1))
    low = Fraction((2 * column + 1) * had, 2 * have) - wide / 2
    before = [min(max(round(256 * (at - low) / wide), 0), 256) for at in (*pixels, pixels.stop)]
    return [b - a for a, b in pairwise(before)]


@given(had=st.integers(1, 90), have=st.integers(1, 90), times=st.sampled_from([1, 40_000]))
def test_weights_are_shares_of_windows(had: int, have: int, times: int) -> None:
    lengths = np.array([had * times]), np.array([have * times])
    (weights,) = weigh_windows(*lengths, (7, 11))
    for column, found in enumerate(weights.T):
        assert (256 * found).tolist() == weigh(had, have, range(7), column)
    reached = [np.count_nonzero(weights[:size].any(axis=0)) for size in range(8)]
    assert np.minimum(find_reach(*lengths, 7), 11).tolist() == [reached]


def open_rows(glyphs: GlyphSet, **values: Any) -> SequenceGenerator:
    defaults: dict[str, Any] = {"length": (3, 6), "count": 40}
    return SequenceGenerator(Recipe(**defaults | values), glyphs)


def test_shrink_scales_a_wide_row_down_as_a_whole(glyphs: GlyphSet) -> None:
    natural = open_rows(glyphs, width_px="natural")
    assert sum(len(row.image[0]) > 60 for row in natural) > 20
    shrunk = open_rows(glyphs, width_px=60, fit="shrink")
    whole = open_rows(glyphs, width_px=200), open_rows(glyphs, width_px=200, fit="shrink")
    for row, page, padded, kept in zip(natural, shrunk, *whole, strict=True):
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
    natural = open_rows(glyphs, width_px="natural", spacing_px=(1, 3))
    stretched = open_rows(glyphs, width_px=width, fit="stretch", spacing_px=(1, 3))
    for row, page in zip(natural, stretched, strict=True):
        assert page.image.shape == (28, width)
        assert page.boxes[:, [1, 3]].tolist() == row.boxes[:, [1, 3]].tolist()
        assert page.boxes[0, 0] == 0
        assert page.boxes[-1, [0, 2]].sum() == width


@pytest.mark.parametrize(
    ("fit", "width", "length"),
    [("shrink", 70, (3, 6)), ("stretch", 70, 5), ("stretch", 320, 5), ("stretch", 3, 1)],
)
@pytest.mark.parametrize("spacing", [(2, 10), (-6, -2)])
def test_digits_are_means_of_windows(
    fit: str, width: int, length: object, spacing: tuple[int, int], glyphs: GlyphSet
) -> None:
    # Each digit is resampled alone here, from where it stood in the row.
    values: dict[str, Any] = {"length": length, "spacing_px": spacing, "count": 9}
    natural = open_rows(glyphs, width_px="natural", **values)
    fitted = open_rows(glyphs, width_px=width, fit=fit, **values)
    for row, page in zip(natural, fitted, strict=True):
        row_px = row.image.shape[1]
        target = min(row_px, width) if fit == "shrink" else width
        cell = 56 * target // row_px  # half pixels
        drawn = np.zeros((28, width), np.int64)
        for glyph, x, box in zip(row.glyphs, row.boxes[:, 0].tolist(), page.boxes, strict=True):
            cut = glyphs.cut_out(np.array([glyph]))
            left, top, down = x * target // row_px, 0, 256 * np.eye(28, dtype=np.int64)
            if fit == "shrink":
                above = int(cut.top_px[0])
                top = (14 * 56 + (above - 14) * cell) // 56
                lines = [weigh(56, cell, range(28 - above), line) for line in range(28 - top)]
                down = np.pad(lines, ((0, 0), (above, 0)))
            across = [weigh(56, cell, range(28), column) for column in range(target)]
            sums = down @ cut.images[0].astype(np.int64) @ np.array(across).T
            if x + cut.width_px[0] == row_px:  # it ends where the row does
                left = max(left, target - int(sums.any(axis=0).sum()))
            beside = left + (width - target) // 2
            digit = np.pad(-(-sums[:, : target - left] // 2**16), ((top, 0), (beside, 0)))
            assert box.tolist() == measure_ink(digit[None].astype(np.uint8))[0].tolist()
            drawn[:, : digit.shape[1]] = np.maximum(drawn[:, : digit.shape[1]], digit)
        assert np.array_equal(255 - page.image, drawn)


@pytest.mark.parametrize("values", [{"fit": "stretch"}, {"fit": "shrink"}, {"margin_px": (2, 4)}])
@pytest.mark.parametrize("augment", ["thickness=-1.5..-0.5", "thickness=-1.5..-0.5 blur"])
def test_digits_that_vanish_have_no_boxes(values: dict[str, Any], augment: str) -> None:
    pale = make_set(np.arange(10), np.eye(28, dtype=np.uint8)[None].repeat(10, axis=0))
    values = {"length": (1, 3), "width_px": 300, "augment": tuple(augment.split()), **values}
    thin = open_rows(pale, **values).block(0, 40)
    assert not thin.boxes[:, :, 2:].any()


def test_a_scale_that_cannot_be_read_is_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(LayoutError, match="cannot be read"):
        open_rows(glyphs, length=(11, 11), width_px=10, fit="stretch").block(0, 1)
