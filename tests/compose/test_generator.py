"""Samples and blocks in the hands of a user: shown, saved, cut, compared, sent elsewhere."""

import hashlib
import pickle
import re
from base64 import b64decode
from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli import Block, GlyphSet, Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.errors import GlyphError, UsageError
from mnistseq_cli.sheet import BOX_COLOURS, draw_sample, make_labelled_sheet

LAYOUTS: dict[str, dict[str, Any]] = {
    "natural": {"length": (1, 7), "width_px": "natural"},
    "tight": {"length": (5, 5), "width_px": 116},
    "phone": {"pattern": "us", "edges": True, "align": "random", "width_px": 320},
    "fixed": {"digits": "350", "spacing_mode": "fixed", "ink": "white"},
    "cell": {"digits": "350", "measure": "cell", "width_px": 110},
    "overlap": {"length": (4, 6), "spacing_px": (-9, 3), "width_px": 120},
    "shrink": {"length": (3, 9), "fit": "shrink", "width_px": 90},
    "stretch": {"length": (3, 9), "fit": "stretch", "width_px": 90},
    "margin": {"length": 3, "width_px": "natural", "margin_px": (0, 8), "augment": ("shear=30",)},
    "joined": {"length": 4, "width_px": "natural", "augment": ("scale=0.4", "join=1")},
}


def hash_of(samples: Iterable[Sample]) -> str:
    digest = hashlib.sha256()
    for one in samples:
        arrays = (one.boxes.tolist(), one.gaps.tolist(), one.glyphs.tolist(), one.image.shape)
        digest.update(repr((one.text, *arrays)).encode() + one.image.tobytes())
    return digest.hexdigest()


@given(name=st.sampled_from(sorted(LAYOUTS)), start=st.integers(0, 10**6), size=st.integers(1, 9))
def test_a_sample_does_not_depend_on_its_block(
    name: str, start: int, size: int, glyphs: GlyphSet
) -> None:
    generator = SequenceGenerator(Recipe(**LAYOUTS[name], seed=1), glyphs)
    alone = [generator.block(start + place, start + place + 1)[0] for place in range(size)]
    assert hash_of(generator.block(start, start + size)) == hash_of(alone)


@pytest.mark.parametrize(
    "values",
    [
        *LAYOUTS.values(),
        {"texts": ("1,0", "35-062", "7,531,1"), "unlabelled": ",", "width_px": "natural"},
    ],
)
def test_stretches_made_together_are_those_made_alone(
    values: dict[str, Any], glyphs: GlyphSet
) -> None:
    drawn: dict[str, Any] = {"augment": ("light",), "seed": 1} | values
    generator = SequenceGenerator(Recipe(**drawn), glyphs)
    stretches = (range(64, 66), range(3, 8), range(90, 91))
    for block, one in zip(generator.stretches(stretches, masks=True), stretches, strict=True):
        alone = generator.block(one.start, one.stop, masks=True)
        assert hash_of(block) == hash_of(alone)
        for made, expected in zip(block, alone, strict=True):
            assert (made.index, made.marks) == (expected.index, expected.marks)
            assert made.masks is not None
            assert expected.masks is not None
            assert np.array_equal(made.masks, expected.masks)


def test_samples_by_index_by_iteration_and_by_block_are_the_same(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(length=(1, 4), count=131, seed=4), glyphs)
    samples = list(generator)
    assert [sample.index for sample in samples] == list(range(len(generator)))
    assert hash_of(samples) == hash_of(generator[index] for index in range(131))
    assert hash_of(samples) == hash_of(generator.block(0, 131)) == hash_of(generator[:])


def test_batches_go_on_without_end(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(length=(2, 2), count=3, seed=4), glyphs)
    longer = SequenceGenerator(Recipe(length=(2, 2), count=8, seed=4), glyphs).block(0, 8)
    batches = list(islice(generator.batches(4), 2))
    assert np.array_equal(np.concatenate([images for images, _ in batches]), longer.images)
    assert np.concatenate([texts for _, texts in batches]).tolist() == longer.texts.tolist()


def test_the_seed_changes_all_and_the_spacing_no_digit(glyphs: GlyphSet) -> None:
    one, other, near = (
        SequenceGenerator(Recipe(length=5, seed=seed, spacing_px=spacing), glyphs).block(0, 50)
        for seed, spacing in ((1, (9, 20)), (2, (9, 20)), (1, (0, 1)))
    )
    for name in ("texts", "glyphs", "gaps"):
        assert not np.array_equal(getattr(one, name), getattr(other, name))
        assert np.array_equal(getattr(one, name), getattr(near, name)) == (name != "gaps")


def test_other_glyphs_than_those_of_the_recipe_are_refused(glyphs: GlyphSet) -> None:
    with pytest.raises(GlyphError, match="the recipe names 5eed"):
        SequenceGenerator(Recipe(digits="1", glyphs_sha256="5eed"), glyphs)
    assert SequenceGenerator(Recipe(digits="1"), glyphs).recipe.glyphs_sha256 == "b107"


RECIPE = Recipe(length=(3, 7), count=30, seed=1)


@pytest.fixture(scope="module")
def generator(glyphs: GlyphSet) -> SequenceGenerator:
    return SequenceGenerator(RECIPE, glyphs)


def read_html(html: str) -> tuple[np.ndarray, str]:
    found = re.fullmatch(r'<img src="data:image/png;base64,(.+)" alt="">(.*)', html)
    assert found
    return imageio.imread(BytesIO(b64decode(found[1]))), found[2]


def test_a_notebook_shows_samples(generator: SequenceGenerator, glyphs: GlyphSet) -> None:
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


def test_a_sample_is_printed_in_a_line_and_saved_as_it_is(
    generator: SequenceGenerator, glyphs: GlyphSet, tmp_path: Path
) -> None:
    sample = generator[0]
    for one in (generator, sample, generator[2:4], glyphs, RECIPE):
        assert re.fullmatch(r"<?\w+.{10,120}", repr(one))
    assert sample == sample  # noqa: PLR0124 - arrays would have no truth
    assert len({sample, generator[0], generator[:2]}) == 3
    for path in (tmp_path / "a.png", str(tmp_path / "b.bmp")):
        sample.save(path)
        assert np.array_equal(imageio.imread(path), sample.image)
    assert np.array_equal(np.asarray(sample.to_pil()), sample.image)


def test_slices_are_blocks_and_indices_may_be_negative(generator: SequenceGenerator) -> None:
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


def test_a_pickle_names_its_glyphs_and_does_not_hold_them(pen_dir: Path) -> None:
    recipe = Recipe(length=3, count=5, augment=("light",), dataset="strokes")
    strokes = load_glyphs("strokes", data_dir=str(pen_dir))
    for source, limit in ((None, 4096), (strokes, 2_000_000)):
        generator = SequenceGenerator(recipe, source, str(pen_dir))
        data = pickle.dumps(generator)
        assert len(data) < limit  # the glyphs are 16 MB
        assert np.array_equal(pickle.loads(data)[4].image, generator[4].image)  # noqa: S301 - ours


def test_a_generator_takes_paths_and_names(glyph_folder: Path, tmp_path: Path) -> None:
    path = Recipe(digits="35", seed=4).save(str(tmp_path))
    for recipe in (path, str(path), Recipe.load(str(path))):
        generator = SequenceGenerator(recipe, str(glyph_folder))
        assert generator[0].text == "35"
        assert generator.recipe.dataset == str(glyph_folder)
