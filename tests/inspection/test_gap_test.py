"""Gaps are compared with the rule that they were drawn by; references are computed otherwise."""

from __future__ import annotations

import json
import math
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

COUNT = 95
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


@given(statistic=st.floats(0, 3000), degrees=st.integers(1, 2000), more=st.floats(0, 10))
def test_a_larger_statistic_is_no_likelier(statistic: float, degrees: int, more: float) -> None:
    likely = find_p_value(statistic, degrees)
    assert 0 <= find_p_value(statistic + more, degrees) <= likely + 1e-11 <= 1 + 1e-11


def test_counts_are_compared_as_pearson_did() -> None:
    found = compare_counts({0: 30, 1: 14, 2: 34, 3: 22}, dict.fromkeys(range(4), 25.0))
    assert found == pytest.approx((9.44, 3, 0.02398), abs=1e-5)
    assert compare_counts({5: 100}, {5: 100.0}) is None


def test_rare_gaps_are_counted_together() -> None:
    found = compare_counts({0: 9, 5: 9, 6: 1, 7: 1}, dict.fromkeys(range(10), 2.0))
    assert found is not None
    assert found[1] == 2  # 0 to 2, 3 to 5, 6 to 9
    assert found[0] == pytest.approx(9 / 6 + 9 / 6 + 36 / 8)


# Of datasets -----------------------------------------------------------------------------------


def make(dataset: Path, folder: Path, **recipe: Any) -> list[Sample]:
    plan = Case(dataset, recipe, {"to": "folder"}).plan(folder)
    run(plan, workers=0)
    return list(SequenceGenerator(plan.recipe))


def find_gaps(folder: Path) -> GapFigures:
    gaps = survey(folder).gaps
    assert gaps is not None
    return gaps


def change_gaps(folder: Path, change: Callable[[dict[str, Any]], list[int]]) -> None:
    """Change the gaps that are written down."""
    path = folder / "metadata.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps(record | {"gaps": change(record)}) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")


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
def test_right_gaps_follow_their_rule(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    recipe, words = FREE[name]
    make(glyph_folder, tmp_path / "out", count=800, **{"length": (2, 4)} | recipe)
    gaps = find_gaps(tmp_path / "out")
    assert words in gaps.rule
    assert gaps.p_value is not None
    assert gaps.p_value > ALARM
    assert gaps.n_compared >= gaps.n_tested > 700
    assert sum(gaps.expected.values()) == pytest.approx(gaps.n_compared)


TIGHT: dict[str, dict[str, Any]] = {
    "bound": {"length": (6, 6), "width_px": 140},
    "edges": {"length": (5, 5), "edges": True, "width_px": 140, "spacing_px": (1, 15)},
    "groups": {"length": None, "pattern": "0##-###-##", "width_px": 195},
}


@pytest.mark.parametrize("name", TIGHT)
def test_gaps_that_must_fit_have_their_expected_counts(
    name: str, glyph_folder: Path, tmp_path: Path
) -> None:
    make(glyph_folder, tmp_path / "out", count=800, **TIGHT[name])
    gaps = find_gaps(tmp_path / "out")
    assert "fitting into" in gaps.rule
    assert gaps.n_tested < gaps.n_compared
    assert sum(gaps.expected.values()) == pytest.approx(gaps.n_compared)
    if gaps.n_compared == sum(gaps.counts.values()):
        # Smaller than of independent ones, so the statistic is no larger than theirs.
        n = gaps.n_compared
        off = [(gaps.counts.get(gap, 0) - one) ** 2 for gap, one in gaps.expected.items()]
        assert sum(off) / n < 30


def test_expected_counts_are_those_of_all_combinations(tmp_path: Path, glyph_folder: Path) -> None:
    # One sample: three digits, two gaps from 0 to 4 into 5 px.
    kwargs: dict[str, Any] = {"measure": "cell", "spacing_px": (0, 4), "width_px": 3 * 28 + 5}
    make(glyph_folder, tmp_path / "out", count=1, length=(3, 3), **kwargs)
    every = [gaps for gaps in product(range(5), repeat=2) if sum(gaps) <= 5]
    expected = {gap: sum(one.count(gap) for one in every) / len(every) for gap in range(5)}
    assert find_gaps(tmp_path / "out").expected == pytest.approx(expected)


WRONG: dict[str, Callable[[dict[str, Any]], list[int]]] = {
    "never large": lambda record: [min(gap, 20) for gap in record["gaps"]],
    "even ones": lambda record: [gap - gap % 2 for gap in record["gaps"]],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gaps_are_found(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", count=800, length=(5, 5), spacing_px=(2, 30))
    assert find_gaps(tmp_path / "out").p_value > ALARM  # type: ignore[operator] # not None
    change_gaps(tmp_path / "out", WRONG[name])
    assert find_gaps(tmp_path / "out").p_value < 1e-9  # type: ignore[operator] # not None


def test_gaps_outside_their_range_are_told(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", count=300, length=(3, 3))
    change_gaps(tmp_path / "out", lambda record: [*record["gaps"][:-1], 11])
    gaps = find_gaps(tmp_path / "out")
    assert "which 300 gaps break" in gaps.rule
    assert gaps.p_value == 0
    assert gaps.expected[11] == 0
    assert gaps.counts[11] == 300


def test_groups_are_taken_off_gaps(glyph_folder: Path, tmp_path: Path) -> None:
    samples = make(glyph_folder, tmp_path / "out", length=None, pattern="0-#", count=10)
    gaps = [int(one.gaps[0]) - 14 for one in samples]
    assert find_gaps(tmp_path / "out").counts == dict(sorted(Counter(gaps).items()))


def test_groups_of_listed_texts_are_taken_off_gaps(glyph_folder: Path, tmp_path: Path) -> None:
    samples = make(glyph_folder, tmp_path / "out", length=None, texts=("0-1", "23"), count=300)
    drawn = [int(one.gaps[0]) - 14 * (one.text == "01") for one in samples]
    gaps = find_gaps(tmp_path / "out")
    assert gaps.counts == dict(sorted(Counter(drawn).items()))
    assert (gaps.p_value or 0) > 1e-4


def test_equal_gaps_count_once_a_row(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", length=(3, 3), spacing_mode="fixed")
    assert find_gaps(tmp_path / "out").n_compared == COUNT


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
def test_what_cannot_be_compared_is_said(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    recipe, words = NOT_COMPARED[name]
    make(glyph_folder, tmp_path / "out", **recipe)
    gaps = find_gaps(tmp_path / "out")
    assert gaps.rule.startswith("nothing: ")
    assert words in gaps.rule
    assert (gaps.expected, gaps.p_value, gaps.n_compared) == ({}, None, 0)
    assert gaps.counts


def test_without_a_recipe_gaps_are_compared_over_their_range(
    glyph_folder: Path, tmp_path: Path
) -> None:
    make(glyph_folder, tmp_path / "out", count=300)
    (tmp_path / "out" / "dataset.json").unlink()
    gaps = find_gaps(tmp_path / "out")
    assert "from 2 to 10, the smallest" in gaps.rule
    assert gaps.degrees == 8
    counts = np.array(list(gaps.counts.values()))
    expected = counts.sum() / 9
    assert gaps.statistic == pytest.approx(((counts - expected) ** 2 / expected).sum())


def test_single_digits_have_no_gaps(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", length=(1, 1))
    assert survey(tmp_path / "out").gaps is None
