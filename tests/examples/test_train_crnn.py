from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

pytestmark = pytest.mark.consumers

pytest.importorskip("torch", reason="PyTorch is not installed: the example needs it")

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_crnn.py"


def run_example(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE, "--dataset", folder, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_the_example_trains_and_tests(glyph_folder: Path) -> None:
    done = run_example(glyph_folder, "--samples", 128, "--test-samples", 32, "--digits", 2)
    assert done.returncode == 0, done.stderr
    assert "of 32" in done.stdout
    assert "character error rate" in done.stdout
    assert "training loss" in done.stderr


def test_the_example_reads_pictures_of_ones_own(glyph_folder: Path, tmp_path: Path) -> None:
    for number, (text, side) in enumerate([("350", 28), ("07", 61)]):
        image = np.full((side, 3 * side), 230, np.uint8)
        image[side // 4 : side // 2, side : 2 * side] = 20
        imageio.imwrite(tmp_path / f"{number}.png", image if number else 255 - image)
        with (tmp_path / "labels.csv").open("a") as file:
            file.write(f"{'' if number else 'file_name,text' + chr(10)}{number}.png,{text}\n")
    words = ("--samples", 64, "--test-samples", 32, "--digits", 1, 3, "--read", tmp_path)
    done = run_example(glyph_folder, *words)
    assert done.returncode == 0, done.stderr
    assert f"exact {tmp_path}" in done.stdout
    assert "of 2" in done.stdout


def test_the_example_ends_when_time_is_up(glyph_folder: Path) -> None:
    words = ("--minutes", 1e-6, "--test-samples", 32, "--digits", 2)
    done = run_example(glyph_folder, *words)
    assert "out of time after 0 samples" in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("width_px", "fit", "status", "words"),
    [
        (152, "pad", 0, "every label fits"),
        (14, "shrink", 1, "labels need more steps than the width of 14 px"),
    ],
)
def test_a_dry_run_warns_when_labels_do_not_fit(
    width_px: int, fit: str, status: int, words: str, glyph_folder: Path
) -> None:
    done = run_example(
        glyph_folder, "--dry-run", "--samples", 500, "--width", width_px, "--fit", fit
    )
    assert words in " ".join(done.stderr.split())
    assert done.returncode == status
