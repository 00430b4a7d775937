"""Worker processes: tasks are done side by side, and a process that dies is replaced."""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, takewhile
from multiprocessing import connection as mp_connection
from multiprocessing import forkserver, resource_tracker
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from mnistseq_cli.errors import MnistseqError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

if sys.platform != "win32":
    import resource

StartMethod = Literal["fork", "forkserver", "spawn"]
TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
Work = Callable[[TaskT, Callable[[int], None]], ResultT]  # does a task; says how much is done

DEFAULT_START_METHOD: StartMethod = "spawn" if sys.platform == "win32" else "forkserver"
TASKS_PER_WORKER = 2
DEATHS_ALLOWED = 2
TERMINATED = 143  # exit status after SIGTERM
_STARTS_ALLOWED = 3  # of pools, one after the other, in which nothing was done
_PAUSE_S = 0.1
_SAY_EVERY_S = 0.2
_LOOK_EVERY_S = 1.0  # for a parent that is gone
_FILES_AT_REST, _FILES_PER_WORKER = 32, 4
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def count_cores() -> int:
    """Count the cores that affinity and cgroup limits leave, 1 or more."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limits = [*_find_quotas(_CGROUPS, _read_line(_OWN_CGROUP)), float(n_cores)]
    return max(1, int(min(limits)))


def _find_quotas(root: Path, own: str) -> list[float]:
    """Return the limits of a process's cgroup and of those above it, in cores."""
    quotas = []
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        if number == "0":
            texts = [_read_line(root / step / "cpu.max") for step in (group, *group.parents)]
        elif "cpu" in controllers.split(","):
            folders = [root / "cpu" / step for step in (group, *group.parents)]
            texts = [
                f"{_read_line(at / 'cpu.cfs_quota_us')} {_read_line(at / 'cpu.cfs_period_us')}"
                for at in folders
            ]
        else:
            continue
        quotas += [_parse_quota(text) for text in texts]
    return quotas


def _parse_quota(text: str) -> float:
    """Parse quota and period in microseconds; "max" and -1 are no limit."""
    numbers = [*takewhile(str.isdigit, text.split())]
    if len(numbers) != 2:  # noqa: PLR2004 - quota and period
        return float("inf")
    return int(numbers[0]) / int(numbers[1])


def _read_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_HELD = (signal.SIGINT, *_ENDING)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Leave by SystemExit on SIGTERM and SIGHUP, so that everything is put in order on the way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    # What nohup told to be ignored stays ignored.
    taken = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def hold_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back, here and in processes that start meanwhile."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_open_files(n_workers: int) -> None:
    """Raise OutputError if there are more workers than open files, such as pipes, allow."""
    needed = _FILES_AT_REST + _FILES_PER_WORKER * n_workers
    limit = needed
    if sys.platform != "win32":
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if n_workers and limit < needed:
        raise OutputError(
            f"too many files are open: {n_workers} workers need {needed}, the limit is {limit}",
            f"Use fewer --workers, or raise the limit: ulimit -n {needed}",
        )


@dataclass(frozen=True)
class TaskProgress:
    """How much of a task is done."""

    task: Any
    n_done: int


@dataclass(frozen=True)
class Retried:
    """A worker died while it was at a task, which is done again."""

    task: Any
    attempt: int
    exit_code: int | None


def map_unordered(
    make_work: Callable[[], Work[TaskT, ResultT]],
    tasks: Iterable[TaskT],
    n_workers: int,
    *,
    start_method: StartMethod = DEFAULT_START_METHOD,
    report: Callable[[TaskProgress | Retried], None] = lambda _: None,
    inherited: tuple[int, ...] = (),
) -> Generator[ResultT]:
    """Do tasks and yield their results, in no particular order.

    Parameters
    ----------
    make_work : callable
        Makes what does a task; called once in each worker, so it must be picklable.
    tasks : iterable
        Picklable and hashable.
    n_workers : int
        Worker processes; 0 works in this process.
    start_method : "fork", "forkserver" or "spawn"
    report : callable
        Takes `TaskProgress` and `Retried`.
    inherited : tuple of int
        File descriptors that a forked worker must not keep.
    """
    if n_workers == 0:
        work = make_work()
        for task in tasks:
            yield work(task, lambda n_done, task=task: report(TaskProgress(task, n_done)))  # type: ignore[misc]  # mypy takes the default for another argument
        return
    open_pool = _PoolMaker(make_work, n_workers, start_method, inherited)
    left, again = iter(tasks), deque[TaskT]()
    deaths: Counter[TaskT] = Counter()
    n_idle_pools = 0
    while True:
        pool: _Pool[TaskT, ResultT] = open_pool()
        try:
            n_results = 0
            for result in pool.run(again, left, report):
                n_results += 1
                yield result
            if not pool.broken:
                return
        finally:
            pool.stop()
        n_idle_pools = 0 if n_results else n_idle_pools + 1
        guilty = pool.find_guilty()
        deaths.update(guilty.keys())
        for task, exit_code in guilty.items():
            if deaths[task] > DEATHS_ALLOWED:
                raise make_deadly(task, f"{deaths[task]} workers (exit code {exit_code})")
            report(Retried(task, deaths[task] + 1, exit_code))
        time.sleep(_PAUSE_S * n_idle_pools)  # what was killed needs a moment to be gone
        if n_idle_pools >= _STARTS_ALLOWED and not guilty:
            raise OutputError(
                f"worker processes cannot be started, or are ended at once: {pool.broken}",
                "Try fewer --workers; --workers 0 needs no other process.",
            )


