"""What a run would take: files, space and time, from a measured handful of samples."""

from __future__ import annotations

import errno
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.parts import PARTS, PartMaker, Staging
from mnistseq_cli.bulk.plan import Part
from mnistseq_cli.bulk.workers import count_cores
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import spell_size
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.base import Fragments

if TYPE_CHECKING:
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

_HANDFUL = 256
_WARM = 16  # samples before the clock runs; glyphs are read then
_DISK_BLOCK_BYTES = 4096
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, None}  # None is what NumPy says of a full disk


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Parameters
    ----------
    n_samples, n_parts : int
        Of the whole plan.
    n_samples_left : int
        What an earlier run has not made.
    n_files : int
        Files of the whole dataset, without the manifest and its records: those that `verify`
        counts.
    size_bytes : int
        What is in them.
    disk_bytes : int
        Space that the samples left take at the most, in whole blocks of the disk, fragments
        included.
    seconds : float
        Time that they take in one process.
    free_bytes : int
    """

    n_samples: int
    n_parts: int
    n_samples_left: int
    n_files: int
    size_bytes: int
    disk_bytes: int
    seconds: float
    free_bytes: int

    def check_space(self, folder: Path) -> None:
        """Raise OutputError if there is less space than is needed."""
        if self.disk_bytes > self.free_bytes:
            raise OutputError(
                f"{folder} would take about {spell_size(self.disk_bytes)}; "
                f"{spell_size(self.free_bytes)} are free",
                "Free some space, ask for fewer images, or add --force.",
            )


def estimate(
    plan: Plan,
    *,
    workers: int | None = None,
    data_dir: Path | None = None,
    glyphs: GlyphSet | None = None,
    resume: bool = False,
) -> Estimate:
    """Estimate what a run would take, and leave nothing behind.

    Parameters
    ----------
    plan : Plan
    workers, data_dir, glyphs
        As for `run`.
    resume : bool
        Leave out the parts that an earlier run finished.
    """
    generator = SequenceGenerator(plan.recipe, None if plan.weights else glyphs, data_dir)
    n_left = plan.recipe.count - (_count_done(plan) if resume else 0)
    with TemporaryDirectory(prefix="mnistseq-") as name:
        found = measure(plan, Path(name) / "measured", n_left, generator, data_dir)
    return replace(found, seconds=found.seconds / max(1, workers or count_cores()))


def measure(
    plan: Plan,
    scratch: Path,
    n_left: int,
    generator: SequenceGenerator,
    data_dir: Path | None = None,
) -> Estimate:
    """Make a handful of samples in a folder, which is made and removed, and take the time.

    Where that disk has no room for them, they are made where temporary files are.
    """
    free_bytes = shutil.disk_usage(_find_existing(plan.output.folder)).free
    try:
        scratch.mkdir()
        try:
            found = _measure_handful(plan, scratch, n_left, generator, data_dir)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        with TemporaryDirectory(prefix="mnistseq-") as name:
            found = _measure_handful(plan, Path(name), n_left, generator, data_dir)
    return replace(found, free_bytes=free_bytes)


def _measure_handful(
    plan: Plan, scratch: Path, n_left: int, generator: SequenceGenerator, data_dir: Path | None
) -> Estimate:
    """Make a handful of samples in a folder; the space that is free is not looked for."""
    split = max(plan.splits, key=lambda split: split.stop - split.start)
    n_handful = min(_HANDFUL, split.stop - split.start)
    n_warm = max(1, min(_WARM, n_handful - 1))
    make = PartMaker(plan, data_dir, generator.glyphs, scratch, generator.width_px)
    warm = make(Part(0, split.start, split.start + n_warm, split.name), lambda _: None)
    start_s = time.perf_counter()
    made = make(Part(0, split.start, split.start + n_handful, split.name), lambda _: None)
    seconds = time.perf_counter() - start_s
    folder = _find_existing(plan.output.folder)
    kept_bytes = sum(_list_sizes(made.staging / "kept"))  # once more when they are joined
    disk_bytes = kept_bytes + sum(_round_up(_list_sizes(made.staging), folder))
    joined = _join_handful(plan, made.staging, scratch / "joined")
    plan.recipe.save(scratch)
    own = [path.stat().st_size for path in scratch.iterdir() if path.is_file()]
    of_sample = (made.summary.n_files - warm.summary.n_files) // max(1, n_handful - n_warm)
    of_part = warm.summary.n_files - of_sample * n_warm
    sample_bytes = (made.summary.size_bytes + sum(joined) / len(plan.splits)) / n_handful
    return Estimate(
        n_samples=plan.recipe.count,
        n_parts=plan.n_parts,
        n_samples_left=n_left,
        n_files=of_part * plan.n_parts + of_sample * plan.recipe.count + len(joined) + len(own),
        size_bytes=int(sample_bytes * plan.recipe.count) + sum(own),
        disk_bytes=int(disk_bytes * n_left / n_handful),
        seconds=seconds * n_left / n_handful,
        free_bytes=0,
    )


def _join_handful(plan: Plan, staging: Path, folder: Path) -> list[int]:
    """Write the files that span parts, as if each split had this part only; return their sizes."""
    writer = Staging(folder)
    folders = [f"{split.name}/" if split.name else "" for split in plan.splits]
    fragments = [Fragments(folder, staging, ["kept"]) for folder in folders]
    open_format(plan.output).join(fragments, writer)
    return _list_sizes(writer.files)


def _find_existing(path: Path) -> Path:
    """Return the nearest folder, upwards, that there is."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _count_done(plan: Plan) -> int:
    names = (path.stem for path in (plan.output.folder / PARTS).glob("*.json"))
    return sum(len(part) for name in names if (part := plan.find_part(name)))


def _round_up(sizes_bytes: list[int], folder: Path) -> list[int]:
    """Return the space that files take on a disk."""
    block_bytes = _DISK_BLOCK_BYTES
    if hasattr(os, "statvfs"):
        block_bytes = os.statvfs(folder).f_frsize or _DISK_BLOCK_BYTES
    return [-(-size // block_bytes) * block_bytes for size in sizes_bytes]


def _list_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
