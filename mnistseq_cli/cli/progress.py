"""How far something is: bars in a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from mnistseq_cli.cli.console import get_console, is_terminal, say
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import spell_size
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, TaskID

    from mnistseq_cli.bulk.events import Event

_LINE_EVERY_S = 10.0
_BAR_COLUMNS = 20  # leaves room for figures in 80 columns


class Display:
    """Shows how far things are while it is the context of a ``with`` statement."""

    def __init__(self, unit: str, *, after_s: float = 0.0) -> None:
        self._unit = unit  # "bytes" are spelt as sizes
        self._start_s = self._line_s = time.monotonic()
        self._after_s = after_s  # of what takes less nothing is shown
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, tuple[float, int]] = {}
        self.n_complete = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bars as they are."""
        if self._bars:
            with suppress(OSError):  # of a terminal that was closed
                self._bars.stop()

    def show(self, name: str, done: int, total: int | None = None, *figures: str) -> None:
        """Show how far one thing is, and what else there is to say of it."""
        now_s = time.monotonic()
        if not done:  # a download that failed begins again
            self._begun.pop(name, None)
        start_s, n_before = self._begun.setdefault(name, (now_s, done))
        self.n_complete += done == total
        rate = (done - n_before) / max(now_s - start_s, 1e-9)
        of_all = f" of {self._spell(total)}" if total is not None else ""
        words = [f"{self._spell(done)}{of_all}", f"{self._spell(int(rate))}/s", *figures]
        if self._bars or is_terminal():  # Rich stands in for stderr while it shows bars
            if now_s - self._start_s >= self._after_s:
                self._draw(name, done, total, ", ".join(words))
        elif now_s - self._line_s >= _LINE_EVERY_S:
            self._line_s = now_s
            words[0] += "" if self._unit == "bytes" else f" {self._unit}"
            if total is not None and rate:
                words.append(f"{(total - done) / rate:,.0f} s left")
            say(", ".join(words))

    def _draw(self, name: str, done: int, total: int | None, words: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(_BAR_COLUMNS),
                TextColumn("{task.fields[words]}"),
                TimeRemainingColumn(),
                console=get_console(),
            )
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, words=words)
        self._bars.update(self._tasks[name], completed=done, total=total, words=words)

    def _spell(self, number: int) -> str:
        return spell_size(number) if self._unit == "bytes" else f"{number:,}"


class RunProgress(Display):
    """Shows the events of a run, and adds each to a log as a line of JSON."""

    def __init__(self, log: Path | None = None) -> None:
        super().__init__("images")
        try:
            self._log = log.open("a", encoding="utf-8") if log else None
        except OSError as error:
            raise OutputError(f"cannot write the log {log}: {error.strerror}") from error
        self._n_samples = self._n_before = self._n_kept = self._n_retries = 0

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._log:
            self._log.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        from mnistseq_cli.bulk import events

        if self._log:
            seconds = round(time.monotonic() - self._start_s, 3)
            line = {"seconds": seconds, "event": type(event).__name__} | asdict(event)
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()
        match event:
            case events.Checking():
                say(f"Checking {count(event.n_parts, 'finished part')}.")
            case events.Started():
                self._n_samples = event.n_samples
                self._n_before = self._n_kept = event.n_samples_done
                if event.n_samples_at_risk:
                    at_risk = count(event.n_samples_at_risk, "image")
                    say(f"Parts take long: stopping loses up to {at_risk} (see --part-size).")
                self._show_images(0, count(event.n_workers, "worker"))
            case events.Progressed():
                figures = [f"{self._n_kept:,} kept", spell_size(event.size_bytes)]
                figures += [f"{self._n_retries:,} retried"] if self._n_retries else []
                self._show_images(event.n_samples, *figures)
            case events.PartFinished():
                self._n_kept += event.n_samples
            case events.PartRetried():
                self._n_retries += 1
            case events.Joining() if self._bars:
                self.show("Joining", self._n_samples, self._n_samples)
            case events.Stopped():
                self.stop()
                kept = f"{event.n_samples_done:,} of {count(self._n_samples, 'image')}"
                say(
                    f"Stopped: {kept} are finished and kept. Add --resume to make the rest."
                    if self._n_samples
                    else "Stopped before the first image."
                )

    def _show_images(self, n_made: int, *figures: str) -> None:
        self.show("Images", self._n_before + n_made, self._n_samples, *figures)