def make_deadly(task: object, killed: str) -> OutputError:
    """Return the error for a task that no worker survives."""
    return OutputError(
        f"{task} has killed {killed}",
        "Is there enough memory? Try fewer --workers or a smaller --part-size.",
    )


@dataclass(frozen=True)
class _PoolMaker:
    """Starts pools that do the same work."""

    make_work: Callable[[], Work[Any, Any]]
    n_workers: int
    start_method: StartMethod
    inherited: tuple[int, ...]

    def __call__(self) -> _Pool[Any, Any]:
        context: Any = mp.get_context(self.start_method)
        if self.start_method == "forkserver":
            context.set_forkserver_preload(["mnistseq_cli.bulk.parts"])
        ours, theirs = context.Pipe(duplex=False)
        close = (*self.inherited, ours.fileno()) if self.start_method == "fork" else ()
        ensure_helpers(self.start_method)
        executor = ProcessPoolExecutor(
            self.n_workers, context, _begin_worker, (self.make_work, theirs, close)
        )
        return _Pool(self, executor, ours, theirs)


class _Pool(Generic[TaskT, ResultT]):
    """Workers until one of them dies: then all are ended, as the executor has it."""

    def __init__(
        self,
        maker: _PoolMaker,
        executor: ProcessPoolExecutor,
        ours: Connection,
        theirs: Connection,
    ) -> None:
        self.broken = ""  # why
        self._executor = executor
        self._processes: dict[int, BaseProcess] = {}
        self._n_workers = maker.n_workers
        self._start_method = maker.start_method
        self._pipe = (ours, theirs)
        self._numbers = count()
        self._tasks: dict[int, TaskT] = {}  # by number; those that are not done
        self._pending: dict[Future[ResultT], int] = {}
        self._latest: dict[int, int] = {}  # number of the task that a process is at

    def run(
        self,
        again: deque[TaskT],
        left: Iterator[TaskT],
        report: Callable[[TaskProgress | Retried], None],
    ) -> Iterator[ResultT]:
        """Yield results; where the pool breaks, what was not done is in `again`."""
        while not self.broken:
            self._submit(again, left)
            if not self._pending and not self.broken:
                return
            done, _ = wait(self._pending, _SAY_EVERY_S, FIRST_COMPLETED)
            self._pass_on(report)
            for future in done:
                if future.exception() is None or not isinstance(
                    future.exception(), BrokenProcessPool
                ):
                    del self._tasks[self._pending.pop(future)]
                    yield future.result()
                else:
                    self.broken = self.broken or str(future.exception())
        self._executor.shutdown(wait=True)  # the executor ends the others, by SIGTERM
        self._pass_on(report)
        for task in self._tasks.values():
            report(TaskProgress(task, 0))
        again.extendleft(reversed(self._tasks.values()))

    def find_guilty(self) -> dict[TaskT, int]:
        """Return the tasks whose process died by itself, and its exit code."""
        innocent = (None, 0, -signal.SIGTERM)
        found = {}
        for process_id, number in self._latest.items():
            process = self._processes.get(process_id)
            if process and number in self._tasks and process.exitcode not in innocent:
                found[self._tasks[number]] = process.exitcode or 0
        return found

    def stop(self) -> None:
        """End all workers: at once, if anything is not done."""
        ensure_helpers(self._start_method)
        if self._pending and not self.broken:
            for process in [*self._processes.values()]:
                process.kill()
            # A result that is cut short would be waited for while we could write there, too.
            results: Any = self._executor._result_queue  # noqa: SLF001 - it offers no other way
            results._writer.close()  # noqa: SLF001 - as above
        self._executor.shutdown(wait=True, cancel_futures=True)
        for end in self._pipe:
            end.close()

    def _submit(self, again: deque[TaskT], left: Iterator[TaskT]) -> None:
        while len(self._pending) < TASKS_PER_WORKER * self._n_workers:
            task = again.popleft() if again else next(left, None)
            if task is None:
                return
            number = next(self._numbers)
            self._tasks[number] = task
            try:
                # A worker is born with Ctrl-C held back, not to die with a traceback of its own.
                if len(self._processes) < self._n_workers:
                    ensure_helpers(self._start_method)
                with hold_signals():
                    self._pending[self._executor.submit(_do_task, number, task)] = number
                    self._processes = dict(self._executor._processes)  # noqa: SLF001 - public from Python 3.14 on
            except (OSError, EOFError, BrokenProcessPool) as error:
                self.broken = str(error) or type(error).__name__
                return

    def _pass_on(self, report: Callable[[TaskProgress | Retried], None]) -> None:
        """Report what the workers have said."""
        ours, _ = self._pipe
        while ours.poll():
            process_id, number, n_done = ours.recv()
            self._latest[process_id] = number
            if number in self._tasks:
                report(TaskProgress(self._tasks[number], n_done))


