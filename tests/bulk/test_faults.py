"""Whatever happens to a run, the next one ends with the same bytes."""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from shutil import copytree, disk_usage, rmtree
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished, PartRetried
from mnistseq_cli.bulk.parts import PartMaker, WrittenPart
from mnistseq_cli.bulk.plan import Part, Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.workers import map_unordered
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS
from tests.helpers.bulk_cases import Case, Files, check_installed, read_tree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
LONG = {"count": 400_000}  # longer than any test looks at it
MEMORY = Path("/dev/shm")  # noqa: S108 - only to be fast
FORK = mp.get_context("fork")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
MODES: list[dict[str, Any]] = [{}, {"resume": True}, {"overwrite": True}]


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one: many small files are slow on a disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


def make_and_die(plan: Plan, nth: int) -> None:
    """Make a dataset, but be killed at the nth change to a folder, or file that is opened."""
    left, folder = nth, str(plan.output.folder)
    deadly = CHANGES if plan.output.to == "folder" else CHANGES | {"open"}

    def die(event: str, given: tuple[Any, ...]) -> None:
        nonlocal left
        if event in deadly and (event != "open" or str(given[0]).startswith(folder)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    run(plan, workers=0, resume=True, check_space=True)


def find_session(leader: int) -> dict[int, bytes]:
    """Find the processes of a session that are alive, with their commands."""
    alive = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                alive[int(path.name)] = (path / "cmdline").read_bytes()
    return alive


def wait_until_gone(leader: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while find_session(leader) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert find_session(leader) == {}


def wait_for_parts(process: subprocess.Popen[str], n_parts: int) -> None:
    assert process.stdout
    for line in process.stdout:
        n_parts -= line.startswith("PartFinished")
        if n_parts == 0:
            return
    assert process.stderr
    pytest.fail(f"it ended early: {process.stderr.read()}")


# The run is killed


@pytest.mark.parametrize("to", ["folder", "npy", "idx"])
def test_killed_at_every_step(glyph_folder: Path, tmp_path: Path, to: str) -> None:
    """Afterwards the run goes on, or another one takes its place and knows what is its own."""
    case = Case(glyph_folder, {"count": 7}, {"to": to}, part_size=4)
    other = Case(glyph_folder, {"count": 3, "width_px": 300}, {"to": to})
    undisturbed, others = case.tree(tmp_path / "undisturbed"), other.tree(tmp_path / "other")
    hidden = {name for name in undisturbed if name[0] == "."}
    for nth in count(1):
        out, copy = tmp_path / "out", tmp_path / "copy"
        process = FORK.Process(target=make_and_die, args=(case.plan(out), nth))
        process.start()
        process.join()
        if process.exitcode and (out / "dataset.json").exists():  # its card may not be there yet
            made = {name: data for name, data in read_tree(out).items() if name[0] != "."}
            assert made.items() <= undisturbed.items()
            assert undisturbed.keys() - made.keys() <= {"README.md", *hidden}
        if out.exists():
            copytree(out, copy)
        run(case.plan(out), workers=0, resume=True)
        assert read_tree(out) == undisturbed
        run(other.plan(copy), workers=0, overwrite=True)
        assert read_tree(copy) == others
        assert not list(tmp_path.glob(".*"))  # nothing lies beside the folders
        rmtree(out)
        rmtree(copy)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert nth > 20


def test_killed_at_random_moments(glyph_folder: Path, tmp_path: Path) -> None:
    case = Case(glyph_folder, recipe={"count": 6000}, part_size=20)
    undisturbed = case.tree(tmp_path / "undisturbed")
    moments = random.Random(7)  # noqa: S311 - when to kill
    out = tmp_path / "out"
    for _ in range(20):
        with case.start(out, workers=2, resume=True) as process:
            time.sleep(moments.uniform(0.2, 1.2))
            process.kill()
        wait_until_gone(process.pid, 5)
    run(case.plan(out), workers=2, resume=True)
    assert read_tree(out) == undisturbed


def test_workers_do_not_outlive_their_parent(glyph_folder: Path, tmp_path: Path) -> None:
    case = Case(glyph_folder, recipe=LONG, part_size=100)
    with case.start(tmp_path / "out", workers=2) as process:
        wait_for_parts(process, 2)
        assert len(find_session(process.pid)) >= 3
        process.kill()
        wait_until_gone(process.pid, 5)


# A worker is killed


def test_a_killed_worker_costs_nothing(glyph_folder: Path, tmp_path: Path) -> None:
    case = Case(glyph_folder, recipe={"count": 400})
    events: list[Event] = []

    def kill(event: Event) -> None:
        events.append(event)
        n_finished = sum(isinstance(event, PartFinished) for event in events)
        if isinstance(event, PartFinished) and n_finished in {3, 20}:
            mp.active_children()[0].kill()

    run(case.plan(tmp_path / "out"), workers=2, report=kill)
    retried = [event for event in events if isinstance(event, PartRetried)]
    assert {event.exit_code for event in retried} <= {-signal.SIGKILL}  # none if it was idle
    assert read_tree(tmp_path / "out") == case.tree(tmp_path / "undisturbed")


@pytest.mark.parametrize("moment_s", [0, 0.1, 0.3, 1])
@pytest.mark.parametrize("helper", [b"forkserver", b"resource_tracker"])
def test_a_killed_helper_of_multiprocessing_costs_nothing(
    glyph_folder: Path, tmp_path: Path, helper: bytes, moment_s: float
) -> None:
    case = Case(glyph_folder, recipe={"count": 3000}, part_size=50)
    with case.start(tmp_path / "out", workers=2) as process:
        found: list[int] = []
        while not found and process.poll() is None:
            alive = find_session(process.pid).items()
            found = [pid for pid, command in alive if pid != process.pid and helper in command]
        time.sleep(moment_s)
        for pid in found[:1]:
            with suppress(ProcessLookupError):  # the run was over sooner
                os.kill(pid, signal.SIGKILL)
        _, message = process.communicate(timeout=60)
    assert (process.returncode, message) == (0, "")
    assert read_tree(tmp_path / "out") == case.tree(tmp_path / "undisturbed")


class DiesAmidResult:
    """A work whose first process is killed while its result is on the way."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __call__(self, task: int, report: Any) -> bytes:
        del report
        if task == 1 and not self._mark.exists():
            self._mark.touch()
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
            return bytes(500_000_000)  # takes far longer to send
        return b"done"


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])  # the second is that of Windows
def test_a_worker_killed_amid_a_result_costs_nothing(
    tmp_path: Path, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnistseq_cli.bulk.workers._START_METHOD", start_method)
    make_work = partial(DiesAmidResult, tmp_path / "mark")
    told: list[object] = []
    done = map_unordered(make_work, range(4), 2, report_retry=lambda *it: told.append(it))
    assert [*done] == [b"done"] * 4
    assert (1, 2, -signal.SIGKILL) in told


class Deadly(PartMaker):
    """Kills whoever makes part 3."""

    def __call__(self, part: Part, report: Callable[[int], None]) -> WrittenPart:
        if part.number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(part, report)


def test_a_part_that_kills_three_workers_stops_the_run_and_is_named(
    case: Case, undisturbed: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnistseq_cli.bulk.run.PartMaker", Deadly)
    events: list[Event] = []
    with pytest.raises(OutputError, match=r"part 00000003 \(samples 30 to 39\) has killed 3"):
        run(case.plan(tmp_path / "out"), workers=2, report=events.append)
    retried = [event for event in events if isinstance(event, PartRetried)]
    assert [(event.part, event.attempt) for event in retried] == [("00000003", 2), ("00000003", 3)]
    monkeypatch.undo()
    run(case.plan(tmp_path / "out"), workers=0, resume=True)
    assert read_tree(tmp_path / "out") == undisturbed


# The disk is full, too many files are open, the folder cannot be used


@pytest.mark.parametrize(
    ("to", "workers", "limit_bytes"),
    [("folder", workers, limit) for workers in (0, 2) for limit in (100, 2000, 4000, 20_000)]
    + [(to, 0, limit) for to in FORMATS for limit in (400, 10_000)],
)
def test_a_limit_on_the_size_of_files(
    glyph_folder: Path, tmp_path: Path, to: str, workers: int, limit_bytes: int
) -> None:
    """The smallest stops images, larger ones records or label files; writes are short first."""
    check_installed(to)
    case = Case(glyph_folder, recipe={"count": 120}, output={"to": to}, part_size=20)
    out = tmp_path / "out"
    status, message = case.make(out, workers=workers, limits={"RLIMIT_FSIZE": limit_bytes})
    undisturbed = case.tree(tmp_path / "undisturbed")
    assert status == (max(map(len, undisturbed.values())) > limit_bytes), message
    if status:
        assert "the file would be larger than is allowed here" in message
        assert len(message.splitlines()) == 2
        assert_nothing_half_written(out, undisturbed)
        run(case.plan(out), workers=workers, resume=True)
    assert read_tree(out) == undisturbed


@pytest.mark.parametrize(("to", "workers"), [("folder", 2), *((to, 0) for to in FORMATS)])
def test_a_full_disk(case: Case, small_disk: Path, tmp_path: Path, to: str, workers: int) -> None:
    check_installed(to)
    case = Case(case.dataset, recipe={"count": 100}, output={"to": to})
    undisturbed = case.tree(tmp_path / "undisturbed")
    half_bytes = sum(map(len, undisturbed.values())) // 2
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(disk_usage(small_disk).free - half_bytes))
    with pytest.raises(OutputError, match="the disk is full") as caught:
        run(case.plan(small_disk / "out"), workers=workers)
    assert "--resume" in caught.value.hint
    assert_nothing_half_written(small_disk / "out", undisturbed)
    ballast.unlink()
    run(case.plan(small_disk / "out"), workers=workers, resume=True)
    assert read_tree(small_disk / "out") == undisturbed


def assert_nothing_half_written(folder: Path, undisturbed: Files) -> None:
    assert not (folder / "dataset.json").exists()
    for name, data in read_tree(folder).items():
        if not name.startswith(".mnistseq/"):
            assert data == undisturbed[name], name


@pytest.mark.parametrize(("workers", "limit", "status"), [(2, 64, 0), (0, 5, 1), (12, 20, 1)])
def test_few_files_may_be_open(
    case: Case, undisturbed: Files, tmp_path: Path, *, workers: int, limit: int, status: int
) -> None:
    limits = {"RLIMIT_NOFILE": limit}
    found, message = case.make(tmp_path / "out", workers=workers, limits=limits)
    assert found == status
    assert ("too many" in message.lower()) == bool(status)
    assert "Traceback" not in message
    run(case.plan(tmp_path / "out"), workers=0, resume=True)
    assert read_tree(tmp_path / "out") == undisturbed


def test_a_folder_that_is_a_file(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        for options in MODES:
            with pytest.raises(OutputError, match="there is a file where a folder should be"):
                run(case.plan(folder), workers=0, **options)
    assert read_tree(tmp_path) == {"file": b"mine"}


def test_a_folder_on_another_file_system(
    case: Case, undisturbed: Files, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system at hand")
    (tmp_path / "out").symlink_to(elsewhere)
    run(case.plan(tmp_path / "out"), workers=2)
    assert read_tree(elsewhere) == undisturbed


# Ctrl-C and SIGTERM


@pytest.mark.parametrize(
    ("number", "status", "n_parts", "workers"),
    [(signal.SIGINT, 130, 3, 2), (signal.SIGTERM, 143, 3, 2), (signal.SIGHUP, 143, 3, 2)]
    + [(signal.SIGINT, 130, 0, workers) for workers in (0, 2)],
)
def test_an_interruption_ends_within_two_seconds_and_keeps_parts(
    glyph_folder: Path,
    tmp_path: Path,
    number: signal.Signals,
    status: int,
    n_parts: int,
    workers: int,
) -> None:
    case = Case(glyph_folder, recipe=LONG, part_size=50)
    out = tmp_path / "out"
    with case.start(out, workers=workers) as process:
        wait_for_parts(process, n_parts)  # of none: until it has started
        start_s = time.monotonic()
        if number == signal.SIGINT:  # a terminal sends it to every process
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        last, message = process.communicate(timeout=10)
        assert time.monotonic() - start_s < 2 or not n_parts
    assert (process.returncode, message) == (status, "")
    wait_until_gone(process.pid, 1)
    assert last.splitlines()[-1].startswith("Stopped(") or not n_parts
    kept = read_tree(out)
    assert sum(name.endswith(".png") for name in kept) >= 50 * n_parts
    staged = [name for name in kept if name.startswith(".mnistseq/staging/")]
    assert {name.rpartition("/")[2] for name in staged} <= {"record.json"}
    assert "dataset.json" not in kept


# Two runs


def test_a_second_run_into_a_folder_is_refused(glyph_folder: Path, tmp_path: Path) -> None:
    """Its lock ends with its process, though workers may live on for a moment."""
    case = Case(glyph_folder, recipe={"count": 3000}, part_size=50)
    out = tmp_path / "out"
    with case.start(out, workers=2) as process:
        wait_for_parts(process, 1)
        for options in MODES:
            words = "another run is writing into" if options else "holds an unfinished dataset"
            with pytest.raises(OutputError, match=words):
                run(case.plan(out), workers=0, **options)
        wait_for_parts(process, 2)
        workers = [pid for pid in find_session(process.pid) if pid != process.pid]
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)  # they cannot notice that their parent is gone
        process.kill()
        process.wait()
        try:
            run(case.plan(out), workers=0, resume=True)
        finally:
            for worker in workers:
                with suppress(ProcessLookupError):  # some may be killed with their parent
                    os.kill(worker, signal.SIGCONT)
        wait_until_gone(process.pid, 5)
    assert read_tree(out) == case.tree(tmp_path / "undisturbed")


def test_two_runs_that_start_together(glyph_folder: Path, tmp_path: Path) -> None:
    case = Case(glyph_folder, recipe={"count": 200}, part_size=20)
    undisturbed = case.tree(tmp_path / "undisturbed")
    for attempt in range(5):
        out = tmp_path / f"out{attempt}"
        both = [FORK.Process(target=run, args=(case.plan(out),)) for _ in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join()
        assert {process.exitcode for process in both} == {0, 1}
        assert read_tree(out) == undisturbed


def test_a_thread_leaves_signals_alone(case: Case, undisturbed: Files, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run, args=(case.plan(tmp_path / "out"),))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert read_tree(tmp_path / "out") == undisturbed
