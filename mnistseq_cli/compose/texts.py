"""Which characters to write: a source gives the texts of samples a..b as arrays.

What is written is one list of characters, each with a role: it is part of the label, or a mark
that is written but not read, or a gap. ``090-1234`` may be written as 0901234 in two groups, and
``1,250`` be read as 1250; see `Roles`.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.errors import TextError
from mnistseq_cli.glyphs.glyph_set import GlyphSet, list_code_points
from mnistseq_cli.pixels import Bools, Classes, Ints, Words
from mnistseq_cli.randomness import Samples, Use, draw_for, list_indices, scale_words
from mnistseq_cli.recipe import Recipe
from mnistseq_cli.validation import count, quote, suggest


@dataclass(frozen=True)
class Texts:
    """The texts of some samples, all that is written of them."""

    classes: Classes  # (N, n), the class of each character; 0 after the end of a text
    lengths: Ints  # (N,), number of characters
    grouped: Bools  # (N, n), whether a group of characters begins at each place
    marked: Bools | None = None  # (N, n), whether a character is a mark; None: none is

    @cached_property
    def inside(self) -> Bools:
        """Whether there is a character at each place, shape (N, n)."""
        return np.arange(self.classes.shape[1]) < self.lengths[:, None]

    @cached_property
    def places(self) -> tuple[Ints, Ints]:
        """Places and samples of all characters, sample by sample."""
        sample, place = np.nonzero(self.inside)
        return place, sample


@dataclass(frozen=True)
class Roles:
    """Which characters of a text are gaps, and which are marks; all others are its label."""

    gaps: str
    marks: str

    def read(self, text: str) -> str:
        """Return the label: what is read of a text."""
        return "".join(one for one in text if one not in self.gaps and one not in self.marks)


def find_roles(recipe: Recipe, own: str) -> Roles:
    """Return the roles of characters where a data set has characters of its own."""
    gaps = " -" if recipe.dashes == "gap" else " "
    gaps = "".join(one for one in gaps if one not in own + recipe.unlabelled)
    return Roles(gaps, recipe.unlabelled)


Extremes: TypeAlias = "tuple[Ints, Ints, Ints]"
"""The widest texts there are: characters, groups, width of all characters, shape (N,) each."""


TextSource: TypeAlias = "ListedTexts | RandomTexts | PatternTexts"
"""Where texts come from.

`longest` is the number of characters of the longest, `classes` are those of all characters;
`texts` returns those of samples, `widest` some of which one is the widest, from the
width of each class.
"""


def open_source(recipe: Recipe, glyphs: GlyphSet) -> TextSource:
    """Return the source that a recipe asks for."""
    source: TextSource
    if recipe.lengths is not None:
        source = RandomTexts(recipe.lengths, len(glyphs.alphabet), recipe.seed)
    elif recipe.pattern is not None:
        source = PatternTexts(recipe, glyphs)
    else:
        source = ListedTexts(recipe, glyphs)
    for missing in source.classes[glyphs.counts[source.classes] == 0]:
        raise TextError(
            f"{glyphs.name} {glyphs.split} has no glyph of {glyphs.alphabet[missing]!r}"
        )
    return source


def list_characters(recipe: Recipe, own: str) -> set[str]:
    """Return what a recipe can write, but for random characters, which are a data set's own."""
    if recipe.pattern is not None:
        from mnistseq_cli.compose.patterns import parse_pattern  # noqa: PLC0415 - as below

        forms = parse_pattern(recipe.pattern).forms
        written = {one for form in forms for column in form.list_columns() for one in column}
    else:
        written = {*"".join(recipe.texts or (recipe.digits or "",))}
    return written - {*find_roles(recipe, own).gaps}


def list_classes(recipe: Recipe, alphabet: str) -> str:
    """Return the character of each class of labels, where glyphs have this alphabet.

    Digits are first, then A to Z, a to z, and the others by code point. What is not read has none.
    """
    groups = (string.digits, string.ascii_uppercase, string.ascii_lowercase)

    def rank(one: str) -> tuple[int, str]:
        return next((number for number, group in enumerate(groups) if one in group), 3), one

    return "".join(sorted({*alphabet} - {*recipe.unlabelled}, key=rank))


class _WrittenTexts:
    """Texts of a recipe as characters, of which each is read, a mark or a gap."""

    def __init__(self, recipe: Recipe, glyphs: GlyphSet, characters: set[str]) -> None:
        self._roles = find_roles(recipe, glyphs.alphabet)
        written = sorted(characters - {*self._roles.gaps})
        self.classes: NDArray[np.integer] = glyphs.classes_of("".join(written))
        self._class_of = np.zeros(ord(max(["-", *written])) + 1, np.uint8)
        self._class_of[[*map(ord, written)]] = self.classes
        self._is_gap = np.isin(np.arange(len(self._class_of)), list_code_points(self._roles.gaps))
        self._is_mark = np.isin([*glyphs.alphabet], [*self._roles.marks])

    def _read(self, codes: NDArray[np.uint32], longest: int) -> Texts:
        """Return texts from their code points, shape (N, n), with zeros at the end."""
        is_gap = self._is_gap[codes]
        is_written = (codes > 0) & ~is_gap
        lengths = is_written.sum(axis=1)
        inside = np.arange(longest) < lengths[:, None]
        classes, grouped = np.zeros(inside.shape, np.uint8), np.zeros(inside.shape, np.bool_)
        classes[inside] = self._class_of[codes[is_written]]
        grouped[inside] = np.roll(is_gap, 1, axis=1)[is_written]
        grouped[:, 0] = False
        marked = self._is_mark[classes] & inside if self._is_mark.any() else None
        return Texts(classes, lengths, grouped, marked)


