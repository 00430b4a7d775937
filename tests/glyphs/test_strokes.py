import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import cut, deal_glyphs
from mnistseq_cli.errors import TextError
from mnistseq_cli.glyphs.catalog import STROKES, SplitName
from mnistseq_cli.glyphs.glyph_set import GlyphSet, measure_ink
from mnistseq_cli.glyphs.hands import measure_styles
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.strokes import draw_by_id, draw_glyphs, number_glyphs
from mnistseq_cli.glyphs.strokes.characters import PEN_CHARACTERS, read_forms
from mnistseq_cli.recipe import Hand, Recipe
from tests.conftest import make_set
from tests.helpers.program import run_on_older_processor

SPLITS: tuple[SplitName, ...] = ("train", "test")
N_GLYPHS = {split: STROKES.split(split).n_glyphs for split in SPLITS}
Glyphs = tuple[NDArray[np.uint8], NDArray[np.uint8]]
# Of both splits, and of some glyphs drawn and enlarged at other heights.
SHA256 = [
    STROKES.train.sha256,
    STROKES.test.sha256,
    "5f06614b31bfda84e14bfa998ba0260936afb2786f67912bd6fda73df3a782ec",
]


def draw_some() -> dict[str, Glyphs]:
    """Draw every seventh glyph: all digits, and all hands."""
    return {split: draw_glyphs(split, np.arange(0, N_GLYPHS[split], 7)) for split in SPLITS}


def list_hashes(drawn: dict[str, Glyphs]) -> list[str]:
    digests = [hashlib.sha256(b"".join(one.tobytes() for one in drawn[split])) for split in SPLITS]
    heights, ids = hashlib.sha256(), np.arange(60)
    for height_px in (16, 17, 48, 128, 256):
        heights.update(draw_glyphs("train", ids, height_px)[0].tobytes())
        heights.update(resize(draw_glyphs("train", ids)[0], height_px).tobytes())
    return [digest.hexdigest() for digest in (*digests, heights)]


@pytest.fixture(scope="module")
def drawn(pen_dir: Path) -> dict[str, Glyphs]:
    """All glyphs, as they were drawn into the cache when the tests began."""
    sets = {split: load_glyphs("strokes", split, pen_dir) for split in SPLITS}
    return {split: (np.array(own.images), np.array(own.labels)) for split, own in sets.items()}


def test_glyphs_are_those_of_the_golden_hash(drawn: dict[str, Glyphs]) -> None:
    for split in SPLITS:
        images, labels = drawn[split]
        assert images.shape == (N_GLYPHS[split], 28, 28)
        assert images.dtype == labels.dtype == np.uint8
    assert list_hashes(drawn) == SHA256
    every = np.concatenate([drawn[split][0] for split in SPLITS])
    assert len({image.tobytes() for image in every}) == len(every) == 24_000


def test_glyphs_are_the_same_without_the_processors_shortcuts(drawn: dict[str, Glyphs]) -> None:
    code = "from tests.glyphs.test_strokes import *; print(*list_hashes(draw_some()))"
    some = {split: (images[::7], labels[::7]) for split, (images, labels) in drawn.items()}
    assert run_on_older_processor(code) == list_hashes(some)


@given(st.sampled_from(SPLITS), st.integers(0, 3900), st.integers(1, 100))
def test_a_glyph_alone(drawn: dict[str, Glyphs], split: str, start: int, n_glyphs: int) -> None:
    own = slice(start, start + n_glyphs)
    for again, first in zip(draw_glyphs(split, np.r_[own]), drawn[split], strict=True):
        assert (again == first[own]).all()


@pytest.mark.parametrize("split", SPLITS)
def test_ink_is_placed_as_in_mnist(drawn: dict[str, Glyphs], split: str) -> None:
    images = drawn[split][0].astype(np.int64)
    sizes, offsets = [], []
    for axis in (1, 2):
        profile = images.sum(axis=axis)
        blank = (profile > 0).argmax(axis=1) + (profile[:, ::-1] > 0).argmax(axis=1)
        sizes.append(28 - blank)
        offsets.append(abs((profile * (np.arange(28) - 14)).sum(axis=1)) / profile.sum(axis=1))
    larger, smaller = np.maximum(*sizes), np.minimum(*sizes)
    assert larger.max() == np.percentile(larger, 1) == 20
    assert larger.min() >= 18
    assert smaller.min() >= 1
    # A few lean so far that they would leave the cell.
    assert np.max(offsets) < 1
    assert np.mean(np.array(offsets) > 0.5) < 0.001


def draw(characters: str, hands: list[int], copies: list[int]) -> NDArray[np.uint8]:
    wanted = zip(characters, hands, copies, strict=True)
    return draw_by_id(np.array([number_glyphs(one)[hand, copy] for one, hand, copy in wanted]))


