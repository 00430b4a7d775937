"""Parts made by the workers of a Dask cluster, as they are made by those of this machine.

What all machines see is the output folder: workers read the recipe there, and make each part in a
folder of its own in staging. Only the client gives files their names, so a part that is made
twice does no harm.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.cluster_task import (
    Cold,
    Glyphs,
    Order,
    Tried,
    deadly,
    import_distributed,
    make_part,
)
from mnistseq_cli.bulk.cores import count_cores
from mnistseq_cli.bulk.make import find_versions
from mnistseq_cli.bulk.signals import held_signals, noted_signals
from mnistseq_cli.bulk.workers import TASKS_PER_WORKER, Died
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.glyphs.catalog import DATASETS, DRAWN, SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import ModuleType

    from distributed import Client, Future

    from mnistseq_cli.bulk.make import Made
    from mnistseq_cli.bulk.plan import Part, Plan

LOCAL = "local"
_LOOK_EVERY_S = 0.01
_CONNECT_S = 8


class Cluster:
    """Workers that a Dask scheduler knows; see `open_cluster`."""

    def __init__(self, client: Client, *, local: bool) -> None:
        self._client = client
        self._local = local

    def count_workers(self) -> int:
        """Give how many parts are made at once; workers come and go."""
        return sum(self._client.nthreads().values())

    def work(
        self,
        plan: Plan,
        parts: Iterator[Part],
        tell: Callable[[Died], None],
        data_dir: Path | None = None,
    ) -> Generator[Made]:
        """Make parts and give them, in no particular order.

        Parameters
        ----------
        plan : Plan
            Its recipe is in its folder, which workers see under the same path.
        parts : iterator of Part
        tell : callable
            Takes `Died`.
        data_dir : Path, optional
            Where glyphs are cached here; workers of other machines have caches of their own.

        Raises
        ------
        OutputError
            A part has killed three workers; workers do not see the folder, or have other
            versions; the scheduler is gone.
        Exception
            Whatever a worker raised.
        """
        glyphs = _find_glyphs(plan, data_dir)
        order = _make_order(plan, glyphs, data_dir if self._local else None)
        with closing(_Tasks(self._client, order, glyphs)) as tasks:
            for part, tried in tasks.run(parts, self.count_workers):
                for attempt in range(2, 2 + tried.n_deaths):
                    tell(Died(part, attempt, None))
                yield tried.made


@contextmanager
def open_cluster(address: str, n_workers: int | None = None) -> Iterator[Cluster]:
    """Connect to a Dask scheduler, or start one with workers on this machine.

    Parameters
    ----------
    address : str
        Such as ``tcp://10.0.0.5:8786``, or "local".
    n_workers : int, optional
        Worker processes of "local"; by default as many as there are usable cores.

    Raises
    ------
    UsageError
        Dask is not installed, or `n_workers` is 0.
    OutputError
        Nothing answers at the address.
    """
    distributed = import_distributed()
    if n_workers == 0:
        raise UsageError("workers is 0; a cluster needs 1 or more")
    with _quiet():
        if address != LOCAL:
            with closing(_connect(distributed, address)) as client:
                yield Cluster(client, local=False)
            return
        # Workers are born with Ctrl-C held back: the terminal sends it to every process.
        with held_signals():
            machines = distributed.LocalCluster(
                n_workers=n_workers or count_cores(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        with machines, closing(_connect(distributed, machines.scheduler_address)) as client:
            yield Cluster(client, local=True)


class _Tasks:
    """Parts that are being made: a few for each worker."""

    def __init__(self, client: Client, order: Order, glyphs: Glyphs) -> None:
        self._distributed = import_distributed()
        self._client = client
        self._order = order
        self._glyphs = glyphs
        self._warmed: set[str] = set()
        self._parts: dict[Future[Any], Part] = {}
        self._done = self._distributed.as_completed(loop=client.loop)

    def run(
        self, parts: Iterator[Part], count_workers: Callable[[], int]
    ) -> Iterator[tuple[Part, Tried]]:
        try:
            self._submit(parts, count_workers())
            for future in self._wait():
                part = self._parts.pop(future)
                result = self._wait_for(future, part)
                if isinstance(result, Cold):
                    self._warm(result.worker)
                    self._submit(iter([part]), len(self._parts) + 1)
                else:
                    self._submit(parts, count_workers())
                    yield part, result
        except (self._distributed.CancelledError, self._distributed.core.CommClosedError) as error:
            raise _gone() from error

    def _wait(self) -> Iterator[Future[Any]]:
        """Give futures as they are done."""
        with noted_signals() as raise_noted:
            while not self._done.is_empty():
                raise_noted()
                if self._done.has_ready():
                    yield next(self._done)
                else:
                    time.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Leave nothing to be done."""
        with suppress(Exception):  # the cluster may be gone
            self._client.cancel([*self._parts], force=True)

    def _submit(self, parts: Iterator[Part], n_workers: int) -> None:
        while len(self._parts) < TASKS_PER_WORKER * max(n_workers, 1):
            part = next(parts, None)
            if part is None:
                return
            key = f"mnistseq-{self._order.run}-{part.name}-{token_hex(4)}"
            future = self._client.submit(make_part, self._order, part, key=key, pure=False)
            self._parts[future] = part
            self._done.add(future)

    def _wait_for(self, future: Future[Any], part: Part) -> Tried | Cold:
        try:
            result: Tried | Cold = future.result()
        except self._distributed.KilledWorker as error:
            raise deadly(part, f"{error.allowed_failures + 1} workers") from error
        except ModuleNotFoundError as error:
            raise OutputError(
                f"a worker has no library {error.name}",
                "Install what is installed here on all machines: pip install 'mnistseq[dask]'",
            ) from error
        return result

    def _warm(self, worker: str) -> None:
        """Send a worker its glyphs; several of its tasks may have missed them."""
        if worker in self._warmed:
            return
        with suppress(OSError):  # it may be dead by now: then others do its tasks
            self._client.run(self._order.glyphs.place, self._glyphs.read(), workers=[worker])
            self._warmed.add(worker)


def _find_glyphs(plan: Plan, data_dir: Path | None) -> Glyphs:
    dataset, split = plan.recipe.dataset, plan.recipe.glyphs
    if dataset not in DATASETS and dataset not in DRAWN:
        dataset = str(Path(dataset).resolve())  # workers run in other folders
    return Glyphs(dataset, tuple(name for name in SPLITS if split in {name, "all"}), data_dir)


def _make_order(plan: Plan, glyphs: Glyphs, data_dir: Path | None) -> Order:
    return Order(
        token_hex(4),
        replace(plan.output, folder=plan.output.folder.resolve()),
        plan.part_size,
        replace(glyphs, data_dir=data_dir),
        not glyphs.is_missing(),
        tuple(find_versions(plan.output).items()),
    )


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
    """Keep what Dask logs about workers that die away from the terminal: events tell it."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logger for name in names if not (logger := logging.getLogger(name)).disabled]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


def _gone() -> OutputError:
    return OutputError(
        "the Dask scheduler is gone", "Start it again, then run this again with --resume."
    )
