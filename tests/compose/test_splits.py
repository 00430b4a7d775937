from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imageio.v3 import imread

from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.split_overlap import OverlapTally
from mnistseq_cli.bulk.verify import Report, verify
from mnistseq_cli.compose.splits import (
    Split,
    cut,
    deal_ends,
    deal_glyphs,
    deal_texts,
    find_shared,
    parse_weights,
)
from mnistseq_cli.compose.texts import RandomTexts, Roles
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import Output
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.inspection.survey import survey
from mnistseq_cli.recipe import Recipe
from tests.conftest import make_set
from tests.helpers.bulk_cases import read_tree

WEIGHTS = (("train", 80), ("val", 10), ("test", 10))
SPLITS = tuple(f"{name}={weight}" for name, weight in WEIGHTS)
Weights = st.lists(st.integers(1, 50), min_size=1, max_size=5).map(
    lambda weights: tuple((f"s{n}", weight) for n, weight in enumerate(weights))
)


def open_dealt(length: tuple[int, int], splits: tuple[Split, ...], split: Split) -> RandomTexts:
    return RandomTexts(length, 10, 4, partial(deal_ends, splits, split, 10))


@given(Weights, st.integers(300, 10**10))
def test_splits_cover_every_sample_once(weights: tuple[tuple[str, int], ...], count: int) -> None:
    splits = cut(weights, count)
    assert [split.start for split in splits] == [0, *(split.stop for split in splits[:-1])]
    assert splits[-1].stop == count
    total = sum(weight for _, weight in weights)
    for split, (name, weight) in zip(splits, weights, strict=True):
        assert split.name == name
        assert abs((split.stop - split.start) - count * weight / total) <= 1


@pytest.mark.parametrize(
    "names",
    ["train=1 train=1", "=1 b=1", "a/b=1", "..=1", ".mnistseq=1", "a=0 b=1", "b=1 a=1000000", "a"],
)
def test_splits_that_cannot_be_are_refused(names: str) -> None:
    with pytest.raises(UsageError):
        cut(parse_weights(names.split()), 100)


@pytest.mark.parametrize("has_test", [True, False])
def test_no_glyph_is_in_two_splits_and_test_has_the_test_glyphs(has_test: bool) -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 70)
    dealt = deal_glyphs(
        make_set(labels, is_test=np.arange(700) >= 600 if has_test else None), cut(WEIGHTS, 100)
    )
    assert sorted(np.concatenate([*dealt.values()]).tolist()) == list(range(700))
    # 8 to 1 of the 60 of each class, or 8 to 1 to 1 of its 70
    each = {"train": 53, "val": 7, "test": 10} if has_test else {"train": 56, "val": 7, "test": 7}
    for name, n in each.items():
        assert np.bincount(labels[dealt[name]]).tolist() == [n] * 10
    assert (dealt["test"].tolist() == list(range(600, 700))) == has_test


def test_too_few_glyphs_are_told() -> None:
    with pytest.raises(UsageError, match="split val would get no glyph"):
        deal_glyphs(make_set(np.arange(10)), cut((("val", 1), ("train", 9)), 100))


@pytest.mark.parametrize("length", [(1, 1), (2, 2), (1, 3), (9, 9), (12, 12)])
def test_no_random_text_can_be_in_two_splits(length: tuple[int, int]) -> None:
    splits = cut(WEIGHTS, 3000)
    found = []
    for split in splits:
        texts = open_dealt(length, splits, split).texts((range(3000),))
        found.append(
            {tuple(row[:n].tolist()) for row, n in zip(texts.classes, texts.lengths, strict=True)}
        )
    assert sum(map(len, found)) == len(set().union(*found))


def test_the_texts_of_a_split_are_equally_likely() -> None:
    splits = cut(WEIGHTS, 3000)
    texts = open_dealt((2, 2), splits, splits[0]).texts((range(80_000),))
    part = open_dealt((2, 2), splits, splits[0]).texts((range(17, 23),))
    assert np.array_equal(texts.classes[17:23], part.classes)  # whatever stretch is asked for
    counts = np.bincount(texts.classes[:, 0].astype(int) * 10 + texts.classes[:, 1])
    counts = counts[counts > 0]
    assert len(counts) == 80
    chi_square = float(((counts - 1000) ** 2 / 1000).sum())
    assert chi_square < 124  # 79 degrees of freedom: one false alarm in a thousand