def test_character_hand_and_copy_decide_a_glyph_together() -> None:
    images = draw("33$33", [1, 1, 1, 2, 1001], [0, 1, 0, 0, 0])
    assert len(np.unique(images, axis=0)) == 5
    assert (draw("3$33", [2, 1, 1, 1], [0, 0, 1, 0])[::-1] == images[:4]).all()


def test_characters_stand_where_they_belong() -> None:
    """Over 100 hands: the middle of the ink, and where it begins and ends, in rows of 28."""
    hands, copies = [*range(100)], [0] * 100
    rows: dict[str, NDArray[np.bool_]] = {
        one: np.any(draw(one * 100, hands, copies) > 0, axis=2) for one in PEN_CHARACTERS
    }
    top = {one: ink.argmax(axis=1) for one, ink in rows.items()}
    bottom = {one: 27 - ink[:, ::-1].argmax(axis=1) for one, ink in rows.items()}
    baseline = np.median(np.concatenate([bottom[digit] for digit in "1456789"]))
    assert 22 <= baseline <= 24
    assert np.percentile(bottom[","], [10, 50]).tolist() >= [baseline, baseline + 2]
    assert np.percentile(top[","], 10) > 14
    for point in ".:":
        assert abs(np.median(bottom[point]) - baseline) <= 1
    for middle in "-+=*":
        assert 11 <= np.median(top[middle] + bottom[middle]) / 2 <= 16
    assert np.percentile(bottom["'"], 95) < 14
    for bracket in "()/":
        assert np.median(top[bracket]) <= 4
        assert np.median(bottom[bracket]) >= baseline
    for letter in "ABCDEFHIKLMNOPRSTUVWXYZ":
        assert abs(np.median(bottom[letter]) - baseline) <= 1.5
        assert abs(np.median(top[letter]) - 4) <= 1.5


def test_characters_have_several_forms_each_with_its_share() -> None:
    shares: dict[str, list[int]] = {one: [] for one in PEN_CHARACTERS}
    for allograph in read_forms().allographs:
        shares[allograph.character].append(allograph.share)
    assert all(sum(own) == 100 and len(own) > 1 for own in shares.values())
    expected = "0123456789.,-/:+%()#'*=$€£¥ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert sorted(PEN_CHARACTERS) == sorted(expected)


IDS = np.arange(60)


def find_softness(images: NDArray[np.uint8]) -> float:
    """Give the median over rows of the most ink, in the largest steps from pixel to pixel."""
    rows = images.reshape(-1, images.shape[2]).astype(np.int64)
    rows = np.pad(rows[rows.max(axis=1) > 0], ((0, 0), (1, 1)))
    return float(np.median(rows.max(axis=1) / np.abs(np.diff(rows)).max(axis=1)))


@pytest.mark.parametrize("height", [16, 32, 48, 64, 128, 256])
@pytest.mark.parametrize("name", ["pen", "mnist"])
def test_the_edge_of_a_stroke_stays_sharp(
    name: str, height: int, request: pytest.FixtureRequest
) -> None:
    if name == "pen":
        assert find_softness(draw_glyphs("train", np.arange(100), height)[0]) < 2
        images = draw_glyphs("train", np.arange(100))[0]
    else:
        images = request.getfixturevalue("mnist").images[:100]
    assert find_softness(resize(images, height)) < 2


@pytest.mark.parametrize(
    ("augment", "most"), [("rotate=20", 2), ("shear=20", 2), ("elastic", 2), ("scale=0.5..0.5", 3)]
)
def test_edges_stay_sharp_where_ink_is_moved(augment: str, most: int) -> None:
    images, labels = draw_glyphs("train", np.arange(200))
    scans = GlyphSet(images, labels, name="scans", split="", licence="", sha256="")
    recipe = Recipe(length=1, height_px=128, augment=(augment,), ink="white", count=100)
    assert find_softness(SequenceGenerator(recipe, scans)[:].images) < most