class ListedTexts(_WrittenTexts):
    """Texts from a list, again from its start when it ends."""

    def __init__(self, recipe: Recipe, glyphs: GlyphSet) -> None:
        texts = recipe.texts or (recipe.digits or "",)
        super().__init__(recipe, glyphs, {*"".join(texts)})
        self._sizes = np.array([len(text) for text in texts])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._codes = list_code_points("".join(texts))
        is_gap = self._is_gap[self._codes]
        at_edge = is_gap[self._starts] | is_gap[self._starts + self._sizes - 1]
        for bad in np.flatnonzero(at_edge)[:1]:
            is_dash = "-" in self._roles.gaps and "-" in texts[bad]
            raise TextError(
                f"the text {quote(texts[bad])} begins or ends with a gap; expected a space or - "
                "only between digits",
                "Write a - as ink: --dashes ink" if is_dash else "",
            )
        is_read = ~is_gap & ~self._is_mark[self._class_of[self._codes]]
        for bad in np.flatnonzero(self._add_up(is_read) == 0)[:1]:
            raise TextError(f"the text {quote(texts[bad])} has nothing that is to be read")
        self._lengths = self._add_up(~is_gap)
        self.longest = int(self._lengths.max())

    def texts(self, samples: Samples) -> Texts:
        """Return the texts of samples."""
        chosen = list_indices(samples) % len(self._sizes)
        places = np.arange(self._sizes[chosen].max())
        inside = places < self._sizes[chosen, None]
        at = np.where(inside, self._starts[chosen, None] + places, 0)
        return self._read(self._codes[at] * inside, int(self._lengths[chosen].max()))

    def widest(self, class_px: Ints) -> Extremes:
        """Return all texts."""
        is_gap = self._is_gap[self._codes]
        digits_px = np.where(is_gap, 0, class_px[self._class_of[self._codes]])
        begins = np.append(False, is_gap[:-1]) & ~is_gap
        return self._lengths, self._add_up(begins), self._add_up(digits_px)

    def _add_up(self, values: NDArray[Any]) -> Ints:
        """Return sums over the characters of each text."""
        return np.add.reduceat(values, self._starts, dtype=np.int64)


class RandomTexts:
    """Random digits; the number of them is uniform from MIN to MAX.

    `deal` makes of digits, all of one length, and the words they come from, those of one split.
    """

    def __init__(
        self,
        lengths: tuple[int, int],
        n_classes: int,
        seed: int,
        deal: Callable[[Ints, Words], None] | None = None,
    ) -> None:
        self._shortest, self.longest = lengths
        self._n_classes = n_classes
        self.classes: NDArray[np.integer] = np.arange(n_classes)
        self._seed = seed
        self._deal = deal

    def texts(self, samples: Samples) -> Texts:
        """Return the texts of samples."""
        words = draw_for(self._seed, Use.TEXT, samples, self.longest + 1)
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

    def widest(self, class_px: Ints) -> Extremes:
        """Return the widest text of each length."""
        lengths = np.arange(self._shortest, self.longest + 1)
        return lengths, np.zeros_like(lengths), lengths * class_px.max()


class PatternTexts(_WrittenTexts):
    """Numbers of a pattern, none twice, unless the pattern itself repeats them."""

    def __init__(self, recipe: Recipe, glyphs: GlyphSet) -> None:
        from mnistseq_cli.compose.patterns import parse_pattern  # noqa: PLC0415 - few need it
        from mnistseq_cli.compose.presets import load_presets  # noqa: PLC0415 - as above

        name = recipe.pattern or ""
        meant = "" if name in load_presets() else suggest(name.lower(), load_presets())
        self._pattern, self._seed = parse_pattern(name), recipe.seed
        self._forms = [form.list_columns() for form in self._pattern.forms]
        characters = {one for form in self._forms for column in form for one in column}
        try:
            super().__init__(recipe, glyphs, characters)
        except TextError as error:
            raise TextError(error.message, meant or error.hint) from error
        if not all(self._roles.read("".join(map(min, form))) for form in self._forms):
            raise TextError(f"the pattern {quote(name)} has a number with nothing to read")
        gaps = {*self._roles.gaps}
        self.longest = max(sum(column - gaps != set() for column in form) for form in self._forms)
        if recipe.count > self._pattern.size and not self._pattern.repeats:
            raise TextError(
                f"is {recipe.count}, but the pattern {quote(name)} has only "
                f"{count(self._pattern.size, 'number')}",
                meant
                or "Ask for fewer, use a pattern with more #, or --texts FILE, which begins again",
                field="count",
            )

    def texts(self, samples: Samples) -> Texts:
        """Return the numbers of samples."""
        return self._read(self._pattern.write(self._seed, samples), self.longest)

    def widest(self, class_px: Ints) -> Extremes:
        """Return a bound of the widest number of each form: the widest character everywhere."""
        px_of = np.where(self._is_gap, 0, class_px[self._class_of])
        places = [[px_of[[*map(ord, column)]].max() for column in form] for form in self._forms]
        n_gaps = [
            sum(not column.isdisjoint(self._roles.gaps) for column in form) for form in self._forms
        ]
        n_characters = [sum(px > 0 for px in form) for form in places]
        return np.array(n_characters), np.array(n_gaps), np.array([*map(sum, places)])
