"""Every bar."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Self, TextIO

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

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
from mnistseq_cli.cli.console import count, get_console, say, warn
from mnistseq_cli.errors import CacheError, OutputError
from mnistseq_cli.files import spell_size

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import TaskID

    from mnistseq_cli.errors import GlyphError


class Bars(Progress):
    """A line for each task: what it is, a bar, some columns, and the time left."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=get_console(),
            disable=not get_console().is_terminal,
        )

    def stop(self) -> None:
        """Stop; older versions of Rich would end what is not shown with an empty line."""
        if not self.disable:
            super().stop()


def count_things() -> Bars:
    """Make bars for things that are counted; tasks have a field `figures` for what else to say."""
    return Bars(MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))


def count_bytes() -> Bars:
    """Make bars for bytes that come."""
    return Bars(DownloadColumn(), TransferSpeedColumn())


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


class DownloadBars:
    """Shows a bar for each file while it is the context of a ``with`` statement.

    When the first file is in its place, it says where files are kept. No bar is shown where stderr
    is no terminal. Its methods are those of `mnistseq_cli.glyphs.download.Progress`.

    Parameters
    ----------
    data_dir : Path, optional
        Folder of the cache, see `mnistseq_cli.glyphs.cache.find_data_dir`.
    """

    def __init__(self, data_dir: Path | None = None) -> None:
        self._data_dir = data_dir
        self._has_said = False
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def start(self, name: str, total_bytes: int) -> None:
        """Begin with a file, or begin again at 0 after a failure."""
        if self._bars is None:
            self._bars = count_bytes()
            self._bars.start()
        if name in self._tasks:
            self._bars.reset(self._tasks[name], total=total_bytes)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total_bytes)

    def advance(self, name: str, n_bytes: int) -> None:
        """Count bytes that have come."""
        if self._bars:
            self._bars.advance(self._tasks[name], n_bytes)

    def finish(self, name: str) -> None:
        """End: the bar stays, full."""
        self._say_where()
        if self._bars:
            self._bars.stop_task(self._tasks[name])

    def _say_where(self) -> None:
        if self._has_said:
            return
        from mnistseq_cli.glyphs.cache import find_data_dir

        self._has_said = True
        say(f"Glyphs are kept in {find_data_dir(self._data_dir)}; change it with --data-dir.")


def warn_of_pen(missed: list[GlyphError], unkept: list[GlyphError]) -> None:
    """Warn where digits come from the built-in pen in place of MNIST, or are not kept.

    Parameters
    ----------
    missed : list of GlyphError
        Why MNIST could not be had.
    unkept : list of GlyphError
        Why what the pen drew could not be kept.
    """
    for error in unkept[:1]:
        warn(
            "Glyphs cannot be kept, so that the built-in pen draws them anew each time: "
            f"{error.message}",
            error.hint,
        )
    for error in missed:
        if not (unkept and isinstance(error, CacheError)):
            hint = "" if unkept else error.hint  # it would bring files to where none can be kept
            warn(f"Digits come from the built-in pen, not from MNIST: {error.message}", hint)


_BAR_AFTER_S = 1.0
_SURVEY_LINE_EVERY_S = 10.0


class SurveyProgress:
    """Shows how many samples were read while it is the context of a ``with`` statement.

    Nothing is shown of what takes less than a second.

    Parameters
    ----------
    n_all : int or None
        How many there are, if that is known.
    """

    def __init__(self, n_all: int | None) -> None:
        self._n_all = n_all
        self._start_s = self._line_s = time.monotonic()
        self._bar: Bars | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, n_read: int) -> None:
        """Show how many samples were read."""
        now_s = time.monotonic()
        if not get_console().is_terminal:
            if now_s - self._line_s >= _SURVEY_LINE_EVERY_S:
                self._line_s = now_s
                of_all = f" of {self._n_all:,}" if self._n_all else ""
                say(f"{n_read:,}{of_all} samples read, {self._rate(n_read, now_s)}")
            return
        if self._bar is None and now_s - self._start_s >= _BAR_AFTER_S:
            self._bar = count_things()
            self._bar.start()
            self._bar.add_task("Samples", total=self._n_all, figures="")
        if self._bar:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=n_read, figures=self._rate(n_read, now_s))

    def _rate(self, n_read: int, now_s: float) -> str:
        return f"{n_read / max(now_s - self._start_s, 1e-9):,.0f}/s"
