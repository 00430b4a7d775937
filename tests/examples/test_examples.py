"""The examples run as a user runs them, on fewer samples."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

pytestmark = pytest.mark.consumers

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")


def run(*command: object, status: int = 0) -> tuple[str, str]:
    """Run a program; return what it prints, and what it says."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout, " ".join(done.stderr.split())


def train(*words: object, status: int = 0) -> tuple[str, str]:
    pytest.importorskip("torch", reason="PyTorch is not installed: the example needs it")
    return run(sys.executable, EXAMPLES / "train_crnn.py", *words, status=status)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    notebook = nbformat.read(tmp_path / "examples/first_steps.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("MINUTES = 1", "MINUTES = 0.02")
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path / "examples")}}
    )
    client.execute()
    shown = [
        output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())
    ]
    assert any("image/png" in data for data in shown)
    assert any("text/html" in data for data in shown)


@pytest.mark.slow
def test_keras_trains() -> None:
    pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    words = ("--dataset", "strokes", "--steps", "3", "--tests", "8")
    assert "of 8" in run(sys.executable, EXAMPLES / "train_keras.py", *words)[0]


@pytest.mark.slow
def test_datasets_reads_a_dataset() -> None:
    pytest.importorskip("datasets")
    make = "batch -n 400 --length 3 7 --to parquet --splits train=80 validation=20 -o numbers"
    run("mnistseq", *make.split(), "--dataset", "strokes")
    printed, _ = run(sys.executable, EXAMPLES / "load_with_datasets.py", "numbers")
    assert "'text'" in printed
    assert printed.rstrip().endswith("% right")


def test_a_reader_is_trained_and_tested(glyph_folder: Path) -> None:
    words = ("--samples", 128, "--test-samples", 32, "--digits", 2)
    printed, said = train("--dataset", glyph_folder, *words)
    assert "of 32" in printed
    assert "character error rate" in printed
    assert "training loss" in said
    _, said = train("--dataset", glyph_folder, "--minutes", 1e-6, *words[2:])
    assert "out of time after 0 samples" in said


def test_a_reader_reads_pictures_of_ones_own(glyph_folder: Path) -> None:
    folder = Path("own")
    folder.mkdir()
    for number, side in enumerate([28, 61]):
        image = np.full((side, 3 * side), 230, np.uint8)
        image[side // 4 : side // 2, side : 2 * side] = 20
        imageio.imwrite(folder / f"{number}.png", image if number else 255 - image)
    (folder / "labels.csv").write_text("file_name,text\n0.png,350\n1.png,07\n")
    words = ("--samples", 64, "--test-samples", 32, "--digits", 1, 3, "--read", folder)
    printed, _ = train("--dataset", glyph_folder, *words)
    assert f"exact {folder}" in printed
    assert "of 2" in printed


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
    asked = ("--dry-run", "--samples", 500, "--width", width_px, "--fit", fit)
    assert words in train("--dataset", glyph_folder, *asked, status=status)[1]
