"""What a run would take: files, space and time, from a measured handful of samples."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.events import ignore
from mnistseq_cli.bulk.parts import BLOCK_SIZE, PARTS, PartMaker, Staging
from mnistseq_cli.bulk.plan import Part
from mnistseq_cli.bulk.workers import count_cores
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import explain, spell_size
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.base import Fragments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnistseq_cli.bulk.parts import Made
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.compose.splits import Split
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

HANDFUL = 3 * BLOCK_SIZE
_DISK_BLOCK_BYTES = 4096
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, None}  # None as in `explain`


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
        Time that they take.
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
    """Make a handful of samples on the same disk, take the time, and remove them again.

    Where that disk has no room for them, they are made where temporary files are.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        As for `run`.
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand.
    resume : bool
        Leave out the parts that an earlier run finished.

    Raises
    ------
    UsageError, GlyphError
        The recipe cannot be made.
    OutputError
        The folder cannot be written.
    """
    measure = partial(_measure_handful, plan, workers, data_dir, glyphs, resume=resume)
    try:
        folder = _find_existing(plan.output.folder)
        found = measure(folder)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise _explain(error, plan.output.folder) from error
        try:
            found = measure(Path(tempfile.gettempdir()))
        except OSError:
            raise _explain(error, plan.output.folder) from error
    return replace(found, free_bytes=shutil.disk_usage(folder).free)


def _explain(error: OSError, folder: Path) -> OutputError:
    """Name the folder of the user, not the temporary file in it."""
    if error.errno in _NO_ROOM:
        hint = "Free some space, or add --force."
        return OutputError(f"cannot write {folder}: the disk is full", hint)
    found = explain(OSError(error.errno, error.strerror), folder)
    return OutputError(found.message, found.hint or "Choose another --out.")


def _measure_handful(
    plan: Plan,
    workers: int | None,
    data_dir: Path | None,
    glyphs: GlyphSet | None,
    folder: Path,
    *,
    resume: bool,
) -> Estimate:
    """Make a handful of samples in a folder; the space that is free is not looked for."""
    split = max(plan.splits, key=lambda split: split.stop - split.start)
    n_handful = min(HANDFUL, split.stop - split.start)
    n_warm = max(1, min(BLOCK_SIZE, n_handful - 1))
    with tempfile.TemporaryDirectory(prefix=".mnistseq-", dir=folder) as name:
        maker = PartMaker(plan, data_dir, glyphs, staging=Path(name))
        warm = maker(Part(0, split.start, split.start + n_warm, split.name), ignore)
        start_s = time.perf_counter()
        made = maker(Part(0, split.start, split.start + n_handful, split.name), ignore)
        seconds = time.perf_counter() - start_s
        disk_bytes = _measure(made)
        own = _save_recipe(plan, Path(name) / "own")
        joined = _join(plan, made, [split], Path(name) / "one")
        n_joined = len(_join(plan, warm, plan.splits, Path(name) / "all"))
    n_left = plan.recipe.count - (_count_done(plan) if resume else 0)
    scale = n_left / n_handful
    of_samples_bytes = made.size_bytes + sum(joined)
    return Estimate(
        n_samples=plan.recipe.count,
        n_parts=plan.n_parts,
        n_samples_left=n_left,
        n_files=_count_files(plan, warm, made) + n_joined + len(own),
        size_bytes=int(of_samples_bytes * plan.recipe.count / n_handful) + sum(own),
        disk_bytes=int(disk_bytes * scale),
        seconds=seconds * scale / max(1, count_cores() if workers is None else workers),
        free_bytes=0,
    )


def _find_existing(path: Path) -> Path:
    """Give the nearest folder, upwards, that there is."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _count_done(plan: Plan) -> int:
    there = {path.stem for path in (plan.output.folder / PARTS).glob("*.json")}
    return sum(len(part) for part in plan.parts() if part.name in there) if there else 0


def _count_files(plan: Plan, warm: Made, made: Made) -> int:
    """Count the files of all parts: so many for each part, and so many for each sample."""
    n_more = len(made.part) - len(warm.part)
    of_sample = (made.n_files - warm.n_files) // n_more if n_more else 0
    of_part = warm.n_files - of_sample * len(warm.part)
    return of_part * plan.n_parts + of_sample * plan.recipe.count


def _measure(made: Made) -> int:
    """Give the space that the files of a part and its fragments take."""
    block_bytes = _DISK_BLOCK_BYTES
    if hasattr(os, "statvfs"):
        block_bytes = os.statvfs(made.staging).f_frsize or _DISK_BLOCK_BYTES
    kept = _sizes(made.staging / "kept")  # once more when they are joined
    disk_bytes = sum(-(-size // block_bytes) * block_bytes for size in _sizes(made.staging))
    return disk_bytes + sum(kept)


def _sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]


def _save_recipe(plan: Plan, folder: Path) -> list[int]:
    """Save the recipe; give the sizes of its files."""
    folder.mkdir()
    plan.recipe.save(folder)
    return _sizes(folder)


def _join(plan: Plan, made: Made, splits: Iterable[Split], folder: Path) -> list[int]:
    """Write the files that span parts, as if splits had this part only; give their sizes."""
    staging = Staging(folder)
    fragments = [
        Fragments(f"{split.name}/" if split.name else "", made.staging, ["kept"])
        for split in splits
    ]
    open_format(plan.output).join(fragments, staging)
    return _sizes(staging.files)
