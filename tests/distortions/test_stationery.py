"""Paper under what is written: kinds of the program, and pictures of the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.distortions.registry import PAPERS
from mnistseq_cli.errors import MnistseqError
from mnistseq_cli.formats.images import write_image
from mnistseq_cli.recipe import NAMED_RECIPES, Recipe
from tests.helpers.program import Result

BLANK = Recipe(length=(1, 5), count=40, seed=3, width_px=200, height_px=40, dataset="strokes")
CONTRAST = 40  # grey levels that a digit stands out from its paper at least
INK = 0.85  # of a digit that is left at least


def make(recipe: Recipe, start: int = 0, stop: int = 40) -> np.ndarray:
    return SequenceGenerator(recipe).block(start, stop).images


@pytest.mark.parametrize("name", PAPERS)
def test_paper_changes_images_and_moves_no_box(name: str) -> None:
    blank = SequenceGenerator(BLANK).block(0, 40)
    laid = SequenceGenerator(replace(BLANK, paper=(f"{name}=1",))).block(0, 40)
    assert (laid.images <= blank.images).all()  # black ink: paper only darkens
    changed = (laid.images != blank.images).any(axis=(1, 2))
    assert changed.mean() > 0.5  # a crease, a comb or a stroke may lie beyond the page
    assert (laid.boxes == blank.boxes).all()
    generator = SequenceGenerator(replace(BLANK, paper=(f"{name}=0.6",), width_px="natural"))
    for sample in generator.block(0, 20):  # whatever other samples are made with one
        assert (sample.image == generator[sample.index].image).all()


@pytest.mark.slow
@pytest.mark.parametrize("height_px", [28, 64])
def test_digits_can_be_read_on_all_paper(height_px: int) -> None:
    """Of 10,000 samples, no digit vanishes in its paper."""
    blank = replace(BLANK, height_px=height_px, width_px=6 * height_px, count=5000)
    plain = SequenceGenerator(blank)
    laid = SequenceGenerator(replace(blank, paper=tuple(PAPERS)))
    for one, other in zip(plain.blocks(0, 5000), laid.blocks(0, 5000), strict=True):
        ink = 255 - one.images.astype(int)
        left = 255 - other.images.astype(int)
        assert (left >= ink * INK).all()
        for sample, page, dark in zip(one, ink, left, strict=True):
            for x, y, width, height in sample.boxes:
                cell = page[y : y + height, x : x + width]
                on, off = cell > 200, cell == 0
                here = dark[y : y + height, x : x + width]
                if on.any() and off.any():
                    assert here[on].mean() - here[off].mean() >= CONTRAST


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED_RECIPES)
def test_digits_of_built_in_recipes_can_be_read(name: str) -> None:
    """Faint ink on dark paper in poor light: hardly any digit stands out by less."""
    generator = SequenceGenerator(Recipe.named(name, count=500, seed=3, dataset="strokes"))
    contrasts = []
    for start in range(0, 500, 100):
        for sample in generator.block(start, start + 100, masks=True):
            darkness = 255 - sample.image.astype(int)
            assert sample.masks is not None
            paper = np.median(darkness[~sample.masks.any(axis=0)])
            digits = sample.masks[: len(sample.text)]
            contrasts += [np.percentile(darkness[digit], 85) - paper for digit in digits]
    assert np.mean(np.array(contrasts) < CONTRAST) < 0.05


def test_as_many_pages_have_paper_as_was_said() -> None:
    blank = replace(BLANK, count=2000)
    laid = make(replace(blank, paper=("tinted=0.3",)), 0, 2000)
    share = (laid[:, 0, 0] < 255).mean()  # the standard deviation is 0.01
    assert abs(share - 0.3) < 0.05


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of paper: grey that grows, and one that is smaller than a page."""
    slope = np.arange(300, dtype=np.int64)[None] * 200 // 300 + np.zeros((90, 1), np.int64)
    folder = tmp_path / "paper=1"  # a name that looks like a share
    folder.mkdir()
    write_image(folder / "slope.png", (50 + slope).astype(np.uint8))
    write_image(folder / "small.png", np.full((9, 7), 180, np.uint8))
    return folder


def test_pictures_lie_under_the_ink(folder: Path) -> None:
    laid = SequenceGenerator(replace(BLANK, paper=(f"{folder}=1",)))
    images = laid.block(0, 40).images
    assert len(np.unique(images[:, 0])) > 100  # windows of the slope at many places
    assert (images[:, 0, 0] == 180).any()  # the small picture, mirrored to fill the page
    assert images.min() < 20  # ink stays ink
    assert (make(laid.recipe) == images).all()


def test_other_pictures_are_refused(folder: Path) -> None:
    saved = SequenceGenerator(replace(BLANK, paper=(str(folder),))).recipe
    write_image(folder / "small.png", np.full((9, 7), 181, np.uint8))
    with pytest.raises(MnistseqError, match="paper"):
        SequenceGenerator(saved)


@pytest.mark.parametrize(
    "paper", [("sand",), ("ruled=2",), ("ruled=-1",), ("=0.5",), ("",), ("ruled=nan",), "ruled"]
)
def test_wrong_paper_is_refused(paper: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(MnistseqError, match="paper"):
        SequenceGenerator(replace(BLANK, paper=paper))
    empty = replace(BLANK, paper=(str(tmp_path),))
    with pytest.raises(MnistseqError, match="no pictures"):
        SequenceGenerator(empty)
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(MnistseqError, match=r"notes\.png"):
        SequenceGenerator(empty)


def test_batches_on_paper_verify(run: Callable[..., Result], folder: Path) -> None:
    words = ("--length", 3, 5, "-n", 60, "--paper", "ruled=0.7", "--paper", folder)
    assert run("batch", *words, "--workers", 2, "--part-size", 20, "-o", "set").status == 0
    assert run("verify", "set", "--deep", "all", glyphs=False).status == 0
