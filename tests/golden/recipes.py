"""Recipes that together cover all that a recipe can say, and what their samples are.

Each recipe is kept as what it says apart from `BASIS`. Those of `PEN` are written with the
built-in pen; those of `MNIST` with the official files, whose folder an environment variable names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.distortions.registry import PAPERS
from mnistseq_cli.recipe import NAMED_RECIPES, read_named
from tests.golden.digests import Digests, Missing, hash_arrays, hash_json, of_jpeg

MNIST_VARIABLE = "MNISTSEQ_TEST_MNIST"
COUNT = 24
BASIS: dict[str, Any] = {"length": (2, 5), "count": COUNT, "seed": 1, "dataset": "strokes"}
SOURCES = ("digits", "length", "pattern", "texts")

WHAT: dict[str, dict[str, Any]] = {
    "plain": {},
    "one-digit": {"length": (1, 1)},
    "length-1-12": {"length": (1, 12)},
    "length-60": {"length": (60, 60), "count": 4},
    "digits": {"digits": "0123456789"},
    "texts": {"texts": ("007", "1", "99999", "31415926")},
    "splits-named": {"splits": ("train=80", "test=20")},
    "seed-0": {"seed": 0},
    "seed-largest": {"seed": 2**63 - 1},
    "count-over-a-block": {"count": 300, "length": (1, 3)},
    "symbols": {"texts": ("$1,250.00", "-3.5 %", "A-(12)/7B"), "dashes": "ink"},
    "unlabelled": {"texts": ("$1,250.00", "*37-", "5"), "unlabelled": "$*-,."},
    "symbols-48": {"digits": "#7=+€'9:5", "height_px": 48, "hand": "writer"},
}
PHONE: dict[str, dict[str, Any]] = {
    f"phone-{name}": {"pattern": name}
    for name in ("jp", "jp-mobile", "us", "uk-mobile", "fr", "in-mobile", "cn-mobile")
} | {
    "phone-all-of-a-pattern": {"pattern": "0[2-4]-#", "count": 30},
    "phone-own-pattern": {"pattern": "0[789]0-####-####", "spacing_px": (1, 4), "seed": 77},
    "phone-natural-fixed": {"pattern": "us", "width_px": "natural", "spacing_mode": "fixed"},
    "phone-narrow-shrunk": {"pattern": "fr", "width_px": 160, "fit": "shrink"},
    "phone-one-hand-heavy": {"pattern": "jp", "hand": "alike", "augment": ("heavy",)},
}
SPACING: dict[str, dict[str, Any]] = {
    "spacing-0-0": {"spacing_px": (0, 0)},
    "spacing-wide": {"spacing_px": (10, 40)},
    "spacing-negative": {"spacing_px": (-8, -1)},
    "spacing-very-negative": {"spacing_px": (-28, 3), "width_px": "natural"},
    "spacing-negative-cell": {"spacing_px": (-14, -4), "measure": "cell"},
    "gaps-must-fit": {"digits": "3503", "width_px": 90, "seed": 2},
    "gaps-must-fit-edges": {"digits": "35035", "width_px": 120, "edges": True},
    "gaps-must-fit-cell": {"digits": "350", "width_px": 93, "measure": "cell"},
    "fixed": {"spacing_mode": "fixed"},
    "fixed-natural": {"spacing_mode": "fixed", "width_px": "natural"},
    "fixed-width": {
        "spacing_mode": "fixed",
        "digits": "35",
        "width_px": 70,
        "spacing_px": (0, 60),
    },
    "fixed-width-cell-edges": {
        "spacing_mode": "fixed",
        "digits": "350",
        "width_px": 104,
        "measure": "cell",
        "edges": True,
    },
    "fixed-negative-shrink": {
        "spacing_mode": "fixed",
        "spacing_px": (-5, 2),
        "width_px": 60,
        "fit": "shrink",
    },
    "edges": {"edges": True},
    "edges-natural": {"edges": True, "width_px": "natural"},
    "cell": {"measure": "cell"},
    "cell-fixed-edges": {"measure": "cell", "spacing_mode": "fixed", "edges": True},
}
PLACE: dict[str, dict[str, Any]] = {
    "width-200": {"width_px": 200},
    "width-natural": {"width_px": "natural"},
    "align-left": {"align": "left"},
    "align-right": {"align": "right"},
    "align-random": {"align": "random", "width_px": 260},
    "align-random-edges": {"align": "random", "edges": True, "width_px": 260},
    "shrink": {"fit": "shrink", "width_px": 70},
    "shrink-left-cell": {"fit": "shrink", "width_px": 70, "align": "left", "measure": "cell"},
    "shrink-very-narrow": {"fit": "shrink", "width_px": 24},
    "stretch-narrow": {"fit": "stretch", "width_px": 50},
    "stretch-wide": {"fit": "stretch", "width_px": 240, "edges": True},
    "ink-white": {"ink": "white"},
    "ink-white-stretch": {"ink": "white", "fit": "stretch", "width_px": 100},
    "glyphs-test": {"glyphs": "test"},
    "glyphs-all": {"glyphs": "all"},
    "one-hand": {"hand": "alike"},
    "one-hand-all": {"hand": "alike", "glyphs": "all", "length": (8, 8)},
    "one-writer": {"hand": "writer"},
    "one-writer-all": {"hand": "writer", "glyphs": "all", "length": (8, 8)},
}
RANGES = {
    "scale": "-0.3x0..0.2x0.4",
    "shear": "-30..-5",
    "rotate": "90..180",
    "perspective": "0.1..0.3",
    "shift": "-6x-2..6x2",
    "elastic": "1.5..4",
    "thickness": "-1..1.5",
    "erode": "1x1..3x2",
    "dilate": "2x1..4x5",
    "baseline": "-6..6",
    "crop": "-0.05..0.15",
    "join": "0.5..1",
    "lines": "3..9",
    "blur": "1..3",
    "background": "0.4..0.9",
    "contrast": "-0.6..1.2",
    "brightness": "-0.4..0.4",
    "fade": "0.2..0.6",
    "sharpen": "0.5..2",
    "grain": "0.1..0.3",
    "noise": "0.05..0.4",
    "jpeg": "5..20",
    "resolution": "0.3..0.9",
}
LATER = ("crop", "join", "resolution")  # than the goldens of all
ALL_BUT_JPEG = tuple(name for name in RANGES if name not in ("jpeg", *LATER))
DISTORTIONS: dict[str, dict[str, Any]] = (
    {f"augment-{name}": {"augment": (name,)} for name in RANGES}
    | {f"augment-{name}-range": {"augment": (f"{name}={RANGES[name]}",)} for name in RANGES}
    | {f"preset-{name}": {"augment": (name,)} for name in ("light", "medium", "heavy", "all")}
)
MIXTURES: dict[str, dict[str, Any]] = {
    "all-but-jpeg": {"augment": ALL_BUT_JPEG},
    "preset-with-more": {"augment": ("light", "rotate=30", "blur=0.5..1.5")},
    "heavy-half": {"augment": ("heavy",), "augment_prob": 0.5},
    "medium-never": {"augment": ("medium",), "augment_prob": 0.0},
    "pen-rarely": {"augment": ("erode", "dilate=1..4", "thickness"), "augment_prob": 0.25},
    "heavy-white-natural": {"augment": ("heavy",), "ink": "white", "width_px": "natural"},
    "heavy-overlapping": {"augment": ("heavy",), "spacing_px": (-6, 0), "align": "random"},
    "medium-cell-fixed": {"augment": ("medium",), "measure": "cell", "spacing_mode": "fixed"},
    "medium-cell-edges": {"augment": ("medium",), "measure": "cell", "edges": True},
    "medium-shrink": {"augment": ("medium",), "fit": "shrink", "width_px": 80},
    "heavy-stretch-edges": {
        "augment": ("heavy",),
        "fit": "stretch",
        "width_px": 200,
        "edges": True,
    },
    "turn-and-shift-cell": {"augment": ("rotate=180", "shift=14"), "measure": "cell"},
    "one-hand-medium-test": {"augment": ("medium",), "hand": "alike", "glyphs": "test"},
}
PAPER: dict[str, dict[str, Any]] = {
    **{f"paper-{name}": {"paper": (f"{name}=1",), "count": 12} for name in PAPERS},
    "paper-of-many-kinds": {"paper": tuple(PAPERS)[:12], "augment": ("heavy",), "height_px": 40},
    "paper-white-natural": {"paper": ("security=0.8",), "ink": "white", "width_px": "natural"},
}
LIKE_REAL: dict[str, dict[str, Any]] = {
    "height-16": {"height_px": 16},
    "height-64": {"height_px": 64, "measure": "cell"},
    "height-128-medium": {"height_px": 128, "augment": ("medium",), "width_px": "natural"},
    "margin": {"margin_px": (0, 8), "width_px": "natural"},
    "margin-64-light-cell": {
        "height_px": 64, "margin_px": (2, 2), "augment": ("light",), "measure": "cell"
    },
    "touching": {"touching": 0.5, "length": (4, 8)},
    "touching-tight": {"touching": 0.5, "length": (5, 5), "width_px": 160, "measure": "cell"},
    "touching-medium": {"touching": 1.0, "augment": ("medium",), "hand": "writer"},
    "joined-cut-coarse-48": {
        "augment": ("join=1..1", "crop=0..0.15", "resolution"), "height_px": 48, "ink": "white",
        "width_px": "natural", "spacing_px": (-4, 9), "length": (4, 8),
    },
}  # fmt: skip
NAMED: dict[str, dict[str, Any]] = {
    f"recipe-{name}": {**read_named(name), "dataset": "strokes", "count": 12}
    for name in NAMED_RECIPES
}
PEN = LIKE_REAL | WHAT | PHONE | SPACING | PLACE | DISTORTIONS | MIXTURES | PAPER | NAMED

MNIST: dict[str, dict[str, Any]] = {
    "mnist-plain": {},
    "mnist-test": {"glyphs": "test"},
    "mnist-all-edges": {"glyphs": "all", "edges": True, "width_px": "natural"},
    "mnist-phone": {"pattern": "jp-mobile"},
    "mnist-one-hand": {"hand": "alike", "length": (6, 6)},
    "mnist-symbols": {"texts": ("$1,250.00-", "12:45"), "unlabelled": "-$", "dashes": "ink"},
    "mnist-overlapping": {"spacing_px": (-10, 0), "ink": "white"},
    "mnist-stretch": {"fit": "stretch", "width_px": 120},
    "mnist-all-but-jpeg": {"augment": ALL_BUT_JPEG},
}


def make_pen_recipe(name: str) -> Digests:
    """Hash the samples of a recipe of the built-in pen."""
    recipe = make_recipe(PEN[name])
    generator = SequenceGenerator(recipe, load_glyphs(recipe.dataset, recipe.glyphs))
    return hash_samples(generator)


def make_mnist_recipe(name: str) -> Digests:
    """Hash the samples of a recipe of MNIST.

    Raises
    ------
    Missing
        The official files are not here.
    """
    folder = os.environ.get(MNIST_VARIABLE)
    if not folder:
        raise Missing(f"{MNIST_VARIABLE} names no folder with the four official MNIST files")
    recipe = make_recipe(MNIST[name] | {"dataset": str(Path(folder).absolute())})
    return hash_samples(SequenceGenerator(recipe))


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
