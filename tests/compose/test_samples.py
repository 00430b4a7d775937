"""Samples and blocks in the hands of a user: shown, saved, cut, compared, sent elsewhere."""

from __future__ import annotations

import pickle
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from mnistseq_cli import Block, GlyphSet, Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.errors import UsageError
from mnistseq_cli.sheet import BOX_COLOURS, draw_sample, make_labelled_sheet

RECIPE = Recipe(length=(3, 7), count=30, seed=1)


@pytest.fixture(scope="module")
def generator(glyphs: GlyphSet) -> SequenceGenerator:
    return SequenceGenerator(RECIPE, glyphs)


def read_html(html: str) -> tuple[np.ndarray, str]:
    found = re.fullmatch(r'<img src="data:image/png;base64,(.+)" alt="">(.*)', html)
    assert found
    return imageio.imread(BytesIO(b64decode(found[1]))), found[2]


def test_a_notebook_shows_samples_with_labels_and_boxes(
    generator: SequenceGenerator, glyphs: GlyphSet
) -> None:
    sample, block = generator[3], generator[:30]
    shown = imageio.imread(BytesIO(sample._repr_png_()))
    assert np.array_equal(shown, draw_sample(sample, 4))
    assert (shown == BOX_COLOURS[0]).all(axis=2).any()
    for one, n_shown, words in ((block, 24, "samples 0 to 29: "), (generator, 12, "30 samples")):
        sheet, caption = read_html(one._repr_html_())
        assert np.array_equal(sheet, make_labelled_sheet([*block][:n_shown]))
        assert words in caption
    sheet, caption = read_html(glyphs._repr_html_())
    assert "blots" in caption
    assert sheet.shape[0] > 10 * 28


def test_what_is_printed_is_a_line(generator: SequenceGenerator, glyphs: GlyphSet) -> None:
    for one in (generator, generator[5], generator[2:4], glyphs, RECIPE):
        assert re.fullmatch(r"<?\w+.{10,120}", repr(one))
    sample = generator[0]
    assert sample == sample  # noqa: PLR0124 - arrays would have no truth
    assert len({sample, generator[0], generator[:2]}) == 3


def test_a_sample_is_saved_as_it_is(generator: SequenceGenerator, tmp_path: Path) -> None:
    sample = generator[0]
    for path in (tmp_path / "a.png", str(tmp_path / "b.bmp")):
        sample.save(path)
        assert np.array_equal(imageio.imread(path), sample.image)
    assert np.array_equal(np.asarray(sample.to_pil()), sample.image)


def test_slices_are_blocks_and_negative_indices_count_from_the_end(
    generator: SequenceGenerator,
) -> None:
    block = generator[10:20]
    assert isinstance(block, Block)
    assert [one.index for one in block] == [*range(10, 20)]
    assert generator[-10:][0].index == 20
    assert generator[-1].index == block[-1].index + 10 == 29
    assert np.array_equal(block[-1].image, generator[19].image)
    for sequence, wrong in ((generator, 30), (generator, -31), (block, 10)):
        with pytest.raises(IndexError):
            sequence[wrong]
    with pytest.raises(UsageError, match="step 2"):
        generator[::2]
    index: Any
    for index in ("3", 1.0, None, (1, 2)):
        with pytest.raises(TypeError, match="expected a whole number, or a slice such as 10:20"):
            generator[index]


def test_a_pickle_names_its_glyphs_and_does_not_hold_them(tmp_path: Path) -> None:
    recipe = Recipe(length=3, count=5, augment=("light",), dataset="strokes")
    for given, limit in (
        (None, 4096),
        (load_glyphs("strokes", data_dir=str(tmp_path)), 2_000_000),
    ):
        generator = SequenceGenerator(recipe, given, str(tmp_path))
        data = pickle.dumps(generator)
        assert len(data) < limit  # the glyphs are 16 MB
        assert np.array_equal(pickle.loads(data)[4].image, generator[4].image)  # noqa: S301 - ours


def test_a_generator_takes_paths_and_names(glyph_folder: Path, tmp_path: Path) -> None:
    path = Recipe(digits="35", seed=4).save(str(tmp_path))
    for recipe in (path, str(path), Recipe.load(str(path))):
        generator = SequenceGenerator(recipe, str(glyph_folder))
        assert generator[0].text == "35"
        assert generator.recipe.dataset == str(glyph_folder)
