from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnistseq_cli
from mnistseq_cli import Recipe, generate_numbers_sequence, generate_phone_numbers
from mnistseq_cli.errors import TextError, UsageError
from mnistseq_cli.recipe import Manner


@pytest.fixture(scope="module")
def dataset(glyph_folder: Path) -> dict[str, Any]:
    return {"dataset": str(glyph_folder)}


@pytest.mark.parametrize("digits", ["350", [3, 5, 0], iter([3, 5, 0]), np.array([3, 5, 0])])
def test_digits_are_any_text_or_numbers(digits: Any, dataset: dict[str, Any]) -> None:
    image = generate_numbers_sequence(digits, (2, 10), 100, seed=1, **dataset)
    assert image.shape == (28, 100)
    assert image.dtype == np.float32
    assert np.array_equal(image, generate_numbers_sequence("350", (2, 10), 100, seed=1, **dataset))


def test_ink_is_black_on_white_and_a_call_without_a_seed_differs(dataset: dict[str, Any]) -> None:
    image = generate_numbers_sequence("1", (2, 10), 100, seed=1, **dataset)
    assert image.max() == image[:, 0].min() == 1
    assert 0 <= image.min() < 1
    white = generate_numbers_sequence("1", (2, 10), 100, seed=1, ink="white", **dataset)
    assert white[:, 0].max() == 0
    calls = [generate_numbers_sequence("123456789", (0, 20), 400, **dataset) for _ in range(5)]
    assert len({image.tobytes() for image in calls}) == 5


@pytest.mark.parametrize("gap", [1, 50])
def test_the_spacing_range_is_kept_at_any_height(gap: int, dataset: dict[str, Any]) -> None:
    for height in (28, 64):
        image = generate_numbers_sequence("35", (gap, gap), 250, height_px=height, **dataset)
        assert image.shape == (height, 250)
        inked = np.flatnonzero((image < 1).any(axis=0))
        assert np.diff(inked).max() == gap + 1


def test_phone_numbers_are_unique_and_repeatable(dataset: dict[str, Any]) -> None:
    images, numbers = generate_phone_numbers(50, seed=2, **dataset)
    assert images.shape[:2] == (50, 28)
    assert images.dtype == np.float32
    assert len(set(numbers)) == 50
    assert all(len(number) == 11 and number[0] == "0" for number in numbers)
    again, same = generate_phone_numbers(50, seed=2, **dataset)
    assert same == numbers
    assert np.array_equal(again, images)
    assert generate_phone_numbers(2, 400, (0, 1), pattern="us", **dataset)[0].shape == (2, 28, 400)


@pytest.mark.parametrize("digits", ["", "a", [-3], 350, None, []])
def test_digits_that_are_none_are_refused(digits: Any, dataset: dict[str, Any]) -> None:
    with pytest.raises(TextError) as caught:
        generate_numbers_sequence(digits, (2, 10), 100, **dataset)
    assert isinstance(caught.value, mnistseq_cli.MnistseqError)
    assert isinstance(caught.value, ValueError)


def test_names_of_options_are_known_to_editors_and_checked(dataset: dict[str, Any]) -> None:
    own = {"digits", "length", "pattern", "texts", "splits", "splits_by", "seed", "count"}
    assert {*Manner.__annotations__} == {*Recipe.__dataclass_fields__} - own - {
        "width_px",
        "spacing_px",
    }
    with pytest.raises(TypeError, match=r"'algin'\. Did you mean 'align'"):
        generate_numbers_sequence("350", algin="left")  # type: ignore[call-arg]
    assert generate_numbers_sequence("350", **dataset).shape[1] < 3 * 28 + 20


@pytest.mark.parametrize(
    ("digits", "values", "message"),
    [
        ("3", {"image_width": 0}, "image_width is 0; expected a whole number from 1"),
        ("3", {"spacing_range": (9, 2)}, "spacing_range goes from 9 to 2;"),
        ("3" * 9, {"image_width": 60}, r"\nUse image_width=\d+ .*fit='shrink'"),
        ("3" * 9, {"image_width": 175, "spacing_range": (9, 12)}, r"\nUse .* spacing_range=\(0, "),
        ("3" * 99, {"image_width": 9, "fit": "shrink"}, r"\nUse image_width=\d+"),
        ("35", {"measure": "cell", "spacing_mode": "fixed"}, r"\nUse image_width='widest'"),
        (0, {}, "num_images is 0"),
        (11, {"pattern": "#"}, "num_images is 11, but the pattern '#' has only 10"),
    ],
)
def test_messages_name_the_parameters_of_the_call(
    digits: Any, values: dict[str, Any], message: str, dataset: dict[str, Any]
) -> None:
    generate: Any = generate_numbers_sequence
    if isinstance(digits, int):
        generate = generate_phone_numbers
    else:
        values = {"spacing_range": (2, 10), "image_width": 100, "seed": 1} | values
    with pytest.raises(UsageError, match=message) as caught:
        generate(digits, **values, **dataset)
    assert "_px" not in str(caught.value)
    assert caught.value.args == (caught.value.message, caught.value.hint)


@pytest.mark.parametrize(
    "more", [{"count": 3}, {"length": (1, 2)}, {"texts": ("1",)}, {"width_px": 9}]
)
def test_what_is_a_parameter_is_refused(more: dict[str, Any], dataset: dict[str, Any]) -> None:
    (name,) = more
    message = rf"^{name}=.* is not for this function.*\n.*Recipe\("
    with pytest.raises(UsageError, match=message):
        generate_numbers_sequence("1", (2, 10), 100, **more, **dataset)
    with pytest.raises(UsageError, match=message):
        generate_phone_numbers(3, **more, **dataset)
