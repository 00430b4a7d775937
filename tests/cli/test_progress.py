from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mnistseq_cli.bulk.events import Event, PartRetried, Progressed, Started, Stopped
from mnistseq_cli.cli import progress as bulk_progress
from mnistseq_cli.cli.progress import RunProgress
from mnistseq_cli.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

EVENTS: list[Event] = [
    Started(n_samples=3000, n_parts=3, n_samples_done=1000, n_parts_done=1, n_workers=2),
    PartRetried("00000001", 2, -9),
    Progressed(n_samples=500, size_bytes=123_000),
    Stopped(n_samples_done=1500, n_parts_done=1),
]


def test_without_a_terminal_there_are_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_progress, "_LINE_EVERY_S", 0)
    with RunProgress() as progress:
        for event in EVENTS:
            progress(event)
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = shown.err.splitlines()
    assert re.fullmatch(
        r"1,500 of 3,000 images, [\d,]+/s, 123\.0 kB, 1 tried again, [\d,]+ s left", first
    )
    assert second.startswith("Stopped: 1,500 of 3,000 images are finished and kept.")
    assert "--resume" in second
    assert "\x1b" not in shown.err


def test_lines_are_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress() as progress:
        for event in EVENTS[:3] * 50:
            progress(event)
    assert capsys.readouterr().err == ""


def test_the_log_has_an_event_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for _ in range(2):
        with RunProgress(log) as progress:
            time.sleep(0.01)  # time passes before a run has started
            for event in EVENTS:
                progress(event)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "Started",
        "PartRetried",
        "Progressed",
        "Stopped",
    ] * 2
    seconds = [line["seconds"] for line in lines[:4]]
    assert seconds == sorted(seconds)
    assert lines[1] == {"seconds": lines[1]["seconds"]} | {
        "event": "PartRetried",
        "part": "00000001",
        "attempt": 2,
        "exit_code": -9,
    }


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the log"):
        RunProgress(tmp_path / "nothing" / "log.jsonl")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize("columns", [20, 100])
def test_ctrl_c_in_a_terminal_gives_the_cursor_back(
    glyph_folder: Path, tmp_path: Path, columns: int
) -> None:
    words = "batch -n 500000 --length 1 3 --part-size 100 --workers 2 --force -o out --dataset"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mnistseq_cli", *words.split(), str(glyph_folder)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": str(columns), "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = read_until(ours, b"Images", 20)
    start_s = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    shown += read_until(ours, None, 10)
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - start_s < 2
    os.close(ours)
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") > -1
    assert b"Traceback" not in shown
    assert b"--resume" in shown.replace(b"\r\n", b" ")


def read_until(terminal: int, words: bytes | None, seconds: float) -> bytes:
    """Read what a program shows until some words, or until it ends."""
    shown, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the other side is closed
                return shown
            if not data:
                return shown
            shown += data
            if words and words in shown:
                return shown
    return shown
