"""Recipes that together cover all that a recipe can say, and what their samples are.

Each recipe is what ``recipes.toml`` says of it, and `BASIS`. Those of `PEN` are written with the
built-in pen; those of `MNIST` with the official files, whose folder an environment variable names.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.distortions.registry import PAPERS
from mnistseq_cli.recipe import NAMED_RECIPES, read_named
from tests.golden.digests import Digests, Missing, hash_arrays, hash_json, of_jpeg

COUNT = 24
BASIS: dict[str, Any] = {"length": (2, 5), "count": COUNT, "seed": 1, "dataset": "strokes"}
SOURCES = ("digits", "length", "pattern", "texts")
load = cache(load_glyphs)  # recipes do not see what others have used a set for

LATER = ("crop", "join", "resolution")  # distortions newer than the goldens of all


def make_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: make_tuples(item) for key, item in value.items()}
    return tuple(map(make_tuples, value)) if isinstance(value, list) else value


TABLES: dict[str, dict[str, Any]] = make_tuples(
    tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
)
RANGES: dict[str, str] = TABLES.pop("ranges")
ALL_BUT_JPEG = tuple(name for name in RANGES if name not in ("jpeg", *LATER))
MNIST = TABLES.pop("mnist") | {"mnist-all-but-jpeg": {"augment": ALL_BUT_JPEG}}
PHONES = ("jp", "jp-mobile", "us", "uk-mobile", "fr", "in-mobile", "cn-mobile")
PEN: dict[str, dict[str, Any]] = {
    **{name: options for table in TABLES.values() for name, options in table.items()},
    **{f"phone-{name}": {"pattern": name} for name in PHONES},
    **{f"augment-{name}": {"augment": (name,)} for name in RANGES},
    **{f"augment-{name}-range": {"augment": (f"{name}={RANGES[name]}",)} for name in RANGES},
    **{f"preset-{name}": {"augment": (name,)} for name in ("light", "medium", "heavy", "all")},
    "all-but-jpeg": {"augment": ALL_BUT_JPEG},
    **{f"paper-{name}": {"paper": (f"{name}=1",), "count": 12} for name in PAPERS},
    "paper-of-many-kinds": {"paper": tuple(PAPERS)[:12], "augment": ("heavy",), "height_px": 40},
    **{
        f"recipe-{name}": {**read_named(name), "dataset": "strokes", "count": 12}
        for name in NAMED_RECIPES
    },
}


def make_pen_recipe(name: str) -> Digests:
    """Hash the samples of a recipe of the built-in pen."""
    recipe = make_recipe(PEN[name])
    generator = SequenceGenerator(recipe, load(recipe.dataset, recipe.glyphs))
    return hash_samples(generator)


def make_mnist_recipe(name: str) -> Digests:
    """Hash the samples of a recipe of MNIST."""
    folder = os.environ.get("MNISTSEQ_TEST_MNIST")
    if not folder:
        raise Missing("MNISTSEQ_TEST_MNIST names no folder with the four official MNIST files")
    recipe = make_recipe(MNIST[name] | {"dataset": str(Path(folder).absolute())})
    return hash_samples(SequenceGenerator(recipe, load(recipe.dataset, recipe.glyphs)))


def make_recipe(options: dict[str, Any]) -> Recipe:
    """Give the recipe of `BASIS` and options; what is written is what they say, if anything."""
    basis = dict(BASIS)
    if any(source in options for source in SOURCES):
        del basis["length"]
    return Recipe(**basis | options)


def hash_samples(generator: SequenceGenerator) -> Digests:
    """Hash pixels, labels and arrays of all samples; of saved JPEGs with the library's version."""
    samples = list(generator)
    block = generator.block(0, len(generator))
    labels = {
        "texts": [sample.text for sample in samples],
        "boxes": [sample.boxes.tolist() for sample in samples],
        "gaps": [sample.gaps.tolist() for sample in samples],
        "glyphs": [sample.glyphs.tolist() for sample in samples],
    }
    rows = (block.widths_px, block.lengths, block.classes, block.glyphs, block.boxes, block.gaps)
    about = (block.start, block.texts.tolist(), block.edges, block.alphabet)
    is_jpeg = any(text.startswith("jpeg") for text in generator.recipe.augment)
    of = of_jpeg if is_jpeg else str
    return {
        of("pixels"): hash_arrays(*(sample.image for sample in samples)),
        "labels": hash_json(labels),
        of("pixels of the block"): hash_arrays(block.images),
        "labels of the block": hash_json([hash_arrays(*rows), *about]),
        "recipe": hash_json([[*generator.recipe.augment], generator.width_px]),
    }
