"""What a run would take: files, space and time, from a measured handful of samples."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.cores import count_cores
from mnistseq_cli.bulk.disk import naming_disk_errors
from mnistseq_cli.bulk.events import ignore
from mnistseq_cli.bulk.make import BLOCK_SIZE, PartMaker
from mnistseq_cli.bulk.manifest import PARTS
from mnistseq_cli.bulk.plan import Part
from mnistseq_cli.errors import OutputError

if TYPE_CHECKING:
    from mnistseq_cli.bulk.make import Made
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyphset import GlyphSet

HANDFUL = 3 * BLOCK_SIZE
_DISK_BLOCK_BYTES = 4096


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
        Files that are to be written.
    size_bytes : int
        What is in them.
    disk_bytes : int
        Space that they take at the most, in whole blocks of the disk, fragments included.
    seconds : float
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
        """Refuse a run that will not fit.

        Raises
        ------
        OutputError
            There is less space than is needed.
        """
        if self.disk_bytes > self.free_bytes:
            raise OutputError(
                f"{folder} would take about {self.disk_bytes / 1e9:.1f} GB; "
                f"{self.free_bytes / 1e9:.1f} GB are free",
                "Free some space, ask for fewer images, or add --force.",
            )


def estimate(
    plan: Plan,
    *,
    workers: int | None = None,
    data_dir: Path | None = None,
    glyphs: GlyphSet | None = None,
) -> Estimate:
    """Make a handful of samples on the same disk, take the time, and remove them again.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        As for `run`.
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand.

    Raises
    ------
    UsageError, GlyphError
        The recipe cannot be made.
    OutputError
        The folder cannot be written.
    """
    folder = _find_existing(plan.output.folder)
    split = plan.splits[0]
    n_handful = min(HANDFUL, split.stop)
    with (
        naming_disk_errors(folder),
        tempfile.TemporaryDirectory(prefix=".mnistseq-", dir=folder) as name,
    ):
        maker = PartMaker(plan, data_dir, glyphs, staging=Path(name))
        maker(Part(0, 0, min(BLOCK_SIZE, n_handful), split.name), ignore)  # warms up
        start_s = time.perf_counter()
        made = maker(Part(1, 0, n_handful, split.name), ignore)
        seconds = time.perf_counter() - start_s
        size_bytes, disk_bytes = _measure(made)
    n_left = plan.recipe.count - _count_done(plan)
    scale = n_left / n_handful
    return Estimate(
        n_samples=plan.recipe.count,
        n_parts=plan.n_parts,
        n_samples_left=n_left,
        n_files=math.ceil(made.n_files * scale) + plan.n_parts,
        size_bytes=int(size_bytes * scale),
        disk_bytes=int(disk_bytes * scale),
        seconds=seconds * scale / max(1, count_cores() if workers is None else workers),
        free_bytes=shutil.disk_usage(folder).free,
    )


def _find_existing(path: Path) -> Path:
    """Give the nearest folder, upwards, that there is."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _count_done(plan: Plan) -> int:
    there = {path.stem for path in (plan.output.folder / PARTS).glob("*.json")}
    return sum(len(part) for part in plan.parts() if part.name in there) if there else 0


def _measure(made: Made) -> tuple[int, int]:
    """Give the size of the files of a part, and the space that they and its fragments take."""
    block_bytes = _DISK_BLOCK_BYTES
    if hasattr(os, "statvfs"):
        block_bytes = os.statvfs(made.staging).f_frsize or _DISK_BLOCK_BYTES
    files = [path.stat().st_size for path in made.staging.rglob("*") if path.is_file()]
    joined = (path for path in (made.staging / "kept").iterdir() if "@" not in path.name)
    kept = [path.stat().st_size for path in joined]  # once more when they are joined
    disk_bytes = sum(-(-size // block_bytes) * block_bytes for size in files)
    return sum(files), disk_bytes + sum(kept)
