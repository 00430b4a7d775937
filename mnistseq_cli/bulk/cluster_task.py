"""A part as a task of a Dask worker: what it must know, and where its glyphs come from."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.events import ignore
from mnistseq_cli.bulk.make import PartMaker, find_versions
from mnistseq_cli.bulk.manifest import STAGING
from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.serve import make_portable
from mnistseq_cli.bulk.staging import RECORD
from mnistseq_cli.bulk.workers import DEATHS_ALLOWED
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.glyphs.cache import Action, decide, ensure_cached, find_raw_dir, look
from mnistseq_cli.glyphs.catalog import DATASETS, DRAWN
from mnistseq_cli.glyphs.drawn import ensure_drawn, find_drawn_dir, is_drawn
from mnistseq_cli.glyphs.place import place_file
from mnistseq_cli.recipe import RECIPE_FILE, Recipe

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from mnistseq_cli.bulk.make import Made
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
        if known := DATASETS.get(self.dataset):
            folder = find_raw_dir(known, self.data_dir)
            files = known.files(self.splits)
            return any(decide(look(file, folder)) is Action.FETCH for file in files)
        drawn = self.dataset in DRAWN
        return drawn and not all(is_drawn(self.dataset, s, self.data_dir) for s in self.splits)

    def read(self) -> dict[str, bytes]:
        """Read their files from the cache of this machine."""
        known = DATASETS.get(self.dataset)
        if known is None:
            paths = [path for path in self._folder().iterdir() if path.name[0] != "."]
            return {path.name: path.read_bytes() for path in paths}
        data = {}
        for file in known.files(self.splits):
            packed = self._folder() / file.gzip_name
            path = packed if packed.is_file() else self._folder() / file.name
            data[path.name] = path.read_bytes()
        return data

    def place(self, files: dict[str, bytes]) -> None:
        """Put files that were sent into the cache of this machine, and check their hashes."""
        for name, data in files.items():
            place_file(self._folder() / name, [data])
        if known := DATASETS.get(self.dataset):
            ensure_cached(known, self.data_dir, splits=self.splits, verify=True)
        else:
            ensure_drawn(self.dataset, self.data_dir, splits=self.splits, verify=True)

    def _folder(self) -> Path:
        if known := DATASETS.get(self.dataset):
            return find_raw_dir(known, self.data_dir)
        return find_drawn_dir(self.dataset, self.data_dir)


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
            "Install it: pip install 'mnistseq[dask]'",
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
