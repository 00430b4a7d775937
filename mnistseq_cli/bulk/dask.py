"""The same parts on a Dask cluster.

Workers see the output folder under the same path, and have glyphs in caches of their own or in
the data folder that is given. A worker that dies is Dask's to replace.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import mkdtemp
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.manifest import PLAN_FILE
from mnistseq_cli.bulk.output_folder import OutputFolder
from mnistseq_cli.bulk.parts import PartMaker, WrittenPart, find_versions
from mnistseq_cli.bulk.plan import Part, Plan
from mnistseq_cli.bulk.storage import Store
from mnistseq_cli.bulk.workers import (
    count_cores,
    ensure_helpers,
    hold_signals,
    make_deadly,
    make_portable,
)
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.extras import import_extra, suggest_install
from mnistseq_cli.files import is_store, naming_disk_errors
from mnistseq_cli.formats import open_format
from mnistseq_cli.glyphs.load import resolve_dataset

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
_TASKS_PER_WORKER = 2
_LOOK_EVERY_S = 0.01
_CONNECT_S = 8


@dataclass(frozen=True)
class _Order:
    """What a worker must know of a run."""

    plan: Plan
    data_dir: Path | None
    versions: dict[str, str]  # of all that decides bytes, on the client


_kept = threading.local()  # a worker's thread keeps what it made ready for its last order


def make_part(order: _Order, part: Part) -> WrittenPart:
    """Make a part; the task of a worker."""
    try:
        if getattr(_kept, "order", None) != order:
            _kept.maker = _make_maker(order)
            _kept.order = order
        with naming_disk_errors(order.plan.output.folder):  # else the scheduler seems gone
            made: WrittenPart = _kept.maker(part, lambda _: None)
    except Exception as error:  # noqa: BLE001 - the client raises it again
        failure = make_portable(error)
    else:
        return made
    raise failure  # out here it has no context: Dask would send that too, and wait for ever


def _make_maker(order: _Order) -> PartMaker:
    """Make what makes parts, where this machine is fit for it."""
    address = import_extra("distributed", "dask", "--dask").get_worker().address
    folder = order.plan.output.folder
    if not (folder / PLAN_FILE).is_file():
        raise OutputError(
            f"worker {address} does not see the folder {folder}",
            "Choose an --out on a file system that all machines share under the same path.",
        )
    here = find_versions(open_format(order.plan.output))
    for name, wanted in order.versions.items():
        if here[name] != wanted:
            raise OutputError(
                f"worker {address} has {name} {here[name]}, the client has {wanted}",
                f"Install the same on all machines: pip install {name}=={wanted}",
            )
    if not is_store(folder):
        return PartMaker(order.plan, order.data_dir)
    scratch = Path(mkdtemp(prefix="mnistseq-"))
    atexit.register(rmtree, scratch, ignore_errors=True)
    commit = Store(folder, scratch).commit
    return PartMaker(order.plan, order.data_dir, staging=scratch, commit=commit)


@contextmanager
def open_cluster(address: str, n_workers: int | None = None) -> Iterator[Client]:
    """Connect to a scheduler, such as ``tcp://10.0.0.5:8786``, or start one here for "local"."""
    distributed = import_extra("distributed", "dask", "--dask")
    if n_workers == 0:
        raise UsageError("workers is 0; a cluster needs 1 or more")
    with _quiet():
        if address != LOCAL:
            with closing(_connect(distributed, address)) as client:
                yield client
            return
        ensure_helpers(with_server=False)
        # Workers are born with Ctrl-C held back: the terminal sends it to every process.
        with hold_signals():
            machines = distributed.LocalCluster(
                n_workers=n_workers or count_cores(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # any port that is free
                silence_logs=logging.CRITICAL,
            )
        with machines, closing(_connect(distributed, machines.scheduler_address)) as client:
            yield client


def make_on_cluster(
    client: Client,
    plan: Plan,
    folder: OutputFolder | Store,
    data_dir: Path | None,
    parts: Iterator[Part],
) -> Generator[WrittenPart]:
    """Make parts and yield them, in no particular order."""
    distributed = import_extra("distributed", "dask", "--dask")
    # Workers run in other folders.
    recipe = replace(plan.recipe, dataset=resolve_dataset(plan.recipe.dataset))
    plan = replace(plan, recipe=recipe, output=replace(plan.output, folder=folder.path))
    versions = find_versions(open_format(plan.output))
    order = _Order(plan, data_dir and data_dir.resolve(), versions)
    pending: dict[Future[Any], Part] = {}
    try:
        while True:
            n_most = _TASKS_PER_WORKER * max(1, sum(client.nthreads().values()))
            while len(pending) < n_most and (part := next(parts, None)):
                key = f"mnistseq-{part.name}-{token_hex(8)}"
                pending[client.submit(make_part, order, part, key=key, pure=False)] = part
            if not pending:
                return
            done = [future for future in pending if future.done()]
            if not done:
                time.sleep(_LOOK_EVERY_S)  # here Ctrl-C is not lost in a callback of Dask
            for future in done:
                yield _take_result(future, pending.pop(future), distributed)
    except (distributed.CancelledError, distributed.core.CommClosedError, OSError) as error:
        raise OutputError(
            "the Dask scheduler is gone", "Start it again, then run this again with --resume."
        ) from error
    finally:
        with suppress(Exception):  # the cluster may be gone
            client.cancel([*pending], force=True)


def _take_result(future: Future[Any], part: Part, distributed: ModuleType) -> WrittenPart:
    try:
        made: WrittenPart = future.result()
    except distributed.KilledWorker as error:
        raise make_deadly(part, f"{error.allowed_failures + 1} workers") from error
    except ModuleNotFoundError as error:
        raise OutputError(
            f"a worker has no library {error.name}",
            f"Install what is installed here on all machines: {suggest_install('dask')}",
        ) from error
    return made


def _connect(distributed: ModuleType, address: str) -> Client:
    try:
        client: Client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(
            f"no Dask scheduler answers at {address}",
            "Start one with: dask scheduler; it tells the address to give to --dask.",
        ) from error
    return client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs about workers that die away from the terminal: errors tell it."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logger for name in names if not (logger := logging.getLogger(name)).disabled]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False
