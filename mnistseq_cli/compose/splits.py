"""Which samples, glyphs and texts belong to which split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.patterns import parse_pattern
from mnistseq_cli.compose.texts import RandomTexts, Roles, find_roles
from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.pixels import Bools, Ints, Words
from mnistseq_cli.randomness import permute, scale_words
from mnistseq_cli.recipe import Recipe
from mnistseq_cli.validation import quote

TEST = "test"
WEIGHT_LIMIT = 1_000_000
_WEIGHT = re.compile(r"[0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # also that of a folder
_DEAL_KEY = 0  # of the permutations that deal out glyphs and texts: the same for every seed
_DEALT_LIMIT = 2**32 - 1  # what `scale_words` can take


@dataclass(frozen=True)
class Interval:
    """A part of a whole, as an interval: from `low` to `high` of `total`."""

    low: int
    high: int
    total: int

    def of(self, size: int) -> tuple[int, int]:
        """Return the first whole number of the share of 0..size-1, and the one after its last."""
        return size * self.low // self.total, size * self.high // self.total


@dataclass(frozen=True)
class Split:
    """One split: its samples, and what it has of the texts."""

    name: str  # also that of its folder; "" where a dataset has no splits
    start: int
    stop: int
    texts: Interval


def parse_weights(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Parse texts such as ``"train=80"`` into names and weights."""
    pairs = [text.partition("=") for text in texts]
    for name, equals, weight in pairs:
        if not (equals and _WEIGHT.fullmatch(weight)):
            wrong = quote(name + equals + weight)
            raise UsageError(f"a split is {wrong}; expected NAME=WEIGHT, such as train=80")
    return tuple((name, int(weight)) for name, _, weight in pairs)


def cut(weights: Iterable[tuple[str, int]], count: int, first: int = 0) -> tuple[Split, ...]:
    """Cut so many samples into splits of names and weights; none make one without a name."""
    weights = tuple(weights)
    if not weights:
        return (Split("", first, first + count, Interval(0, 1, 1)),)
    times = Counter(name for name, _ in weights)
    total = sum(weight for _, weight in weights)
    splits, low = [], 0
    for name, weight in weights:
        if not _NAME.fullmatch(name) or times[name] > 1:
            raise UsageError(
                f"a split is named {quote(name)}; expected letters, digits, - and _, each once"
            )
        if not 1 <= weight <= WEIGHT_LIMIT:
            raise UsageError(f"split {name} has weight {weight}; expected 1 to {WEIGHT_LIMIT}")
        share = Interval(low, low + weight, total)
        start, stop = share.of(count)
        if start == stop:
            raise UsageError(
                f"split {name} would be empty: {count} samples, weight {weight} of {total}",
                "Ask for more samples, or give it a larger weight",
            )
        splits.append(Split(name, start, stop, share))
        low += weight
    return tuple(splits)


def deal_glyphs(glyphs: GlyphSet, splits: tuple[Split, ...], by: str = "glyph") -> dict[str, Ints]:
    """Return the glyph ids of each split, no id and, by writers, no writer in two of them.

    Glyphs to test with are those of "test". Without any, it gets a part of the others too.
    """
    is_added = glyphs.ids >= len(glyphs.images)
    own, added = glyphs.ids[~is_added], glyphs.ids[is_added]
    sets = [*(own[glyphs.set_of[own] == one] for one in range(len(glyphs.weights))), added]
    dealt = [_deal_set(glyphs, ids, splits, by) for ids in sets if ids.size]
    return {
        split.name: np.sort(np.concatenate([ids[split.name] for ids in dealt])) for split in splits
    }


def _deal_set(glyphs: GlyphSet, ids: Ints, splits: tuple[Split, ...], by: str) -> dict[str, Ints]:
    """Return which of these ids, those of one set, each split gets."""
    dealt = {}
    classes = np.unique(glyphs.labels[ids])
    if glyphs.is_test[ids].any():
        dealt[TEST] = ids[glyphs.is_test[ids]]
        ids = ids[~glyphs.is_test[ids]]
    groups = ids
    if ids[0] >= len(glyphs.images):
        from mnistseq_cli.glyphs.strokes import split_ids  # noqa: PLC0415 - most need none

        _, groups, _ = split_ids(glyphs.pen_ids[ids])  # all symbols of a row are by one hand
    labels = glyphs.labels[ids]
    strata = [np.flatnonzero(labels == one) for one in np.unique(labels)]  # of each its share
    if by == "writer" and glyphs.writers:
        numbers = glyphs.writers.numbers[ids]
        groups = np.where(numbers < 0, -1 - ids, numbers)  # of nobody, each by itself
        strata = [np.arange(len(ids))]
    sharing = [split for split in splits if split.name not in dealt]
    ends = np.cumsum([split.texts.high - split.texts.low for split in sharing]).tolist()
    for split, low, high in zip(sharing, [0, *ends], ends, strict=False):
        share = Interval(low, high, ends[-1])
        own = np.concatenate([some[_deal(groups[some], share)] for some in strata])
        dealt[split.name] = ids[own]
    for split in splits:
        if lacking := np.setdiff1d(classes, glyphs.labels[dealt[split.name]]).tolist():
            raise UsageError(
                f"split {split.name} would get no {by} with {glyphs.alphabet[lacking[0]]!r}",
                f"Use fewer splits, a larger weight, or a data set with more {by}s",
            )
    return dealt


