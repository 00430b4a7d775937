"""What holds for every distortion in the table."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mnistseq_cli import augment
from mnistseq_cli.distortions.array_api import Strengths
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS
from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from tests.helpers.augment_cases import only

# A single image has no neighbour to join.
EVERY = pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "join"])
N = 40
# What a process without the newer instructions prints.
OLD_PROCESSOR = """
import hashlib, sys
import numpy as np
from mnistseq_cli.distortions.array_api import augment
from mnistseq_cli.distortions.registry import AUGMENTATIONS
images = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(-1, 28, 28)
for name in AUGMENTATIONS:
    if name != "jpeg":
        print(name, hashlib.sha256(augment(images, 5, **{name: True})).hexdigest())
"""


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
@pytest.mark.parametrize("ink", ["white", "black"])
def test_the_neutral_strength_changes_no_bit(name: str, ink: str, images: np.ndarray) -> None:
    neutral = only(name, AUGMENTATIONS[name].neutral)
    assert (augment(images, 5, **only("ink", ink), **neutral) == images).all()


@EVERY
def test_no_digit_is_left_empty_even_at_the_limits(name: str, images: np.ndarray) -> None:
    if AUGMENTATIONS[name].stage in ("geometry", "shape", "line"):
        for limit in AUGMENTATIONS[name].limits:
            after = augment(images, 5, **only(name, (limit, limit)))
            assert after.reshape(N, -1).any(axis=1).all()


@EVERY
def test_probability_zero_leaves_all_and_a_half_leaves_about_half(
    name: str, images: np.ndarray
) -> None:
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


def test_black_ink_is_distorted_like_white_ink(images: np.ndarray) -> None:
    strengths: Strengths = {"rotate": 20, "erode": 2, "blur": 1, "lines": 3, "background": 0.4}
    white = augment(images, 5, ink="white", **strengths)
    assert (augment(~images, 5, ink="black", **strengths) == ~white).all()


def test_brightness_means_lighter_whatever_the_ink(images: np.ndarray) -> None:
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


def test_an_older_processor_gives_the_same_pixels(images: np.ndarray) -> None:
    core = __import__("numpy._core" if hasattr(np, "_core") else "numpy.core", fromlist=["_"])
    there = core._multiarray_umath  # noqa: SLF001 - the only place that lists them
    features = [name for name in there.__cpu_dispatch__ if there.__cpu_features__.get(name)]
    if not features:
        pytest.skip("NumPy dispatches to no instructions of this processor")
    printed = [
        subprocess.run(
            [sys.executable, "-c", OLD_PROCESSOR],
            input=images.tobytes(),
            env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(names)},
            check=True,
            capture_output=True,
        ).stdout
        for names in ([], features)
    ]
    assert printed[0].count(b"\n") == len(AUGMENTATIONS) - 1
    assert printed[0] == printed[1]


def test_editors_know_every_distortion() -> None:
    assert [*Strengths.__annotations__] == [*AUGMENTATIONS, *PRESETS]
