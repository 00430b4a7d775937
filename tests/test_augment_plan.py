"""From what a user writes to strengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augment_cases import draw_of
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.compose.augment import AUGMENTATIONS, PRESETS, make_plan
from mnistseq_cli.errors import UsageError


def only_step(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    (step,) = make_plan([text]).steps
    return step.low, step.high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("rotate=15", (-15,), (15,)),
        ("rotate=-15", (-15,), (15,)),
        ("rotate=5..10", (5,), (10,)),
        ("rotate=-5..-2.5", (-5,), (-2.5,)),
        ("rotate", (-10,), (10,)),
        ("scale=0.1", (-0.1, -0.1), (0.1, 0.1)),
        ("scale=0.1x.2", (-0.1, -0.2), (0.1, 0.2)),
        ("blur=1.5", (0,), (1.5,)),
        ("noise=0", (0,), (0,)),
        ("noise=1e-05", (0,), (0.00001,)),
        ("erode=3x2", (1, 1), (3, 2)),
        ("erode=3", (1, 1), (3, 3)),
        ("dilate=2x2..4x3", (2, 2), (4, 3)),
        ("contrast=2", (-0.9,), (2,)),
        ("jpeg=30", (30,), (100,)),
        ("jpeg=30..60", (30,), (60,)),
        ("lines=3", (0,), (3,)),
    ],
)
def test_values_become_ranges(text: str, low: tuple[float], high: tuple[float]) -> None:
    assert only_step(text) == (low, high)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["rotat=3"], ["'rotat'", "allowed: scale", "heavy", "Did you mean 'rotate'?"]),
        (["rotate="], ["rotate is ''", "degrees"]),
        (["rotate=fast"], ["'fast'", "LOW..HIGH"]),
        (["rotate=nan"], ["'nan'"]),
        (["rotate=1e3"], ["1e3", "-180 to 180"]),
        (["rotate=181"], ["181", "-180 to 180", "degrees"]),
        (["rotate=10..5"], ["10..5", "LOW must not be over HIGH"]),
        (["rotate=3x4"], ["'3x4'", "a number or LOW..HIGH"]),
        (["erode=6"], ["6", "whole numbers from 0 to 5"]),
        (["erode=1.5x2"], ["1.5x2", "whole numbers"]),
        (["erode=2x2x2"], ["WxH"]),
        (["jpeg=4"], ["5 to 100"]),
        (["light", "heavy"], ["light and heavy", "one preset"]),
        (["light", "light"], ["one preset"]),
        (["rotate=3", "rotate=5"], ["rotate twice", "rotate=LOW..HIGH"]),
        (["light=3"], ["'light'"]),
    ],
)
def test_mistakes_are_named(items: list[str], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        make_plan(items)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("items", ["light", [3], ["light", None]])
def test_only_texts_are_read(items: Any) -> None:
    with pytest.raises(UsageError, match="list of texts"):
        make_plan(items)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_is_from_zero_to_one(probability: float) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        make_plan(["rotate"], probability)


def test_steps_stand_in_the_order_of_the_table_however_they_are_given() -> None:
    names = list(AUGMENTATIONS)
    assert make_plan(names[::-1]) == make_plan(names) == make_plan(["all"])


def test_a_name_overrides_a_preset() -> None:
    for items in (["light", "rotate=33"], ["rotate=33", "light"]):
        steps = {step.name: step for step in make_plan(items).steps}
        assert steps["rotate"].high == (33,)
        assert steps.keys() == PRESETS["light"].keys()


def test_names_and_numbers_say_the_same_as_texts() -> None:
    by_text = make_plan(["rotate=5..10", "erode=2x3", "blur=1", "noise"])
    by_name = make_plan({"noise": True, "blur": 1, "erode": "2x3", "rotate": (5, 10)})
    assert by_name == by_text


@pytest.mark.parametrize("items", [[preset] for preset in PRESETS] + [[], ["erode=2x2..2x2"]])
def test_a_plan_spelt_out_is_the_same_plan(items: list[str]) -> None:
    plan = make_plan(items, 0.5)
    assert make_plan(plan.spell_out(), 0.5) == plan


@given(
    name=st.sampled_from(list(AUGMENTATIONS)),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    seed=st.integers(0, 2**63 - 1),
)
def test_strengths_lie_in_their_range(name: str, bounds: list[float], seed: int) -> None:
    record = AUGMENTATIONS[name]
    low, high = (record.limits[0] + b * (record.limits[1] - record.limits[0]) for b in bounds)
    if record.whole:
        low, high = int(low), int(high)
    plan = make_plan({name: (f"{low:.6f}", f"{high:.6f}")})  # type: ignore[dict-item]
    (step,) = plan.steps
    strengths, _ = plan.draw(step, draw_of(50, seed))
    assert strengths.shape == (50, record.n_strengths)
    assert (strengths >= step.low).all()
    assert (strengths <= step.high).all()
    assert not record.whole or (strengths == np.rint(strengths)).all()


def test_strengths_are_uniform_and_drawn_apart() -> None:
    plan = make_plan(["erode=1x1..4x4", "rotate=10"])
    rotate, erode = plan.steps
    sizes = plan.draw(erode, draw_of(16_000))[0].astype(int)
    counts = np.bincount(sizes[:, 0] * 4 + sizes[:, 1] - 5)
    # Sixteen cells of about 1,000: chi-squared of 15 degrees is under 38 in 999 of 1,000 cases.
    assert ((counts - 1000) ** 2 / 1000).sum() < 38
    angles = np.sort(plan.draw(rotate, draw_of(16_000))[0][:, 0])
    assert np.abs(angles - np.linspace(-10, 10, 16_000)).max() < 0.3


def test_each_distortion_is_left_out_independently() -> None:
    plan = make_plan(["all"], 0.5)
    on = np.stack(
        [
            (plan.draw(step, draw_of(4000))[0] != step.record.neutral).any(axis=1)
            for step in plan.steps
            if not step.record.whole
        ]
    )
    assert np.abs(on.mean(axis=1) - 0.5).max() < 0.04
    assert np.abs(np.corrcoef(on) - np.eye(len(on))).max() < 0.07


@pytest.mark.parametrize("record", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_the_table_is_consistent(record: object) -> None:
    name = next(key for key, value in AUGMENTATIONS.items() if value is record)
    row = AUGMENTATIONS[name]
    assert row.limits[0] <= row.neutral <= row.limits[1]
    assert row.signed == (row.limits[0] < 0)
    assert row.summary
    assert row.unit
    assert make_plan([name]).steps[0].high != make_plan({name: row.neutral}).steps[0].high or (
        make_plan([name]).steps[0].low != make_plan({name: row.neutral}).steps[0].low
    )


def test_the_older_tools_random_all_can_be_said() -> None:
    plan = make_plan(["rotate=30", "noise=0.1", "erode=2x3..2x3", "dilate=3x2..3x2"], 0.5)
    (erode,) = (step for step in plan.steps if step.name == "erode")
    strengths, _ = plan.draw(erode, draw_of(100))
    assert {tuple(pair) for pair in strengths.tolist()} == {(1, 1), (2, 3)}
