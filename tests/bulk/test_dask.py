from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished, PartRetried, Started
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.storage import open_folder
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.errors import OutputError
from mnistseq_cli.glyphs.catalog import DATASETS
from tests.helpers.bulk_cases import Case, read_tree
from tests.helpers.mirror import make_tiny, serve_well, serving
from tests.helpers.store import BUCKET, Faulty, make_here, read_there

distributed = pytest.importorskip("distributed", reason="Dask is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
LOOPBACK = "tcp://127.0.0.1"
KILLER = """
import os, signal
from mnistseq_cli.bulk.parts import PartMaker

class Deadly(PartMaker):
    def __call__(self, part, report):
        if part.number == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(part, report)

from mnistseq_cli.bulk import dask
dask.PartMaker = Deadly
"""

TINY = """
from dataclasses import replace
from mnistseq_cli.glyphs.catalog import DATASETS
from tests.helpers.mirror import make_tiny
DATASETS["kmnist"] = replace(make_tiny({url!r})[0], name="kmnist")
"""

LOSER = """
import threading
from mnistseq_cli.bulk import dask

class Odd(Exception):
    def __init__(self):
        super().__init__("cannot be sent")
        self.lock = threading.Lock()

def fail(*_):
    raise Odd

dask.PartMaker = lambda *_: fail
"""


class Machines:
    def __init__(self, cache: Path, preload: Path, *, nanny: bool) -> None:
        self.cache = cache  # each machine has a folder in it
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"{LOOPBACK}:{free.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        self.processes = [self._start("scheduler", "--host", "127.0.0.1", "--port", port)]
        words = ["--nthreads", "1", "--nanny" if nanny else "--no-nanny", "--host", "127.0.0.1"]
        words += ["--local-directory", str(cache.parent / "scratch"), "--death-timeout", "30"]
        self._words = [*words, "--preload", str(preload)]
        self.processes += [self.add_worker() for _ in range(2)]

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, *self._words)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--dashboard-address", "127.0.0.1:0"],
            env=os.environ
            | {"MNISTSEQ_DATA_DIR": str(self.cache / token_hex(4))}
            | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):  # a test has killed it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


Start = Callable[..., Machines]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts machines, which run some code first."""
    started = []

    def start_machines(code: str = "", *, nanny: bool = False) -> Machines:
        (tmp_path / "preload.py").write_text(code)
        machines = Machines(tmp_path / "caches", tmp_path / "preload.py", nanny=nanny)
        started.append(machines)
        with distributed.Client(machines.address, timeout=20, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=20)
        return machines

    yield start_machines
    for machines in started:
        machines.stop()


@pytest.fixture
def machines(start: Start) -> Machines:
    return start()


def test_a_killed_worker_changes_nothing(case: Case, tmp_path: Path, machines: Machines) -> None:
    """Also with splits, and again on the workers that are left."""
    case = Case(case.dataset, recipe={"count": 2000}, part_size=50)
    events: list[Event] = []

    def kill(event: Event) -> None:
        events.append(event)
        if sum(isinstance(event, PartFinished) for event in events) == 5:
            machines.processes[1].kill()

    run(case.plan(tmp_path / "out"), dask=machines.address, report=kill)
    assert Started(2000, 40, 0, 0, 2) in events
    assert len([event for event in events if isinstance(event, PartFinished)]) == 40
    assert machines.processes[1].wait() == -signal.SIGKILL
    assert machines.processes[2].poll() is None
    assert read_tree(tmp_path / "out") == case.tree(tmp_path / "undisturbed")
    split = Case(case.dataset, recipe={"splits": ("train=8", "val=1", "test=1")})
    run(split.plan(tmp_path / "splits"), dask=machines.address)
    assert read_tree(tmp_path / "splits") == split.tree(tmp_path / "splits here")


def test_workers_take_glyphs_from_own_or_given_folders(tmp_path: Path, machines: Machines) -> None:
    case = Case(Path("strokes"), recipe={"splits": ("train=8", "test=2")})
    undisturbed = case.tree(tmp_path / "undisturbed")
    run(case.plan(tmp_path / "own"), dask=machines.address)
    assert read_tree(tmp_path / "own") == undisturbed
    run(case.plan(tmp_path / "given"), dask=machines.address, data_dir=tmp_path / "data")
    assert read_tree(tmp_path / "given") == undisturbed


def test_workers_that_die_at_random_write_into_a_store(
    server: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Each has no data set yet, and fetches it from a mirror."""
    server.fault = lambda _, __: None
    place = open_folder(f"s3://{BUCKET}/{tmp_path.name}/out")
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(tmp_path / "data"))
    moments, n_killed = random.Random(4), 0  # noqa: S311 - when to kill
    recipe = {"count": 3000, "splits": ("train=2", "val=1")}
    case = Case(Path("kmnist"), recipe=recipe, output={"to": "webdataset"}, part_size=50)

    tiny, bodies = make_tiny()
    with serving(serve_well(bodies)) as mirror:
        small = replace(tiny, name="kmnist", mirrors=(mirror.url,))
        monkeypatch.setitem(DATASETS, "kmnist", small)
        cluster = start(TINY.format(url=mirror.url))

        def kill(event: Event) -> None:
            nonlocal n_killed
            if isinstance(event, PartFinished) and moments.random() < 0.15:
                n_killed += 1
                worker = cluster.processes.pop(moments.choice((1, 2)))
                worker.kill()
                worker.wait()
                cluster.processes.append(cluster.add_worker())

        run(case.plan(place), dask=cluster.address, report=kill)
        assert n_killed >= 4
        assert len(mirror.asked) >= 3 * len(bodies)  # the client, and two workers at least
    assert verify(place, workers=0).problems == ()
    assert read_there(place) == make_here(case, tmp_path / "here")


