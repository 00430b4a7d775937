"""Characters that a data set lacks, from the pen, in the hand of the row that they stand in.

A set and the pen are one set then, in which the pen writes what the other does not have.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnistseq_cli.glyphs.glyph_set import SIDE_PX, GlyphSet
from mnistseq_cli.glyphs.hands import find_closest, measure_styles
from mnistseq_cli.glyphs.strokes import N_HANDS, draw_traits, number_glyphs, split_ids
from mnistseq_cli.glyphs.strokes.characters import PEN_ADDITIONS, PEN_CHARACTERS
from mnistseq_cli.glyphs.strokes.writing import Trait
from mnistseq_cli.glyphs.writers import Writers, join_writers
from mnistseq_cli.pixels import Bools, Classes, Ints, Words
from mnistseq_cli.randomness import scale_words

# Slant and stroke width of the pen's digits and of MNIST's, as `measure_styles` measures them:
# the means of both differ by less than a quarter of the deviation.
_SLANTS = dict(zip("0123456789", (-6, -5, -2, -1, -1, -5, 0, -1, -4, 0), strict=True))
_SLANT, _STROKE = -3, 12  # of other characters; of all
_DEVIATIONS = np.array([-6300, 3200])  # in 1/1000; what leans to the right has a negative slant
_UNIT = 1000  # of a deviation
_N_CLOSEST = 8  # hands, of which one writes the symbols of a row
_UNKNOWN = np.iinfo(np.int32).min
_ALL_GLYPHS = np.array([number_glyphs(character) for character in PEN_CHARACTERS])
_, _HAND_OF, _ = split_ids(np.arange(_ALL_GLYPHS.size))


def add_symbols(own: GlyphSet, characters: set[str]) -> GlyphSet:
    """Return a set with characters that it lacks and the pen has, ids going on, not drawn yet."""
    lacking = [one for one in PEN_ADDITIONS if one in characters - {*own.alphabet}]
    if not lacking:
        return own
    n_own, is_test = len(own.labels), N_HANDS["train"] <= _HAND_OF
    labels = np.zeros(len(_HAND_OF), np.uint8)
    added = np.array([number_glyphs(character).ravel() for character in lacking])
    labels[added] = len(own.alphabet) + np.arange(len(lacking))[:, None]
    if own.split != "all":
        added = added[is_test[added] == (own.split == "test")]
    writers = [(own.writers, n_own), (Writers(_HAND_OF, "strokes"), len(_HAND_OF))]
    return replace(
        own,
        labels=np.concatenate([own.labels, labels]),
        alphabet=own.alphabet + "".join(lacking),
        n_own=len(own.alphabet),
        ids=np.append(own.ids, n_own + added.ravel()),
        is_test=np.append(own.is_test, is_test),
        pen_ids=np.append(own.pen_ids, np.arange(len(_HAND_OF))),
        writers=join_writers(writers) if own.writers else None,
    )


class SymbolHands:
    """The pen's hands; all symbols of a row are by one whose slant and pen are like the row's."""

    def __init__(self, glyphs: GlyphSet) -> None:
        self._glyphs = glyphs
        self._n_own = len(glyphs.images)
        symbols = glyphs.ids[glyphs.ids >= self._n_own] - self._n_own
        self._hands = np.unique(_HAND_OF[symbols])
        traits = draw_traits()[self._hands][:, [Trait.SLANT, Trait.PEN]]
        self._styles = np.rint(traits * _UNIT).astype(np.int64)
        self._numbers = np.array([*map(PEN_CHARACTERS.find, glyphs.alphabet)])
        self._measured = np.full((self._n_own, 2), _UNKNOWN, np.int32)

    def choose(
        self, classes: Classes, ids: Ints, is_own: Bools, hand_words: Words, glyph_words: Words
    ) -> Ints:
        """Choose ids of symbols, (N, n), like the glyphs `ids` where these are the set's own."""
        hands = self._choose_hands(ids, is_own, hand_words)[:, None]
        copies = (glyph_words >> np.uint64(63)).astype(np.int64)
        return np.asarray(self._n_own + _ALL_GLYPHS[self._numbers[classes], hands, copies])

    def _choose_hands(self, ids: Ints, is_own: Bools, words: Words) -> Ints:
        """Return the hand of each row: the pen's that began it, one of the closest, or any."""
        styles = np.zeros((*ids.shape, 2), np.int64)
        styles[is_own] = self._measure(ids[is_own])
        n_own = is_own.sum(axis=1)
        wanted = styles.sum(axis=1) // np.maximum(1, n_own)[:, None]
        n_closest = min(_N_CLOSEST, len(self._hands))
        closest = find_closest(wanted, self._styles, n_closest)
        places = closest[np.arange(len(ids)), scale_words(words, n_closest)]
        places = np.where(n_own > 0, places, scale_words(words, len(self._hands)))
        first = self._glyphs.pen_ids[ids[np.arange(len(ids)), is_own.argmax(axis=1)]]
        hands = _HAND_OF[first]
        is_known = (n_own > 0) & (first >= 0) & np.isin(hands, self._hands)
        return np.where(is_known, hands, self._hands[places])

    def _measure(self, ids: Ints) -> Ints:
        """Return slant and stroke of glyphs of the set, in 1/1000 of a deviation."""
        new = np.unique(ids[self._measured[ids, 0] == _UNKNOWN])
        if new.size:
            images = self._glyphs.images[new]
            characters = (self._glyphs.alphabet[one] for one in self._glyphs.labels[new].tolist())
            slants = [_SLANTS.get(one, _SLANT) for one in characters]
            slant, stroke = measure_styles(images).T
            stroke = stroke * SIDE_PX // images.shape[1]
            over = np.stack([slant - slants, stroke - _STROKE], axis=1)
            self._measured[new] = over * _UNIT * 1000 // _DEVIATIONS
        return self._measured[ids].astype(np.int64)
