"""Samples in memory: plain, fitted, distorted; which distortion takes how long; memory."""

from __future__ import annotations

import multiprocessing as mp
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, take_turns
from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.distortions.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

ROUNDS = 9
SIZE = 1000
ROWS = {
    "11 digits": Recipe(length=(11, 11)),
    "each as wide as its row": Recipe(length=(11, 11), width_px="natural"),
    "gaps conditioned on fitting": Recipe(length=(11, 11), width_px=245),
    "digits that overlap": Recipe(length=(11, 11), spacing_px=(-4, 4)),
}
PAD = "--fit pad, 400 px"
FITS = {
    PAD: Recipe(length=(11, 11), width_px=400),
    "--fit shrink, 150 px": Recipe(length=(11, 11), width_px=150, fit="shrink"),
    "--fit stretch, 150 px": Recipe(length=(11, 11), width_px=150, fit="stretch"),
    "--fit stretch, 400 px": Recipe(length=(11, 11), width_px=400, fit="stretch"),
}
HEIGHTS_PX = (28, 64, 128)
# Lengths whose images are from 0.01 to 0.9 megapixels, the last at another height.
MEMORY = [(11, 28), (100, 28), (1000, 28), (100, 128)]


def make(glyphs: GlyphSet, recipe: Recipe) -> Callable[[], None]:
    """Return the work of making the next samples of a recipe."""
    generator = SequenceGenerator(recipe, glyphs)
    numbers: Iterator[int] = count(0, SIZE)

    def work() -> None:
        start = next(numbers)
        for _ in generator.blocks(start, start + SIZE):
            pass

    work()
    return work


def time_recipes(
    dataset: str, recipes: dict[str, Recipe], rounds: int = ROUNDS
) -> dict[str, float]:
    """Return the least microseconds a sample of each recipe."""
    glyphs = load_glyphs(dataset)
    glyphs.measure(glyphs.ids)
    works = {name: make(glyphs, recipe) for name, recipe in recipes.items()}
    return {name: s / SIZE * 1e6 for name, s in take_turns(works, rounds).items()}


def measure_rows(dataset: str) -> Iterator[Figure]:
    """Yield the time of samples, and that of rows brought to a width."""
    for name, us in time_recipes(dataset, ROWS).items():
        yield Figure(name, us, "µs", goal="≤ 8" if name == "11 digits" else "")
    times = time_recipes(dataset, FITS)
    for name, us in times.items():
        yield Figure(name, us, "µs", us / times[PAD], PAD, "" if name == PAD else "≤ 2.5")


def measure_heights(dataset: str) -> Iterator[Figure]:
    """Yield the time of samples by their height, and what a pixel costs against one at 28 px.

    It is that of a long run, in which most glyphs have been met before.
    """
    for name in (dataset, "strokes"):
        recipes = {f"{name}, {px} px": Recipe(length=(11, 11), height_px=px) for px in HEIGHTS_PX}
        times = time_recipes(name, recipes, 2 * ROUNDS)
        first, *_ = times.values()
        for (what, us), px in zip(times.items(), HEIGHTS_PX, strict=True):
            ratio = us / first / (px / HEIGHTS_PX[0]) ** 2
            yield Figure(what, us, "µs", ratio, "28 px, a pixel", "≤ 1" if px > 28 else "")  # noqa: PLR2004


def measure_presets(dataset: str) -> Iterator[Figure]:
    """Yield the time of rows of five digits with each preset, and with each distortion alone."""
    plain = "no distortion"
    recipes = {plain: Recipe(length=(5, 5))}
    for name in ("light", "medium", "heavy", *AUGMENTATIONS):
        recipes[name] = Recipe(length=(5, 5), augment=(name,))
    times = time_recipes(dataset, recipes)
    for name, us in times.items():
        yield Figure(name, us, "µs", us / times[plain], plain)


def measure_memory(dataset: str) -> Iterator[Figure]:
    """Yield the peak memory of a process that makes samples, by the size of its images."""
    for length, height_px in MEMORY:
        recipe = Recipe(length=(length, length), height_px=height_px, augment=("heavy",))
        with mp.get_context("spawn").Pool(1) as pool:
            peak_mb, size = pool.apply(_find_peak, (dataset, recipe))
        yield Figure(
            f"{length} digits, heavy, {size[1]} × {size[0]} px", peak_mb, "MB", goal="≤ 250"
        )


def _find_peak(dataset: str, recipe: Recipe) -> tuple[float, tuple[int, int]]:
    generator = SequenceGenerator(recipe, load_glyphs(dataset))
    height_px, width_px = generator.largest_px
    for _ in generator.blocks(0, max(32, 2**23 // (height_px * width_px))):
        pass
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return peak_kb / 1024, (height_px, width_px)
