"""`mnistseq inspect` in a terminal: samples are drawn, and slow work shows a bar."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mnistseq_cli.bulk.run import run
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case

if sys.platform == "win32":
    pytest.skip("terminals are played with pseudo-terminals", allow_module_level=True)

from tests.helpers.terminal import PLAIN, decode_half_blocks, run_in_terminal


@pytest.fixture
def dataset(glyph_folder: Path, tmp_path: Path) -> Path:
    case = Case(glyph_folder, {"width_px": 60, "length": (1, 2)}, {"to": "npz"})
    run(case.plan(tmp_path / "out"), workers=0)
    return tmp_path / "out"


def test_samples_are_drawn(dataset: Path, tmp_path: Path) -> None:
    shown = run_in_terminal(["inspect", dataset], tmp_path, answers=PLAIN)
    assert shown.status == 0
    samples = survey(dataset).samples
    expected = [samples[place].image for place in (0, 23, 47, 71)]  # of 95
    drawn = decode_half_blocks(shown.out)
    assert len(drawn) == len(expected)
    for page, image in zip(drawn, expected, strict=True):
        assert np.array_equal(page[1:29, 1:-1], image)  # in a frame


def test_without_colour_there_are_words_alone(dataset: Path, tmp_path: Path) -> None:
    environment = {"NO_COLOR": "1"}
    shown = run_in_terminal(["inspect", dataset], tmp_path, answers=PLAIN, environment=environment)
    assert shown.status == 0
    assert b"\x1b[38" not in shown.out
    assert b"Pictures" not in shown.out
    assert b"95 images" in shown.out