def ensure_helpers(start_method: StartMethod) -> None:
    """Start the helper processes of multiprocessing, with what they say to nobody.

    Where a process is killed, they and what they have just started speak of leaks and lost
    semaphores on the terminal. Python starts them anew where they are killed themselves.
    """
    if sys.platform == "win32":
        return
    # Started later, the tracker would let signals that are held back through again.
    # Whoever starts it anew, the executor too, warns of it: nothing of ours is lost.
    warnings.filterwarnings("ignore", "resource_tracker: process died", UserWarning)
    saved, nobody = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        with hold_signals():
            os.dup2(nobody, 2)
            resource_tracker.ensure_running()
            if start_method == "forkserver":
                forkserver.ensure_running()
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nobody)


class _Worker:
    """What a worker process has."""

    def __init__(self, make_work: Callable[[], Work[Any, Any]], pipe: Connection) -> None:
        self._make_work = make_work
        self._pipe = pipe
        self._work: Work[Any, Any] | None = None

    def do(self, number: int, task: Any) -> Any:  # noqa: ANN401 - of any kind
        """Do a task; say which before, and how much is done now and then."""
        self._say(number, 0)
        said_s = time.monotonic()

        def report(n_done: int) -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= _SAY_EVERY_S:
                said_s = time.monotonic()
                self._say(number, n_done)

        try:
            if self._work is None:
                self._work = self._make_work()
            return self._work(task, report)
        except Exception as error:  # noqa: BLE001 - the parent raises it again
            failure = make_portable(error)
        raise failure

    def _say(self, number: int, n_done: int) -> None:
        with suppress(OSError):  # the parent is gone, and so is this process in a moment
            self._pipe.send((os.getpid(), number, n_done))  # so few bytes go in one piece


_worker: _Worker | None = None


def _begin_worker(
    make_work: Callable[[], Work[Any, Any]], pipe: Connection, close: tuple[int, ...]
) -> None:
    global _worker  # noqa: PLW0603 - an executor has no other place for what a process keeps
    for descriptor in close:
        os.close(descriptor)
    # The terminal sends Ctrl-C to every process; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    _worker = _Worker(make_work, pipe)


def _do_task(number: int, task: Any) -> Any:  # noqa: ANN401 - of any kind
    if _worker is None:
        raise RuntimeError("a worker did not begin")
    return _worker.do(number, task)


def _leave_with_parent(started_by: int) -> None:
    """End this process when the one that wants its work is gone, however that ended."""
    parent = mp.parent_process()
    while parent is not None and os.getppid() == started_by:
        if mp_connection.wait([parent.sentinel], _LOOK_EVERY_S):
            break
    os._exit(1)


def make_portable(error: Exception) -> Exception:
    """Return an exception that can be sent to another process, and tells where it was raised."""
    if not isinstance(error, MnistseqError):
        error.add_note("In a worker:\n" + traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - an exception can refuse in any way
        return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return error