def test_a_part_that_kills_workers_ends_the_run(case: Case, tmp_path: Path, start: Start) -> None:
    machines = start(KILLER, nanny=True)
    with pytest.raises(OutputError, match=r"part 00000009 \(samples 90 to 94\) has killed"):
        run(case.plan(tmp_path / "out"), dask=machines.address)
    machines.stop()
    events: list[Event] = []
    run(case.plan(tmp_path / "out"), workers=0, resume=True, report=events.append)
    assert [event.n_parts_done for event in events if isinstance(event, Started)] > [0]
    assert not [event for event in events if isinstance(event, PartRetried)]
    assert read_tree(tmp_path / "out") == case.tree(tmp_path / "undisturbed")


def test_an_error_that_cannot_be_sent_is_told(case: Case, tmp_path: Path, start: Start) -> None:
    with pytest.raises(RuntimeError, match="Odd: cannot be sent"):
        run(case.plan(tmp_path / "out"), dask=start(LOSER).address)


def test_local_equals_the_local_run_and_ctrl_c_keeps_parts(case: Case, tmp_path: Path) -> None:
    run(case.plan(tmp_path / "out"), dask="local", workers=2)
    undisturbed = case.tree(tmp_path / "undisturbed")
    assert read_tree(tmp_path / "out") == undisturbed
    long = Case(case.dataset, recipe={"count": 400_000}, part_size=100)
    with long.start(tmp_path / "long", dask="local", workers=2) as process:
        assert process.stdout
        n_parts = 0
        while n_parts < 3:
            line = process.stdout.readline()
            assert line
            n_parts += line.startswith("PartFinished")
        began_s = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=20)
        took_s = time.monotonic() - began_s
    assert (process.returncode, message) == (130, "")
    assert took_s < 4
    assert len([*(tmp_path / "long" / ".mnistseq" / "parts").iterdir()]) >= 3


@pytest.mark.parametrize("address", [f"{LOOPBACK}:9", "nonsense://x"])
def test_a_scheduler_that_is_not_there_is_told(case: Case, tmp_path: Path, address: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(OutputError, match="no Dask scheduler answers at"):
        run(case.plan(tmp_path / "out"), dask=address)
    assert time.monotonic() - began_s < 12
    assert not (tmp_path / "out").exists()
