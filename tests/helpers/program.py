"""The program, run in a process of its own, and what a run left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAM = [sys.executable, "-m", "mnistseq_cli"]


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


Run = Callable[..., Result]  # the fixture `run`


def run_program(
    *words: object,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    stdout: Any = subprocess.PIPE,
) -> Result:
    """Run the program in a process of its own."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        cwd=folder,
        env=os.environ | (environment or {}),
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout or "", done.stderr)


def run_on_older_processor(code: str) -> list[str]:
    """Run Python without the instructions that NumPy picks by processor; return its words."""
    name = "numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core"
    core = import_module(f"{name}._multiarray_umath")
    features = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
    if not features:
        pytest.skip("NumPy dispatches to no instructions of this processor")
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_CORETYPE": "Prescott"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | plain | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()
