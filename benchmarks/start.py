"""Processor time to start, against importing what a command cannot do without."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import mnistseq_cli
from benchmarks.figures import Figure, read_processor, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 15
PROGRAM = str(Path(sys.executable).with_name("mnistseq"))
IMPORTS = {
    "importing NumPy, Typer and zlib-ng": "import numpy, numpy.random, typer, zlib_ng",
    "importing Typer and Rich": "import typer, rich",
}


def measure_start(dataset: str) -> Iterator[Figure]:
    """Yield the processor time of a picture, of help and of a completion."""
    libraries, terminal = IMPORTS
    words = {
        "_MNISTSEQ_COMPLETE": "complete_lines",
        "_TYPER_COMPLETE_ARGS": "mnistseq sequence --al",
    }
    compileall.compile_dir(Path(mnistseq_cli.__file__).parent, quiet=2)  # as pip does
    picture = [PROGRAM, "sequence", "3", "5", "0", "--width", "100", "--dataset", dataset]
    with tempfile.TemporaryDirectory() as folder:

        def start(command: list[str], **more: str) -> Callable[[], object]:
            return lambda: subprocess.run(
                command, check=True, cwd=folder, capture_output=True, env=os.environ | more
            )

        works = {
            "mnistseq sequence 3 5 0 --width 100": (start(picture), libraries, "≤ 1.25"),
            "mnistseq --help": (start([PROGRAM, "--help"]), terminal, "≤ 1.1"),
            "a completion": (start([PROGRAM], **words), terminal, "≤ 1.1"),
        }
        floors = {name: start([sys.executable, "-c", code]) for name, code in IMPORTS.items()}
        ours = {name: work for name, (work, *_) in works.items()}
        times = take_turns(floors | ours, ROUNDS, read_processor)
    for name, (_, floor, goal) in works.items():
        yield Figure(name, times[name] * 1e3, "ms", times[name] / times[floor], floor, goal)
