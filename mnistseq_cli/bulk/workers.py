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
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import connection as mp_connection
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, TypeVar

from mnistseq_cli.errors import MnistseqError, OutputError

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
Work = Callable[[TaskT, Callable[[int], None]], ResultT]  # does a task; says how much is done

# Forking from a process that has threads is not safe.
_START_METHOD = "spawn" if sys.platform == "win32" else "forkserver"
WORKERS_LIMIT = 1024
DEATHS_ALLOWED = 2
TERMINATED = 143  # exit status after SIGTERM
_STARTS_ALLOWED = 5  # of workers that end before they begin
_PAUSE_S = 0.1
_SAY_EVERY_S = 0.2
_LOOK_EVERY_S = 1.0  # for a parent that is gone


def count_cores() -> int:
    """Count the cores that affinity and cgroup limits leave, 1 or more."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    own = _read_line(Path("/proc/self/cgroup"))
    return max(1, int(min(n_cores, *_find_quotas(Path("/sys/fs/cgroup"), own))))


def _find_quotas(root: Path, own: str) -> list[float]:
    """Return the limits of a process's cgroup and of those above it, in cores."""
    quotas = [float("inf")]
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        for step in (group, *group.parents):
            if number == "0":
                words = _read_line(root / step / "cpu.max").split()
            elif "cpu" in controllers.split(","):
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                words = [_read_line(root / "cpu" / step / name) for name in names]
            else:
                break
            if all(word.isdigit() for word in words) and words:  # "max" and -1 are no limit
                quotas.append(int(words[0]) / int(words[1]))
    return quotas


def _read_line(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii").strip()
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


def map_unordered(
    make_work: Callable[[], Work[TaskT, ResultT]],
    tasks: Iterable[TaskT],
    n_workers: int,
    *,
    report: Callable[[TaskT, int], None] = lambda _, __: None,
    report_retry: Callable[[TaskT, int, int | None], None] = lambda _, __, ___: None,
) -> Generator[ResultT]:
    """Do tasks and yield their results, in no particular order.

    Each worker process calls `make_work`, which must be picklable; 0 workers are this process.
    Reported are a task and how much of it is done; a task whose worker died, which attempt comes
    next, and the exit code.
    """
    if n_workers == 0:
        work = make_work()
        for task in tasks:
            yield work(task, partial(report, task))
        return
    crew = _Crew(partial(_start, make_work), report, report_retry)
    tasks, todo = iter(tasks), deque[TaskT]()
    done: list[ResultT] = []
    try:
        while True:
            todo.extend(islice(tasks, max(0, n_workers - len(crew.busy) - len(todo))))
            while todo and len(crew.busy) < n_workers:
                crew.give(todo.popleft())
            yield from done  # now that nobody waits for a task
            if not crew.busy:
                return
            done = crew.collect(todo)
    finally:
        crew.end()


def make_deadly(task: object, killed: str) -> OutputError:
    """Return the error for a task that no worker survives."""
    return OutputError(
        f"{task} has killed {killed}",
        "Is there enough memory? Try fewer --workers or a smaller --part-size.",
    )


@dataclass(eq=False)
class _Worker:
    """A worker process, as its parent sees it."""

    process: BaseProcess
    pipe: Connection
    task: Any = None
    has_begun: bool = False

    def end(self, patience_s: float = 0) -> int | None:
        """End the process, soon; return its exit code."""
        self.pipe.close()
        self.process.join(patience_s)
        self.process.kill()
        self.process.join()
        return self.process.exitcode


@dataclass(eq=False)
class _Crew:
    """Workers, each with one task at a time: none waits for another, and nothing can block."""

    start: Callable[[], _Worker]
    report: Callable[[Any, int], None]
    report_retry: Callable[[Any, int, int | None], None]

    def __post_init__(self) -> None:
        self._idle: list[_Worker] = []
        self._deaths: Counter[object] = Counter()
        self._n_unborn = 0
        self.busy: dict[Any, _Worker] = {}  # by their pipes

    def give(self, task: object) -> None:
        """Send a task to a worker that has none, or to a new one."""
        worker = self._idle.pop() if self._idle else self.start()
        worker.task = task
        self.busy[worker.pipe] = worker
        with suppress(OSError):  # it is dead, as `collect` finds out
            worker.pipe.send(task)

    def collect(self, todo: deque[Any]) -> list[Any]:
        """Wait for news; return results, and add the tasks of workers that died to `todo`."""
        results = []
        for pipe in mp_connection.wait([*self.busy]):
            worker = self.busy[pipe]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):  # also amid a message: only the worker has its end
                todo.append(self.busy.pop(pipe).task)
                self._bury(worker)
                continue
            worker.has_begun = True
            if isinstance(message, Exception):
                raise message
            if isinstance(message, int):
                self.report(worker.task, message)
            else:
                self._idle.append(self.busy.pop(pipe))
                results += message
        return results

    def end(self) -> None:
        """End all workers at once."""
        for worker in (*self._idle, *self.busy.values()):
            worker.end()

    def _bury(self, worker: _Worker) -> None:
        """Report a worker that died; raise if too many did for the same reason."""
        exit_code = worker.end(_PAUSE_S)
        if not worker.has_begun:
            self._n_unborn += 1
            if self._n_unborn > _STARTS_ALLOWED:
                raise _refuse_start(f"exit code {exit_code}")
            time.sleep(_PAUSE_S * self._n_unborn)  # what was killed needs a moment to be gone
            return
        self._deaths[worker.task] += 1
        n_deaths = self._deaths[worker.task]
        if n_deaths > DEATHS_ALLOWED:
            raise make_deadly(worker.task, f"{n_deaths} workers (exit code {exit_code})")
        self.report_retry(worker.task, n_deaths + 1, exit_code)


