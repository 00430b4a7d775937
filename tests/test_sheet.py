from __future__ import annotations

import numpy as np
import pytest

from mnistseq_cli.sheet import FRAME_GREY, FRAME_PX, GAP_PX, enlarge, make_sheet


def test_an_image_is_enlarged_and_framed() -> None:
    image = np.array([[1, 2], [3, 4]], np.uint8)
    large = enlarge(image, 2)
    assert large[1:-1, 1:-1].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert set(large[[0, -1]].ravel().tolist()) == {FRAME_GREY}


def test_a_row_of_a_sheet_is_as_high_as_its_own_images() -> None:
    heights = [100, 20, 20, 20, 300, 20]  # two stand side by side
    sheet = make_sheet([np.full((height, 200), 7, np.uint8) for height in heights])
    assert len(sheet) == sum(2 * high + 2 * FRAME_PX + GAP_PX for high in (100, 20, 300)) + GAP_PX
    assert (sheet == 7).sum() == 4 * 200 * sum(heights)


@pytest.mark.parametrize("widths", [[30], [100] * 7, [3000, 20], [60, 90, 30]])
def test_every_image_is_on_the_sheet(widths: list[int]) -> None:
    images = [np.full((28, width), number, np.uint8) for number, width in enumerate(widths)]
    sheet = make_sheet(images)
    for number, width in enumerate(widths):
        assert (sheet == number).sum() == 4 * 28 * width
