"""Gaps are compared with the rule that they were drawn by; references are computed otherwise."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.inspection.figures import GapFigures
from mnistseq_cli.inspection.gap_test import compare_counts, find_p_value
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case

ALARM = 1e-4  # a right program fails a test of a new seed so often; the seeds here are fixed
# scipy.stats.chi2.sf(statistic, degrees), SciPy 1.17.1.
SCIPY = {
    (7.2, 8): 0.5152161104661482,
    (250.0, 200): 0.009379131668826098,
    (1.5, 3): 0.6822703303362125,
    (40.0, 8): 3.203719780476998e-06,
    (3.841458820694124, 1): 0.05,
    (149.449252778, 100): 0.001,
}


@pytest.mark.parametrize(("statistic", "degrees"), SCIPY)
def test_p_values_are_those_of_scipy(statistic: float, degrees: int) -> None:
    expected = SCIPY[statistic, degrees]
    assert math.isclose(find_p_value(statistic, degrees), expected, rel_tol=1e-8, abs_tol=1e-13)


@given(statistic=st.floats(0, 1e9))
def test_p_values_with_a_closed_form(statistic: float) -> None:
    # DLMF 8.4.4 for 2 degrees of freedom, 8.4.6 for 1, 8.4.10 for 14.
    x = statistic / 2
    assert abs(find_p_value(statistic, 2) - math.exp(-x)) < 1e-13
    assert abs(find_p_value(statistic, 1) - math.erfc(math.sqrt(x))) < 1e-13
    terms = math.fsum(x**k / math.factorial(k) for k in range(7))
    assert abs(find_p_value(statistic, 14) - math.exp(-x) * terms) < 1e-12


def test_counts_are_compared_as_pearson_did() -> None:
    found = compare_counts({0: 30, 1: 14, 2: 34, 3: 22}, dict.fromkeys(range(4), 25.0))
    assert found == pytest.approx((9.44, 3, 0.02398), abs=1e-5)
    assert compare_counts({5: 100}, {5: 100.0}) is None
    # Rare gaps are counted together: 0 to 2, 3 to 5, 6 to 9.
    found = compare_counts({0: 9, 5: 9, 6: 1, 7: 1}, dict.fromkeys(range(10), 2.0))
    assert found is not None
    assert found[0] == pytest.approx(9 / 6 + 9 / 6 + 36 / 8)
    assert found[1] == 2


# Of datasets -----------------------------------------------------------------------------------


Make = Callable[..., list[Sample]]
Find = Callable[[], GapFigures]


@pytest.fixture
def make(glyph_folder: Path, tmp_path: Path) -> Make:
    """Return a function that makes a dataset, and returns its samples."""

    def make_dataset(**recipe: Any) -> list[Sample]:
        plan = Case(glyph_folder, recipe, {"to": "folder"}).plan(tmp_path / "out")
        run(plan, workers=0)
        return list(SequenceGenerator(plan.recipe))

    return make_dataset


@pytest.fixture
def find_gaps(tmp_path: Path) -> Find:
    """Return a function that surveys the dataset."""

    def find() -> GapFigures:
        gaps = survey(tmp_path / "out").gaps
        assert gaps is not None
        return gaps

    return find


def change_gaps(folder: Path, change: Callable[[list[int]], list[int]]) -> None:
    """Change the gaps that are written down."""
    path = folder / "out" / "metadata.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = [json.dumps(one | {"gaps": change(one["gaps"])}) + "\n" for one in records]
    path.write_text("".join(changed), encoding="utf-8")


FREE: dict[str, tuple[dict[str, Any], str]] = {
    "free": ({}, "from 2 to 10"),
    "overlap": ({"spacing_px": (-12, -3)}, "no gap smaller than its digits allow"),
    "wide enough": ({"length": (2, 6), "width_px": 190}, "fitting into 190 px"),
    "cells": ({"measure": "cell", "width_px": 130, "spacing_px": (0, 9)}, "fitting into 130 px"),
    "equal": ({"spacing_mode": "fixed"}, "one gap for each row"),
    "distorted": ({"augment": ("rotate=10",), "width_px": 100}, "fitting into 100 px"),
    "stretched": ({"fit": "stretch", "width_px": 60}, "from 2 to 10"),
}


@pytest.mark.parametrize("name", FREE)
def test_right_gaps_follow_their_rule(name: str, make: Make, find_gaps: Find) -> None:
    recipe, words = FREE[name]
    make(count=800, **{"length": (2, 4)} | recipe)
    gaps = find_gaps()
    assert words in gaps.rule
    assert (gaps.p_value or 0) > ALARM
    assert gaps.n_compared >= gaps.n_tested > 700
    assert sum(gaps.expected.values()) == pytest.approx(gaps.n_compared)


TIGHT: dict[str, dict[str, Any]] = {
    "bound": {"length": (6, 6), "width_px": 140},
    "edges": {"length": (5, 5), "edges": True, "width_px": 140, "spacing_px": (1, 15)},
    "groups": {"length": None, "pattern": "0##-###-##", "width_px": 195},
}


@pytest.mark.parametrize("name", TIGHT)
def test_gaps_that_must_fit_have_their_expected_counts(
    name: str, make: Make, find_gaps: Find
) -> None:
    make(count=800, **TIGHT[name])
    gaps = find_gaps()
    assert "fitting into" in gaps.rule
    assert gaps.n_tested < gaps.n_compared
    assert sum(gaps.expected.values()) == pytest.approx(gaps.n_compared)
    if gaps.n_compared == sum(gaps.counts.values()):
        # Smaller than of independent ones, so the statistic is no larger than theirs.
        n = gaps.n_compared
        off = [(gaps.counts.get(gap, 0) - one) ** 2 for gap, one in gaps.expected.items()]
        assert sum(off) / n < 30


def test_expected_counts_are_those_of_all_combinations(make: Make, find_gaps: Find) -> None:
    # One sample: three digits, two gaps from 0 to 4 into 5 px.
    make(count=1, length=(3, 3), measure="cell", spacing_px=(0, 4), width_px=3 * 28 + 5)
    every = [gaps for gaps in product(range(5), repeat=2) if sum(gaps) <= 5]
    expected = {gap: sum(one.count(gap) for one in every) / len(every) for gap in range(5)}
    assert find_gaps().expected == pytest.approx(expected)


WRONG: dict[str, Callable[[list[int]], list[int]]] = {
    "never large": lambda gaps: [min(gap, 20) for gap in gaps],
    "even ones": lambda gaps: [gap - gap % 2 for gap in gaps],
    "outside": lambda gaps: [*gaps[:-1], 31],
}


def test_wrong_gaps_are_found(make: Make, find_gaps: Find, tmp_path: Path) -> None:
    for change in WRONG.values():
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        make(count=800, length=(5, 5), spacing_px=(2, 30))
        assert (find_gaps().p_value or 0) > ALARM
        change_gaps(tmp_path, change)
        gaps = find_gaps()
        assert gaps.p_value is not None
        assert gaps.p_value < 1e-9
    assert "which 800 gaps break" in gaps.rule
    assert (gaps.p_value, gaps.expected[31], gaps.counts[31]) == (0, 0, 800)


@pytest.mark.parametrize(
    "given", [{"pattern": "0-#", "count": 10}, {"texts": ("0-1", "23"), "count": 300}], ids=str
)
def test_groups_are_taken_off_gaps(given: dict[str, Any], make: Make, find_gaps: Find) -> None:
    samples = make(length=None, **given)
    drawn = [int(one.gaps[0]) - 14 * (one.text[0] == "0") for one in samples]
    gaps = find_gaps()
    assert gaps.counts == dict(sorted(Counter(drawn).items()))
    assert gaps.p_value is None or gaps.p_value > ALARM


NOT_COMPARED: dict[str, tuple[dict[str, Any], str]] = {
    "shared width": (
        {"spacing_mode": "fixed", "width_px": 100, "measure": "cell", "length": (3, 3)},
        "the width decides them",
    ),
    "cells that grow": (
        {"measure": "cell", "augment": ("shift=8",), "width_px": 190},
        "is not known",
    ),
    "seen through a lens": ({"augment": ("blur=1",), "width_px": 150}, "is not known"),
    "scaled": ({"fit": "shrink", "spacing_px": (-3, 2), "width_px": 40}, "is not known"),
}


@pytest.mark.parametrize("name", NOT_COMPARED)
def test_what_cannot_be_compared_is_said(name: str, make: Make, find_gaps: Find) -> None:
    recipe, words = NOT_COMPARED[name]
    make(**recipe)
    gaps = find_gaps()
    assert gaps.rule.startswith("nothing: ")
    assert words in gaps.rule
    assert (gaps.expected, gaps.p_value, gaps.n_compared) == ({}, None, 0)
    assert gaps.counts


def test_without_a_recipe_gaps_are_compared_over_their_range(
    make: Make, find_gaps: Find, tmp_path: Path
) -> None:
    make(count=300)
    (tmp_path / "out" / "dataset.json").unlink()
    gaps = find_gaps()
    assert "from 2 to 10, the smallest" in gaps.rule
    assert gaps.degrees == 8
    counts = np.array(list(gaps.counts.values()))
    expected = counts.sum() / 9
    assert gaps.statistic == pytest.approx(((counts - expected) ** 2 / expected).sum())


def test_single_digits_have_no_gaps(make: Make, tmp_path: Path) -> None:
    make(length=(1, 1))
    assert survey(tmp_path / "out").gaps is None
