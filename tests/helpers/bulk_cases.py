"""Datasets to make in tests, and what is in a folder.

Run as a program, it makes one, to be killed, starved and interrupted, and prints a line for each
part that is finished, so that a test knows how far it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistseq_cli.bulk.events import Event, PartFinished, PartRetried, Started, Stopped
from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.storage import open_folder
from mnistseq_cli.errors import MnistseqError, UsageError
from mnistseq_cli.formats import Output
from mnistseq_cli.recipe import Recipe

Files = dict[str, bytes]  # what is in a folder


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
            [sys.executable, __file__, json.dumps(values | more)],
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

    def tree(self, folder: Path, **recipe: Any) -> Files:
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

        with suppress(KeyboardInterrupt):
            run(self.plan(folder), workers=0, report=stop, **options)
            raise AssertionError

    def _recipe(self) -> dict[str, Any]:
        basis = {"length": (1, 4), "count": 95, "seed": 5, "dataset": str(self.dataset)}
        return basis | self.recipe


def check_installed(to: str) -> None:
    """Skip the test of a format whose library is not installed."""
    import pytest  # noqa: PLC0415 - it is not wanted where this is a program

    try:
        Output(folder=Path(), to=to)
    except UsageError as error:
        pytest.skip(error.message)


def read_own(folder: Path) -> Files:
    """Read the files of a dataset, here or in a store, but not what lists them."""
    return {name: data for name, data in read_tree(folder).items() if name[:9] != ".mnistseq"}


def read_tree(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def say(event: Event) -> None:
    if isinstance(event, PartFinished | PartRetried | Started | Stopped):
        # In one piece: print writes the end of a line apart, and a signal may come between.
        os.write(sys.stdout.fileno(), f"{event}\n".encode())


def main() -> None:
    import resource  # noqa: PLC0415 - Windows has none

    values = json.loads(sys.argv[1])
    for name, limit in values.pop("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    output = Output(folder=open_folder(values.pop("folder")), **values.pop("output"))
    plan = Plan(Recipe(**values.pop("recipe")), output, values.pop("part_size"))
    try:
        run(plan, report=say, **values)
    except MnistseqError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as the command line does
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
