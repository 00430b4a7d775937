"""Which digits to write: a source gives the texts of samples a..b as arrays.

A space in a text is no character but a wider gap, and so is a ``-`` where the glyphs have none:
``090-1234`` is written as 0901234 in two groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from mnistseq_cli.compose.patterns import parse_pattern
from mnistseq_cli.errors import TextError
from mnistseq_cli.randomness import Use, draw_words, permute, scale_words
from mnistseq_cli.validation import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from mnistseq_cli.recipe import Recipe

PATTERN_LIMIT = 2**62  # what `permute` can take
SEPARATORS = " -"


@dataclass(frozen=True)
class Texts:
    """The texts of some samples."""

    classes: NDArray[np.uint8]  # (N, n), the class of each digit; 0 after the end of a text
    lengths: NDArray[np.int64]  # (N,), number of digits
    grouped: NDArray[np.bool_]  # (N, n), whether a group of digits begins at each place


class Extremes(NamedTuple):
    """The widest texts there are: their digits, groups, and width of all digits, shape (N,)."""

    lengths: NDArray[np.int64]
    n_groups: NDArray[np.int64]
    digits_px: NDArray[np.int64]


class TextSource(Protocol):
    """Where texts come from; `longest` is the number of digits of the longest."""

    longest: int

    def texts(self, start: int, stop: int) -> Texts:
        """Return the texts of samples start..stop-1."""
        ...

    def widest(self, class_px: NDArray[np.int64]) -> Extremes:
        """Return texts of which one is the widest, from the width of each class."""
        ...


def open_source(recipe: Recipe, glyphs: GlyphSet) -> TextSource:
    """Return the source that a recipe asks for."""
    if recipe.lengths is not None:
        _check_classes(np.arange(len(glyphs.alphabet)), glyphs)
        return RandomTexts(recipe.lengths, len(glyphs.alphabet), recipe.seed)
    if recipe.pattern is not None:
        return PatternTexts(recipe, glyphs)
    return ListedTexts(recipe.texts or (recipe.digits or "",), glyphs)


def separators_of(alphabet: str) -> str:
    """Return the characters that are gaps where glyphs have this alphabet."""
    return "".join(one for one in SEPARATORS if one not in alphabet)


def strip_separators(text: str, alphabet: str) -> str:
    """Return what is read of a text: all but what is a gap."""
    return text.translate({ord(one): None for one in separators_of(alphabet)})


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


class ListedTexts:
    """Texts from a list, again from its start when it ends."""

    def __init__(self, texts: tuple[str, ...], glyphs: GlyphSet) -> None:
        joined, gaps = "".join(texts), separators_of(glyphs.alphabet)
        is_gap = np.isin(_code_points(joined), _code_points(gaps))
        ends = np.cumsum([len(text) for text in texts])
        self._classes = glyphs.classes_of(strip_separators(joined, glyphs.alphabet))
        self._lengths = np.diff(np.append(0, np.cumsum(~is_gap))[ends], prepend=0)
        at_edge = is_gap[ends - 1] | is_gap[np.append(0, ends[:-1])]
        for bad in np.flatnonzero(at_edge)[:1]:
            raise TextError(
                f"the text {quote(texts[bad])} begins or ends with a gap; expected a space or - "
                "only between digits"
            )
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._grouped = np.append(False, is_gap[:-1])[~is_gap]
        self._grouped[self._starts] = False
        self.longest = int(self._lengths.max())
        _check_classes(np.flatnonzero(np.bincount(self._classes)), glyphs)

    def texts(self, start: int, stop: int) -> Texts:
        """Return the texts of samples start..stop-1."""
        chosen = np.arange(start, stop) % len(self._lengths)
        lengths = self._lengths[chosen]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        at = np.where(inside, self._starts[chosen][:, None] + places, 0)
        classes = np.where(inside, self._classes[at], np.uint8(0))
        return Texts(classes, lengths, self._grouped[at] & inside)

    def widest(self, class_px: NDArray[np.int64]) -> Extremes:
        """Return all texts."""
        digits_px = np.add.reduceat(class_px[self._classes], self._starts)
        n_groups = np.add.reduceat(self._grouped, self._starts, dtype=np.int64)
        return Extremes(self._lengths, n_groups, digits_px)


class RandomTexts:
    """Random digits; the number of them is uniform from MIN to MAX.

    `deal` makes of digits, all of one length, and the words they come from, those of one split.
    """

    def __init__(
        self,
        lengths: tuple[int, int],
        n_classes: int,
        seed: int,
        deal: Callable[[NDArray[np.int64], NDArray[np.uint64]], None] | None = None,
    ) -> None:
        self._shortest, self.longest = lengths
        self._n_classes = n_classes
        self._seed = seed
        self._deal = deal

    def texts(self, start: int, stop: int) -> Texts:
        """Return the texts of samples start..stop-1."""
        words = draw_words(self._seed, Use.TEXT, start, stop, self.longest + 1)
        lengths = self._shortest + scale_words(words[:, 0], self.longest - self._shortest + 1)
        classes = scale_words(words[:, 1:], self._n_classes)
        if self._deal:
            for length in np.unique(lengths).tolist():
                rows = np.flatnonzero(lengths == length)
                dealt = classes[rows, :length]
                self._deal(dealt, words[rows, 1 : length + 1])
                classes[rows, :length] = dealt
        inside = np.arange(self.longest) < lengths[:, None]
        return Texts(classes.astype(np.uint8) * inside, lengths, np.zeros_like(inside))

    def widest(self, class_px: NDArray[np.int64]) -> Extremes:
        """Return the widest text of each length."""
        lengths = np.arange(self._shortest, self.longest + 1)
        return Extremes(lengths, np.zeros_like(lengths), lengths * class_px.max())


class PatternTexts:
    """Unique numbers of a pattern: sample i is number p(i), p a keyed permutation."""

    def __init__(self, recipe: Recipe, glyphs: GlyphSet) -> None:
        pattern = parse_pattern(recipe.pattern or "")
        self._size = pattern.size
        self._seed = recipe.seed
        self._grouped = np.array(pattern.grouped)
        self._choices = [glyphs.classes_of(choice) for choice in pattern.choices]
        self.longest = len(self._choices)
        _check_classes(np.unique(np.concatenate(self._choices)), glyphs)
        if recipe.count > self._size:
            numbers = "number" if self._size == 1 else "numbers"
            raise TextError(
                f"is {recipe.count}, but the pattern {quote(recipe.pattern)} has only "
                f"{self._size} {numbers}",
                "Ask for fewer, or use a pattern with more #",
                field="count",
            )
        if self._size > PATTERN_LIMIT:
            raise TextError(
                f"the pattern {quote(recipe.pattern)} has more than {PATTERN_LIMIT} numbers; "
                "expected up to 18 free digits"
            )

    def texts(self, start: int, stop: int) -> Texts:
        """Return the numbers of samples start..stop-1."""
        rest = permute(np.arange(start, stop) % self._size, self._size, self._seed)
        columns = []
        for choice in reversed(self._choices):
            rest, digit = np.divmod(rest, len(choice))
            columns.append(choice[digit])
        classes = np.stack(columns[::-1], axis=1)
        lengths = np.full(stop - start, self.longest, np.int64)
        return Texts(classes, lengths, np.broadcast_to(self._grouped, classes.shape))

    def widest(self, class_px: NDArray[np.int64]) -> Extremes:
        """Return the widest number."""
        digits_px = sum(class_px[choice].max() for choice in self._choices)
        n_groups = self._grouped.sum()
        return Extremes(np.array([self.longest]), np.array([n_groups]), np.array([digits_px]))


def _check_classes(classes: NDArray[np.integer], glyphs: GlyphSet) -> None:
    for missing in classes[glyphs.counts[classes] == 0]:
        raise TextError(
            f"{glyphs.name} {glyphs.split} has no glyph of {glyphs.alphabet[missing]!r}"
        )
