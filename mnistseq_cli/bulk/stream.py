"""A dataset as one tar, written to a pipe: the shards of WebDataset, one after the other."""

from __future__ import annotations

import shutil
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from mnistseq_cli.bulk.events import PartFinished, Progressed, Report, Started, ignore
from mnistseq_cli.bulk.parts import PartMaker
from mnistseq_cli.bulk.run import choose_workers
from mnistseq_cli.bulk.workers import exit_on_signals, map_unordered
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats.webdataset import end_tar, trim_tar

if TYPE_CHECKING:
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyph_set import GlyphSet


def stream(
    plan: Plan,
    file: BinaryIO,
    *,
    workers: int | None = None,
    data_dir: Path | None = None,
    glyphs: GlyphSet | None = None,
    report: Report = ignore,
) -> None:
    """Write the samples of a plan in their order, as one tar.

    Parts are made as for a folder, in the folder of temporary files; each is there until those
    before it are written.

    Parameters
    ----------
    plan : Plan
        Of the format webdataset, without splits.
    file : binary file
    workers, data_dir, glyphs, report
        As for `run`.
    """
    generator = SequenceGenerator(plan.recipe, glyphs, data_dir)
    n_workers = choose_workers(plan, plan.recipe.count, workers)
    here = generator.glyphs if n_workers == 0 else None
    report(Started(plan.recipe.count, plan.n_parts, 0, 0, n_workers))
    ready: dict[int, Path] = {}
    n_written = n_samples = size_bytes = 0
    with exit_on_signals(), TemporaryDirectory(prefix="mnistseq-") as scratch:
        make = partial(PartMaker, plan, data_dir, here, Path(scratch), generator.width_px)
        with closing(map_unordered(make, plan.parts(), n_workers)) as parts:
            for made in parts:
                ready[made.part.number] = made.staging
                n_samples += len(made.part)
                report(PartFinished(made.part.name, len(made.part), 1, made.summary.size_bytes))
                while staging := ready.pop(n_written, None):
                    n_written += 1
                    size_bytes += _copy(staging, file)
                    shutil.rmtree(staging)
                report(Progressed(n_samples, size_bytes))
        _write(file, end_tar(size_bytes))


def _copy(staging: Path, file: BinaryIO) -> int:
    """Write the members of a shard; return their size."""
    (shard,) = (staging / "files").iterdir()
    members = trim_tar(shard.read_bytes())
    _write(file, members)
    return len(members)


def _write(file: BinaryIO, data: bytes) -> None:
    try:
        file.write(data)
        file.flush()
    except BrokenPipeError as error:
        raise OutputError("what reads the tar has ended before its last sample") from error
