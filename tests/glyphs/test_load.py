import os
import time
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import cut, open_splits
from mnistseq_cli.errors import GlyphError, MnistseqError, UsageError
from mnistseq_cli.glyphs.cache import ensure_cached
from mnistseq_cli.glyphs.catalog import DATASETS, HASTY
from mnistseq_cli.glyphs.glyph_set import GlyphSet, measure_ink
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from mnistseq_cli.randomness import Use, draw_words
from mnistseq_cli.recipe import Recipe
from tests.conftest import make_set
from tests.helpers.mirror import (
    N_TEST,
    N_TRAIN,
    Mirror,
    draw_tiny,
    drip,
    flip,
    make_tiny,
    serving,
    write_pair,
)

TRAIN, TEST = draw_tiny(N_TRAIN, 1), draw_tiny(N_TEST, 2)


def is_equal(glyphs: GlyphSet, *drawn: tuple[object, object]) -> bool:
    images, labels = map(np.concatenate, zip(*drawn, strict=True))
    return np.array_equal(glyphs.images, images) and np.array_equal(glyphs.labels, labels)


def check_splits(name: str, data_dir: Path | None = None) -> list[str]:
    """Check what each split holds; give its hash."""
    expected = {"train": [TRAIN], "test": [TEST], "all": [TRAIN, TEST]}
    found = {split: load_glyphs(name, split, data_dir) for split in expected}
    assert all(is_equal(found[split], *drawn) for split, drawn in expected.items())
    hashes = [glyphs.sha256 for glyphs in found.values()]
    assert len(set(hashes)) == 3
    return hashes


def test_a_name_is_downloaded_once(mirror: Mirror, tmp_path: Path) -> None:
    train = load_glyphs("tiny", "train", tmp_path)
    assert is_equal(train, TRAIN)
    assert isinstance(train.images.base, np.memmap)
    assert (train.name, train.split, train.licence) == ("tiny", "train", "CC0")
    assert train.alphabet == "0123456789"
    assert mirror.asked == [file.packed_name for file in DATASETS["tiny"].files(("train",))]
    hashes = check_splits("tiny", tmp_path)
    assert len(mirror.asked) == 4
    assert hashes == check_splits("tiny", tmp_path / "b")


@pytest.mark.usefixtures("mirror")
def test_a_warm_start_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path)
    monkeypatch.setattr("socket.socket", lambda *_, **__: pytest.fail("a socket was opened"))
    assert len(load_glyphs("tiny", "all", tmp_path)) == N_TRAIN + N_TEST


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("position", [0, 2, 3, 7, 9])
def test_a_damaged_header_of_the_right_size(position: int, tmp_path: Path) -> None:
    load_glyphs("tiny", "train", tmp_path)
    path = tmp_path / "Tiny/raw" / DATASETS["tiny"].train.images.name
    flip(path, position, 1)
    with pytest.raises(GlyphError, match="a file of tiny is damaged") as caught:
        load_glyphs("tiny", "train", tmp_path)
    assert path.name in caught.value.message
    assert f"mnistseq download tiny --verify --data-dir {tmp_path}" in caught.value.hint
    ensure_cached(DATASETS["tiny"], tmp_path, verify=True)
    assert is_equal(load_glyphs("tiny", "train", tmp_path), TRAIN)
    flip(path.with_name(DATASETS["tiny"].train.labels.name), -1, 9 ^ 10)
    with pytest.raises(GlyphError, match="labels from 0 to 10"):
        load_glyphs("tiny", "train", tmp_path)


def test_a_path_that_is_split_and_its_hash_which_is_that_of_the_content(tmp_path: Path) -> None:
    for name, drawn in (("train", TRAIN), ("test", TEST)):
        path = str(write_pair(tmp_path / "a", *drawn, f"{name}-"))
    sha256, *_ = check_splits(path)
    assert load_glyphs(path).name == path
    other = str(write_pair(tmp_path / "b", *TRAIN, "my-"))
    assert load_glyphs(other).sha256 == sha256
    flip(tmp_path / "b/my-images-idx3-ubyte", 99, 1)
    assert load_glyphs(other).sha256 != sha256


def test_splits_with_different_classes_are_not_joined(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "test/a", "test/c"):
        (tmp_path / place).mkdir(parents=True)
        iio.imwrite(tmp_path / place / "x.png", TRAIN[0][0])
    assert load_glyphs(str(tmp_path), "test").alphabet == "ac"
    with pytest.raises(GlyphError, match="different classes: ab and ac"):
        load_glyphs(str(tmp_path), "all")


NO_SETS = {
    "FashionMNIST": r"unknown data set(.|\n)*Did you mean 'fashion-mnist'",
    **dict.fromkeys(("strokes=0,mnist", "strokes=x"), "expected NAME=WEIGHT"),
    "strokes,strokes": "twice",
    **dict.fromkeys(("auto,strokes", "strokes,"), "no data set of its own"),
    "strokes,nits": "unknown data set 'nits'",
    "absent.npz": "no file or folder",
    **dict.fromkeys(
        ("no/such/folder", "~nosuchuser/x", "a\0b", "x/" * 3000, ""),
        "no file or folder|is not a path|unknown data",
    ),
}


