"""Datasets to make in tests, and what is in a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished, Started
from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import Output
from mnistseq_cli.recipe import Recipe

PROGRAM = Path(__file__).with_name("bulk_program.py")


@dataclass(frozen=True)
class Case:
    """A dataset to make: a plan, and the same as words for a process of its own."""

    dataset: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    part_size: int = 10

    def plan(self, folder: Path, **recipe: Any) -> Plan:
        output = Output(folder=folder, **self.output)
        return Plan(Recipe(**self._recipe() | recipe), output, self.part_size)

    def start(self, folder: Path, **more: Any) -> subprocess.Popen[str]:
        """Start a process that makes it, in a session of its own."""
        values = {
            "folder": str(folder),
            "recipe": self._recipe(),
            "output": self.output,
            "part_size": self.part_size,
        }
        return subprocess.Popen(
            [sys.executable, PROGRAM, json.dumps(values | more)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def make(self, folder: Path, **more: Any) -> tuple[int, str]:
        """Make it in a process of its own; give its exit status and its message."""
        with self.start(folder, **more) as process:
            _, message = process.communicate(timeout=60)
        return process.returncode, message

    def tree(self, folder: Path, **recipe: Any) -> dict[str, bytes]:
        """Make it in this process; return its files."""
        run(self.plan(folder, **recipe), workers=0)
        return read_tree(folder)

    def stop(self, folder: Path, n_parts: int, **options: Any) -> None:
        """Interrupt a run as Ctrl-C does, when so many parts are finished."""
        left = n_parts

        def stop(event: Event) -> None:
            nonlocal left
            left -= isinstance(event, PartFinished)
            if left <= 0 and isinstance(event, PartFinished | Started):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(self.plan(folder), workers=0, report=stop, **options)

    def _recipe(self) -> dict[str, Any]:
        basis = {"length": (1, 4), "count": 95, "seed": 5, "dataset": str(self.dataset)}
        return basis | self.recipe


def check_installed(to: str) -> None:
    """Skip the test of a format whose library is not installed."""
    try:
        Output(folder=Path(), to=to)
    except UsageError as error:
        pytest.skip(error.message)


def read_own(folder: Path) -> dict[str, bytes]:
    """Read the files of a dataset, here or in a store, but not what lists them."""
    return {name: data for name, data in read_tree(folder).items() if name[:9] != ".mnistseq"}


def read_tree(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
