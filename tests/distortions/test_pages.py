"""Paper under what is written: kinds of the program, and pictures of the user."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.distortions.registry import PAPERS
from mnistseq_cli.errors import MnistseqError
from mnistseq_cli.formats.images import write_image
from mnistseq_cli.recipe import NAMED_RECIPES, Recipe
from tests.helpers.program import Result

BLANK = Recipe(length=(1, 5), count=40, seed=3, width_px=200, height_px=40, dataset="strokes")
CONTRAST = 40  # grey levels that a digit stands out from its paper at least
INK = 0.85  # of a digit that is left at least


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
@pytest.mark.parametrize(("height_px", "count"), [(28, 8000), (64, 2000)])
def test_digits_can_be_read_on_all_paper(height_px: int, count: int) -> None:
    """Of 10,000 samples, no digit vanishes in its paper."""
    blank = replace(BLANK, height_px=height_px, width_px=6 * height_px, count=count)
    plain = SequenceGenerator(blank)
    laid = SequenceGenerator(replace(blank, paper=tuple(PAPERS)))
    for one, other in zip(plain.blocks(0, count), laid.blocks(0, count), strict=True):
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
    blank = replace(BLANK, count=2000, width_px=100, length=1)
    laid = SequenceGenerator(replace(blank, paper=("tinted=0.3",))).block(0, 2000)
    share = (laid.images[:, 0, 0] < 255).mean()  # the standard deviation is 0.01
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
    assert (SequenceGenerator(laid.recipe).block(0, 40).images == images).all()


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


PLAIN = Recipe(
    texts=("70010", "1000,-", "8", "11", "35 062"), unlabelled=",-", dashes="ink", count=200,
    seed=3, width_px="natural", dataset="strokes", spacing_px=(-4, 9),
)  # fmt: skip


def make(*augment: str, recipe: Recipe = PLAIN, masks: bool = False) -> Block:
    generator = SequenceGenerator(replace(recipe, augment=augment))
    return generator.block(0, recipe.count, masks=masks)


@pytest.mark.parametrize("height_px", [28, 64])
def test_a_join_is_ink_of_the_digit_on_its_left(height_px: int) -> None:
    recipe = PLAIN.at_height(height_px)
    plain, joined = (make(*names, recipe=recipe, masks=True) for names in ((), ("join=1..1",)))
    assert (joined.images <= plain.images).all()  # black ink is only added
    assert (joined.gaps == plain.gaps).all()
    ends = plain.boxes[..., 0] + plain.boxes[..., 2], joined.boxes[..., 0] + joined.boxes[..., 2]
    assert (joined.boxes[..., 0] == plain.boxes[..., 0]).all()
    assert (ends[1] >= ends[0]).all()
    longer = 0
    for one, other in zip(plain, joined, strict=True):
        x_ends = other.boxes[:, 0] + other.boxes[:, 2]
        assert (np.diff(x_ends) > 0).all()
        assert one.masks is not None
        assert other.masks is not None
        assert (other.masks[-1] == one.masks[-1]).all()  # nothing follows the last
        assert (other.masks.any(axis=0) == (other.image < 255)).all()
        longer += int((other.masks.sum(axis=(1, 2)) > one.masks.sum(axis=(1, 2))).sum())
    assert longer > 150
    of_11 = (joined.images[3::5] == plain.images[3::5]).all(axis=(1, 2))
    assert of_11.mean() > 0.5  # those with a foot are joined, others would become a 4


@pytest.mark.slow
def test_a_digit_keeps_what_an_edge_may_not_cut() -> None:
    recipe = replace(PLAIN, texts=None, unlabelled="", length=(1, 4), count=10_000)
    whole, cut = (
        make("baseline=3", name, recipe=recipe, masks=True) for name in ("crop=0", "crop=0..0.15")
    )
    assert whole.inks is not None
    assert cut.inks is not None
    before, after = (inks.images.sum(axis=(1, 2)) for inks in (whole.inks, cut.inks))
    assert (after >= 0.85 * before).all()
    assert (after < 0.9 * before).mean() > 0.03
    for sample in cut:
        x, y, width, height = sample.boxes.T
        assert (np.diff(x) > 0).all()
        assert (np.diff(x + width) > 0).all()
        rows, columns = sample.image.shape
        is_at_edge = (x.min() == 0, y.min() == 0, (x + width).max() == columns)
        assert any(is_at_edge) or (y + height).max() == rows


def test_half_of_the_rows_are_cut() -> None:
    share = (make("crop").images != make().images).any(axis=(1, 2)).mean()
    assert abs(share - 0.5) < 0.15  # of 200, four standard deviations


@pytest.mark.parametrize("height_px", [28, 50])
def test_a_lower_resolution_leaves_what_is_even(height_px: int) -> None:
    recipe = replace(PLAIN.at_height(height_px), ink="white")
    plain, coarse = make(recipe=recipe), make("resolution=0.4..0.6", recipe=recipe)
    assert (plain.boxes == coarse.boxes).all()
    for one, other in zip(plain, coarse, strict=True):
        assert abs(one.image.mean() - other.image.mean()) < 8
        steps = [np.abs(np.diff(image.astype(int))).max() for image in (one.image, other.image)]
        assert steps[1] < steps[0]


@pytest.mark.parametrize("name", ["join=0..1", "crop", "resolution"])
def test_a_row_does_not_depend_on_its_block(name: str) -> None:
    recipe = replace(PLAIN, augment=(name, "blur=0..1"), paper=("tinted=1",))
    generator = SequenceGenerator(recipe)
    for sample in generator.block(0, 30):
        alone = generator[sample.index]
        assert (alone.image == sample.image).all()
        assert (alone.boxes == sample.boxes).all()
