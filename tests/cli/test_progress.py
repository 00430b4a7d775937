from __future__ import annotations

import os
import re
import signal
import sys
import time

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished, PartRetried, Progressed, Started, Stopped
from mnistseq_cli.cli import progress
from mnistseq_cli.cli.progress import RunProgress
from tests.helpers.program import PROGRAM

if sys.platform == "win32":
    pytest.skip("terminals are played with pseudo-terminals", allow_module_level=True)

from pathlib import Path
from subprocess import Popen

from tests.helpers.terminal import open_terminal, read_until

EVENTS: list[Event] = [
    Started(n_samples=3000, n_parts=3, n_samples_done=1000, n_parts_done=1, n_workers=2),
    PartRetried("00000001", 2, -9),
    Progressed(n_samples=1200, size_bytes=123_000),
    PartFinished("00000001", n_samples=1000, n_files=1000, size_bytes=100_000),
    Progressed(n_samples=1500, size_bytes=150_000),
    Stopped(n_samples_done=2000, n_parts_done=2),
]


def test_without_a_terminal_there_are_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0)
    with RunProgress() as display:
        for event in EVENTS:
            display(event)
    shown = capsys.readouterr()
    assert shown.out == ""
    *_, made, stopped = shown.err.splitlines()
    assert re.fullmatch(
        r"2,500 of 3,000 images, [\d,]+/s, 2,000 kept, 150\.0 kB, 1 retried, \d+ s left", made
    )
    assert stopped.startswith("Stopped: 2,000 of 3,000 images")
    assert "--resume" in stopped
    assert "\x1b" not in shown.err
    with RunProgress() as display:  # before it has begun
        display(Stopped(n_samples_done=0, n_parts_done=0))
    assert " 0 of 0 " not in capsys.readouterr().err


def start(folder: Path, words: str, dataset: Path, columns: int) -> tuple[Popen[bytes], int]:
    more = "--length 1 3 --part-size 100 --workers 2 --force -o out --dataset"
    command = [*PROGRAM, "batch", *words.split(), *more.split(), str(dataset)]
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    return open_terminal(command, columns=columns, cwd=folder, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 100])
def test_ctrl_c_gives_the_cursor_back(glyph_folder: Path, tmp_path: Path, columns: int) -> None:
    process, terminal = start(tmp_path, "-n 500000", glyph_folder, columns)
    shown = read_until(terminal, b" of 500,")
    start_s = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    shown += read_until(terminal)
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - start_s < 2
    os.close(terminal)
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") > -1
    assert b"Traceback" not in shown
    assert b"--resume" in shown.replace(b"\r\n", b" ")


@pytest.mark.slow
def test_a_closed_terminal_ends_the_run_in_order(glyph_folder: Path, tmp_path: Path) -> None:
    process, terminal = start(tmp_path, "-n 20000", glyph_folder, 80)
    read_until(terminal, b" kept")
    os.close(terminal)  # as a window that is closed
    assert process.wait(timeout=20) == 143
    # A part that was stopped on its way to its final names left its record, for the next run.
    left_over = {path.name for path in tmp_path.glob("out/.mnistseq/staging/*/*")}
    assert left_over <= {"record.json"}
    assert not (tmp_path / "out/dataset.json").exists()
    process, terminal = start(tmp_path, "-n 20000 --resume", glyph_folder, 80)
    read_until(terminal, seconds=60)
    os.close(terminal)
    assert process.wait(timeout=20) == 0
    assert not (tmp_path / "out/.mnistseq/staging").exists()
