"""Calls of the other public functions, and what they give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli import augment, generate_numbers_sequence, generate_phone_numbers, load_glyphs
from tests.golden.digests import Digests, hash_arrays, hash_json, of_jpeg
from tests.golden.recipes import ALL_BUT_JPEG, RANGES

AUGMENT: dict[str, dict[str, Any]] = {
    **{f"augment-{name}": {name: RANGES[name]} for name in RANGES},
    "augment-light": {"light": True},
    "augment-medium-black": {"medium": True, "ink": "black"},
    "augment-heavy-half": {"heavy": True, "augment_prob": 0.5},
    "augment-all-but-jpeg": dict.fromkeys(ALL_BUT_JPEG, True),
    "augment-strengths": {"rotate": 20, "shift": ((-2, 0), (2, 3)), "erode": "1..3", "blur": 1.5},
}


def hash_glyphs(split: str) -> Digests:
    glyphs = load_glyphs("strokes", split)
    assert glyphs.writers is not None
    arrays = (glyphs.images, glyphs.labels, glyphs.writers.numbers, glyphs.ids)
    about = (glyphs.name, glyphs.split, glyphs.licence, glyphs.sha256, glyphs.alphabet)
    return {"arrays": hash_arrays(*arrays), "about": hash_json(about)}


def hash_augmented(**strengths: Any) -> Digests:
    ink = strengths.get("ink", "white")
    small = load_glyphs("strokes", "test").images[:30]
    large = np.pad(small[::3], ((0, 0), (3, 20), (30, 11)))
    sets: list[NDArray[np.uint8]] = [small, large]
    distorted = [
        augment(images if ink == "white" else 255 - images, 7, **strengths) for images in sets
    ]
    of = of_jpeg if "jpeg" in strengths else str
    return {of("pixels"): hash_arrays(*distorted)}


def hash_numbers() -> Digests:
    options: dict[str, Any] = {"dataset": "strokes", "align": "left", "augment": ("light",)}
    return {
        "of text": hash_arrays(
            generate_numbers_sequence("350", (2, 10), 100, seed=1, dataset="strokes")
        ),
        "of numbers": hash_arrays(
            generate_numbers_sequence([9, 0, 2], (0, 4), 120, seed=2, **options)
        ),
    }


def hash_phone_numbers() -> Digests:
    images, numbers = generate_phone_numbers(12, seed=1, dataset="strokes")
    wide, others = generate_phone_numbers(
        5, 400, (5, 9), pattern="us", seed=3, dataset="strokes", ink="white"
    )
    return {"pixels": hash_arrays(images, wide), "numbers": hash_json([numbers, others])}


CALLS: dict[str, Callable[[], Digests]] = {
    **{f"glyphs-{split}": partial(hash_glyphs, split) for split in ("train", "test", "all")},
    **{name: partial(hash_augmented, **strengths) for name, strengths in AUGMENT.items()},
    "numbers": hash_numbers,
    "phone-numbers": hash_phone_numbers,
}