def _deal(groups: Ints, share: Interval) -> Bools:
    """Return which glyphs a split gets: groups in a fixed order until its share is reached."""
    found, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(permute(np.arange(len(found)), len(found), _DEAL_KEY))
    begins = np.empty_like(sizes)
    begins[order] = np.cumsum(sizes[order]) - sizes[order]
    low, high = share.of(len(groups))
    return ((low <= begins) & (begins < high))[group_of]


def deal_ends(
    splits: tuple[Split, ...], split: Split, n_classes: int, classes: Ints, words: Words
) -> None:
    """Change the last characters of texts, drawn from these words, to those of a split.

    All texts of a length that end in the same characters belong to the same split, and the ends
    are dealt out by a permutation. A length with too few texts is shared by all splits.
    """
    length = classes.shape[1]
    n_dealt, n_ends = count_ends(n_classes, length)
    low, high = (0, n_ends) if is_shared(splits, n_ends) else split.texts.of(n_ends)
    place = permute(low + scale_words(words[:, -1], high - low), n_ends, _DEAL_KEY)
    for column in range(length - 1, length - 1 - n_dealt, -1):
        place, classes[:, column] = np.divmod(place, n_classes)


def count_ends(n_classes: int, length: int) -> tuple[int, int]:
    """Return by how many last characters texts are dealt out, and how many such ends there are."""
    n_dealt = 1
    while n_dealt < length and n_classes ** (n_dealt + 1) <= _DEALT_LIMIT:
        n_dealt += 1
    return n_dealt, n_classes**n_dealt


def is_shared(splits: tuple[Split, ...], size: int) -> bool:
    """Whether so few texts leave a split without any, so that all splits share them."""
    return any(low == high for low, high in (split.texts.of(size) for split in splits))


def deal_texts(
    texts: tuple[str, ...], splits: tuple[Split, ...], roles: Roles
) -> dict[str, tuple[str, ...]]:
    """Return the texts of each split, in their order; all to each where there are too few.

    Texts that read alike are one: their groups and marks may differ.
    """
    labels = [roles.read(text) for text in texts]
    place_of = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    n_unique = len(place_of)
    if is_shared(splits, n_unique):
        return {split.name: texts for split in splits}
    dealt = permute(np.arange(n_unique), n_unique, _DEAL_KEY)[[place_of[one] for one in labels]]
    owned = {}
    for split in splits:
        low, high = split.texts.of(n_unique)
        own = np.flatnonzero((low <= dealt) & (dealt < high))
        owned[split.name] = tuple(texts[at] for at in own.tolist())
    return owned


def find_shared(recipe: Recipe, splits: tuple[Split, ...], n_classes: int = 10) -> str:
    """Return which texts the splits share because there are too few; "" if none.

    Random texts are made of `n_classes` characters.
    """
    if len(splits) == 1:
        return ""
    if recipe.pattern is not None:
        return "some numbers" if can_repeat(recipe) else ""
    if recipe.lengths is not None:
        lengths = range(recipe.lengths[0], recipe.lengths[1] + 1)
        few = [n for n in lengths if is_shared(splits, count_ends(n_classes, n)[1])]
        return f"texts of {', '.join(map(str, few))} digits" if few else ""
    texts = recipe.texts or (recipe.digits or "",)
    return "all texts" if is_shared(splits, len(set(texts))) else ""


def can_repeat(recipe: Recipe) -> bool:
    """Whether samples of a pattern can have the same text."""
    if recipe.pattern is None:
        return False
    roles = find_roles(recipe, "")
    return parse_pattern(recipe.pattern).can_repeat(roles.gaps + roles.marks)


def use_all_glyphs(recipe: Recipe) -> Recipe:
    """Return the same recipe with training and test glyphs, for splits to draw from."""
    if recipe.glyphs == "all":
        return recipe
    return replace(recipe, glyphs="all", glyphs_sha256="", writers_sha256="")


def open_splits(
    recipe: Recipe,
    splits: tuple[Split, ...],
    data_dir: Path | None = None,
    widest_px: int | None = None,
) -> dict[str, SequenceGenerator]:
    """Return the generator of each split; it is to be asked for the samples of the split alone.

    All images have one width, that of the widest row that any split could produce.
    """
    whole = SequenceGenerator(recipe, data_dir=data_dir, widest_px=widest_px)
    if len(splits) == 1:
        return {splits[0].name: whole}
    glyphs, n_classes = whole.glyphs, len(whole.glyphs.alphabet)
    ids = deal_glyphs(glyphs, splits, recipe.splits_by)
    roles = find_roles(recipe, glyphs.alphabet)
    own_texts = deal_texts(recipe.texts, splits, roles) if recipe.texts else {}
    generators = {}
    for split in splits:
        source = None
        if recipe.lengths:
            deal = partial(deal_ends, splits, split, n_classes)
            source = RandomTexts(recipe.lengths, n_classes, recipe.seed, deal)
        generators[split.name] = SequenceGenerator(
            replace(whole.recipe, texts=own_texts.get(split.name, recipe.texts)),
            replace(glyphs, ids=ids[split.name]),
            source=source,
            widest_px=whole.width_px,
        )
    return generators