def test_lengths_with_too_few_texts_are_shared_and_named() -> None:
    splits = cut((("train", 98), ("val", 1), ("test", 1)), 1000)
    assert find_shared(Recipe(length=(1, 4)), splits) == "texts of 1 digits"
    assert find_shared(Recipe(digits="350"), splits) == "all texts"
    assert find_shared(Recipe(texts=("1", "2", "1")), splits) == "all texts"
    assert find_shared(Recipe(pattern="jp"), splits) == ""
    assert find_shared(Recipe(length=(1, 4)), cut((), 1000)) == ""
    texts = [open_dealt((1, 1), splits, split).texts((range(300),)) for split in splits]
    assert {len(np.unique(text.classes)) for text in texts} == {10}


def test_listed_texts_are_dealt_out_with_their_repeats() -> None:
    texts = tuple(str(n % 70) for n in range(200))
    splits = cut(WEIGHTS, 100)
    roles = Roles(gaps=" -", marks=",")
    dealt = deal_texts(texts, splits, roles)
    assert sorted(text for own in dealt.values() for text in own) == sorted(texts)
    assert sum(len(set(own)) for own in dealt.values()) == 70
    alike = deal_texts((*texts, *(f"{text[:1]}-,{text[1:]}" for text in texts)), splits, roles)
    for name, own in dealt.items():
        assert {text.replace("-,", "") for text in alike[name]} == set(own)
    assert set(deal_texts(("1", "2"), splits, roles).values()) == {("1", "2")}


def test_splits_are_the_same_whoever_makes_them(glyph_folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(length=(2, 4), count=200, seed=1, dataset=str(glyph_folder), splits=SPLITS)
    for workers in (0, 2):
        output = Output(folder=tmp_path / str(workers))
        run(Plan(recipe, output, 30), workers=workers)
    assert read_tree(tmp_path / "0") == read_tree(tmp_path / "2")
    assert len({imread(path).shape for path in (tmp_path / "0").glob("*/images/*/*.png")}) == 1
    run(Plan(recipe, output, 30), workers=0, resume=True)
    with pytest.raises(OutputError, match="splits"):
        run(Plan(replace(recipe, splits=SPLITS[:2]), output, 30), workers=0, resume=True)


def test_what_splits_share_is_found(
    glyph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Glyphs and writers, as if they had been dealt out wrongly."""

    def make(name: str, dataset: str, **values: Any) -> Report:
        recipe = Recipe(length=(2, 4), count=200, seed=1, splits=SPLITS, dataset=dataset, **values)
        run(Plan(recipe, Output(folder=tmp_path / name), 30), workers=0)
        return verify(tmp_path / name, deep=None, workers=0)

    right = make("right", "strokes", hand="writer", splits_by="writer")
    expected = "no glyph, no writer and no text is in two of the splits"
    assert (right.problems, right.overlap) == ((), expected)
    assert {it.n_writers for it in survey(tmp_path / "right").overlaps.values()} == {0}
    n_glyphs = len(load_glyphs("strokes", "all"))
    for name, dataset, n, step in (
        ("glyphs", str(glyph_folder), 120, 1),
        ("writers", "strokes", n_glyphs, 3),
    ):
        dealt = {one: np.arange(place % step, n, step) for place, (one, _) in enumerate(WEIGHTS)}
        monkeypatch.setattr("mnistseq_cli.compose.splits.deal_glyphs", lambda *_, own=dealt: own)
        splits_by = "glyph" if name == "glyphs" else "writer"
        (problem,) = make(name, dataset, splits_by=splits_by).problems
        assert "share" in str(problem)
        assert name in str(problem)
    assert make("of one writer", "strokes", splits_by="glyph").problems == ()
    tally = OverlapTally()
    for split in ("train", "test"):
        tally.add(split, [split], glyphs=[split], writers=["", "nist/7"])
    assert [it.n_writers for it in tally.overlaps()] == [1]  # whom nobody knows is no writer
