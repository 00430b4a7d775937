"""Tasks done by worker processes, any of which may die at any time.

Each worker has a pipe of its own and at most two tasks, so that it is known which task a dead
worker was at, and the queue stays short. (`mp.Pool` hangs when a worker dies; one dead worker
breaks a whole ProcessPoolExecutor, which does not tell which task it was.)
"""

from __future__ import annotations

import multiprocessing as mp
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from mnistseq_cli.bulk.serve import FAILED, FINISHED, TOLD, serve
from mnistseq_cli.bulk.signals import held_signals
from mnistseq_cli.errors import OutputError

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

StartMethod = Literal["fork", "forkserver", "spawn"]

DEFAULT_START_METHOD: StartMethod = "spawn" if sys.platform == "win32" else "forkserver"
TASKS_PER_WORKER = 2
DEATHS_ALLOWED = 2
_GRACE_S = 1.0
_FILES_AT_REST, _FILES_PER_WORKER = 32, 4

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
Tell = Callable[[Any], None]
Job = Callable[[TaskT, Tell], ResultT]  # does one task; may tell how far it is


@dataclass(frozen=True)
class Died:
    """A worker died while it was at a task, which is done again."""

    task: Any
    attempt: int
    exit_code: int | None


@dataclass(frozen=True)
class Crew:
    """How tasks are to be done.

    Parameters
    ----------
    n_workers : int
        0 does them in this process.
    start_method : "fork", "forkserver" or "spawn"
    close : tuple of int
        File descriptors that a forked worker must not keep.
    """

    n_workers: int
    start_method: StartMethod = DEFAULT_START_METHOD
    close: tuple[int, ...] = ()


def check_open_files(n_workers: int) -> None:
    """Refuse more workers than there may be open files for; pipes to them are files too.

    Raises
    ------
    OutputError
        The limit is too low.
    """
    if sys.platform == "win32":
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _FILES_AT_REST + _FILES_PER_WORKER * n_workers
    if n_workers and limit < needed:
        raise OutputError(
            f"too many files are open: {n_workers} workers need {needed}, allowed are {limit}",
            f"Use fewer --workers, or raise the limit: ulimit -n {needed}",
        )


def work(
    open_job: Callable[[], Job[TaskT, ResultT]],
    tasks: Iterable[TaskT],
    crew: Crew,
    tell: Tell,
) -> Generator[ResultT]:
    """Do tasks and give their results, in no particular order.

    Parameters
    ----------
    open_job : callable
        Makes the job; called once in each worker, so it must be picklable.
    tasks : iterable
        Picklable and hashable.
    crew : Crew
    tell : callable
        Takes what the jobs tell, and `Died`.

    Raises
    ------
    OutputError
        A task has killed three workers.
    Exception
        Whatever a job raised.
    """
    if crew.n_workers == 0:
        job = open_job()
        for task in tasks:
            yield job(task, tell)
        return
    pool = _Pool(open_job, crew, tell)
    try:
        yield from pool.work(iter(tasks))
        pool.dismiss()
    finally:
        pool.stop()


@dataclass(eq=False)
class _Worker(Generic[TaskT]):
    process: BaseProcess
    connection: Connection
    tasks: deque[TaskT] = field(default_factory=deque)


class _Pool(Generic[TaskT, ResultT]):
    def __init__(
        self,
        open_job: Callable[[], Job[TaskT, ResultT]],
        crew: Crew,
        tell: Tell,
    ) -> None:
        self._context: Any = mp.get_context(crew.start_method)
        if crew.start_method == "forkserver":
            self._context.set_forkserver_preload(["mnistseq_cli.bulk.make"])
        self._open_job = open_job
        self._crew = crew
        self._tell = tell
        self._again: deque[TaskT] = deque()
        self._deaths: Counter[TaskT] = Counter()
        self._workers: list[_Worker[TaskT]] = []

    def work(self, tasks: Iterator[TaskT]) -> Iterator[ResultT]:
        while True:
            self._hand_out(tasks)
            busy = {worker.connection: worker for worker in self._workers if worker.tasks}
            if not busy:
                return
            for connection in wait([*busy]):
                yield from self._receive(busy[connection])  # type: ignore[index]  # what was put in

    def dismiss(self) -> None:
        """Let idle workers end by themselves."""
        for worker in self._workers:
            with suppress(OSError):
                worker.connection.send(None)
        for worker in self._workers:
            worker.process.join(_GRACE_S)

    def stop(self) -> None:
        """End all workers now."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()

    def _hand_out(self, tasks: Iterator[TaskT]) -> None:
        """Keep every worker supplied, one task each before any gets a second."""
        for n_tasks in range(1, TASKS_PER_WORKER + 1):
            for place in range(self._crew.n_workers):
                if place < len(self._workers) and len(self._workers[place].tasks) >= n_tasks:
                    continue
                task = self._again.popleft() if self._again else next(tasks, None)
                if task is None:
                    return
                if place == len(self._workers):
                    self._workers.append(self._start())
                worker = self._workers[place]
                worker.tasks.append(task)
                with suppress(OSError):  # it is dead; reading will tell
                    worker.connection.send(task)

    def _start(self) -> _Worker[TaskT]:
        ours, theirs = self._context.Pipe()
        close = self._crew.close if self._crew.start_method == "fork" else ()
        process = self._context.Process(
            target=serve, args=(theirs, self._open_job, close), name="mnistseq-worker"
        )
        # A worker is born with Ctrl-C held back: it must not die with a traceback of its own.
        with held_signals():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _receive(self, worker: _Worker[TaskT]) -> Iterator[ResultT]:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if kind == TOLD:
            self._tell(value)
        elif kind == FAILED:
            raise value
        elif kind == FINISHED:
            worker.tasks.popleft()
            yield value

    def _bury(self, worker: _Worker[TaskT]) -> None:
        worker.process.join(_GRACE_S)
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        guilty = worker.tasks[0]
        self._deaths[guilty] += 1
        exit_code = worker.process.exitcode
        if self._deaths[guilty] > DEATHS_ALLOWED:
            raise OutputError(
                f"{guilty} has killed {self._deaths[guilty]} workers (exit code {exit_code})",
                "Is there enough memory? Try fewer --workers or a smaller --part-size.",
            )
        self._again.extend(worker.tasks)
        self._tell(Died(guilty, self._deaths[guilty] + 1, exit_code))
