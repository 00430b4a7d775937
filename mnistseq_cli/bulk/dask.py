"""The same parts on a Dask cluster."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.events import ignore
from mnistseq_cli.bulk.parts import RECORD, STAGING, PartMaker, find_versions
from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.workers import (
    DEATHS_ALLOWED,
    TASKS_PER_WORKER,
    Died,
    count_cores,
    held_signals,
    make_portable,
    noted_signals,
)
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.extras import suggest_install
from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.cache import ensure_cached, find_raw_dir, is_cached
from mnistseq_cli.glyphs.catalog import DATASETS, SPLITS
from mnistseq_cli.recipe import RECIPE_FILE, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import ModuleType

    from distributed import Client, Future

    from mnistseq_cli.bulk.parts import Made
    from mnistseq_cli.bulk.plan import Part
    from mnistseq_cli.formats import Output
    from mnistseq_cli.glyphs.catalog import SplitName


@dataclass(frozen=True)
class Glyphs:
    """Which glyphs a run needs, and the cache they are in.

    Parameters
    ----------
    dataset : str
    splits : tuple of str
    data_dir : Path, optional
    """

    dataset: str
    splits: tuple[SplitName, ...]
    data_dir: Path | None

    def is_missing(self) -> bool:
        """Tell whether they are not in the cache of this machine."""
        known = DATASETS.get(self.dataset)
        return known is not None and not is_cached(known, self.data_dir, self.splits)

    def read(self) -> dict[str, bytes]:
        """Read their files from the cache of this machine."""
        data = {}
        for file in DATASETS[self.dataset].files(self.splits):
            packed = self._folder() / file.gzip_name
            path = packed if packed.is_file() else self._folder() / file.name
            data[path.name] = path.read_bytes()
        return data

    def place(self, files: dict[str, bytes]) -> None:
        """Put files that were sent into the cache of this machine, and check their hashes."""
        for name, data in files.items():
            place_file(self._folder() / name, [data])
        known = DATASETS[self.dataset]
        ensure_cached(known, self.data_dir, splits=self.splits, verify=True)

    def _folder(self) -> Path:
        return find_raw_dir(DATASETS[self.dataset], self.data_dir)


@dataclass(frozen=True)
class Order:
    """What a worker must know of a run; the recipe, which can be long, it reads itself.

    Parameters
    ----------
    run : str
        Unlike that of any other run.
    output : Output
    part_size : int
    glyphs : Glyphs
        In the cache of the worker.
    sent : bool
        Whether the client can send them.
    versions : tuple of (str, str)
        Of all that decides bytes, on the client.
    """

    run: str
    output: Output
    part_size: int
    glyphs: Glyphs
    sent: bool
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Tried:
    """A part, and how many workers died while they were at it."""

    made: Made
    n_deaths: int


@dataclass(frozen=True)
class Cold:
    """A worker has no glyphs yet."""

    worker: str


_kept = threading.local()  # a worker's thread keeps what it made ready for its last order


def make_part(order: Order, part: Part) -> Tried | Cold:
    """Make a part; the task of a worker."""
    try:
        return _try_part(order, part)
    except Exception as error:  # noqa: BLE001 - the client raises it again
        told = make_portable(error)
    raise told  # out here it has no context: Dask would send that too, and wait for ever


def _try_part(order: Order, part: Part) -> Tried | Cold:
    if getattr(_kept, "order", None) != order:
        if order.sent and order.glyphs.is_missing():
            return Cold(_worker_address())
        _kept.maker = _open_maker(order)
        _kept.order = order
    n_deaths = _count_deaths(order.output.folder / STAGING, part)
    if n_deaths > DEATHS_ALLOWED:
        raise deadly(part, f"{n_deaths} workers")
    return Tried(_kept.maker(part, ignore), n_deaths)


def deadly(part: Part, killed: str) -> OutputError:
    """Give the error for a part that no worker survives."""
    return OutputError(
        f"{part} has killed {killed}",
        "Is there enough memory? Try fewer workers or a smaller --part-size.",
    )


def import_distributed() -> ModuleType:
    """Import the library, or tell how to install it."""
    try:
        return import_module("distributed")
    except ModuleNotFoundError as error:
        raise UsageError(
            "--dask needs the library distributed, which is not installed",
            f"Install it: {suggest_install('dask')}",
        ) from error


def _open_maker(order: Order) -> PartMaker:
    """Make ready what makes parts, where this machine is fit for it."""
    if not (order.output.folder / STAGING).is_dir():
        raise OutputError(
            f"worker {_worker_address()} does not see the folder {order.output.folder}",
            "Choose an --out on a file system that all machines share under the same path.",
        )
    here = find_versions(order.output)
    for name, wanted in order.versions:
        if here[name] != wanted:
            raise OutputError(
                f"worker {_worker_address()} has {name} {here[name]}, the client has {wanted}",
                f"Install the same on all machines: pip install {name}=={wanted}",
            )
    recipe = Recipe.load(order.output.folder / RECIPE_FILE)
    recipe = replace(recipe, dataset=order.glyphs.dataset)
    return PartMaker(Plan(recipe, order.output, order.part_size), order.glyphs.data_dir)


def _count_deaths(staging: Path, part: Part) -> int:
    """Count the workers that began a part in this run and did not finish it."""
    begun = staging.glob(f"{part.name}.*")
    return sum(not (folder / RECORD).exists() for folder in begun)


def _worker_address() -> str:
    address: str = import_distributed().get_worker().address
    return address


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
    if dataset not in DATASETS:
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
