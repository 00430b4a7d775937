"""The examples run as a user runs them, on fewer samples."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.consumers, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_keras_trains() -> None:
    pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    words = ("--dataset", "strokes", "--steps", "3", "--tests", "8")
    assert "of 8" in run(sys.executable, str(EXAMPLES / "train_keras.py"), *words)


def test_datasets_reads_a_dataset() -> None:
    pytest.importorskip("datasets")
    make = "batch -n 400 --length 3 7 --to parquet --splits train=80 validation=20 -o numbers"
    run("mnistseq", *make.split(), "--dataset", "strokes")
    printed = run(sys.executable, str(EXAMPLES / "load_with_datasets.py"), "numbers")
    assert "'text'" in printed
    assert printed.rstrip().endswith("% right")
