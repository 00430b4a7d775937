"""Worker processes: parts are made side by side, and a process that dies is replaced."""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from mnistseq_cli.errors import MnistseqError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def count_cores() -> int:
    """Count the cores that affinity and cgroup limits leave, 1 or more."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limits = [*_quotas(_CGROUPS, _read(_OWN_CGROUP)), float(n_cores)]
    return max(1, int(min(limits)))


def _quotas(root: Path, own: str) -> list[float]:
    """Give the limits of a process's cgroup and of those above it, in cores."""
    quotas = []
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        if number == "0":
            texts = [_read(root / step / "cpu.max") for step in (group, *group.parents)]
        elif "cpu" in controllers.split(","):
            folders = [root / "cpu" / step for step in (group, *group.parents)]
            texts = [
                f"{_read(at / 'cpu.cfs_quota_us')} {_read(at / 'cpu.cfs_period_us')}"
                for at in folders
            ]
        else:
            continue
        quotas += [_parse(text) for text in texts]
    return quotas


def _parse(text: str) -> float:
    """Parse quota and period in microseconds; "max" and -1 are no limit."""
    numbers = [*takewhile(str.isdigit, text.split())]
    if len(numbers) != 2:  # noqa: PLR2004 - quota and period
        return float("inf")
    return int(numbers[0]) / int(numbers[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TERMINATED = 143


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Leave by SystemExit on SIGTERM, so that everything is put in order on the way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def noted_signals() -> Iterator[Callable[[], None]]:
    """Note Ctrl-C and SIGTERM; give what raises them, to be called where it is safe.

    Raised where it arrives, Ctrl-C is lost if that is in a `__del__` of a library.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    noted: list[int] = []

    def raise_noted() -> None:
        if signal.SIGTERM in noted:
            raise SystemExit(_TERMINATED)
        if noted:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in _SIGNALS}
    try:
        yield raise_noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back, here and in processes that start meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started later, the tracker of multiprocessing would let the signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle_signals() -> None:
    """Leave Ctrl-C to the parent and let SIGTERM end a worker, whatever it has inherited."""
    # The terminal sends Ctrl-C to every process; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


TOLD, FINISHED, FAILED = "told", "finished", "failed"
_TELL_EVERY_S = 0.2
_LOOK_EVERY_S = 1.0


def serve(connection: Connection, open_job: Callable[[], Any], close: tuple[int, ...]) -> None:
    """Do the tasks that come through a pipe until None comes, or the parent is gone."""
    for descriptor in close:
        os.close(descriptor)
    settle_signals()
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        job = open_job()
        while (task := connection.recv()) is not None:
            result = job(task, _Teller(connection))
            connection.send((FINISHED, result))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        with suppress(OSError):
            connection.send((FAILED, make_portable(error)))


class _Teller:
    """Sends what a job tells, but not so often that it costs anything."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told_s = time.monotonic()

    def __call__(self, message: object) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_EVERY_S:
            self._told_s = now_s
            self._connection.send((TOLD, message))


def _leave_with_parent(started_by: int) -> None:
    """End this process when the one that wants its work is gone, however that ended."""
    parent = mp.parent_process()
    while parent is not None and os.getppid() == started_by:
        if wait([parent.sentinel], _LOOK_EVERY_S):
            break
    os._exit(1)


def make_portable(error: Exception) -> Exception:
    """Give an exception that can be sent to another process, and tells where it was raised."""
    if not isinstance(error, MnistseqError):
        error.add_note("In a worker:\n" + traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - an exception can refuse in any way
        return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return error


if sys.platform != "win32":
    import resource


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
            self._context.set_forkserver_preload(["mnistseq_cli.bulk.parts"])
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
