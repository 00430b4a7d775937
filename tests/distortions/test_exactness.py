"""Distortions against plain computations of the same thing."""

import math
from typing import Any

import numpy as np
import pytest

from mnistseq_cli.distortions.array_api import augment
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from tests.helpers.augment_cases import PAGE_PX

GREY = np.full((60, 28, PAGE_PX), 128, np.uint8)


@pytest.fixture(scope="module")
def images(glyphs: GlyphSet) -> np.ndarray:
    """Give digits in the middle of more paper than they need."""
    return np.pad(glyphs.images[:20], ((0, 0), (10, 10), (10, 10)))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 3), (2, 2), (4, 3), (5, 5)])
def test_erosion_and_dilation_are_least_and_most(
    width: int, height: int, images: np.ndarray
) -> None:
    size = f"{width}x{height}..{width}x{height}"
    dilated = augment(images, 1, dilate=size)
    eroded = augment(images, 1, erode=size)
    for number, image in enumerate(images[:6]):
        most, least = np.zeros_like(image), np.zeros_like(image)
        for y in range(5, image.shape[0] - 5):
            for x in range(5, image.shape[1] - 5):
                window = image[y - height // 2 :, x - width // 2 :][:height, :width]
                most[y, x], least[y, x] = window.max(), window.min()
        assert (dilated[number] == most).all()
        if least.sum() * 3 >= image.sum():
            assert (eroded[number] == least).all()
        else:
            assert eroded[number].sum() * 3 >= image.sum() * 0.9


@pytest.mark.parametrize("pen_px", [2, 3, 4, 5])
@pytest.mark.parametrize("strengths", [{"erode": "5x5..5x5"}, {"thickness": (-2, -2)}])
def test_a_pen_as_thin_as_it_gets_draws_no_ghost(strengths: dict[str, Any], pen_px: int) -> None:
    """What is left is a thin ring, not a pale picture of the thick one."""
    rows, columns = np.mgrid[-14:14, -14:14] + 0.5
    from_middle = np.abs(np.hypot(rows, columns) - 8)
    ring = np.clip(255 * (pen_px / 2 + 0.5 - from_middle), 0, 255).astype(np.uint8)
    (thin,) = augment(ring[None], 1, **strengths)
    assert thin.sum() < ring.sum() * 0.6
    assert np.average(thin[thin > 0], weights=thin[thin > 0]) > 128


def sample(image: np.ndarray, x: float, y: float) -> float:
    column, row = math.floor(x), math.floor(y)
    right, lower = x - column, y - row
    total = 0.0
    for dy, weight_y in ((0, 1 - lower), (1, lower)):
        for dx, weight_x in ((0, 1 - right), (1, right)):
            if 0 <= row + dy < image.shape[0] and 0 <= column + dx < image.shape[1]:
                total += weight_y * weight_x * image[row + dy, column + dx]
    return total


@pytest.mark.parametrize(
    ("strengths", "inverse"),
    [
        ({"rotate": (30, 30)}, lambda c, s: ((c, s), (-s, c))),
        ({"shear": (30, 30)}, lambda c, s: ((1, s / c), (0, 1))),
        ({"scale": (0.25, 0.25)}, lambda _c, _s: ((0.8, 0), (0, 0.8))),
        ({"shift": (1.5, 1.5)}, lambda _c, _s: ((1, 0), (0, 1))),
    ],
)
def test_geometry_is_a_map(strengths: dict[str, Any], inverse: object, images: np.ndarray) -> None:
    angle = math.radians(30)
    (a, b), (c, d) = inverse(math.cos(angle), math.sin(angle))  # type: ignore[operator]
    moved = 1.5 if "shift" in strengths else 0
    after = augment(images[:4], 1, **strengths)
    for image, result in zip(images, after, strict=False):
        rows, columns = np.nonzero(image)
        middle_x, middle_y = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
        off = []
        for y, x in np.ndindex(*image.shape):
            u, v = x - middle_x - moved, y - middle_y - moved
            expected = sample(image, a * u + b * v + middle_x, c * u + d * v + middle_y)
            off.append(abs(int(result[y, x]) - expected))
        # Places are rounded to 1/16 px, so to less than 1/32 px and what interpolation rounds,
        # and neighbours differ by up to 255.
        assert max(off) <= 2 * 255 / 25
        assert np.mean(off) <= 1


@pytest.mark.parametrize("side", [16, 60, 180])
def test_perspective_is_a_fraction_of_the_size_of_the_image(side: int) -> None:
    square = np.zeros((1, 2 * side, 3 * side), np.uint8)
    square[:, side // 2 : 3 * side // 2, side : 2 * side] = 255
    (after,) = augment(square, 1, perspective=(0.3, 0.3))
    # The near corner is a third of the way to the left edge and half of that to the upper one.
    near = np.argwhere(after > 0).min(axis=0)
    across = side / 2 / (1 - 0.3 / 3 - 0.3 / 2)
    assert near == pytest.approx([side - across, 1.5 * side - across], abs=1.5)


def test_elastic_moves_the_point_that_moves_most_by_its_strength() -> None:
    columns = np.zeros((50, 60, 60), np.uint8)
    columns[:, 4:56, 4:56] = np.arange(20, 228, 4, dtype=np.uint8)
    rows = columns.transpose(0, 2, 1).copy()
    # Four grey levels a pixel; the edges of the ramp tell nothing.
    across, down = (
        np.abs(augment(ramp, 1, elastic=(2, 2)).astype(int) - ramp)[:, 8:52, 8:52] / 4
        for ramp in (columns, rows)
    )
    largest = np.maximum(across, down).max(axis=(1, 2))
    assert largest.max() <= 2.25
    assert np.median(largest) >= 1.9


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_blur_is_a_gaussian(sigma: float) -> None:
    dot = np.zeros((1, 41, 41), np.uint8)
    dot[0, 20, 20] = 255
    (after,) = augment(dot, 1, blur=(sigma, sigma))
    far = np.arange(-20, 21)
    kernel = np.where(abs(far) <= 3 * sigma, np.exp(-(far**2) / (2 * sigma**2)), 0)
    weights = np.rint(256 * kernel / kernel.sum())
    weights[20] += 256 - weights.sum()
    # Rows are rounded before columns are.
    assert np.abs(after - 255 * np.outer(weights, weights) / 65536).max() <= 1


@pytest.mark.parametrize("distance", [0.25, 0.5, 1.0])
def test_thickness_moves_edges_by_so_many_pixels(distance: float) -> None:
    bar = np.zeros((1, 40, 40), np.uint8)
    bar[:, 8:32, 15:25] = 255
    for sign in (1, -1):
        (after,) = augment(bar, 1, thickness=(sign * distance, sign * distance))
        assert after[20].sum() / 255 == pytest.approx(10 + 2 * sign * distance, abs=0.01)
        assert after[:, 20].sum() / 255 == pytest.approx(24 + 2 * sign * distance, abs=0.01)


def test_contrast_is_a_straight_line() -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8), (1, 16, 1))
    for part in (-0.5, 0.5):
        (stretched,) = augment(levels, 1, contrast=(part, part))
        expected = np.clip(np.floor(128 + (np.arange(256) - 128) * (1 + part) + 0.5), 0, 255)
        assert (stretched == expected).all()


