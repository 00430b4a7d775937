"""Which digits to write: a source gives the texts of samples a..b as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mnistseq_cli.compose.patterns import Pattern, parse_pattern
from mnistseq_cli.errors import TextError
from mnistseq_cli.randomness import Use, draw_words, permute, scale_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from mnistseq_cli.recipe import Recipe

PATTERN_LIMIT = 2**62


@dataclass(frozen=True)
class Texts:
    """The texts of some samples.

    Parameters
    ----------
    classes : ndarray of uint8, shape (N, longest)
        The class of each digit; 0 after the end of a text.
    lengths : ndarray of int64, shape (N,)
        Number of digits of each text.
    """

    classes: NDArray[np.uint8]
    lengths: NDArray[np.int64]


class TextSource(Protocol):
    """Where texts come from.

    Attributes
    ----------
    grouped : ndarray of bool, shape (longest,)
        Whether a group of digits begins at each place.
    """

    grouped: NDArray[np.bool_]

    def texts(self, start: int, stop: int) -> Texts:
        """Give the texts of samples start..stop-1."""
        ...

    def widest(self, class_px: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give number of digits and total width of digits, for the widest text of each length."""
        ...


def open_source(recipe: Recipe, glyphs: GlyphSet) -> TextSource:
    """Make the source that a recipe asks for.

    Raises
    ------
    TextError
        A text has a character that the glyphs do not have, or a pattern has too few numbers.
    """
    if recipe.lengths is not None:
        source: TextSource = RandomTexts(recipe.lengths, len(glyphs.alphabet), recipe.seed)
        _check_classes(np.arange(len(glyphs.alphabet)), glyphs)
    elif recipe.pattern is not None:
        source = PhoneTexts(recipe, glyphs)
    else:
        source = ListedTexts(recipe.texts or (recipe.digits or "",), glyphs)
    return source


class ListedTexts:
    """Texts from a list, again from its start when it ends."""

    def __init__(self, texts: tuple[str, ...], glyphs: GlyphSet) -> None:
        self._classes = glyphs.classes_of("".join(texts))
        self._lengths = np.array([len(text) for text in texts], np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self.grouped = np.zeros(int(self._lengths.max()), np.bool_)
        _check_classes(np.flatnonzero(np.bincount(self._classes)), glyphs)

    def texts(self, start: int, stop: int) -> Texts:
        """Give the texts of samples start..stop-1."""
        chosen = np.arange(start, stop) % len(self._lengths)
        lengths = self._lengths[chosen]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        at = np.where(inside, self._starts[chosen][:, None] + places, 0)
        return Texts(np.where(inside, self._classes[at], np.uint8(0)), lengths)

    def widest(self, class_px: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give number of digits and total width of digits of each text."""
        return self._lengths, np.add.reduceat(class_px[self._classes], self._starts)


class RandomTexts:
    """Random digits; the number of them is uniform from MIN to MAX."""

    def __init__(self, length: tuple[int, int], n_classes: int, seed: int) -> None:
        self._shortest, self._longest = length
        self._n_classes = n_classes
        self._seed = seed
        self.grouped = np.zeros(self._longest, np.bool_)

    def texts(self, start: int, stop: int) -> Texts:
        """Give the texts of samples start..stop-1."""
        words = draw_words(self._seed, Use.TEXT, start, stop, self._longest + 1)
        lengths = self._shortest + scale_words(words[:, 0], self._longest - self._shortest + 1)
        classes = scale_words(words[:, 1:], self._n_classes).astype(np.uint8)
        return Texts(classes * (np.arange(self._longest) < lengths[:, None]), lengths)

    def widest(self, class_px: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give number of digits and total width of digits, for the widest text of each length."""
        lengths = np.arange(self._shortest, self._longest + 1)
        return lengths, lengths * class_px.max()


class PhoneTexts:
    """Unique numbers of a pattern: sample i is number p(i), p a keyed permutation."""

    def __init__(self, recipe: Recipe, glyphs: GlyphSet) -> None:
        self._pattern: Pattern = parse_pattern(recipe.pattern or "")
        self._seed = recipe.seed
        self.grouped = np.array(self._pattern.grouped)
        self._choices = [glyphs.classes_of(choice) for choice in self._pattern.choices]
        _check_classes(np.unique(np.concatenate(self._choices)), glyphs)
        if recipe.count > self._pattern.size:
            numbers = "number" if self._pattern.size == 1 else "numbers"
            raise TextError(
                f"is {recipe.count}, but the pattern {recipe.pattern!r} has only "
                f"{self._pattern.size} {numbers}",
                "Ask for fewer, or use a pattern with more #",
                field="count",
            )
        if self._pattern.size > PATTERN_LIMIT:
            raise TextError(
                f"the pattern {recipe.pattern!r} has more than {PATTERN_LIMIT} numbers; "
                "allowed are up to 18 free digits"
            )

    def texts(self, start: int, stop: int) -> Texts:
        """Give the numbers of samples start..stop-1."""
        size = self._pattern.size
        rest = permute(np.arange(start, stop) % size, size, self._seed)
        columns = []
        for choice in reversed(self._choices):
            rest, digit = np.divmod(rest, len(choice))
            columns.append(choice[digit])
        lengths = np.full(stop - start, len(columns), np.int64)
        return Texts(np.stack(columns[::-1], axis=1), lengths)

    def widest(self, class_px: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give number of digits and total width of digits of the widest number."""
        ink_px = sum(class_px[choice].max() for choice in self._choices)
        return np.array([len(self._choices)]), np.array([ink_px])


def _check_classes(classes: NDArray[np.integer], glyphs: GlyphSet) -> None:
    for missing in classes[glyphs.counts[classes] == 0]:
        raise TextError(
            f"{glyphs.name} {glyphs.split} has no glyph of {glyphs.alphabet[missing]!r}"
        )
