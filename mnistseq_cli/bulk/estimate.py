"""What a run would take: files, space and time, from a measured handful of samples."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mnistseq_cli.bulk.manifest import PARTS
from mnistseq_cli.bulk.parts import PartMaker, Staging
from mnistseq_cli.bulk.plan import Part, Plan
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import is_store, spell_size
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.base import Fragments

_HANDFUL = 256
_HANDFUL_PIXELS = 1 << 25
_WARM = 16  # samples before the clock runs; glyphs are read then
_BLOCK_BYTES = 4096  # of a disk


@dataclass(frozen=True)
class Estimate:
    """What a run would take."""

    n_files: int  # of the whole dataset, as `verify` counts them
    size_bytes: int  # what is in them
    disk_bytes: int  # that the samples left take at the most, fragments included
    seconds: float  # that they take in one process
    free_bytes: int | None  # None of a store, which has no end

    def check_space(self, folder: Path) -> None:
        """Raise OutputError if there is less space than is needed."""
        if self.free_bytes is not None and self.disk_bytes > self.free_bytes:
            raise OutputError(
                f"{folder} would take about {spell_size(self.disk_bytes)}; "
                f"{spell_size(self.free_bytes)} are free",
                "Free some space, ask for fewer images, or add --force.",
            )


def count_left(plan: Plan) -> int:
    """Return how many samples of a plan no earlier run has finished, by the names of records."""
    names = {path.stem for path in (plan.output.folder / PARTS).glob("*.json")}
    return sum(len(part) for part in plan.parts() if part.name not in names)


def estimate(
    plan: Plan,
    generator: SequenceGenerator | None = None,
    n_left: int | None = None,
    data_dir: Path | None = None,
) -> Estimate:
    """Estimate a run that has `n_left` samples to make, by default all, from a handful."""
    generator = generator or SequenceGenerator(plan.recipe, data_dir=data_dir)
    n_left = plan.recipe.count if n_left is None else n_left
    split = max(plan.splits, key=lambda split: split.stop - split.start)
    pixels = generator.largest_px[0] * generator.largest_px[1]
    n = max(1, min(_HANDFUL, _HANDFUL_PIXELS // pixels, split.stop - split.start))
    with TemporaryDirectory(prefix="mnistseq-") as name:
        scratch = Path(name)
        make = PartMaker(plan, data_dir, generator.glyphs, scratch, generator.width_px)
        make(Part(0, split.start, split.start + min(n, _WARM), split.name), lambda _: None)
        start_s = time.perf_counter()
        made = make(Part(0, split.start, split.start + n, split.name), lambda _: None)
        seconds = time.perf_counter() - start_s
        disk_bytes = sum(-(-size // _BLOCK_BYTES) for size in _list_sizes(made.staging))
        disk_bytes *= _BLOCK_BYTES
        disk_bytes += sum(_list_sizes(made.staging / "kept"))  # once more when they are joined
        # The files that span parts, as if each split had this part only.
        joined = Staging(scratch / "joined")
        folders = [f"{split.name}/" if split.name else "" for split in plan.splits]
        fragments = [Fragments(folder, made.staging, ["kept"], n) for folder in folders]
        open_format(plan.output).join(fragments, joined)
        joined_bytes = _list_sizes(joined.files)
        own_bytes = _list_sizes(plan.recipe.save(joined.kept).parent)
    of_sample, of_part = divmod(made.summary.n_files, n)
    of_all = len(joined_bytes) + len(own_bytes) + 1  # croissant.json, a few kB
    sample_bytes = (made.summary.size_bytes + sum(joined_bytes) / len(plan.splits)) / n
    free_bytes = None
    if not is_store(plan.output.folder):
        folder = plan.output.folder.absolute()
        free_bytes = shutil.disk_usage(next(filter(Path.is_dir, (folder, *folder.parents)))).free
    return Estimate(
        n_files=of_part * plan.n_parts + of_sample * plan.recipe.count + of_all,
        size_bytes=int(sample_bytes * plan.recipe.count) + sum(own_bytes),
        disk_bytes=int(disk_bytes * n_left / n),
        seconds=seconds * n_left / n,
        free_bytes=free_bytes,
    )


def _list_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
