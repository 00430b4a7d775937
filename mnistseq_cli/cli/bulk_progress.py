"""How far a run is: a bar, plain lines where there is no terminal, and a log for machines."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Self, TextIO

from mnistseq_cli.bulk.disk import spell_size
from mnistseq_cli.bulk.events import (
    Checking,
    Event,
    Joining,
    PartRetried,
    Progressed,
    Started,
    Stopped,
    to_dict,
)
from mnistseq_cli.cli.bars import count_things
from mnistseq_cli.cli.console import count, get_console, say
from mnistseq_cli.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import TaskID

_LINE_EVERY_S = 10.0


class RunProgress:
    """Shows the events of a run while it is the context of a ``with`` statement.

    Parameters
    ----------
    log : Path, optional
        File to which each event is added as a line of JSON.

    Raises
    ------
    OutputError
        The log cannot be written.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._bar = count_things()
        self._task: TaskID | None = None
        self._log = _open_log(log) if log else None
        self._log_s = self._start_s = self._line_s = time.monotonic()
        self._n_samples = self._n_done = self._n_retries = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._log:
            self._log.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        now_s = time.monotonic()
        if self._log:
            line = {"seconds": round(now_s - self._log_s, 3)} | to_dict(event)
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()
        if isinstance(event, Checking):
            say(f"Looking at {count(event.n_parts, 'finished part')}.")
        elif isinstance(event, Started):
            self._begin(event, now_s)
        elif isinstance(event, Progressed):
            self._advance(event, now_s)
        elif isinstance(event, PartRetried):
            self._n_retries += 1
        elif isinstance(event, Joining):
            self._describe("Joining")
        elif isinstance(event, Stopped):
            self._bar.stop()
            say(
                f"Stopped: {event.n_samples_done:,} of {self._n_samples:,} images are finished "
                "and kept. The same command with --resume makes the rest."
            )

    def _begin(self, event: Started, now_s: float) -> None:
        self._n_samples, self._n_done = event.n_samples, event.n_samples_done
        self._start_s = self._line_s = now_s
        self._task = self._bar.add_task(
            "Images",
            total=event.n_samples,
            completed=event.n_samples_done,
            figures=count(event.n_workers, "worker"),
        )

    def _advance(self, event: Progressed, now_s: float) -> None:
        seconds = max(now_s - self._start_s, 1e-9)
        n_made = self._n_done + event.n_samples
        figures = f"{event.n_samples / seconds:,.0f}/s, {spell_size(event.size_bytes)}"
        if self._n_retries:
            figures += f", {self._n_retries:,} tried again"
        if self._task is not None:
            self._bar.update(self._task, completed=n_made, figures=figures)
        if not get_console().is_terminal and now_s - self._line_s >= _LINE_EVERY_S:
            self._line_s = now_s
            left_s = (self._n_samples - n_made) * seconds / max(1, event.n_samples)
            say(
                f"{n_made:,} of {count(self._n_samples, 'image')}, {figures}, {left_s:,.0f} s left"
            )

    def _describe(self, words: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, description=words)


class CheckProgress:
    """Shows how far a check is while it is the context of a ``with`` statement."""

    def __init__(self) -> None:
        self._bar = count_things()
        self._files = self._bar.add_task("Files", total=None, figures="")
        self._made: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, n_files: int, n_files_all: int, n_made: int, n_made_all: int) -> None:
        """Show how many files were read and how many samples made again."""
        self._bar.update(self._files, completed=n_files, total=n_files_all)
        if n_made_all and self._made is None:
            self._made = self._bar.add_task("Made again", total=n_made_all, figures="")
        if self._made is not None:
            self._bar.update(self._made, completed=n_made)


def _open_log(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the log {path}: {error.strerror}") from error
