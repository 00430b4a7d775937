from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.glyphs.glyph_set import GlyphSet, measure_ink
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.strokes import draw_glyphs

HEIGHTS = (16, 32, 48, 64, 128, 256)
IDS = np.arange(60)
SHA256 = "586e9868da571a0f99dbc7cba529fb1497cf27c9606e29fe34d13af6cbc30903"
PRINT_HASH = """
import hashlib
import numpy as np
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.strokes import draw_glyphs
ids, digest = np.arange(60), hashlib.sha256()
for height_px in (16, 48, 128, 256):
    digest.update(draw_glyphs("train", ids, height_px)[0].tobytes())
    digest.update(resize(draw_glyphs("train", ids)[0], height_px).tobytes())
print(digest.hexdigest())
"""


def find_softness(images: NDArray[np.uint8]) -> float:
    """Give the median over rows of the most ink, in the largest steps from pixel to pixel."""
    rows = images.reshape(-1, images.shape[2]).astype(np.int64)
    rows = np.pad(rows[rows.max(axis=1) > 0], ((0, 0), (1, 1)))
    return float(np.median(rows.max(axis=1) / np.abs(np.diff(rows)).max(axis=1)))


def shrink(images: NDArray[np.uint8], factor: int) -> NDArray[np.float64]:
    n, height, width = images.shape
    blocks = images.reshape(n, height // factor, factor, width // factor, factor)
    means: NDArray[np.float64] = blocks.mean(axis=(2, 4))
    return means


@pytest.mark.parametrize("height", HEIGHTS)
def test_the_edge_of_a_stroke_stays_sharp(height: int) -> None:
    ids = np.arange(400)
    source = draw_glyphs("train", ids)[0]
    assert find_softness(draw_glyphs("train", ids, height)[0]) < 2
    assert find_softness(resize(source, height)) < 2


def test_the_edge_of_mnist_stays_sharp(mnist: GlyphSet) -> None:
    for height in HEIGHTS:
        assert find_softness(resize(mnist.images[:500], height)) < 2


@pytest.mark.parametrize("height", [56, 112, 224])
def test_a_larger_glyph_is_the_same_glyph(height: int) -> None:
    source = draw_glyphs("train", IDS)[0]
    for larger in (draw_glyphs("train", IDS, height)[0], resize(source, height)):
        difference = np.abs(shrink(larger, height // 28) - source)
        assert difference.mean() < 9
        left, top, width, high = measure_ink(source).T
        wide = measure_ink(larger) * 28 / height
        assert (np.abs(wide - np.stack([left, top, width, high], axis=1)) < 3).all()


def test_the_same_height_changes_nothing() -> None:
    source = draw_glyphs("train", IDS)[0]
    assert resize(source, 28) is source


def test_a_whole_part_of_the_height_takes_means() -> None:
    source = np.random.default_rng(1).integers(0, 256, (5, 64, 64), np.uint8)
    assert np.abs(resize(source, 32) - shrink(source, 2)).max() <= 0.5


@pytest.mark.parametrize("core", ["", "Prescott"])
def test_pixels_do_not_follow_the_processor(core: str) -> None:
    settings = {"OPENBLAS_CORETYPE": core} if core else {}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASH],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == SHA256
