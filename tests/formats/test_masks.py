"""Masks say of each pixel which character it belongs to, whatever was done to the picture."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block, Inks
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.masks import decode_instances, encode_instances, encode_runs
from mnistseq_cli.recipe import Recipe
from tests.helpers.shelf import Split, read_dataset, write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

COUNT = 60
RECIPES: dict[str, dict[str, Any]] = {
    "apart": {},
    "overlapping": {"spacing_px": (-9, -3), "width_px": "natural"},
    "distorted": {"augment": ("rotate=25", "shear=15", "thickness=1.5"), "width_px": 190},
    "bent": {"augment": ("baseline=3", "blur=2"), "width_px": "natural"},
    "heavy": {"augment": ("heavy",)},
    "joined": {"augment": ("join=1..1",), "width_px": "natural"},
    "cut": {"augment": ("crop=0..0.15", "blur"), "width_px": "natural"},
    "shrunk": {"fit": "shrink", "width_px": 40, "ink": "white"},
    "marked": {"length": None, "texts": ("12345", "31", "21"), "unlabelled": "1"},
}


def make(glyphs: GlyphSet, name: str) -> Block:
    recipe: dict[str, Any] = {"length": (1, 6), "count": COUNT, "seed": 3} | RECIPES[name]
    return SequenceGenerator(Recipe(**recipe), glyphs).block(0, COUNT, masks=True)


@pytest.mark.parametrize("name", RECIPES)
def test_the_box_of_a_mask_is_that_of_its_digit(name: str, glyphs: GlyphSet) -> None:
    block = make(glyphs, name)
    for sample, data in zip(block, encode_instances(block), strict=True):
        boxes = [*sample.boxes.tolist(), *(list(mark.box) for mark in sample.marks)]
        assert sample.masks is not None
        assert sample.masks.shape == (len(boxes), *sample.image.shape)
        for mask, (x, y, width, height) in zip(sample.masks, boxes, strict=True):
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max() + 1, rows.max() + 1) == (x + width, y + height)
        if name in ("apart", "overlapping", "joined", "shrunk", "marked"):  # all ink, no paper
            numbers, is_ink = decode_instances(data), sample.image != (255, 0)[name == "shrunk"]
            assert np.array_equal(sample.masks.any(axis=0), is_ink)
            assert np.array_equal(numbers > 0, is_ink)
            assert all(mask[numbers == n].all() for n, mask in enumerate(sample.masks, 1))


def test_the_darker_ink_has_a_pixel_and_of_equals_the_one_further_left(glyphs: GlyphSet) -> None:
    block = SequenceGenerator(Recipe(digits="777"), glyphs).block(0, 1)
    ink = np.array([[[0, 5, 9, 4]], [[7, 9, 9, 0]], [[2, 2, 2, 2]]], np.uint8)
    order = np.arange(3)
    inks = Inks(ink, np.zeros(3, np.int64), order, order)
    images = np.zeros((1, 1, 6), np.uint8)
    (data,) = encode_instances(
        Block(**vars(block) | {"inks": inks, "images": images, "widths_px": np.array([6])})
    )
    assert decode_instances(data).tolist() == [[0, 2, 1, 2, 3, 3]]


@pytest.mark.filterwarnings("ignore")  # of pycocotools and NumPy
@pytest.mark.parametrize("name", RECIPES)
def test_pycocotools_decodes_exactly_the_ink(name: str, glyphs: GlyphSet) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    block = make(glyphs, name)
    runs, areas_px = encode_runs(block)
    masks = []
    for sample in block:
        assert sample.masks is not None
        masks += [*sample.masks]
    for counts, area_px, mask in zip(runs, areas_px, masks, strict=True):
        decoded = coco.decode({"size": mask.shape, "counts": counts})
        assert np.array_equal(decoded, mask)
        assert area_px == mask.sum()
        assert coco.encode(np.asfortranarray(decoded))["counts"].decode() == counts


def test_masks_are_made_when_asked_for_and_change_nothing_else(glyphs: GlyphSet) -> None:
    generator = SequenceGenerator(Recipe(length=3, count=9, augment=("medium",)), glyphs)
    plain, masked = generator.block(0, 9), generator.block(0, 9, masks=True)
    assert plain.inks is None
    assert plain[0].masks is None
    assert np.array_equal(plain.images, masked.images)
    assert np.array_equal(plain.boxes, masked.boxes)


def test_masks_are_read_back(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(Recipe(length=(1, 3), count=9, spacing_px=(-5, 0)), glyphs)
    output = Output(folder=tmp_path, labels=("masks",))
    assert output.labels == ("jsonl", "masks")
    write_dataset(output, generator, [Split("train/", 0, 6), Split("test/", 6, 9)])
    block = generator.block(0, 9, masks=True)
    for seen, data in zip(read_dataset(tmp_path), encode_instances(block), strict=True):
        assert np.array_equal(seen.mask, decode_instances(data))  # type: ignore[arg-type] # not None
    path = next((tmp_path / "train" / "masks").rglob("*.png"))
    wide = SequenceGenerator(Recipe(digits="1234567"), glyphs).block(0, 1, masks=True)
    for damage in (b"x", *encode_instances(wide)):
        path.write_bytes(damage)
        with pytest.raises(OutputError, match="mask"):
            read_dataset(tmp_path)


def test_masks_of_many_characters_have_16_bits(glyphs: GlyphSet) -> None:
    recipe = Recipe(digits="1" * 300, width_px="natural", spacing_px=(-9, -9))
    block = SequenceGenerator(recipe, glyphs).block(0, 1, masks=True)
    (data,) = encode_instances(block)
    assert Image.open(BytesIO(data)).mode == "I;16"
    assert decode_instances(data).max() == 300
