"""Glyphs of the user come out as light ink on clean paper, or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError, UsageError
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.strokes import draw_glyphs
from tests.helpers.mirror import write_pair, write_picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES, LABELS = draw_glyphs("train", np.arange(40))
EXTENTS = measure_ink(np.where(IMAGES > 32, IMAGES, 0).astype(np.uint8))


def write_classes(folder: Path, images: NDArray[np.uint8], suffix: str, **options: int) -> str:
    for number, image in enumerate(images):
        write_picture(folder / f"{LABELS[number]}/{number:02d}.{suffix}", image, **options)
    return str(folder)


def check_clean(path: str, slack_px: int = 2) -> None:
    """Check that paper is 0 and boxes are those of the ink."""
    glyphs = load_glyphs(path)
    images = glyphs.images[glyphs.ids]
    extents = EXTENTS[np.argsort(LABELS, kind="stable")]
    assert (np.median(images.reshape(len(images), -1), axis=1) == 0).all()
    assert (images.max(axis=(1, 2)) > 90).all()
    assert np.abs(measure_ink(images) - extents).max() <= slack_px


@pytest.mark.parametrize("paper", [255, 245, 230])
def test_black_on_white(paper: int, tmp_path: Path) -> None:
    images = (paper - IMAGES.astype(int) * (paper - 10) // 255).astype(np.uint8)
    check_clean(str(write_pair(tmp_path / "idx", images, LABELS)))
    check_clean(write_classes(tmp_path / "classes", images, "png"))
    np.savez(tmp_path / "x.npz", images=images, labels=LABELS)
    check_clean(str(tmp_path / "x.npz"))


def test_boxes_follow_the_ink_not_noise(tmp_path: Path) -> None:
    for quality in (95, 85, 75):
        path = write_classes(tmp_path / f"{quality}", 255 - IMAGES, "jpg", quality=quality)
        check_clean(path, slack_px=3)
    noise = np.random.default_rng(1).integers(0, 12, IMAGES.shape)
    scan = (240 - noise - IMAGES * 0.8).clip(0, 255).astype(np.uint8)
    check_clean(str(write_pair(tmp_path / "scan", scan, LABELS)))


def test_what_cannot_be_decided_is_refused_and_can_be_said(tmp_path: Path) -> None:
    grey = (128 - IMAGES.astype(int) // 2).astype(np.uint8)
    mixed = np.concatenate([IMAGES[:10], 255 - IMAGES[10:]])
    for name, images in (("grey", grey), ("mixed", mixed)):
        path = write_pair(tmp_path / name, images, LABELS)
        with pytest.raises(GlyphError, match="cannot tell ink from paper") as caught:
            load_glyphs(str(path))
        assert "--polarity dark-ink" in caught.value.hint
    glyphs = load_glyphs(str(tmp_path / "grey"), polarity="dark-ink")
    assert np.abs(measure_ink(glyphs.images) - EXTENTS).max() <= 2
    with pytest.raises(UsageError, match="polarity"):
        load_glyphs("strokes", polarity="dark-ink", data_dir=tmp_path)
