"""Several sets as one: train and test, or a mix by weight, such as ``mnist=2,strokes=1``."""

from __future__ import annotations

import hashlib
import re

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.writers import join_writers

WEIGHT_LIMIT = 1_000_000


def parse_mix(name: str) -> dict[str, int]:
    """Return the data sets of a mix and their weights; a name without a comma or = is no mix."""
    members: dict[str, int] = {}
    for piece in name.split(","):
        member, _, weight = piece.strip().partition("=")
        if not re.fullmatch("[0-9]{0,7}", weight) or not 1 <= int(weight or 1) <= WEIGHT_LIMIT:
            raise UsageError(
                f"a data set of a mix is {piece!r:.100}; expected NAME=WEIGHT, such as mnist=2, "
                f"with a weight from 1 to {WEIGHT_LIMIT:,}"
            )
        if not member or member == "auto" or member in members:
            raise UsageError(
                f"the mix {name!r:.100} has {member!r:.60} twice, or as no data set of its own",
                "Name each once, such as mnist=2,strokes=1",
            )
        members[member] = int(weight or 1)
    return members


def join_sets(
    sets: list[GlyphSet], name: str, split: str, weights: tuple[int, ...] = ()
) -> GlyphSet:
    """Return one union of several sets, ids going on; with weights characters are drawn by them.

    Glyphs of different sizes become as large as the largest.
    """
    alphabet = "".join(dict.fromkeys(one for each in sets for one in each.alphabet))
    side_px = max(one.images.shape[1] for one in sets)
    sizes = [len(one.labels) for one in sets]
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [one.sha256 for one in sets]
    if weights:
        parts = [f"{sha256}{weight}" for sha256, weight in zip(parts, weights, strict=True)]
    classes = [np.array([*map(alphabet.index, one.alphabet)], np.uint8) for one in sets]
    return GlyphSet(
        np.concatenate([resize(one.images, side_px) for one in sets]),
        np.concatenate([of[one.labels] for of, one in zip(classes, sets, strict=True)]),
        name=name,
        split=split,
        licence=" and ".join(dict.fromkeys(one.licence for one in sets)),
        sha256=hashlib.sha256("".join(parts).encode()).hexdigest(),
        alphabet=alphabet,
        ids=np.concatenate([one.ids + start for one, start in zip(sets, starts, strict=True)]),
        writers=join_writers((one.writers, len(one.labels)) for one in sets),
        is_test=np.concatenate([one.is_test | (one.split == "test") for one in sets]),
        pen_ids=np.concatenate([one.pen_ids for one in sets]),
        set_of=np.repeat(np.arange(len(sets)) * bool(weights), sizes),
        weights=weights or (1,),
    )
