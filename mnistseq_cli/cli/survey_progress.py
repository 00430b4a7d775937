"""How far a survey is: a bar, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from mnistseq_cli.cli.console import get_console, say

if TYPE_CHECKING:
    from mnistseq_cli.cli.bars import Bars

_BAR_AFTER_S = 1.0
_LINE_EVERY_S = 10.0


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
            if now_s - self._line_s >= _LINE_EVERY_S:
                self._line_s = now_s
                of_all = f" of {self._n_all:,}" if self._n_all else ""
                say(f"{n_read:,}{of_all} samples read, {self._rate(n_read, now_s)}")
            return
        if self._bar is None and now_s - self._start_s >= _BAR_AFTER_S:
            from mnistseq_cli.cli.bars import count_things

            self._bar = count_things()
            self._bar.start()
            self._bar.add_task("Samples", total=self._n_all, figures="")
        if self._bar:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=n_read, figures=self._rate(n_read, now_s))

    def _rate(self, n_read: int, now_s: float) -> str:
        return f"{n_read / max(now_s - self._start_s, 1e-9):,.0f}/s"
