"""Make a dataset: the parts that are missing are made, get their final names, and are joined."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.dask import make_on_cluster, open_cluster
from mnistseq_cli.bulk.estimate import estimate
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
from mnistseq_cli.bulk.finish import N_SHOWN, find_joined, finish
from mnistseq_cli.bulk.manifest import DATASET_FILE, check_card, load_manifest
from mnistseq_cli.bulk.output_folder import open_output_folder
from mnistseq_cli.bulk.parts import PARTS, PartMaker, check_part, read_part
from mnistseq_cli.bulk.storage import Store, is_shared
from mnistseq_cli.bulk.workers import (
    DEFAULT_START_METHOD,
    Retried,
    StartMethod,
    TaskProgress,
    check_open_files,
    count_cores,
    exit_on_signals,
    map_unordered,
)
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import naming_disk_errors
from mnistseq_cli.formats import open_format

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.output_folder import OutputFolder
    from mnistseq_cli.bulk.parts import CheckedPart, Made, PartSummary
    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

    Executor = Callable[[Iterator[Part]], Generator[Made]]  # makes parts, in any order

WORKERS_LIMIT = 1024
_FEW_SAMPLES = 4000  # made before workers have started
_LONG_S = 10.0  # of a part: what stopping loses is told then


@dataclass(frozen=True)
class Summary:
    """What is in a folder."""

    folder: Path
    n_samples: int
    n_files: int
    size_bytes: int
    card: str = ""  # whose ``README.md`` it has; see `check_card`
    is_whole: bool = True  # False of a share, where others are still being made


def run(
    plan: Plan,
    *,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    check_space: bool = False,
    start_method: StartMethod = DEFAULT_START_METHOD,
    data_dir: Path | None = None,
    glyphs: GlyphSet | None = None,
    dask: str | None = None,
    share: tuple[int, int] | None = None,
    report: Report = ignore,
) -> Summary:
    """Make a dataset: the parts that are wanted and not there, then what spans parts.

    The bytes of its files depend on the plan alone, not on workers, interruptions or the clock.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Worker processes; 0 works in this process. By default as many as there are usable cores,
        but none for a few samples.
    resume : bool
        Keep the finished parts of an earlier run of the same plan, or of one of fewer samples,
        and make the others.
    overwrite : bool
        Remove what an earlier run wrote; files that mnistseq did not make stay.
    check_space : bool
        Measure a few samples first, and refuse what does not fit on the disk.
    start_method : "fork", "forkserver" or "spawn"
        Of worker processes. Forking from a process that has threads is not safe.
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand; workers still load their own.
    dask : str, optional
        Address of a Dask scheduler whose workers make the parts; see `open_cluster`.
    share : (int, int), optional
        K and N: make the K-th of N shares of the parts, beside runs that make the others. The one
        that finds all parts finished writes what spans them.
    report : callable
        Takes events.
    """
    if workers is not None and not 0 <= workers <= WORKERS_LIMIT:
        raise UsageError(f"workers is {workers}; expected 0 to {WORKERS_LIMIT}")
    generator = SequenceGenerator(plan.recipe, None if plan.weights else glyphs, data_dir)
    open_format(plan.output).check(generator.recipe, generator.largest_px)
    # What cannot be made is told before anything is written.
    generator.block(plan.start, plan.start + 1)
    if plan.start:
        last = replace(plan.recipe, count=plan.start + plan.recipe.count)
        SequenceGenerator(last, generator.glyphs)
    recipe = generator.recipe
    plan = replace(plan, recipe=recipe, output=replace(plan.output, dataset=recipe.dataset))
    if not is_shared(plan.output.folder):
        workers = 0
    with (
        exit_on_signals(),
        naming_disk_errors(plan.output.folder),
        nullcontext() if dask is None else open_cluster(dask, workers) as cluster,
        open_output_folder(plan, resume=resume, overwrite=overwrite, share=share) as folder,
    ):
        job = _Job(plan, folder, generator, report, share)
        try:
            job.keep_finished(workers)
            if check_space:
                job.check_space()
            if cluster:
                execute: Executor = partial(make_on_cluster, cluster, plan, folder, data_dir)
                n_workers = sum(cluster.nthreads().values())
            else:
                n_workers = choose_workers(plan, job.n_left, workers)
                here = generator.glyphs if n_workers == 0 else None
                commit = folder.commit if folder.is_written_by_workers else None
                own = (data_dir, here, folder.staging, generator.width_px)
                execute = partial(
                    map_unordered,
                    partial(PartMaker, plan, *own, commit=commit),
                    n_workers=n_workers,
                    start_method=start_method,
                    report=job.pass_on,
                    inherited=folder.inherited,
                )
            job.make(execute, n_workers)
            with folder.finishing():
                return job.finish(data_dir)
        except BaseException:
            job.stop()
            raise


def choose_workers(plan: Plan, n_left: int, workers: int | None) -> int:
    """Return how many workers to use: those given, or as the work is."""
    if workers is None:
        n_parts = -(-n_left // plan.part_size)
        workers = 0 if n_left <= max(_FEW_SAMPLES, plan.part_size) else min(count_cores(), n_parts)
    check_open_files(workers)
    return workers


class _Job:
    """How far a run is."""

    def __init__(
        self,
        plan: Plan,
        folder: OutputFolder | Store,
        generator: SequenceGenerator,
        report: Report,
        share: tuple[int, int] | None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._generator = generator
        self._report = report
        self._share = share
        self._wanted = partial(plan.parts, share or (1, 1))  # too many to list, maybe
        self._done: dict[str, PartSummary] = {}
        self._versions: dict[str, dict[str, str]] = {}
        self._making: dict[Part, int] = {}
        self._n_made = self._n_samples_done = self._size_bytes = 0
        self._seconds_per_sample = 0.0
        self._started = False
        self._joined = find_joined(folder.path)
        self._n_samples = sum(map(len, self._wanted())) if share else plan.recipe.count
        self._n_parts = sum(1 for _ in self._wanted()) if share else plan.n_parts

    @property
    def n_left(self) -> int:
        """How many samples are still to be made."""
        return self._n_samples - self._n_samples_done

    def keep_finished(self, workers: int | None) -> None:
        """Find the parts that an earlier run finished."""
        names = (name.removesuffix(".json") for name in self._folder.list_names(PARTS))
        parts = [part for name in sorted(names) if (part := self._plan.find_part(name))]
        if self._share:
            parts = [*{*parts}.intersection(self._wanted())]
        if not parts:
            return
        self._report(Checking(len(parts)))
        # Fragments count where they are still to be joined.
        with closing(self._check(parts, workers)) as found:
            for checked in found:
                record, summary = checked.record, checked.summary
                if record and summary and not checked.problems:
                    self._note(checked.part, summary, record.versions)
                elif record:
                    self._folder.list_replaceable(record.files)

    def _check(self, parts: list[Part], workers: int | None) -> Generator[CheckedPart]:
        with_fragments = self._joined is None
        if isinstance(self._folder, Store):
            return self._folder.check_parts(parts, with_fragments=with_fragments)
        check = partial(check_part, self._folder.path, with_fragments=with_fragments)
        n_workers = choose_workers(self._plan, sum(map(len, parts)), workers)
        inherited = self._folder.inherited
        return map_unordered(partial(partial, check), parts, n_workers, inherited=inherited)

    def check_space(self) -> None:
        """Raise OutputError if what is left does not fit on the disk."""
        found = estimate(self._plan, self._generator, self.n_left)
        self._seconds_per_sample = found.seconds / max(1, self.n_left)
        found.check_space(self._plan.output.folder)

    def make(self, execute: Executor, n_workers: int) -> None:
        """Make the parts that are not there yet."""
        self._started = True
        is_long = self._seconds_per_sample * self._plan.part_size > _LONG_S
        self._report(
            Started(
                n_samples=self._n_samples,
                n_parts=self._n_parts,
                n_samples_done=self._n_samples_done,
                n_parts_done=len(self._done),
                n_workers=n_workers,
                n_samples_at_risk=max(1, n_workers) * self._plan.part_size if is_long else 0,
            )
        )
        left = (part for part in self._wanted() if part.name not in self._done)
        with closing(execute(left)) as all_made:
            for made in all_made:
                self._commit(made)

    def finish(self, data_dir: Path | None) -> Summary:
        """Write what spans parts, and the manifest, when no part is missing any more."""
        folder = self._plan.output.folder
        if self._share:
            if (self._folder.path / DATASET_FILE).exists():  # another share was quicker
                manifest = load_manifest(self._folder.path)
                totals = manifest.n_samples, manifest.n_files, manifest.size_bytes
                return Summary(folder, *totals, check_card(self._folder.path, manifest.card))
            if not self._read_others():
                own = [self._done[part.name] for part in self._wanted()]
                n_files = sum(part.n_files for part in own)
                size_bytes = sum(part.size_bytes for part in own)
                return Summary(folder, self._n_samples, n_files, size_bytes, is_whole=False)
        if self._joined is None:
            self._report(Joining())
        parts = [self._done[part.name] for part in self._plan.parts()]
        versions: list[dict[str, str]] = []
        for part in self._plan.parts():
            if self._versions[part.name] not in versions:
                versions.append(self._versions[part.name])
        glyphs = self._generator.glyphs
        done = finish(
            *(self._plan, self._folder, glyphs, parts, versions),
            joined=self._joined,
            first=self._make_first(data_dir),
        )
        totals = done.n_samples, done.n_files, done.size_bytes
        self._report(Finished(*totals))
        card = check_card(self._folder.path, done.card)
        return Summary(folder, *totals, card)

    def _make_first(self, data_dir: Path | None) -> Block:
        """Make the first samples, for the card."""
        plan, generator = self._plan, self._generator
        first = plan.splits[0]
        if plan.weights:
            width_px = generator.width_px
            generators = open_splits(plan.recipe, plan.splits, data_dir, width_px)
            generator = generators[first.name]
        return generator.block(first.start, min(first.start + N_SHOWN, first.stop))

    def _read_others(self) -> bool:
        """Read the records of the parts of other shares; whether they are all there."""
        names = self._folder.list_names(PARTS)
        if any(f"{part.name}.json" not in names for part in self._plan.parts()):
            return False
        for part in self._plan.parts():
            if part.name not in self._done:
                found = read_part(self._folder.path, part)
                if not found.record or not found.summary or found.problems:
                    return False
                self._done[part.name] = found.summary
                self._versions[part.name] = found.record.versions
        return True

    def stop(self) -> None:
        """Remove what is half made, and report how far it is."""
        self._folder.sweep()
        if self._started:
            self._report(Stopped(self._n_samples_done, len(self._done)))
        else:
            self._folder.abandon()

    def pass_on(self, event: TaskProgress | Retried) -> None:
        """Report what workers say."""
        if isinstance(event, TaskProgress):
            self._making[event.task] = event.n_done
        else:
            self._report(PartRetried(event.task.name, event.attempt, event.exit_code))
        self._report_progress()

    def _commit(self, made: Made) -> None:
        part, summary = made.part, made.summary
        if not self._folder.is_written_by_workers:
            self._folder.commit(made.staging, part.name)
        self._note(part, summary, made.versions)
        self._making.pop(part, None)
        self._n_made += len(part)
        self._size_bytes += summary.size_bytes
        self._report(PartFinished(part.name, len(part), summary.n_files, summary.size_bytes))
        self._report_progress()

    def _note(self, part: Part, summary: PartSummary, versions: dict[str, str]) -> None:
        self._done[part.name] = summary
        self._versions[part.name] = versions
        self._n_samples_done += len(part)

    def _report_progress(self) -> None:
        n_samples = self._n_made + sum(self._making.values())
        self._report(Progressed(n_samples, self._size_bytes))
