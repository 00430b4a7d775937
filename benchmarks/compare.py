"""Compares two installed versions: ``python -m benchmarks.compare ENVIRONMENT ENVIRONMENT``.

Environments are folders of `venv`; the first is the older version. Both do the same work in turn,
several times, and the fastest run of each counts: what else the machine does only slows down.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

PICTURE = "mnistseq sequence 3 5 0 --width 100 --dataset strokes --seed 1 -o 350.png"
FOLDER = "mnistseq batch -n 20000 --length 5 5 --dataset strokes --seed 1 --workers 0 -o"
SAMPLES = """
from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
generator = SequenceGenerator(Recipe(dataset="strokes", count=100_000, {}), load_glyphs("strokes"))
step = 384 if hasattr(generator, "blocks") else 128  # the size of the first version's blocks
for start in range(0, {}, step):
    generator.block(start, start + step)
"""


def make(values: str, n_samples: int) -> list[str]:
    """Return the command that makes samples of a recipe in memory."""
    return ["python", "-c", SAMPLES.format(values, n_samples)]


WORK = {
    "--help": ["mnistseq", "--help"],
    "sequence 3 5 0 --width 100": PICTURE.split(),
    "100,000 samples of 11 digits in memory": make("length=(11, 11)", 100_000),
    "20,000 rows shrunk to 150 px": make("length=(11, 11), width_px=150, fit='shrink'", 20_000),
    "20,000 rows with preset light": make("length=(5, 5), augment=('light',)", 20_000),
    "10,000 rows with preset medium": make("length=(5, 5), augment=('medium',)", 10_000),
    "10,000 rows with preset heavy": make("length=(5, 5), augment=('heavy',)", 10_000),
    "20,000 images as a PNG folder": [*FOLDER.split(), "new", "--overwrite"],
    "inspect 20,000 images": ["mnistseq", "inspect", "kept", "--json"],
    "verify --deep all, 20,000 images": ["mnistseq", "verify", "kept", "--deep", "all"],
}


def run(environment: Path, words: list[str], home: Path) -> float:
    """Return the seconds that a program of an environment takes in a folder."""
    own = {"MNISTSEQ_DATA_DIR": str(home / "data"), "MNISTSEQ_OFFLINE": "1"}
    start = time.perf_counter()
    subprocess.run(
        [(environment / "bin" / words[0]).absolute(), *words[1:]],
        cwd=home,
        env=os.environ | own,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def main() -> None:
    """Print the fastest time of each environment, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("environments", nargs=2, type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 - only to leave the disk out
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        homes = {each: Path(name, str(place)) for place, each in enumerate(arguments.environments)}
        for environment, home in homes.items():
            home.mkdir()
            run(environment, [*FOLDER.split(), "kept"], home)
        print(f"{'':40} {'before':>9} {'after':>9} {'ratio':>6}")
        for what, words in WORK.items():
            turns = [
                [run(environment, words, home) for environment, home in homes.items()]
                for _ in range(arguments.runs)
            ]
            before, after = map(min, zip(*turns, strict=True))
            print(f"{what:40} {before:7.3f} s {after:7.3f} s {after / before:6.2f}", flush=True)


if __name__ == "__main__":
    main()