def _start(make_work: Callable[[], Work[Any, Any]]) -> _Worker:
    """Start a worker; try again where helpers of multiprocessing are being replaced."""
    context: Any = mp.get_context(_START_METHOD)
    for attempt in range(_STARTS_ALLOWED):
        time.sleep(_PAUSE_S * attempt)
        try:
            ensure_helpers()
            ours, theirs = context.Pipe()
            with theirs:
                process = context.Process(target=_serve, args=(make_work, theirs), daemon=True)
                # It is born with Ctrl-C held back, not to die with a traceback of its own.
                with hold_signals(), _hiding_program():
                    process.start()
            return _Worker(process, ours)
        except (OSError, EOFError) as error:
            failure = error
    raise _refuse_start(str(failure) or type(failure).__name__) from failure


@contextmanager
def _hiding_program() -> Iterator[None]:
    """Keep workers from running again what was started, as multiprocessing has it: it takes time.

    What they do is in modules; so a script needs no ``if __name__ == "__main__"`` either.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _refuse_start(why: str) -> OutputError:
    return OutputError(
        f"worker processes cannot be started, or are ended at once: {why}",
        "Try fewer --workers, or a higher limit (ulimit -n 1024); --workers 0 needs no other.",
    )


def ensure_helpers(*, with_server: bool = True) -> None:
    """Start the helper processes of multiprocessing; they are started anew where they are killed.

    Where a process is killed, they would speak of leaks and lost semaphores on the terminal.
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
            if with_server:
                forkserver.set_forkserver_preload(["mnistseq_cli.bulk.parts"])
                forkserver.ensure_running()
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nobody)


def _serve(make_work: Callable[[], Work[Any, Any]], pipe: Connection) -> None:
    """Do tasks: say how much is done now and then, then ``(result,)`` or an exception."""
    # The terminal sends Ctrl-C to every process; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    said_s = time.monotonic()

    def report(n_done: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= _SAY_EVERY_S:
            said_s = time.monotonic()
            pipe.send(n_done)

    work: Work[Any, Any] | None = None
    pipe.send(0)
    with suppress(EOFError, OSError):  # nobody wants anything any more
        while True:
            task = pipe.recv()
            try:
                work = work or make_work()
                message: object = (work(task, report),)
            except Exception as error:  # noqa: BLE001 - the parent raises it again
                message = make_portable(error)
            pipe.send(message)


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