def test_a_name_path_or_split_that_is_not_there_or_cannot_be() -> None:
    for name, message in NO_SETS.items():
        with pytest.raises(MnistseqError, match=message):
            load_glyphs(name)
    with pytest.raises(UsageError, match="unknown split 'tset'; expected train, test or all"):
        load_glyphs("mnist", "tset")


def test_auto_is_mnist(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(DATASETS["tiny"], name="mnist")
    monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", tiny)
    monkeypatch.setitem(DATASETS, "mnist", tiny)
    for _ in range(2):
        assert resolve_dataset("auto", tmp_path) == "mnist"
        assert len(mirror.asked) == 4
    assert load_glyphs("auto", "train", tmp_path).name == "mnist"
    assert len(mirror.asked) == 4


def test_auto_waits_for_no_slow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny, bodies = make_tiny()
    told: list[GlyphError] = []
    monkeypatch.setattr("mnistseq_cli.glyphs.load.HASTY", replace(HASTY, deadline_s=0.5))
    with serving({name: [drip(body, 0.1)] for name, body in bodies.items()}) as slow:
        slow_ones = replace(tiny, mirrors=tuple(f"{slow.url}{i}/" for i in range(4)))
        monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", slow_ones)
        start = time.monotonic()
        assert resolve_dataset("auto", tmp_path, warn=told.append) == "strokes"
    assert time.monotonic() - start < 1.5
    assert ["too slow" in error.message for error in told] == [True]


def test_a_failed_download_rests_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[GlyphError] = []
    with serving({}) as empty:
        lost = replace(make_tiny(empty.url)[0], name="mnist")
        monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", lost)
        for _ in range(2):
            assert resolve_dataset("auto", tmp_path, warn=told.append) == "strokes"
        assert len(empty.asked) == 1
        assert "404" in told[0].message
        assert str(told[1]) == "MNIST is not cached"
        (failed,) = tmp_path.glob(".mnist*")
        os.utime(failed, (time.time() - 3700,) * 2)
        assert resolve_dataset("auto", tmp_path) == "strokes"
        assert len(empty.asked) == 2


@pytest.fixture
def blots(tmp_path: Path) -> str:
    """Give the path of a set with the digits 0 to 7 only, whose writers are not known."""
    images, labels = draw_tiny(80, 1)
    return str(write_pair(tmp_path / "blots", images, labels % 8))


def test_each_digit_is_drawn_by_weight_among_the_sets_that_have_it(blots: str) -> None:
    glyphs = load_glyphs(f"{blots}=3,strokes")
    assert glyphs.set_of is not None
    recipe = Recipe(length=6, count=5000, seed=1)
    block = SequenceGenerator(recipe, glyphs).block(0, 5000)
    assert (glyphs.labels[block.glyphs] == block.classes).all()
    sets = glyphs.set_of[block.glyphs]
    # 24,000 draws, of which 3 in 4 are blots: 5 standard deviations are 0.014.
    assert abs((sets[block.classes < 8] == 0).mean() - 0.75) < 0.014
    assert (sets[block.classes >= 8] == 1).all()
    # A row of one writer is of one set that knows writers.
    block = SequenceGenerator(replace(recipe, hand="writer"), glyphs).block(0, 500)
    assert (glyphs.set_of[block.glyphs] == 1).all()


def test_a_mix_is_one_set(blots: str) -> None:
    mix = load_glyphs(f"strokes=2,{blots}", "all")
    strokes = load_glyphs("strokes", "all")
    assert len(mix) == len(strokes) + 80
    assert mix.name == resolve_dataset(f"strokes=2,{blots}") == f"strokes=2,{blots}=1"
    assert mix.licence == "none needed and not stated"
    assert mix.sha256 != load_glyphs(f"strokes=3,{blots}", "all").sha256
    assert mix.writers is not None
    assert mix.writers.spell()[[0, -1]].tolist() == ["strokes/0", ""]
    assert load_glyphs("strokes=5").name == "strokes"


def test_each_set_of_a_mix_is_dealt_by_itself(blots: str) -> None:
    splits = cut((("train", 8), ("val", 1), ("test", 1)), 100)
    recipe = Recipe(length=3, count=100, dataset=f"strokes,{blots}", glyphs="all")
    found = {name: one.glyphs.ids for name, one in open_splits(recipe, splits).items()}
    n_strokes = len(load_glyphs("strokes", "all"))
    for name, share in (("train", 8 / 9), ("val", 1 / 9)):
        assert (found[name] < n_strokes).sum() == pytest.approx(20_000 * share, rel=0.01)
    assert [(ids >= n_strokes).sum() for ids in found.values()] == [60, 10, 10]
    assert len(set(np.concatenate([*found.values()]).tolist())) == n_strokes + 80


def test_ink_moves_to_the_left_edge_unchanged(glyphs: GlyphSet) -> None:
    ids = np.array([5, 0, 5, 119])
    ink = glyphs.cut_out(ids)
    for number, image in enumerate(glyphs.images[ids]):
        ((x, y, width, height),) = measure_ink(image[None]).tolist()
        assert np.array_equal(np.argwhere(image).min(axis=0), (y, x))
        assert np.array_equal(np.argwhere(image).max(axis=0), (y + height - 1, x + width - 1))
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


def test_a_blank_glyph_is_refused_when_it_is_met() -> None:
    blank = make_set(np.zeros(1), np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(GlyphError, match="glyph 0 of made-up is blank"):
        blank.cut_out(np.array([0]))


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
