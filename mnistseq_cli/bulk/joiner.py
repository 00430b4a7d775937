"""Files that span parts, written in a thread while the last parts are still made."""

from __future__ import annotations

from collections.abc import Container
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from threading import Condition

from mnistseq_cli.bulk.parts import Staging
from mnistseq_cli.bulk.plan import Plan, cut_parts
from mnistseq_cli.bulk.workers import hold_signals
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.base import Fragments


class Joiner:
    """Joins the fragments of parts as these come, in their order."""

    def __init__(self, plan: Plan, kept: Path, done: Container[str], staging: Staging) -> None:
        self.staging = staging
        self._done = done  # the names of parts whose fragments are there
        self._news = Condition()
        self._is_stopped = False
        fragments = []
        for split in plan.splits:
            parts = [*cut_parts(split, plan.part_size)]
            names, n_samples = [part.name for part in parts], split.stop - split.start
            fragments.append(Fragments(parts[0].folder, kept, names, n_samples, self._wait))
        with hold_signals():  # they are for the main thread
            self._thread = ThreadPoolExecutor(1)
            self._result = self._thread.submit(open_format(plan.output).join, fragments, staging)

    def go_on(self) -> None:
        """Look which parts are there by now; raise what went wrong meanwhile."""
        with self._news:
            self._news.notify()
        if self._result.done():
            self._result.result()

    def finish(self) -> None:
        """Return when all is written, or raise what went wrong."""
        self._result.result()
        self._thread.shutdown()

    def stop(self) -> None:
        """End it before its time."""
        self._is_stopped = True
        with self._news:
            self._news.notify()
        self._thread.shutdown()
        del self._result  # what it raised would hold itself, and the files that were open

    def _wait(self, part: str) -> None:
        with self._news:
            self._news.wait_for(lambda: self._is_stopped or part in self._done)
        if self._is_stopped:
            raise CancelledError
