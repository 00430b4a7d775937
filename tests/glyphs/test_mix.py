from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import cut, open_splits
from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from mnistseq_cli.recipe import Recipe
from tests.helpers.mirror import draw_tiny, write_pair

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("strokes=0,mnist", "expected NAME=WEIGHT"),
        ("strokes=x", "expected NAME=WEIGHT"),
        ("strokes,strokes", "twice"),
        ("auto,strokes", "no data set of its own"),
        ("strokes,", "no data set of its own"),
        ("strokes,nits", "unknown data set 'nits'"),
    ],
)
def test_what_is_no_mix(mix: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_glyphs(mix)
