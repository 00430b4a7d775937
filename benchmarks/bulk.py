"""Time of a bulk run, side by side with the least that must be done.

Run ``python benchmarks/bulk.py [SAMPLES] [DATASET]`` with the project installed, and isal, whose
deflate is what images are measured against (``pip install --group benchmarks``). Everything is
written to a file system in memory (/dev/shm), so that no disk's noise is in the figures. What is
compared takes turns, and the table gives medians; each figure is printed as a ratio to its floor.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import statistics
import sys
import time
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from isal import isal_zlib

from mnistseq_cli.bulk.events import Event, PartFinished
from mnistseq_cli.bulk.plan import make_plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.labels import CSV, JSON_LINES
from mnistseq_cli.formats.names import NameTemplate
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Buffer

PLACE = Path("/dev/shm/mnistseq-benchmark")  # noqa: S108 - memory is the point
ROUNDS = 3
DEFAULTS = ["100000", "mnist"]
PEAK = "VmHWM:"


class Lines:
    """Takes label lines; a `PartWriter` for styles that only keep."""

    def __init__(self) -> None:
        self.kept: dict[str, list[bytes]] = {}

    def write(self, name: str, data: bytes) -> None:
        """Refuse: no such style is measured."""
        raise NotImplementedError

    def path(self, name: str) -> Path:
        """Refuse, as `write`."""
        raise NotImplementedError

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to the lines of a file."""
        self.kept.setdefault(fragment, []).append(bytes(data))


def blocks(generator: SequenceGenerator) -> Iterator[Block]:
    """Make all samples, block by block."""
    yield from generator.blocks(0, len(generator))


def empty(name: str) -> Path:
    """Give an empty folder."""
    rmtree(PLACE / name, ignore_errors=True)
    (PLACE / name).mkdir(parents=True)
    return PLACE / name


def deflate_and_write(generator: SequenceGenerator) -> float:
    """Deflate the rows of the same images and write the same number of files."""
    folder, template, seconds = empty("floor"), NameTemplate("{shard}/{index:08d}", "png"), 0.0
    for shard in range(-(-len(generator) // 1000)):
        (folder / str(shard)).mkdir()
    for block in blocks(generator):
        names = template.fill(block)
        rows = np.zeros((len(block), 28, block.images.shape[2] + 1), np.uint8)
        rows[:, :, 1:] = block.images
        start_s = time.perf_counter()
        for name, image in zip(names, rows, strict=True):
            with open(f"{folder}/{name}", "wb") as file:  # noqa: PTH123 - the fastest there is
                file.write(isal_zlib.compress(image, 1))
        seconds += time.perf_counter() - start_s
    return seconds


def write_plainly(generator: SequenceGenerator) -> float:
    """Write the same files and labels, but no parts, hashes and records."""
    folder, template, lines = empty("plain"), NameTemplate("{shard}/{index:08d}", "png"), Lines()
    start_s = time.perf_counter()
    for shard in range(-(-len(generator) // 1000)):
        (folder / str(shard)).mkdir()
    for block in blocks(generator):
        names = template.fill(block)
        for name, data in zip(names, encode_pngs(block.images, block.widths_px), strict=True):
            with open(f"{folder}/{name}", "wb") as file:  # noqa: PTH123 - as above
                file.write(data)
        for style in (CSV, JSON_LINES):
            style.write(names, block, lines)
    for name, kept in lines.kept.items():
        with (folder / name).open("wb") as file:
            file.writelines(kept)
    return time.perf_counter() - start_s


def make(generator: SequenceGenerator, workers: int) -> float:
    """Make the dataset as the program does."""
    plan = make_plan(generator.recipe, Output(folder=empty("made")))
    start_s = time.perf_counter()
    run(plan, workers=workers, glyphs=generator.glyphs)
    return time.perf_counter() - start_s


def read_all(folder: Path) -> float:
    """Read every file of a dataset once."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    start_s = time.perf_counter()
    for path in paths:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            file.read()
    return time.perf_counter() - start_s


def verify_all(folder: Path) -> float:
    """Verify a dataset in one process."""
    start_s = time.perf_counter()
    problems = verify(folder, workers=0).problems
    seconds = time.perf_counter() - start_s
    if problems:
        raise SystemExit(f"damaged: {problems[:3]}")
    return seconds


def measure_memory(recipe: Recipe) -> None:
    """Print the peak memory of a parent and of its largest worker."""
    peaks = {"parent": 0.0, "worker": 0.0}

    def look(event: Event) -> None:
        if isinstance(event, PartFinished):
            for child in mp.active_children():
                peaks["worker"] = max(peaks["worker"], read_peak(child.pid or 0))

    run(make_plan(recipe, Output(folder=empty("made"))), workers=2, report=look)
    peaks["parent"] = read_peak(os.getpid())
    for name, peak_mb in peaks.items():
        print(f"peak memory of the {name:14} {peak_mb:.0f} MB")


def read_peak(process: int) -> float:
    """Give the most memory a process has had, in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(PEAK))


def main() -> None:
    """Measure, and print."""
    words = [*sys.argv[1:], *DEFAULTS[len(sys.argv) - 1 :]]
    count, dataset = int(words[0]), words[1]
    recipe = Recipe(length=(11, 11), count=count, seed=1, dataset=dataset)
    generator = SequenceGenerator(recipe)
    generator.glyphs.measure(generator.glyphs.ids)  # a long run reads each glyph once
    works: dict[str, Callable[[], float]] = {
        "deflate and write": lambda: deflate_and_write(generator),
        "plain": lambda: write_plainly(generator),
        "in this process": lambda: make(generator, 0),
        "1 worker": lambda: make(generator, 1),
        "2 workers": lambda: make(generator, 2),
        "read": lambda: read_all(PLACE / "made"),
        "verify": lambda: verify_all(PLACE / "made"),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            times[name].append(work())
    best = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in best.items():
        print(f"{name:20} {seconds / count * 1e6:8.1f} µs an image")
    print(f"one worker / (deflate and write)  {best['1 worker'] / best['deflate and write']:.2f}")
    print(f"one worker / two workers          {best['1 worker'] / best['2 workers']:.2f}")
    print(f"parts, hashes and records         {best['in this process'] / best['plain'] - 1:+.1%}")
    print(f"verify / read                     {best['verify'] / best['read']:.2f}")
    fresh = mp.get_context("spawn").Process(target=measure_memory, args=(recipe,))
    fresh.start()
    fresh.join()
    rmtree(PLACE)


if __name__ == "__main__":
    main()
