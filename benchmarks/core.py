"""Time to make a sample in memory, and time to start.

Run ``python benchmarks/core.py`` with the project installed. Start-up is printed as a ratio
against importing the libraries alone, in turn in the same run.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs

BLOCK_SIZE = 128
RECIPES = {
    "11 digits, widest width": Recipe(length=(11, 11)),
    "11 digits, natural width": Recipe(length=(11, 11), width_px="natural"),
    "11 digits, gaps conditioned on fitting": Recipe(length=(11, 11), width_px=245),
    "3 to 7 digits, width 200": Recipe(length=(3, 7), width_px=200),
    "phone numbers": Recipe(pattern="jp"),
    "11 digits that overlap": Recipe(length=(11, 11), spacing_px=(-4, 4)),
    "11 digits shrunk to 150 px": Recipe(length=(11, 11), fit="shrink", width_px=150),
}
LIBRARIES = [sys.executable, "-c", "import numpy, typer, rich, imageio.v3"]
TERMINAL = [sys.executable, "-c", "import typer, rich"]
# What Typer itself takes to show the help of, and to complete, a program that does nothing.
EMPTY = [
    sys.executable,
    "-c",
    "import typer; app = typer.Typer(); app.command()(lambda: None); app()",
]
PAIRS = 15
ROUNDS = 40


def time_samples(recipe: Recipe, dataset: str) -> float:
    """Give the median time of a sample in microseconds."""
    generator = SequenceGenerator(recipe, load_glyphs(dataset))
    generator.glyphs.measure(generator.glyphs.ids)
    generator.block(0, BLOCK_SIZE)
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        generator.block(number * BLOCK_SIZE, (number + 1) * BLOCK_SIZE)
        times.append((time.perf_counter() - start) / BLOCK_SIZE)
    return statistics.median(times) * 1e6


def time_command(command: list[str], folder: str, **environment: str) -> float:
    """Give the wall time of a command in milliseconds."""
    start = time.perf_counter()
    subprocess.run(
        command, check=True, cwd=folder, capture_output=True, env=os.environ | environment
    )
    return (time.perf_counter() - start) * 1e3


def compare(name: str, command: list[str], floor: list[str], **environment: str) -> None:
    """Print the median of the ratios of a command and its floor, run in turn."""
    with tempfile.TemporaryDirectory() as folder:
        time_command(command, folder, **environment)
        pairs = [
            (time_command(command, folder, **environment), time_command(floor, folder))
            for _ in range(PAIRS)
        ]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"{name:42} {ours:7.0f} ms {theirs:7.0f} ms   x {ratio:.2f}")


def main() -> None:
    """Print both tables."""
    dataset = sys.argv[1] if len(sys.argv) > 1 else "mnist"
    print(f"{'sample in memory, one core':42} microseconds")
    for name, recipe in RECIPES.items():
        print(f"{name:42} {time_samples(recipe, dataset):7.1f}")
    program = shutil.which("mnistseq") or "mnistseq"
    print(f"\n{'start':42} {'ours':>10} {'floor':>10}   ratio")
    sequence = [program, "sequence", "3", "5", "0", "--width", "100", "--dataset", dataset]
    compare("mnistseq sequence 3 5 0 --width 100", sequence, LIBRARIES)
    compare("mnistseq --help", [program, "--help"], TERMINAL)
    boxes = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "80"}
    compare("mnistseq --help, in boxes", [program, "--help"], TERMINAL, **boxes)
    for line in ("mnistseq ", "mnistseq sequence --al"):
        asked = {"_MNISTSEQ_COMPLETE": "complete_lines", "_TYPER_COMPLETE_ARGS": line}
        compare(f"completion of {line!r}", [program], TERMINAL, **asked)
    compare("an empty Typer program --help", [*EMPTY, "--help"], TERMINAL)
    compare("an empty Typer program, run", EMPTY, TERMINAL)


if __name__ == "__main__":
    main()
