from __future__ import annotations

import numpy as np
import pytest

from mnistseq_cli.formats.sheet import FRAME_GREY, enlarge, make_sheet


def test_an_image_is_enlarged_and_framed() -> None:
    image = np.array([[1, 2], [3, 4]], np.uint8)
    large = enlarge(image, 2)
    assert large[1:-1, 1:-1].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert set(large[[0, -1]].ravel().tolist()) == {FRAME_GREY}


@pytest.mark.parametrize("widths", [[30], [100] * 7, [3000, 20], [60, 90, 30]])
def test_every_image_is_on_the_sheet(widths: list[int]) -> None:
    images = [np.full((28, width), number, np.uint8) for number, width in enumerate(widths)]
    sheet = make_sheet(images)
    for number, width in enumerate(widths):
        assert (sheet == number).sum() == 4 * 28 * width
