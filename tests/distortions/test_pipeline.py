"""From what a user writes to strengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.distortions.pipeline import make_pipeline
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS
from mnistseq_cli.errors import UsageError
from tests.helpers.augment_cases import draw_of

DEGREES = "expected numbers from -180 to 180 (degrees), alone or as LOW..HIGH"
PIXELS = "expected whole numbers from 1 to 5 (pixels), alone, as WxH or as LOW..HIGH"
NO_SWITCH: list[Any] = [0.5, "", 1, (1, 2)]
LIGHT = [f"{name}={value}" for name, value in PRESETS["light"].items()]
WRONG: list[Any] = [(), (1,), (1, 2, 3), {}, None, (True, 3), float("nan")]
FORMS = "a number, a pair (LOW, HIGH), a text such as '5..10', True or False"


BAD_WINDOWS = ["6", "1.5x2", "2x2x2", "-1"]
BAD_ANGLES = ["", "fast", "nan", "1e3", "181", "5..181", "5..", "..5", "-5..5x", "1..2..3", "3x4"]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("rotate=-15", (-15,), (15,)),
        ("rotate=-5..-2.5", (-5,), (-2.5,)),
        ("rotate", (-10,), (10,)),
        ("scale=0.1x.2", (-0.1, -0.2), (0.1, 0.2)),
        ("blur=1.5", (0,), (1.5,)),
        ("noise=1e-05", (0,), (0.00001,)),
        ("erode=3x2", (1, 1), (3, 2)),
        ("erode=3", (1, 1), (3, 3)),
        ("dilate=2x2..4x3", (2, 2), (4, 3)),
        ("contrast=2", (-0.9,), (2,)),
        ("jpeg=30", (30,), (100,)),
        ("erode=0", (1, 1), (1, 1)),
        ("dilate=0x2..-0x3", (1, 2), (1, 3)),
        # as recipes of 0.1 say it
        ("lines=0..2.0", (0,), (2,)),
        ("erode=1x1..2.0x2.0", (1, 1), (2, 2)),
        ("jpeg=30.0..60.0", (30,), (60,)),
    ],
)
def test_values_become_ranges(text: str, low: tuple[float], high: tuple[float]) -> None:
    (step,) = make_pipeline([text]).steps
    assert (step.low, step.high) == (low, high)
    assert make_pipeline([step.write()]).steps == (step,)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["rotat=3"], ["'rotat'", "heavy", "'rotate'"]),
        *((["rotate=" + value], [f"rotate is {value!r}", DEGREES]) for value in BAD_ANGLES),
        (["rotate=10..5"], ["LOW over HIGH", "rotate=5..10"]),
        *((["erode=" + value], [f"erode is {value!r}", PIXELS]) for value in BAD_WINDOWS),
        (["erode=3x3..2x2"], ["LOW over HIGH", "erode=2x2..3x3"]),
        (["jpeg=4"], ["whole numbers from 5 to 100 (the quality of JPEG), alone or as LOW..HIGH"]),
        (["light", "heavy"], ["light and heavy"]),
        (["light", "light"], ["'light' is given twice"]),
        (["rotate=3", "rotate=5"], ["'rotate' is given twice", "rotate=LOW..HIGH"]),
        (["light=3"], ["light is a preset", "'3'", "rotate=10"]),
        *((items, ["list of texts"]) for items in ("light", [3], ["light", None])),
    ],
)
def test_mistakes_are_named(items: Any, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        make_pipeline(items)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan"), "0.5", None, True, [0.5]])
def test_a_probability_is_from_zero_to_one(probability: Any) -> None:
    with pytest.raises(UsageError) as caught:
        make_pipeline(["rotate"], probability)
    assert caught.value.field == "augment_prob"
    assert repr(probability) in caught.value.message
    assert make_pipeline(["rotate"], float(np.float32(0.5))).steps[0].probability == 0.5


def test_steps_stand_in_the_order_of_the_table_however_they_are_given() -> None:
    names = list(AUGMENTATIONS)
    assert make_pipeline(names[::-1]) == make_pipeline(names) == make_pipeline(["all"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (("1x2", "3"), "1x2..3"),
        ([[1, 1], (2, 3)], "1x1..2x3"),
        ((1, (2, 3)), "1..2x3"),
        (np.array([[1, 1], [2, 3]]), "1x1..2x3"),
        (np.array(3), "3"),
        ((np.int64(2), np.float32(3)), "2..3"),
        (np.True_, "2x2"),
        *((wrong, "") for wrong in WRONG),
    ],
)
def test_a_strength_is_a_number_a_pair_or_a_text(value: Any, text: str) -> None:
    if text:
        assert make_pipeline({"erode": value}) == make_pipeline([f"erode={text}"])
        return
    with pytest.raises(UsageError) as caught:
        make_pipeline({"erode": value})
    assert caught.value.field == "erode"
    assert repr(value) in caught.value.message
    assert FORMS in caught.value.hint


@pytest.mark.parametrize(
    ("strengths", "items"),
    [
        ({"medium": True}, ["medium"]),
        ({"rotate": 3, "medium": np.True_}, ["rotate=3", "medium"]),
        ({"rotate": False, "light": False}, []),
        ({"light": True, "medium": False}, ["light"]),
        ({"light": True, "rotate": np.False_}, [one for one in LIGHT if "rotate" not in one]),
        ({"light": True, "rotate": 33}, ["rotate=33", "light"]),
    ],
)
def test_a_preset_is_a_name_that_others_override(
    strengths: dict[str, Any], items: list[str]
) -> None:
    assert make_pipeline(strengths) == make_pipeline(items) == make_pipeline(items[::-1])


@pytest.mark.parametrize(
    ("strengths", "words"),
    [
        *(({"medium": one}, "medium is a preset and takes no value") for one in NO_SWITCH),
        ({"light": True, "medium": True}, "light and medium are presets"),
        ({"rotat": False}, "Did you mean 'rotate'"),
    ],
)
def test_wrong_presets_are_named(strengths: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_pipeline(strengths)


@pytest.mark.parametrize("items", [[preset] for preset in PRESETS] + [[], ["erode=2x2..2x2"]])
def test_a_plan_spelt_out_is_the_same_plan(items: list[str]) -> None:
    plan = make_pipeline(items, 0.5)
    assert make_pipeline(plan.spell_out(), 0.5) == plan


@given(
    name=st.sampled_from(list(AUGMENTATIONS)),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    seed=st.integers(0, 2**63 - 1),
)
def test_strengths_lie_in_their_range_and_are_spelt_out_exactly(
    name: str, bounds: list[float], seed: int
) -> None:
    record = AUGMENTATIONS[name]
    low, high = (record.limits[0] + b * (record.limits[1] - record.limits[0]) for b in bounds)
    if record.whole:
        low, high = int(low), int(high)
    plan = make_pipeline({name: (low, high)})
    assert make_pipeline(plan.spell_out()) == plan
    (step,) = plan.steps
    assert {*step.low, *step.high} <= {low, high, record.neutral}
    strengths, _ = step.draw(draw_of(50, seed))
    assert strengths.shape == (50, record.n_strengths)
    assert (strengths >= step.low).all()
    assert (strengths <= step.high).all()
    assert not record.whole or (strengths == np.rint(strengths)).all()


@pytest.mark.parametrize(("sizes", "n"), [("1x1..4x4", 4), ("0..2", 2)])
def test_strengths_are_uniform_and_drawn_apart(sizes: str, n: int) -> None:
    rotate, erode = make_pipeline([f"erode={sizes}", "rotate=10"]).steps
    across, down = erode.draw(draw_of(16_000))[0].astype(int).T
    counts = np.bincount((across - 1) * n + down - 1, minlength=n * n)
    # Sixteen cells: chi-squared of 15 degrees is under 38 in 999 of 1,000 cases; of 3, too.
    assert ((counts - 16_000 / n**2) ** 2 / (16_000 / n**2)).sum() < 38
    angles = np.sort(rotate.draw(draw_of(16_000))[0][:, 0])
    assert np.abs(angles - np.linspace(-10, 10, 16_000)).max() < 0.3


def test_each_distortion_is_left_out_independently() -> None:
    plan = make_pipeline(["all"], 0.5)
    on = np.stack(
        [
            (step.draw(draw_of(4000))[0] != step.record.neutral).any(axis=1)
            for step in plan.steps
            if not step.record.whole
        ]
    )
    assert np.abs(on.mean(axis=1) - 0.5).max() < 0.04
    assert np.abs(np.corrcoef(on) - np.eye(len(on))).max() < 0.07


@pytest.mark.parametrize("item", ["rotate=20", "elastic=0..4", "scale=0.1..0.4", "dilate=1..5"])
def test_digits_of_a_row_by_one_hand_are_distorted_alike(item: str) -> None:
    (step,) = make_pipeline([item], 0.8).steps
    n_rows, n_digits = 500, 8
    draw, of_row = draw_of(n_rows * n_digits), draw_of(n_rows)
    strengths = step.draw(draw, lambda use, n: of_row(use, n).repeat(n_digits, axis=0))[0]
    strengths = strengths.reshape(n_rows, n_digits, -1)
    is_on = (strengths != step.record.neutral).any(axis=(1, 2))
    assert 0.7 < is_on.mean() < 0.9  # the whole row, or none of it
    low, high = np.array(step.low), np.array(step.high)
    assert ((low <= strengths[is_on]) & (strengths[is_on] <= high)).all()
    within, between = strengths[is_on].std(axis=1).mean(), strengths[is_on].mean(axis=1).std()
    assert 0 < within < between / 2
    alone = step.draw(draw)[0].reshape(n_rows, n_digits, -1)
    assert alone.std(axis=1).mean() > alone.mean(axis=1).std()
