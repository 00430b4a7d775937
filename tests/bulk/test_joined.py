"""Files that are joined from what parts wrote come out the same, come what may."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.bulk.run import run
from tests.helpers.bulk_cases import Case, read_tree

if TYPE_CHECKING:
    from mnistseq_cli.bulk.plan import Plan

JOINED = ("npy", "idx")


def make(plan: Plan, **options: Any) -> dict[str, bytes]:
    run(plan, workers=options.pop("workers", 0), **options)
    return read_tree(plan.output.folder)


def make_and_die(plan: Plan, nth: int, **options: Any) -> None:
    """Make a dataset, but be killed when a file is opened or a folder changed for the nth time."""
    left, folder = nth, str(plan.output.folder)

    def die(event: str, given: tuple[Any, ...]) -> None:
        nonlocal left
        if event in {"open", "os.rename", "os.link", "os.rmdir", "os.mkdir", "os.remove"}:
            left -= str(given[0]).startswith(folder)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    run(plan, workers=0, **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("to", JOINED)
def test_killed_at_every_step(to: str, glyph_folder: Path, tmp_path: Path) -> None:
    """Afterwards the run goes on, or another one takes its place."""
    case = Case(glyph_folder, recipe={"count": 15}, output={"to": to})
    other = Case(glyph_folder, recipe={"count": 17, "width_px": 300}, output={"to": to})
    undisturbed = make(case.plan(tmp_path / "undisturbed"))
    others = make(other.plan(tmp_path / "other"))
    start = mp.get_context("fork").Process
    nth, exit_code = 0, -signal.SIGKILL
    while exit_code == -signal.SIGKILL:
        nth += 1
        out = tmp_path / f"out{nth}"
        process = start(target=make_and_die, args=(case.plan(out), nth))
        process.start()
        process.join()
        exit_code = process.exitcode or 0
        if nth % 2:
            assert make(case.plan(out), resume=True) == undisturbed
        else:
            assert make(other.plan(out), overwrite=True) == others
    assert exit_code == 0
    assert nth > 20
