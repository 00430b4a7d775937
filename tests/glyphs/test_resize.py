from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.glyphs.glyph_set import GlyphSet, measure_ink
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.strokes import draw_glyphs

HEIGHTS = (16, 32, 48, 64, 128, 256)
IDS = np.arange(60)


def find_softness(images: NDArray[np.uint8]) -> float:
    """Give the median over rows of the most ink, in the largest steps from pixel to pixel."""
    rows = images.reshape(-1, images.shape[2]).astype(np.int64)
    rows = np.pad(rows[rows.max(axis=1) > 0], ((0, 0), (1, 1)))
    return float(np.median(rows.max(axis=1) / np.abs(np.diff(rows)).max(axis=1)))


@pytest.mark.parametrize("height", HEIGHTS)
def test_the_edge_of_a_stroke_stays_sharp(height: int) -> None:
    ids = np.arange(400)
    assert find_softness(draw_glyphs("train", ids, height)[0]) < 2
    assert find_softness(resize(draw_glyphs("train", ids)[0], height)) < 2


def test_the_edge_of_mnist_stays_sharp(mnist: GlyphSet) -> None:
    for height in HEIGHTS:
        assert find_softness(resize(mnist.images[:500], height)) < 2


@pytest.mark.parametrize("height", [56, 112, 224])
def test_a_larger_glyph_is_the_same_glyph(height: int) -> None:
    source = draw_glyphs("train", IDS)[0]
    for larger in (draw_glyphs("train", IDS, height)[0], resize(source, height)):
        shrunk = larger.reshape(-1, 28, height // 28, 28, height // 28).mean(axis=(2, 4))
        assert np.abs(shrunk - source).mean() < 9
        assert (np.abs(measure_ink(larger) * 28 / height - measure_ink(source)) < 3).all()