@pytest.mark.parametrize("height", [56, 112, 224])
def test_a_larger_glyph_is_the_same_glyph(height: int) -> None:
    source = draw_glyphs("train", IDS)[0]
    enlarged = [(one, resize(one, height)) for one in (source, source[:, 2::4, 2::4])]
    for small, larger in [(source, draw_glyphs("train", IDS, height)[0]), *enlarged]:
        side, far = small.shape[1], 3 if len(small[0]) == 28 else 4  # faint edges of few pixels go
        shrunk = larger.reshape(-1, side, height // side, side, height // side).mean(axis=(2, 4))
        assert np.abs(shrunk - small).mean() < 9
        assert (np.abs(measure_ink(larger) * side / height - measure_ink(small)) < far).all()


AMOUNT = Recipe(digits="$1,250.00-", dashes="ink", count=200, seed=3, spacing_px=(3, 3))


def test_digits_are_the_same_beside_symbols(glyphs: GlyphSet) -> None:
    """Of one seed, the glyphs at the places of digits are those without symbols."""
    symbols, digits = (
        SequenceGenerator(Recipe(digits=text, count=50, seed=1), glyphs).block(0, 50)
        for text in ("3.5", "335")
    )
    assert (symbols.glyphs[:, [0, 2]] == digits.glyphs[:, [0, 2]]).all()
    assert (symbols.glyphs[:, 1] >= len(glyphs.images)).all()


def test_a_set_writes_what_it_has_itself(punctuated: GlyphSet) -> None:
    block = SequenceGenerator(AMOUNT, punctuated).block(0, 200)
    is_own = block.glyphs < len(punctuated.images)
    assert (is_own == [one in "1,250.00" for one in AMOUNT.digits or ""]).all()
    assert block.alphabet == "0123456789$,-."


@pytest.mark.parametrize("height_px", [28, 64])
def test_symbols_have_slant_and_pen_of_their_row(height_px: int, mnist: GlyphSet) -> None:
    recipe = Recipe(digits="B47147", count=600, hand="alike", height_px=height_px)
    block = SequenceGenerator(recipe, mnist).block(0, 600)
    digits = measure_styles(mnist.images[block.glyphs[:, 1:].ravel()]).reshape(600, 5, 2)
    cells = np.zeros((600, height_px, height_px), np.uint8)  # the ink in the box of the symbol
    boxes = block.boxes[:, 0].tolist()
    for cell, image, (x, _, width, _) in zip(cells, block.images, boxes, strict=True):
        cell[:, :width] = 255 - image[:, x : x + width]
    symbols = measure_styles(cells)
    for axis in (0, 1):
        assert np.corrcoef(digits[:, :, axis].mean(axis=1), symbols[:, axis])[0, 1] > 0.75


@pytest.mark.parametrize("hand", ["any", "writer"])
def test_the_pen_writes_symbols_with_the_hand_of_its_digits(hand: Hand, strokes: GlyphSet) -> None:
    recipe = replace(AMOUNT, hand=hand)
    for sample in SequenceGenerator(recipe, strokes).block(0, 50):
        assert {sample.writers[place] for place in (0, 2, 6, 9)} == {sample.writers[1]}
    block = SequenceGenerator(Recipe(digits="ABBA", count=300, hand=hand), strokes).block(0, 300)
    assert block.writers is not None
    assert (block.writers == block.writers[:, :1]).all()  # letters alone, too
    assert len(np.unique(block.writers)) > 200


def test_symbols_of_splits_are_of_different_hands(pen_dir: Path) -> None:
    united = SequenceGenerator(AMOUNT, load_glyphs("strokes", "all", pen_dir)).glyphs
    dealt = deal_glyphs(united, cut((("train", 8), ("val", 1), ("test", 1)), 10))
    n_own = len(united.images)
    assert united.writers is not None
    writers = united.writers.spell()
    hands = {name: {*writers[ids[ids >= n_own]].tolist()} for name, ids in dealt.items()}
    sizes = {name: len(own) for name, own in hands.items()}
    assert sizes == {"train": 889, "val": 111, "test": 200}
    assert len(set.union(*hands.values())) == 1200
    for name, ids in dealt.items():
        own = replace(united, ids=ids)
        used = SequenceGenerator(replace(AMOUNT, glyphs="all"), own).block(0, 200)
        assert np.isin(used.glyphs, ids).all(), name


def test_the_widest_symbol_is_as_wide_as_it_is_said(strokes: GlyphSet) -> None:
    for height_px in (28, 50):
        recipe = replace(AMOUNT, digits="/-$.,€", height_px=height_px, count=1500)
        generator = SequenceGenerator(recipe, strokes)
        widest = generator.glyphs.widest_px[generator.glyphs.classes_of("/-$.,€")]
        assert (generator.block(0, 1500).boxes[..., 2].max(axis=0) <= widest).all()


def test_the_pen_adds_no_digits_to_a_set_without_them() -> None:
    letters = make_set(np.zeros(1), alphabet="A")
    assert SequenceGenerator(Recipe(digits="A,A"), letters)[0].text == "A,A"
    with pytest.raises(TextError, match="'0' cannot be written: made-up has only A"):
        SequenceGenerator(Recipe(digits="A0", dashes="ink"), letters)


@pytest.mark.parametrize(("height_px", "side_px"), [(28, 13), (28, 26), (56, 13)])
def test_symbols_are_as_large_as_digits(height_px: int, side_px: int) -> None:
    images = np.zeros((60, 28, 28), np.uint8)
    images[:, 14 - side_px // 2 : 14 - side_px // 2 + side_px, 12:15] = 255
    recipe = Recipe(digits="1B", count=60, height_px=height_px)
    block = SequenceGenerator(recipe, make_set(np.ones(60), images)).block(0, 60)
    digit, letter = np.median(block.boxes[:, :, 3], axis=0)
    assert 0.8 < letter / digit < 1.15
