"""Make a dataset: the parts that are missing are made, get their final names, and are joined."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import BinaryIO

from mnistseq_cli.bulk import events
from mnistseq_cli.bulk.dask import make_on_cluster, open_cluster
from mnistseq_cli.bulk.estimate import estimate
from mnistseq_cli.bulk.joiner import Joiner
from mnistseq_cli.bulk.manifest import (
    DATASET_FILE,
    KEPT,
    PARTS,
    PLAN_FILE,
    PREVIEW_FILE,
    RECORD,
    STAGING,
    FileEntry,
    Manifest,
    PartRecord,
    check_card,
    dump_record,
    list_recorded,
    load_manifest,
    record_name,
)
from mnistseq_cli.bulk.output_folder import JOINED, OutputFolder, open_output_folder
from mnistseq_cli.bulk.parts import (
    PartMaker,
    Staging,
    WrittenPart,
    check_files,
    find_versions,
    read_part,
)
from mnistseq_cli.bulk.plan import Part, Plan
from mnistseq_cli.bulk.storage import Store, is_shared
from mnistseq_cli.bulk.workers import (
    WORKERS_LIMIT,
    count_cores,
    ensure_helpers,
    exit_on_signals,
    map_unordered,
)
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.files import naming_disk_errors, write_new
from mnistseq_cli.formats import Output, open_format
from mnistseq_cli.formats.card import CARD_FILE, CROISSANT_FILE, Facts, write_card, write_croissant
from mnistseq_cli.formats.fields import find_known
from mnistseq_cli.formats.webdataset import end_tar, trim_tar
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE
from mnistseq_cli.sheet import make_sheet

Driver = Callable[[Iterator[Part]], Generator[WrittenPart]]  # makes parts, in any order

_N_SHOWN, _SHOWN_PX = 24, 480  # images on the picture of a card, and the width of their left part
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
    workers: int | None = None,  # 0: this process; else as many as usable cores, if there is much
    resume: bool = False,  # keep what a run of this plan, or of fewer samples, has finished
    overwrite: bool = False,  # remove what a run wrote; files that mnistseq did not make stay
    check_space: bool = False,  # measure a few samples, and refuse what does not fit on the disk
    data_dir: Path | None = None,  # where glyphs are cached
    glyphs: GlyphSet | None = None,  # if they are at hand; workers still load their own
    dask: str | None = None,  # a scheduler whose workers make the parts; see `open_cluster`
    share: tuple[int, int] | None = None,  # K and N: make the K-th of N shares of the parts
    report: events.Report = lambda _: None,
) -> Summary:
    """Make a dataset: the parts that are wanted and not there, then what spans parts.

    The bytes of its files depend on the plan alone, not on workers, interruptions or the clock.
    Of shares, the one that finds all parts finished writes what spans them.
    """
    if workers is not None and not 0 <= workers <= WORKERS_LIMIT:
        raise UsageError(f"workers is {workers}; expected 0 to {WORKERS_LIMIT}")
    if dask is None and choose_workers(plan, plan.recipe.count, workers):
        ensure_helpers()  # they get ready meanwhile
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
        job = _Job(plan, folder, generator, data_dir, report, share)
        try:
            job.keep_finished(workers)
            part_s = job.check_space() if check_space else 0.0
            if cluster:
                make: Driver = partial(make_on_cluster, cluster, plan, folder, data_dir)
                n_workers = sum(cluster.nthreads().values())
            else:
                n_workers = choose_workers(plan, job.n_left, workers)
                make = partial(job.make_here, n_workers)
            job.make(make, n_workers, part_s)
            with folder.finishing():
                return job.finish()
        except BaseException:
            job.stop()
            raise


def choose_workers(plan: Plan, n_left: int, workers: int | None) -> int:
    """Return how many workers to use: those given, or as the work is."""
    if workers is not None:
        return workers
    n_parts = -(-n_left // plan.part_size)
    return 0 if n_left <= max(_FEW_SAMPLES, plan.part_size) else min(count_cores(), n_parts)


@dataclass
class _Job:
    """How far a run is."""

    plan: Plan
    folder: OutputFolder | Store
    generator: SequenceGenerator
    data_dir: Path | None
    report: events.Report
    share: tuple[int, int] | None

    def __post_init__(self) -> None:
        self._wanted = partial(self.plan.parts, self.share or (1, 1))  # too many to list, maybe
        self._done: dict[str, WrittenPart] = {}
        self._making: dict[Part, int] = {}
        self._n_made = self._size_bytes = 0  # by this run
        self._started = False
        self._joined = _find_joined(self.folder.path)
        self._joiner: Joiner | None = None
        self._n_samples = sum(map(len, self._wanted())) if self.share else self.plan.recipe.count

    @property
    def n_left(self) -> int:
        """How many samples are still to be made."""
        return self._n_samples - sum(len(done.part) for done in self._done.values())

    def keep_finished(self, workers: int | None) -> None:
        """Find the parts that an earlier run finished."""
        names = self.folder.list_names(PARTS)
        parts = [it for it in self._wanted() if f"{it.name}.json" in names] if names else []
        if not parts:
            return
        self.report(events.Checking(len(parts)))
        n_workers = choose_workers(self.plan, sum(map(len, parts)), workers)
        # Fragments count where they are still to be joined.
        check = self.folder.check_parts(parts, n_workers, with_fragments=self._joined is None)
        with closing(check) as found:
            for written in found:
                name = written.part.name
                if written.problems:
                    record = self.folder.path / record_name(name)
                    self.folder.list_replaceable(list_recorded(record))
                else:
                    self._done[name] = written

    def check_space(self) -> float:
        """Raise OutputError if what is left does not fit on the disk; return seconds a part."""
        found = estimate(self.plan, self.generator, self.n_left)
        found.check_space(self.plan.output.folder)
        return found.seconds / max(1, self.n_left) * self.plan.part_size

    def make(self, make: Driver, n_workers: int, part_s: float) -> None:
        """Make the parts that are not there yet."""
        self._started = True
        self.report(
            events.Started(
                n_samples=self._n_samples,
                n_parts=sum(1 for _ in self._wanted()) if self.share else self.plan.n_parts,
                n_samples_done=self._n_samples - self.n_left,
                n_parts_done=len(self._done),
                n_workers=n_workers,
                n_samples_at_risk=max(1, n_workers) * self.plan.part_size * (part_s > _LONG_S),
            )
        )
        # A share cannot know whether it is the last one; of a store all is listed at the end.
        if not self.share and not self.folder.is_written_by_workers:
            self._begin_joining()
        left = (part for part in self._wanted() if part.name not in self._done)
        with closing(make(left)) as all_made:
            for made in all_made:
                self._keep(made)

    def make_here(self, n_workers: int, parts: Iterator[Part]) -> Generator[WrittenPart]:
        """Make parts in this process, or in others on this machine."""
        folder, generator = self.folder, self.generator
        glyphs = generator.glyphs if n_workers == 0 else None
        own = (self.data_dir, glyphs, folder.staging, generator.width_px)
        commit = folder.commit if folder.is_written_by_workers else None
        return map_unordered(
            partial(PartMaker, self.plan, *own, commit=commit),
            parts,
            n_workers,
            report=self._advance,
            report_retry=self._retry,
        )

    def finish(self) -> Summary:
        """Write what spans parts, and the manifest, when no part is missing any more."""
        if self.share:
            if (self.folder.path / DATASET_FILE).exists():  # another share was quicker
                return self._sum_up(load_manifest(self.folder.path))
            if not self._read_others():
                own = [self._done[part.name].summary for part in self._wanted()]
                files = sum(part.n_files for part in own), sum(part.size_bytes for part in own)
                return Summary(self.plan.output.folder, self._n_samples, *files, is_whole=False)
        if self._joined is None:
            self.report(events.Joining())
        done = self._join()
        self.report(events.Finished(done.n_samples, done.n_files, done.size_bytes))
        return self._sum_up(done)

    def _join(self) -> Manifest:
        """Write what spans parts, unless it is there, and ``dataset.json``; may be done twice."""
        plan, folder = self.plan, self.folder
        self._begin_joining()
        first = self._make_first()
        preview = _draw_preview(first)  # while the last parts are joined
        if self._joiner:
            self._joiner.finish()
        staging = self._joiner.staging if self._joiner else self._stage()
        options = shlex.join(_list_options(plan))
        names = [RECIPE_FILE] if plan.recipe.texts is None else [RECIPE_FILE, TEXTS_FILE]
        for name in names:
            staging.path(name)
        plan.recipe.save(staging.files, options)
        written = {entry.name: entry for entry in staging.entries()}
        files = [written.pop(name) for name in names]
        files += written.values() if self._joined is None else self._joined
        parts = [self._done[part.name] for part in plan.parts()]
        versions = [*{repr(part.versions): part.versions for part in parts}.values()]
        summaries = [part.summary for part in parts]
        manifest = Manifest.of(plan, self.generator.glyphs, versions, files, summaries)
        facts = Facts(
            recipe=manifest.plan["recipe"],
            output=manifest.plan["output"],
            splits={split.name: split.stop - split.start for split in plan.splits},
            fields=tuple(find_known(first)),
            n_glyphs=manifest.glyphs["n_glyphs"],
            size_bytes=manifest.size_bytes,
            files=tuple(files),
            command=f"mnistseq batch --recipe {RECIPE_FILE} {options}",
        )
        croissant = write_croissant(facts).encode()
        staging.write([CROISSANT_FILE], [croissant])
        own = FileEntry(CROISSANT_FILE, len(croissant), hashlib.sha256(croissant).hexdigest())
        files = [*files, own]
        record = PartRecord(
            JOINED, 0, plan.recipe.count, find_versions(open_format(plan.output)), [], files
        )
        write_new(staging.folder, [RECORD], [dump_record(record)])
        folder.commit(staging.folder, JOINED)
        card, pages = _make_card(folder, facts, preview)
        manifest = replace(manifest, files=files, card=card)
        folder.write(DATASET_FILE, manifest.to_json())
        for name, data in pages.items():  # last: by its hash there the card is known as ours
            folder.write(name, data)
        folder.remove_own(KEPT, STAGING, record_name(JOINED), PLAN_FILE)
        return manifest

    def _begin_joining(self) -> None:
        """Begin to write what spans parts, unless it is there or that has begun."""
        if self._joined is None and self._joiner is None:
            self._joiner = Joiner(self.plan, self.folder.path / KEPT, self._done, self._stage())

    def _stage(self) -> Staging:
        """Open a folder of its own for what spans parts."""
        return Staging(self.folder.staging / f"{JOINED}.{token_hex(4)}")

    def _make_first(self) -> Block:
        """Make the first samples, for the card."""
        plan, generator = self.plan, self.generator
        first = plan.splits[0]
        if plan.weights:
            splits = open_splits(plan.recipe, plan.splits, self.data_dir, generator.width_px)
            generator = splits[first.name]
        return generator.block(first.start, min(first.start + _N_SHOWN, first.stop))

    def _sum_up(self, done: Manifest) -> Summary:
        card = check_card(self.folder.path, done.card)
        totals = (done.n_samples, done.n_files, done.size_bytes)
        return Summary(self.plan.output.folder, *totals, card)

    def _read_others(self) -> bool:
        """Read the records of the parts of other shares; whether they are all there."""
        names = self.folder.list_names(PARTS)
        if any(f"{part.name}.json" not in names for part in self.plan.parts()):
            return False
        for part in self.plan.parts():
            if part.name not in self._done:
                found, _ = read_part(self.folder.path, part)
                if found.problems:
                    return False
                self._done[part.name] = found
        return True

    def stop(self) -> None:
        """Remove what is half made, and report how far it is."""
        if self._joiner:
            self._joiner.stop()
        self.folder.sweep()
        if self._started:
            self.report(events.Stopped(self._n_samples - self.n_left, len(self._done)))
        else:
            self.folder.abandon()

    def _keep(self, made: WrittenPart) -> None:
        part, summary = made.part, made.summary
        if not self.folder.is_written_by_workers:
            self.folder.commit(made.staging, part.name)
        self._done[part.name] = made
        if self._joiner:
            self._joiner.go_on()
        self._making.pop(part, None)
        self._n_made += len(part)
        self._size_bytes += summary.size_bytes
        self.report(events.PartFinished(part.name, len(part), summary.n_files, summary.size_bytes))
        self._report_progress()

    def _retry(self, part: Part, attempt: int, exit_code: int | None) -> None:
        self.report(events.PartRetried(part.name, attempt, exit_code))
        self._advance(part, 0)

    def _advance(self, part: Part, n_made: int) -> None:
        self._making[part] = n_made
        self._report_progress()

    def _report_progress(self) -> None:
        n_samples = self._n_made + sum(self._making.values())
        self.report(events.Progressed(n_samples, self._size_bytes))


def _find_joined(path: Path) -> list[FileEntry] | None:
    """Return the files that span parts of a finished dataset, if they are as they should be."""
    if not (path / DATASET_FILE).exists():
        return None
    own = {RECIPE_FILE, TEXTS_FILE, CROISSANT_FILE}
    entries = [entry for entry in load_manifest(path).files if entry.name not in own]
    return None if check_files(path, entries) else entries


def _make_card(
    folder: OutputFolder | Store, facts: Facts, preview: bytes
) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the hash of our card, edited or not, or {} for another's; and what to write."""
    data = write_card(facts, PREVIEW_FILE).encode()
    card = {"sha256": hashlib.sha256(data).hexdigest()}
    is_new = check_card(folder.path, card) != "own"
    if is_new and check_card(folder.path, folder.card) not in {"missing", "own"}:
        return folder.card, {}
    pages = {}
    if is_new or not (folder.path / PREVIEW_FILE).exists():
        pages[PREVIEW_FILE] = preview
    if is_new:
        pages[CARD_FILE] = data
    return card, pages


