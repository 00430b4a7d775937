"""Who wrote the digits, and rows of one writer or of hands that look alike."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import DownloadError, GlyphError
from mnistseq_cli.glyphs.adopt import adopt
from mnistseq_cli.glyphs.cache import Action, ensure_cached, ensure_writers
from mnistseq_cli.glyphs.catalog import DATASETS, Dataset, SplitFiles
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.hands import SLANT_UNITS, STROKE_UNITS, measure_styles
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.writers import Writers
from mnistseq_cli.recipe import Hand, Recipe
from tests.conftest import make_set
from tests.helpers.mirror import (
    N_TEST,
    N_TRAIN,
    QUICK,
    Mirror,
    draw_tiny,
    flip,
    make_file,
    send,
    serve_well,
    serving,
    write_picture,
)


@pytest.mark.parametrize("width_px", [2, 3, 5])
@pytest.mark.parametrize("slant", [-0.5, 0.0, 0.5])
def test_slant_and_stroke_width_of_a_bar(width_px: int, slant: float) -> None:
    bar = np.zeros((1, 28, 28), np.uint8)
    for y in range(4, 24):
        x = round(12 + (14 - y) * slant)
        bar[0, y, x : x + width_px] = 255
    ((found_slant, stroke),) = measure_styles(bar)
    assert found_slant / SLANT_UNITS == pytest.approx(-slant, abs=0.05)
    # The edges of a bar are its two long sides and its short ones.
    expected = 2 * 20 * width_px / (2 * 20 + 2 * width_px)
    assert slant or stroke / STROKE_UNITS == pytest.approx(expected, abs=1 / STROKE_UNITS)


def make_block(glyphs: GlyphSet, count: int, **recipe: Any) -> Block:
    return SequenceGenerator(Recipe(count=count, **recipe), glyphs).block(0, count)


def spread_in_rows(glyphs: GlyphSet, hand: Hand) -> NDArray[np.float64]:
    ids = make_block(glyphs, 1500, length=6, seed=3, hand=hand).glyphs
    styles = measure_styles(glyphs.images[ids.ravel()]).reshape(-1, 6, 2)
    spread: NDArray[np.float64] = styles.std(axis=1).mean(axis=0)
    return spread


def test_real_digits_of_a_row_look_alike(mnist: GlyphSet) -> None:
    assert (spread_in_rows(mnist, "alike") < spread_in_rows(mnist, "any") / 2).all()
    free, same = (make_block(mnist, 2000, length=6, hand=hand) for hand in ("any", "alike"))
    assert free.texts.tolist() == same.texts.tolist()
    assert (mnist.labels[same.glyphs] == same.classes).all()
    # 12,000 draws among 60,000 glyphs: few are met twice, though rows keep to their hands.
    assert len(np.unique(same.glyphs)) > 8000
    assert max(Counter(map(tuple, same.glyphs.tolist())).values()) == 1


def make(counts: dict[int, list[int]]) -> GlyphSet:
    """Make a set of so many glyphs of 0, 1, … by each; nobody is -1."""
    n_each = np.array([*counts.values()])
    labels = np.tile(np.arange(n_each.shape[1]), len(counts)).repeat(n_each.ravel())
    writers = Writers(np.array([*counts]).repeat(n_each.sum(axis=1)), "made-up")
    return make_set(labels, alphabet="0123456789"[: labels.max() + 1], writers=writers)


def test_writers_are_drawn_as_often_as_they_wrote_among_those_who_can() -> None:
    """3, 7 and 9 have both characters, and gave 6, 2 and 12 digits; 4 lacks a 1."""
    glyphs = make({3: [4, 2], 4: [30, 0], 7: [1, 1], 9: [6, 6], -1: [50, 50]})
    block = make_block(glyphs, 20_000, texts=("0110", "000"), seed=5, hand="writer")
    assert block.wrote is not None
    writers = block.wrote.numbers
    for start, shares in (
        (0, {3: 6 / 20, 7: 2 / 20, 9: 12 / 20}),
        (1, {3: 6 / 50, 4: 30 / 50, 7: 2 / 50, 9: 12 / 50}),
    ):
        found = writers[start::2]
        inside = np.arange(4) < block.lengths[start]
        assert ((found == found[:, :1]) | ~inside).all()
        assert set(found[:, 0].tolist()) == set(shares)
        for writer, share in shares.items():
            # 5 standard deviations: a false alarm in 1.7 million checks.
            slack = 5 * np.sqrt(share * (1 - share) / 10_000)
            assert abs((found[:, 0] == writer).mean() - share) < slack


def test_digits_that_repeat_are_other_glyphs_of_the_writer() -> None:
    glyphs = make({1: [5, 2]})
    ids = make_block(glyphs, 6000, digits="0010100011", seed=2, hand="writer").glyphs
    zeros = ids[:, [0, 1, 3, 5, 6, 7]]
    assert (np.sort(zeros[:, :5]) == np.arange(5)).all()  # all five, then one again
    ones = ids[:, [2, 4, 8, 9]]
    assert (np.sort(ones[:, :2]) == [5, 6]).all()
    assert (np.sort(ones[:, 2:]) == [5, 6]).all()
    # Each order of five is as likely: 119 degrees of freedom, over 197 once in 100,000.
    counts = np.array([*Counter(map(tuple, zeros[:, :5].tolist())).values()])
    assert len(counts) == 120
    assert ((counts - 50) ** 2 / 50).sum() < 197


def test_what_no_writer_can_write_is_refused_before_work() -> None:
    glyphs = make({1: [5, 0, 1], 2: [5, 1, 0]})
    assert SequenceGenerator(Recipe(digits="01", hand="writer"), glyphs)[0].writer == "made-up/2"
    with pytest.raises(GlyphError, match="no writer of made-up train has written all of 12"):
        SequenceGenerator(Recipe(digits="12", hand="writer"), glyphs)
    with pytest.raises(GlyphError, match="all of 012"):
        SequenceGenerator(Recipe(length=2, hand="writer"), glyphs)


def test_a_recipe_needs_the_writers_it_was_made_with(glyphs: GlyphSet) -> None:
    recipe = SequenceGenerator(Recipe(digits="0", hand="writer"), make({1: [3]})).recipe
    assert recipe.writers_sha256
    with pytest.raises(GlyphError, match="not what the recipe was made with"):
        SequenceGenerator(recipe, make({2: [3]}))
    with pytest.raises(GlyphError, match="is not known, and the recipe needs it"):
        SequenceGenerator(Recipe(digits="0", hand="writer"), glyphs)
    sample = SequenceGenerator(Recipe(digits="00"), make({2: [3]}))[0]
    assert (sample.writers, sample.writer) == (("made-up/2",) * 2, None)
    assert SequenceGenerator(Recipe(digits="00"), glyphs)[0].writers == ()


def test_the_pen_writes_a_row_with_one_hand(strokes: GlyphSet, pen_dir: Path) -> None:
    recipe = Recipe(length=(6, 6), count=500, hand="writer")
    rows = [sample.writers for sample in SequenceGenerator(recipe, strokes)]
    assert {len(set(row)) for row in rows} == {1}
    assert len({row[0] for row in rows}) > 300
    slant, stroke = spread_in_rows(strokes, "writer") / spread_in_rows(strokes, "any")
    # The slant that is measured holds the shapes of the digits too, not the hand alone.
    assert slant < 0.7
    assert stroke < 0.5
    everyone = load_glyphs("strokes", "all", pen_dir)
    assert everyone.writers is not None
    names = everyone.writers.spell()
    assert len(set(names.tolist())) == 1200
    assert names[-1] == "strokes/1199"


def test_qmnist_knows_writers(mnist_folder: Path, qmnist_folder: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "cache"
    adopt(DATASETS["mnist"], mnist_folder, data_dir)
    assert load_glyphs("mnist", "train", data_dir).writers is None
    adopt(DATASETS["mnist"], qmnist_folder, data_dir)
    train, test = (load_glyphs("mnist", split, data_dir) for split in ("train", "test"))
    ours, others = (set(one.writers.spell().tolist()) for one in (train, test) if one.writers)
    assert (len(ours), len(others), len(ours & others)) == (539, 297, 0)
    block = make_block(train, 2000, length=8, hand="writer")
    assert block.wrote is not None
    assert (block.wrote.numbers == block.wrote.numbers[:, :1]).all()


def make_rows(labels: NDArray[np.uint8], writers: NDArray[np.int64]) -> NDArray[np.int32]:
    rows = np.zeros((len(labels), 8), np.int32)
    rows[:, 0], rows[:, 2] = labels, writers
    return rows


@pytest.fixture
def knowing(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """Give the mirror of a tiny data set, and of another that knows the writers of both."""
    splits = []
    for split, n, first in (("train", N_TRAIN, 0), ("test", N_TEST, 100)):
        # More rows than there are tiny glyphs, as QMNIST has more than MNIST.
        images, labels = draw_tiny(n + 5, 1)
        rows = make_rows(labels, first + np.arange(n + 5) // 10)
        file, body = make_file(f"q-{split}-labels", rows)
        mirror.answers[file.packed_name] = [send(body)]
        splits.append(SplitFiles(make_file(f"q-{split}-images", images)[0], file))
    known = replace(DATASETS["tiny"], writers_from="q")
    monkeypatch.setitem(DATASETS, "tiny", known)
    known_too = Dataset("q", "Q", splits[0], splits[1], known.mirrors, "CC0")
    monkeypatch.setitem(DATASETS, "q", known_too)
    return mirror


def list_writers(split: str, data_dir: Path) -> list[str]:
    writers = load_glyphs("tiny", split, data_dir).writers
    return [] if writers is None else list(dict.fromkeys(writers.spell().tolist()))


def test_writers_come_along_and_an_older_cache_gets_them(knowing: Mirror, tmp_path: Path) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path)
    assert knowing.asked[4:] == ["q-train-labels.gz", "q-test-labels.gz"]
    assert list_writers("train", tmp_path) == ["nist/0", "nist/1", "nist/2"]
    assert list_writers("all", tmp_path)[-2:] == ["nist/100", "nist/101"]
    older = tmp_path / "older"
    ensure_cached(replace(DATASETS["tiny"], writers_from=""), older)
    knowing.asked.clear()
    assert list_writers("train", older) == []
    assert knowing.asked == []  # a warm start asks nobody
    assert set(ensure_writers(DATASETS["tiny"], older).values()) == {Action.DOWNLOADED}
    assert list_writers("test", older) == ["nist/100", "nist/101"]
    path = older / "Q/raw/q-test-labels"
    whole = path.read_bytes()
    flip(path, -1)
    assert ensure_writers(DATASETS["tiny"], older, verify=True)[path.name] is Action.UNPACKED
    assert path.read_bytes() == whole
    flip(path, 0)  # damaged, so that nobody is known
    assert list_writers("test", older) == []


def test_without_writers_there_are_glyphs(knowing: Mirror, tmp_path: Path) -> None:
    knowing.answers = {name: turns for name, turns in knowing.answers.items() if name[0] != "q"}
    ensure_cached(DATASETS["tiny"], tmp_path, patience=QUICK)
    assert len(load_glyphs("tiny", "train", tmp_path)) == N_TRAIN
    with pytest.raises(DownloadError, match="404"):
        ensure_writers(DATASETS["tiny"], tmp_path, patience=QUICK)


@pytest.mark.usefixtures("knowing")
def test_writers_are_taken_from_a_folder(tmp_path: Path) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path / "a")
    packed = tmp_path / "a/Q/raw"
    ensure_cached(replace(DATASETS["tiny"], writers_from=""), tmp_path / "b")
    assert len(adopt(DATASETS["tiny"], packed, tmp_path / "b")) == 2  # the labels alone
    assert list_writers("train", tmp_path / "b")
    assert len(adopt(DATASETS["tiny"], tmp_path / "a", tmp_path / "c")) == 6


def test_a_pair_of_lzma_files_with_both_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of NIST: the test digits are those of some writers."""
    images, labels = draw_tiny(60, 3)
    writers = np.repeat([5, 2, 9], 20)
    of_images, body = make_file("x-images", images, ".xz")
    of_labels, rows = make_file("x-labels", make_rows(labels, writers), ".xz")
    # The size of the larger file is not known beforehand.
    pair = SplitFiles(replace(of_images, size_bytes=0, unpacked_sha256=""), of_labels)
    bodies = {"x-images.xz": body, "x-labels.xz": rows}
    with serving(serve_well(bodies)) as mirror:
        small = Dataset("n", "N", pair, pair, (mirror.url,), "BSD")
        small = replace(small, writers_from="n", test_writers=(range(2, 4),))
        monkeypatch.setitem(DATASETS, "n", small)
        train, test, both = (load_glyphs("n", one, tmp_path) for one in ("train", "test", "all"))
    assert mirror.asked == [*bodies]
    assert test.writers is not None
    assert set(test.writers[test.ids].spell().tolist()) == {"nist/2"}
    assert sorted(test.ids.tolist()) == np.flatnonzero(both.is_test).tolist() == [*range(20, 40)]
    assert sorted(train.ids.tolist()) == [*range(20), *range(40, 60)]
    assert np.array_equal(both.labels, labels)
    assert len(both) == small.n_glyphs == 60
    assert len({glyphs.sha256 for glyphs in (train, test, both)}) == 3
    assert isinstance(test.images.base, np.memmap)
    folder = tmp_path / "brought"
    folder.mkdir()
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    adopt(small, folder, tmp_path / "again")
    assert set(ensure_cached(small, tmp_path / "again", verify=True).values()) == {Action.USED}


def test_names_of_pictures_may_say_who_wrote_them(tmp_path: Path) -> None:
    for names, writers in (
        ("anna_1 bob_x_2", ["my-hand/anna", "my-hand/bob_x"]),
        ("anna_1 anna_2", []),  # one alone
        ("anna_1 2", []),  # not all
    ):
        folder = tmp_path / names / "my-hand"
        for label, name in enumerate(names.split()):
            write_picture(folder / f"{label}/{name}.png", draw_tiny(1, label)[0][0])
        found = load_glyphs(str(folder))
        assert (found.writers.spell().tolist() if found.writers else []) == writers
