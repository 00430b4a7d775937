"""From what a user writes to strengths."""

from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli import augment
from mnistseq_cli.distortions.array_api import Strengths
from mnistseq_cli.distortions.pipeline import make_pipeline
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS
from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from tests.helpers.augment_cases import draw_of, only
from tests.helpers.program import run_on_older_processor

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
        *(({"medium": one}, ["medium is a preset and takes no value"]) for one in NO_SWITCH),
        ({"light": True, "medium": True}, ["light and medium are presets"]),
        ({"rotat": False}, ["Did you mean 'rotate'"]),
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
def test_a_preset_is_overridden(strengths: dict[str, Any], items: list[str]) -> None:
    assert make_pipeline(strengths) == make_pipeline(items) == make_pipeline(items[::-1])


@pytest.mark.parametrize("items", [[preset] for preset in PRESETS] + [[], ["erode=2x2..2x2"]])
def test_a_plan_spelt_out_or_in_another_order_is_the_same_plan(items: list[str]) -> None:
    plan, names = make_pipeline(items, 0.5), list(AUGMENTATIONS)
    assert make_pipeline(plan.spell_out(), 0.5) == plan
    assert make_pipeline(names[::-1]) == make_pipeline(names) == make_pipeline(["all"])


@given(
    name=st.sampled_from(list(AUGMENTATIONS)),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    seed=st.integers(0, 2**63 - 1),
)
def test_strengths_lie_in_their_range_exactly(name: str, bounds: list[float], seed: int) -> None:
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


# A single image has no neighbour to join.
EVERY = pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "join"])
N = 40


@pytest.fixture(scope="module")
def images(glyphs: GlyphSet) -> np.ndarray:
    images = glyphs.images[:N].copy()
    images.flags.writeable = False
    return images


@EVERY
def test_an_image_depends_on_its_index_and_the_seed_alone(name: str, images: np.ndarray) -> None:
    before = images.copy()
    whole = augment(images, 5, **only(name))
    assert whole.shape == images.shape
    assert whole.dtype == np.uint8
    assert whole.flags.writeable
    assert (images == before).all()
    assert (whole != before).any()
    assert (augment(images, 5, **only(name)) == whole).all()
    assert (augment(images[:7], 5, **only(name)) == whole[:7]).all()
    assert (augment(images, 6, **only(name)) != whole).any()


@EVERY
def test_neutral_strengths_change_no_bit_and_limits_leave_no_digit_empty(
    name: str, images: np.ndarray
) -> None:
    record = AUGMENTATIONS[name]
    for ink in ("white", "black"):
        neutral = only("ink", ink) | only(name, record.neutral)
        assert (augment(images, 5, **neutral) == images).all()
    for limit in record.limits if record.stage in ("geometry", "shape", "line") else ():
        after = augment(images, 5, **only(name, (limit, limit)))
        assert after.reshape(N, -1).any(axis=1).all()


@EVERY
def test_probability_zero_leaves_all_and_a_half_half(name: str, images: np.ndarray) -> None:
    many = np.tile(images, (5, 1, 1))
    always = augment(many, 5, **only(name))
    half = augment(many, 5, augment_prob=0.5, **only(name))
    assert (augment(many, 5, augment_prob=0, **only(name)) == many).all()
    same = (half == many).all(axis=(1, 2))
    assert (half[~same] == always[~same]).all()
    could_change = (always != many).any(axis=(1, 2))
    # 200 images: the number that stays is within four standard deviations.
    assert abs((same & could_change).sum() - could_change.sum() / 2) < 4 * np.sqrt(200) / 2


@EVERY
def test_other_sizes_are_allowed_and_blank_images_stay_whole(name: str) -> None:
    images = np.zeros((3, 37, 90), np.uint8)
    images[:2, 9:30, 20:77] = 222
    large = np.zeros((1, 600, 900), np.uint8)
    large[:, 200:400, 300:600] = 200
    assert augment(large, 5, **only(name)).any()
    after = augment(images, 5, **only(name))
    assert after.shape == images.shape
    assert augment(images[:0], 5, **only(name)).shape == (0, 37, 90)
    if AUGMENTATIONS[name].stage in ("geometry", "shape", "line", "lens"):
        assert not after[2].any()


def test_switching_one_on_does_not_change_the_draws_of_another(images: np.ndarray) -> None:
    # Where neither has put ink, only the light is seen: it is the light of an image alone.
    dilated = augment(images, 5, dilate="3x3..3x3")
    lit = augment(images, 5, dilate="3x3..3x3", brightness=0.2)
    alone = augment(images, 5, brightness=0.2)
    change = lit.astype(int) - dilated
    paper = (dilated == 0) & (images == 0)
    assert (change[paper] == alone.astype(int)[paper]).all()


def test_black_ink_is_distorted_like_white_ink_but_light_is_light(images: np.ndarray) -> None:
    strengths: Strengths = {"rotate": 20, "erode": 2, "blur": 1, "lines": 3, "background": 0.4}
    white = augment(images, 5, ink="white", **strengths)
    assert (augment(~images, 5, ink="black", **strengths) == ~white).all()
    for ink in ("white", "black"):
        lighter = augment(images, 5, ink=ink, brightness=(0.2, 0.2))
        assert (lighter == np.minimum(images.astype(int) + 51, 255)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"images": np.zeros((2, 28, 28))}, ["float64", "uint8"]),
        ({"images": np.zeros((28, 28), np.uint8)}, ["(28, 28)", "(N, H, W)"]),
        ({"images": np.zeros((2, 28, 15), np.uint8)}, ["(2, 28, 15)", "16"]),
        ({"images": [[1], [2, 3]]}, ["images are list", "array of uint8 of shape (N, H, W)"]),
        ({"images": None}, ["images are NoneType"]),
        ({"seed": 1.5}, ["seed is 1.5; expected a whole number from 0 to 9223372036854775807"]),
        ({"ink": "red"}, ["red", "white, black"]),
        ({"augment_prob": 1.5}, ["1.5", "0 to 1"]),
        ({"rotat": 3}, ["rotat", "'rotate'"]),
        ({"rotate": (1, 2, 3)}, ["rotate is (1, 2, 3)", "-180 to 180"]),
        ({"medium": 2}, ["medium is a preset and takes no value; it was given 2"]),
    ],
)
def test_what_is_not_allowed_is_refused(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        augment(**{"images": np.zeros((2, 28, 28), np.uint8), "seed": 1, **arguments})
    assert all(word in str(caught.value) for word in words)


def hash_every(images: np.ndarray) -> list[str]:
    names = [name for name in AUGMENTATIONS if name != "jpeg"]
    return [sha256(augment(images, 5, **only(name)).tobytes()).hexdigest() for name in names]


def test_an_older_processor_gives_the_same_pixels(images: np.ndarray) -> None:
    code = (
        "from tests.conftest import make_glyphs; from tests.distortions.test_pipeline import *; "
    )
    code += "print(*hash_every(make_glyphs().images[:N]))"
    assert run_on_older_processor(code) == hash_every(images)


def test_editors_know_every_distortion() -> None:
    assert [*Strengths.__annotations__] == [*AUGMENTATIONS, *PRESETS]
