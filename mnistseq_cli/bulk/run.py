"""Make a dataset: hand parts to workers, put what they made in place, finish."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.check import PartChecker, check_files
from mnistseq_cli.bulk.dask import open_cluster
from mnistseq_cli.bulk.events import (
    Checking,
    Finished,
    Joining,
    PartFinished,
    PartRetried,
    Progressed,
    Report,
    Started,
    Stopped,
    ignore,
)
from mnistseq_cli.bulk.finish import commit, finish, join
from mnistseq_cli.bulk.manifest import DATASET_FILE, load_dataset
from mnistseq_cli.bulk.output_folder import claim, note_boot
from mnistseq_cli.bulk.parts import PARTS, STAGING, Making, find_versions, prepare_makers, sweep
from mnistseq_cli.bulk.workers import (
    DEFAULT_START_METHOD,
    Crew,
    Died,
    StartMethod,
    check_open_files,
    count_cores,
    exit_on_sigterm,
    work,
)
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import naming_disk_errors
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.dask import Cluster
    from mnistseq_cli.bulk.manifest import PartSummary
    from mnistseq_cli.bulk.output_folder import Claim
    from mnistseq_cli.bulk.parts import FileEntry, Made
    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

WORKERS_LIMIT = 1024
_FEW_SAMPLES = 4000  # made before workers have started


@dataclass(frozen=True)
class Summary:
    """What is in a finished folder."""

    folder: Path
    n_samples: int
    n_files: int
    size_bytes: int


def run(
    plan: Plan,
    *,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    start_method: StartMethod = DEFAULT_START_METHOD,
    data_dir: Path | None = None,
    glyphs: GlyphSet | None = None,
    dask: str | None = None,
    report: Report = ignore,
) -> Summary:
    """Make a dataset.

    The bytes of its files depend on the plan alone, not on workers, interruptions or the clock.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Worker processes; 0 works in this process. By default as many as there are usable cores,
        but none for a few samples.
    resume : bool
        Keep the finished parts of an earlier run of the same plan, and make the others.
    overwrite : bool
        Remove what an earlier run wrote; files that mnistseq did not make stay.
    start_method : "fork", "forkserver" or "spawn"
        Of worker processes. Forking from a process that has threads is not safe.
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand; workers still load their own.
    dask : str, optional
        Address of a Dask scheduler whose workers make the parts; see `open_cluster`.
    report : callable
        Takes events.

    Raises
    ------
    UsageError
        The recipe cannot be made, `workers` is out of range, or Dask is not installed.
    GlyphError
        The glyphs cannot be had.
    OutputError
        The folder cannot be used or written, no scheduler answers, a part killed three workers.
    KeyboardInterrupt, SystemExit
        After Ctrl-C, and, with code 143, after SIGTERM. Finished parts are kept.
    """
    if workers is not None and not 0 <= workers <= WORKERS_LIMIT:
        raise UsageError(f"workers is {workers}; allowed are 0 to {WORKERS_LIMIT}")
    generator = SequenceGenerator(plan.recipe, None if plan.weights else glyphs, data_dir)
    generator.block(0, 1)  # what cannot be made is told before anything is written
    plan = replace(plan, recipe=generator.recipe)
    with (
        exit_on_sigterm(),
        naming_disk_errors(plan.output.folder),
        nullcontext() if dask is None else open_cluster(dask, workers) as cluster,
        claim(plan, resume=resume, overwrite=overwrite) as claimed,
    ):
        going = _Run(plan, claimed, generator, report)
        try:
            going.check()
            note_boot(plan.output.folder)
            if cluster:
                going.make_on(cluster, data_dir)
            else:
                n_workers = going.choose_workers(workers)
                check_open_files(n_workers)
                going.make(Crew(n_workers, start_method, (claimed.descriptor,)), data_dir)
            return going.finish()
        except BaseException:
            going.stop()
            raise


class _Run:
    """A run that is going on."""

    def __init__(
        self, plan: Plan, claimed: Claim, generator: SequenceGenerator, report: Report
    ) -> None:
        self._plan = plan
        self._folder = plan.output.folder
        self._claimed = claimed
        self._generator = generator
        self._report = report
        self._done: dict[str, PartSummary] = {}
        self._versions: dict[str, dict[str, str]] = {}
        self._making: dict[Part, int] = {}
        self._n_made = 0
        self._size_bytes = 0
        self._joined = self._find_joined()

    def check(self) -> None:
        """Find the parts that an earlier run finished."""
        there = {path.stem for path in (self._folder / PARTS).iterdir()}
        parts = [part for part in self._plan.parts() if part.name in there]
        if not parts:
            return
        self._report(Checking(len(parts)))
        # After a restart of the machine sizes prove nothing: names can outlive contents.
        open_job = partial(
            PartChecker, self._folder, read=self._claimed.rebooted, kept=self._joined is None
        )
        for checked in work(open_job, parts, Crew(0), ignore):
            if checked.summary and not checked.problems:
                self._done[checked.part.name] = checked.summary
                self._versions[checked.part.name] = checked.versions

    def choose_workers(self, workers: int | None) -> int:
        """Choose how many workers, if that is not given."""
        if workers is not None:
            return workers
        n_left = self._plan.n_parts - len(self._done)
        few = n_left * self._plan.part_size <= _FEW_SAMPLES
        return 0 if few else min(count_cores(), n_left)

    def make(self, crew: Crew, data_dir: Path | None) -> None:
        """Make the parts that are not there yet."""
        self._start(crew.n_workers)
        here = self._generator.glyphs if crew.n_workers == 0 else None
        open_job = prepare_makers(self._plan, data_dir, here, self._generator.width_px)
        self._commit_all(work(open_job, self._find_left(), crew, self._hear))

    def make_on(self, cluster: Cluster, data_dir: Path | None) -> None:
        """Make the parts that are not there yet, on a cluster."""
        self._start(cluster.count_workers())
        self._commit_all(cluster.work(self._plan, self._find_left(), self._hear, data_dir))

    def finish(self) -> Summary:
        """Write what spans parts, and the manifest."""
        if self._joined is None:
            self._report(Joining())
            self._joined = join(self._plan, self._claimed.strangers)
        parts = [self._done[part.name] for part in self._plan.parts()]
        finish(self._plan, self._generator.glyphs, self._list_versions(), parts, self._joined)
        values = load_dataset(self._folder)
        totals = values["n_samples"], values["n_files"], values["size_bytes"]
        self._report(Finished(*totals))
        return Summary(self._folder, *totals)

    def stop(self) -> None:
        """Remove what is half made, and tell how far it is."""
        sweep(self._folder / STAGING)
        self._report(Stopped(self._count_samples(), len(self._done)))

    def _start(self, n_workers: int) -> None:
        self._report(
            Started(
                n_samples=self._plan.recipe.count,
                n_parts=self._plan.n_parts,
                n_samples_done=self._count_samples(),
                n_parts_done=len(self._done),
                n_workers=n_workers,
            )
        )

    def _find_left(self) -> Iterator[Part]:
        return (part for part in self._plan.parts() if part.name not in self._done)

    def _commit_all(self, all_made: Generator[Made]) -> None:
        with closing(all_made):
            for made in all_made:
                self._commit(made)

    def _find_joined(self) -> list[FileEntry] | None:
        """Give the entries of the files that span parts, if they are all there."""
        if not (self._folder / DATASET_FILE).exists():
            return None
        entries = [
            entry
            for entry in load_dataset(self._folder)["files"]
            if entry.name not in {RECIPE_FILE, TEXTS_FILE}
        ]
        problems = check_files(self._folder, entries, read=self._claimed.rebooted)
        return None if problems else entries

    def _hear(self, message: Making | Died) -> None:
        if isinstance(message, Making):
            self._making[message.part] = message.n_samples
        else:
            self._making.pop(message.task, None)
            self._report(PartRetried(message.task.name, message.attempt, message.exit_code))
        self._tell()

    def _commit(self, made: Made) -> None:
        name = made.part.name
        self._done[name] = commit(self._folder, made, self._claimed.strangers)
        self._versions[name] = find_versions(self._plan.output)
        self._making.pop(made.part, None)
        self._n_made += len(made.part)
        self._size_bytes += made.size_bytes
        self._report(PartFinished(name, len(made.part), made.n_files, made.size_bytes))
        self._tell()

    def _tell(self) -> None:
        n_samples = self._n_made + sum(self._making.values())
        self._report(Progressed(n_samples, self._size_bytes))

    def _count_samples(self) -> int:
        return sum(part.stop - part.start for part in self._done.values())

    def _list_versions(self) -> list[dict[str, str]]:
        listed: list[dict[str, str]] = []
        for part in self._plan.parts():
            versions = self._versions[part.name]
            if versions not in listed:
                listed.append(versions)
        return listed
