"""How many real numbers a reader reads that has seen none.

``python benchmarks/real_strings.py DIR`` trains the reader of ``examples/train_crnn.py`` on each
recipe, with as many samples and the same seeds, at 28 px. Each reader reads the pictures of
real rows in DIR, one number each, with labels in any form that ``mnistseq inspect`` reads. Printed
are the shares of strings and of characters that are right, with 95 % intervals, and of rows of
test glyphs. Then each part of the recipe that ``--parts-of`` names is left out by itself, and
how that changes the shares is printed: differences on the same pictures.

With its defaults this takes two cores about an hour. It needs
``pip install 'mnistseq[torch]'`` and MNIST.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnistseq_cli import Recipe
from mnistseq_cli.recipe import NAMED_RECIPES
from mnistseq_cli.torch import IterableSequenceDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
crnn: Any = import_module("train_crnn")

TEST_COUNT = 2000
WIDTH_PX = 200  # of a picture at most
Z = NormalDist().inv_cdf(0.975)
DRAWN: dict[str, Any] = {"dataset": "mnist", "length": (1, 7), "width_px": "natural"}
RECIPES = {
    "plain": Recipe(**DRAWN),
    **{name: Recipe(**DRAWN, augment=(name,)) for name in ("light", "medium", "heavy")},
}
# What makes a recipe what it is; each is left out by itself.
PARTS = ("dataset", "pattern", "augment", "hand", "touching", "paper", "margin_px", "unlabelled")


class Reading(NamedTuple):
    """What readers of all seeds made of each picture."""

    exact: NDArray[np.float64]  # (pictures,), share of readers that read it without an error
    errors: NDArray[np.float64]  # (pictures,), errors, on average
    lengths: NDArray[np.int64]  # (pictures,), characters
    on_mnist: float  # share of rows of test glyphs that were read without an error


def open_recipe(name: str, dataset: str) -> Recipe:
    """Return a recipe of the table, a built-in one, or that of a file, at the reader's height."""
    if name in RECIPES:
        recipe = RECIPES[name]
    elif name in NAMED_RECIPES:
        recipe = Recipe.named(name, dataset=dataset)
    else:
        recipe = Recipe.load(name)
    return recipe.at_height(crnn.HEIGHT_PX)


def leave_out(recipe: Recipe) -> dict[str, Recipe]:
    """Return the recipe without each of its parts, by the name of the part."""
    plain: dict[str, Any] = {field.name: field.default for field in fields(Recipe)} | DRAWN
    parts = [name for name in PARTS if getattr(recipe, name, None) != plain.get(name)]
    without: dict[str, Recipe] = {}
    for name in parts:
        more = {"length": DRAWN["length"], "unlabelled": ""} if name == "pattern" else {}
        without[name] = replace(recipe, **{name: plain[name]}, **more)
    return without


def measure(
    recipe: Recipe, seeds: range, samples: int, rows: list[NDArray[np.uint8]], texts: list[str]
) -> Reading:
    """Train a reader for each seed, and let it read the pictures."""
    exact, errors, on_mnist = [], [], []
    known = {*"".join(texts)}  # a reader may know signs that these labels leave out
    for seed in seeds:
        reader, alphabet = crnn.train_reader(replace(recipe, count=samples, seed=seed), np.inf)
        read = [
            "".join(one for one in text if one in known)
            for text in crnn.read_rows(reader, rows, alphabet)
        ]
        exact.append([text == right for text, right in zip(read, texts, strict=True)])
        errors.append([*map(crnn.count_edits, read, texts)])
        clean = replace(RECIPES["plain"], glyphs="test", count=TEST_COUNT, seed=seed)
        on_mnist.append(crnn.test(reader, alphabet, IterableSequenceDataset(clean)).exact)
    lengths = np.array([*map(len, texts)])
    return Reading(np.mean(exact, 0), np.mean(errors, 0), lengths, float(np.mean(on_mnist)))


def spell(values: NDArray[np.float64], weights: NDArray[np.int64] | None = None) -> str:
    """Write the mean of values over pictures, or of sums over weights, and its 95 % interval."""
    share = values.sum() / (len(values) if weights is None else weights.sum())
    rest = values - share * (1 if weights is None else weights)
    scale = 1 if weights is None else weights.mean()
    half = Z * rest.std(ddof=1) / np.sqrt(len(values)) / scale
    return f"{100 * share:.1f} ± {100 * half:.1f}"


def print_reading(name: str, found: Reading, whole: Reading | None = None) -> None:
    """Print a line of the table; of a part that was left out, what it brought."""
    wrong = found.errors if whole is None else whole.errors - found.errors
    exact = found.exact if whole is None else found.exact - whole.exact
    characters = found.lengths - wrong if whole is None else wrong
    print(
        f"{name:24}{spell(exact):>16}{spell(characters, found.lengths):>16}"
        f"{100 * found.on_mnist:9.1f}",
        flush=True,
    )


def main() -> None:
    """Measure all recipes, then one without its parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="labelled pictures of real rows")
    add("--recipes", nargs="*", default=[*RECIPES, *NAMED_RECIPES], help="or files")
    add("--parts-of", default="cheque", help="recipe to take apart (default: %(default)s)")
    add("--dataset", default="mnist=1,strokes=1", help="of built-in recipes: %(default)s")
    add("--samples", type=int, default=40_000, help="to train on (default: %(default)s)")
    add("--seeds", type=int, default=1, help="readers of each recipe (default: %(default)s)")
    asked = parser.parse_args()
    rows, texts = crnn.load_rows(asked.folder, WIDTH_PX)
    seeds = range(asked.seeds)

    def read(recipe: Recipe) -> Reading:
        return measure(recipe, seeds, asked.samples, rows, texts)

    print(f"{len(rows)} pictures; % right, of 100 strings, characters, and rows of test glyphs")
    found: dict[str, Reading] = {}
    for name in dict.fromkeys([*asked.recipes, asked.parts_of]):
        found[name] = read(open_recipe(name, asked.dataset))
        print_reading(name, found[name])
    print(asked.parts_of)
    for part, recipe in leave_out(open_recipe(asked.parts_of, asked.dataset)).items():
        print_reading(f"  without {part}", read(recipe), found[asked.parts_of])


if __name__ == "__main__":
    main()