def test_noise_is_salt_and_pepper_in_equal_parts() -> None:
    after = augment(GREY, 1, noise=(0.1, 0.1))
    for level in (0, 255):
        assert (after == level).mean() == pytest.approx(0.05, abs=0.002)
    assert set(np.unique(after)) == {0, 128, 255}


def test_grain_has_its_mean_and_standard_deviation_and_no_pattern() -> None:
    after = augment(GREY, 1, grain=(0.1, 0.1)).astype(float) - 128
    assert after.mean() == pytest.approx(0, abs=0.2)
    assert after.std() == pytest.approx(25.5, rel=0.01)
    for step in ((1, 0), (0, 1), (0, 2), (0, 4), (1, 1)):
        moved = after[:, step[0] :, step[1] :]
        still = after[:, : moved.shape[1], : moved.shape[2]]
        assert abs(np.corrcoef(moved.ravel(), still.ravel())[0, 1]) < 0.01


def test_background_is_no_darker_than_its_strength_and_lets_ink_through() -> None:
    paper = np.zeros((60, 28, PAGE_PX), np.uint8)
    paper[:, :, 60:70] = 255
    after = augment(paper, 1, background=(0.4, 0.4))
    assert (after[:, :, 60:70] == 255).all()
    after = np.delete(after, range(60, 70), axis=2)
    assert 20 < after.mean() < 80
    assert after.max() <= 0.4 * 255 * 1.16
    assert (after.std(axis=(1, 2)) > 2).all()


@pytest.mark.parametrize("left", [0, 65, 130])
@pytest.mark.parametrize("top", [0, 40, 80])
def test_each_line_crosses_what_is_written_wherever_that_is(left: int, top: int) -> None:
    images = np.zeros((300, 100, 150), np.uint8)
    written = slice(top, top + 20), slice(left, left + 20)
    images[:, *written] = 100
    one, three = (augment(images, 1, lines=(n, n)) for n in (1, 3))
    assert (one > images)[:, *written].any(axis=(1, 2)).all()
    assert (one >= images).all()
    assert (three >= one).all()


def test_baseline_moves_digits_as_they_are(images: np.ndarray) -> None:
    after = augment(images, 1, baseline=(-5, 5))
    for before, moved in zip(images, after, strict=True):
        rows, rows_after = (np.flatnonzero(image.any(axis=1)) for image in (before, moved))
        assert (moved[rows_after] == before[rows]).all()
    assert (after != images).any()
