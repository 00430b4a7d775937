from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.glyph_set import measure_ink
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.randomness import Use, draw_words
from tests.helpers.mirror import draw_tiny, write_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet


def test_ink_moves_to_the_left_edge_unchanged(glyphs: GlyphSet) -> None:
    ids = np.array([5, 0, 5, 119])
    ink = glyphs.cut_out(ids)
    for number, image in enumerate(glyphs.images[ids]):
        rows, columns = np.nonzero(image)
        x, y, width = columns.min(), rows.min(), np.ptp(columns) + 1
        assert measure_ink(image[None]).tolist() == [[x, y, width, np.ptp(rows) + 1]]
        assert np.array_equal(ink.images[number, :, :width], image[:, x : x + width])
        assert not ink.images[number, :, width:].any()
        assert [ink.left_px[number], ink.width_px[number]] == [x, width]


def test_all_glyphs_of_a_class_are_equally_likely(glyphs: GlyphSet) -> None:
    # 12 glyphs of class 4: 11 degrees of freedom, over 37.4 once in 10,000.
    words = draw_words(3, Use.GLYPH, 0, 6000, 1)[:, 0]
    chosen = glyphs.choose(np.full(6000, 4, np.uint8), words)
    assert set(glyphs.labels[chosen].tolist()) == {4}
    counts = np.unique(chosen, return_counts=True)[1]
    assert len(counts) == 12
    assert ((counts - 500) ** 2 / 500).sum() < 37.4


def test_a_blank_glyph_is_refused_when_it_is_met(make_set: Callable[..., GlyphSet]) -> None:
    blank = make_set(np.zeros(1), np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(GlyphError, match="glyph 0 of made-up is blank"):
        blank.cut_out(np.array([0]))


def test_a_set_pickles_small_and_comes_back(tmp_path: Path) -> None:
    images, labels = draw_tiny(3000, 1)
    glyphs = load_glyphs(str(write_pair(tmp_path, images, labels)))
    ids = np.arange(9)
    ink = glyphs.cut_out(ids)
    packed = pickle.dumps(glyphs)
    assert len(packed) < 100_000
    again = pickle.loads(packed)  # noqa: S301 - packed here
    assert repr(again) == repr(glyphs) == f"<GlyphSet {tmp_path} train: 3,000 glyphs, 10 classes>"
    assert np.array_equal(again.images, images)
    assert np.array_equal(again.cut_out(ids).images, ink.images)


@pytest.mark.parametrize("height_px", [28, 40])
def test_what_is_kept_cut_out_and_what_is_forgotten_are_the_same(
    height_px: int, glyphs: GlyphSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(glyphs, height_px=height_px).cut_out(np.arange(120))
    monkeypatch.setattr("mnistseq_cli.glyphs.glyph_set._CUT_OUT_BYTES", 40 * height_px**2)
    few = replace(glyphs, height_px=height_px)
    for seed in range(30):
        ids = np.random.default_rng(seed).integers(0, 120, 5 + seed * 4)
        for found, expected in zip(
            vars(few.cut_out(ids)).values(), vars(whole.take(ids)).values(), strict=True
        ):
            assert np.array_equal(found, expected)
