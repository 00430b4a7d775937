"""The program where the calls of POSIX are missing, as on Windows, and terminals know cp1252."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# What Python runs before anything else. Modules that Windows has not are found by mypy
# (`mypy --platform win32 mnistseq_cli`): the program asks for the platform before it imports them.
WITHOUT_POSIX = """
import os, signal
for name in (
    "O_DIRECTORY", "O_NOFOLLOW", "getpgrp", "killpg", "mkfifo", "posix_fadvise",
    "sched_getaffinity", "setsid", "tcgetpgrp",
):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGQUIT", "SIGWINCH"):
    delattr(signal, name)
"""
Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX, encoding="utf-8")
    own = {
        "MNISTSEQ_DATA_DIR": str(tmp_path / "data"),
        "PYTHONIOENCODING": "cp1252",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }

    def run(line: str) -> str:
        command = [sys.executable, "-m", "mnistseq_cli", *line.split()]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | own, capture_output=True, check=False
        )
        said = done.stderr.decode("cp1252")
        assert done.returncode == 0, said
        return done.stdout.decode("cp1252") + said

    return run


@pytest.mark.slow
def test_every_command_runs_without_posix(run: Run) -> None:
    assert "sequence" in run("--help")
    run("sequence 350 --dataset strokes --show -n 2")
    options = "-n 300 --dataset strokes --workers 2 --part-size 50 -o phone"
    run(f"phone {options}")
    run(f"phone {options} --resume")
    run("batch --length 3 7 -n 40 --dataset strokes --augment medium --to webdataset -o shards")
    run("verify phone --deep")
    run("inspect phone")
    run("inspect phone --sheet sheet.png")
    run("download --list")