def _draw_preview(first: Block) -> bytes:
    """Return the picture of a card, as JPEG."""
    from PIL import Image  # noqa: PLC0415 - imageio takes three times as long to import

    stream = BytesIO()
    sheet = make_sheet([sample.image[:, :_SHOWN_PX] for sample in first])
    Image.fromarray(sheet).save(stream, "jpeg", quality=90)
    return stream.getvalue()


def _list_options(plan: Plan) -> list[str]:
    """Return the options of a command that writes in the same form, into a folder beside this."""
    options = ["--start", str(plan.start)] if plan.start else []
    default = Output(folder=plan.output.folder)
    for name in ("to", "labels", "image_format", "name"):
        value = getattr(plan.output, name)
        if value != getattr(default, name):
            for one in value if isinstance(value, tuple) else (value,):
                options += [f"--{name.replace('_', '-')}", one]
    return [*options, "-o", "../again"]


def stream(
    plan: Plan,
    file: BinaryIO,
    *,
    workers: int | None = None,
    data_dir: Path | None = None,
    glyphs: GlyphSet | None = None,
    report: events.Report = lambda _: None,
) -> None:
    """Write the samples of a plan in their order as one tar, such as to a pipe.

    The plan is of the format webdataset, without splits; the other parameters are those of `run`.
    Parts are made as for a folder, in the folder of temporary files; each is there until those
    before it are written.
    """
    generator = SequenceGenerator(plan.recipe, glyphs, data_dir)
    n_workers = choose_workers(plan, plan.recipe.count, workers)
    here = generator.glyphs if n_workers == 0 else None
    report(events.Started(plan.recipe.count, plan.n_parts, 0, 0, n_workers))
    ready: dict[int, Path] = {}
    n_written = n_samples = size_bytes = 0
    with exit_on_signals(), TemporaryDirectory(prefix="mnistseq-") as scratch:
        make = partial(PartMaker, plan, data_dir, here, Path(scratch), generator.width_px)
        with closing(map_unordered(make, plan.parts(), n_workers)) as parts:
            for made in parts:
                part, summary = made.part, made.summary
                ready[part.number] = made.staging
                n_samples += len(part)
                report(events.PartFinished(part.name, len(part), 1, summary.size_bytes))
                while staging := ready.pop(n_written, None):
                    n_written += 1
                    (shard,) = (staging / "files").iterdir()
                    size_bytes += _write(file, trim_tar(shard.read_bytes()))
                    shutil.rmtree(staging)
                report(events.Progressed(n_samples, size_bytes))
        _write(file, end_tar(size_bytes))


def _write(file: BinaryIO, data: bytes) -> int:
    try:
        file.write(data)
        file.flush()
    except BrokenPipeError as error:
        raise OutputError("what reads the tar has ended before its last sample") from error
    return len(data)
