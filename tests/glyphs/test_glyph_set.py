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
from tests.helpers.mirror import draw_tiny, write_idx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet


def test_ink_is_measured_pixel_by_pixel(glyphs: GlyphSet) -> None:
    for image, extent in zip(glyphs.images, measure_ink(glyphs.images), strict=True):
        rows, columns = np.nonzero(image)
        x, y = columns.min(), rows.min()
        assert extent.tolist() == [x, y, columns.max() - x + 1, rows.max() - y + 1]

    assert measure_ink(np.zeros((1, 28, 28), np.uint8)).tolist() == [[0, 0, 0, 0]]


def test_ink_moves_to_the_left_edge_unchanged(glyphs: GlyphSet) -> None:
    ids = np.array([5, 0, 5, 119])
    ink = glyphs.cut_out(ids)
    for number, glyph in enumerate(ids):
        x, _, width, _ = measure_ink(glyphs.images[glyph][None])[0]
        assert np.array_equal(
            ink.images[number, :, :width], glyphs.images[glyph][:, x : x + width]
        )
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


def test_a_subset_gives_only_its_own_glyphs(glyphs: GlyphSet) -> None:
    half = replace(glyphs, ids=np.arange(60))
    words = draw_words(3, Use.GLYPH, 0, 500, 1)[:, 0]
    chosen = half.choose((np.arange(500) % 10).astype(np.uint8), words)
    assert set(chosen.tolist()) == set(range(60))
    assert np.array_equal(half.labels[chosen], np.arange(500) % 10)


def test_the_widest_ink_of_each_class(glyphs: GlyphSet) -> None:
    widths = measure_ink(glyphs.images)[:, 2]
    for label, widest in enumerate(glyphs.widest_px):
        assert widest == widths[glyphs.labels == label].max()


def test_a_blank_glyph_is_refused_when_it_is_met(make_set: Callable[..., GlyphSet]) -> None:
    blank = make_set(np.zeros(1), np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(GlyphError, match="glyph 0 of made-up is blank"):
        blank.cut_out(np.array([0]))


def test_letters_have_classes_too(make_set: Callable[..., GlyphSet]) -> None:
    assert make_set(np.arange(3), alphabet="xaé").classes_of("éxax").tolist() == [2, 0, 1, 0]


def test_a_set_pickles_small_and_comes_back(tmp_path: Path) -> None:
    images, labels = draw_tiny(3000, 1)
    write_idx(tmp_path / "images-idx3-ubyte", images)
    write_idx(tmp_path / "labels-idx1-ubyte", labels)
    glyphs = load_glyphs(str(tmp_path))
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
