"""Hands that write rows: one person for a row, or glyphs that one person could have written.

Where writers are not known, slant and stroke width of glyphs are measured, and a hand is all
glyphs that lie closest to one of these styles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.glyph_set import AT_ONCE_PX, GlyphSet
from mnistseq_cli.glyphs.writers import unknown_writers
from mnistseq_cli.pixels import Bools, Classes, Ints, Pixels, Words, split_up
from mnistseq_cli.randomness import draw_by_weight, scale_words

CLOSEST = 64  # glyphs of a class that one hand can write
SLANT_UNITS = 24  # of 1 px to the side for each px down
STROKE_UNITS = 6  # of 1 px


class WriterHands:
    """The writers of a glyph set.

    A row's writer is drawn in proportion to the digits that he gave among those who have all its
    characters. Digits that repeat are other glyphs of his, until there are no more.
    """

    def __init__(self, glyphs: GlyphSet, classes: NDArray[np.integer]) -> None:
        if glyphs.writers is None:
            raise unknown_writers(glyphs.name)
        ids = glyphs.ids[glyphs.writers.numbers[glyphs.ids] >= 0]
        n_sets = len(glyphs.weights)
        of_sets = glyphs.writers.numbers[ids].astype(np.int64) * n_sets + glyphs.set_of[ids]
        found, writer = np.unique(of_sets, return_inverse=True)
        self._set_of = found % n_sets
        self._weights = np.array(glyphs.weights)
        n_classes = len(glyphs.alphabet)
        cell = writer * n_classes + glyphs.labels[ids]
        self._ids = ids[np.argsort(cell, kind="stable")]
        counts = np.bincount(cell, minlength=len(found) * n_classes)
        self._starts = (np.cumsum(counts) - counts).reshape(-1, n_classes)
        self._counts = counts.reshape(-1, n_classes)
        self._n_given = self._counts.sum(axis=1).astype(np.int32)
        self._lacking = _pack(self._counts == 0)
        if not (self._counts[:, classes] > 0).all(axis=1).any():
            raise GlyphError(
                f"no writer of {glyphs.name} {glyphs.split} has written all of "
                f"{''.join(glyphs.alphabet[one] for one in classes)}, and each row is to have one",
                'Use rows that look alike (hand = "alike" in the recipe), or more glyphs',
            )

    def choose(
        self, classes: Classes, inside: Bools, hand_words: Words, glyph_words: Words
    ) -> Ints:
        """Choose a writer for each row, and ids of his glyphs, shape (N, n).

        `classes` and `inside`, (N, n), are the class of each character, and whether there is one;
        words have the shapes (N,) and (N, n).
        """
        writers = self._choose_writers(classes, inside, hand_words)[:, None]
        counts = np.maximum(1, self._counts[writers, classes])
        earlier = np.zeros(classes.shape, np.int64)  # places of the row with the same class
        for place in range(classes.shape[1] - 1):
            earlier[:, place + 1 :] += classes[:, place + 1 :] == classes[:, place, None]
        rounds, n_used = np.divmod(earlier, counts)
        # Which of the glyphs that are left: a Lehmer code of a permutation, decoded from the end.
        chosen = scale_words(glyph_words, counts - n_used)
        for place in reversed(range(classes.shape[1] - 1)):
            here, later = np.s_[:, place, None], np.s_[:, place + 1 :]
            is_same = (classes[later] == classes[here]) & (rounds[later] == rounds[here])
            chosen[later] += is_same & (chosen[later] >= chosen[here])
        return np.take(self._ids, self._starts[writers, classes] + chosen, mode="clip")

    def _choose_writers(self, classes: Classes, inside: Bools, words: Words) -> Ints:
        wanted = np.zeros((len(classes), self._counts.shape[1]), np.bool_)
        np.put_along_axis(wanted, classes.astype(np.int64), values=True, axis=1)
        wanted[:, 0] = ((classes == 0) & inside).any(axis=1)  # zeros fill the places after a text
        lacks: Bools = np.any(_pack(wanted)[:, None] & self._lacking, axis=2)
        if len(self._weights) > 1:  # one of the sets that have such a writer, by weight
            of_sets = np.arange(len(self._weights))[:, None] == self._set_of  # (sets, writers)
            has_any = (~lacks[:, None] & of_sets).any(axis=2)
            sets, words = draw_by_weight(words, has_any * self._weights)
            lacks |= self._set_of != sets[:, None]
        shares = np.where(lacks, np.int32(0), self._n_given).cumsum(axis=1, dtype=np.int32)
        drawn = scale_words(words, shares[:, -1])
        return np.asarray((shares <= drawn[:, None]).sum(axis=1))


def _pack(flags: Bools) -> Words:
    """Return flags as bits of words, shape (N, words)."""
    padded = np.pad(flags, ((0, 0), (0, -flags.shape[1] % 64)))
    return np.packbits(padded, axis=1).view(np.uint64)


class AlikeHands:
    """Glyphs that look as if one person had written them; hands are as frequent as styles."""

    def __init__(self, glyphs: GlyphSet) -> None:
        styles = measure_styles(glyphs.images)
        found, hand_of = np.unique(styles[glyphs.ids], axis=0, return_inverse=True)
        n_closest = min(CLOSEST, int(glyphs.counts[glyphs.counts > 0].min()))
        self._hand_of = hand_of.reshape(-1)  # of each glyph that can be drawn
        self._ids = np.zeros((len(found), len(glyphs.alphabet), n_closest), np.int64)
        for label in np.flatnonzero(glyphs.counts):
            own = glyphs.ids[glyphs.labels[glyphs.ids] == label]
            self._ids[:, label] = own[find_closest(found, styles[own], n_closest)]

    def choose(self, classes: Classes, _: Bools, hand_words: Words, glyph_words: Words) -> Ints:
        """Choose a hand for each row, and ids of its glyphs; see `WriterHands.choose`."""
        hands = self._hand_of[scale_words(hand_words, len(self._hand_of))]
        place = scale_words(glyph_words, self._ids.shape[2])
        return np.asarray(self._ids[hands[:, None], classes, place])


Hands = WriterHands | AlikeHands


def measure_styles(images: Pixels) -> Ints:
    """Measure slant, in 1 / `SLANT_UNITS`, and stroke width, in 1 / `STROKE_UNITS` px, (N, 2).

    The slant is that of the moments of the ink, mu11 / mu02, which LeCun et al. ("Gradient-based
    learning applied to document recognition", 1998) take out of digits. The stroke width is twice
    the ink over the length of its edges, which is the sum of all steps between pixels.
    """
    places, styles = np.arange(images.shape[1]), np.empty((len(images), 2), np.int64)
    for part in split_up(images, AT_ONCE_PX):
        ink = images[part].astype(np.int64)
        by_row, by_column = ink.sum(axis=2), ink.sum(axis=1)
        mass = np.maximum(1, by_row.sum(axis=1))
        sum_y, sum_x = by_row @ places, by_column @ places
        # Moments around the centre, times the mass.
        mu11 = (ink @ places) @ places * mass - sum_x * sum_y
        mu02 = np.maximum(1, (by_row @ places**2) * mass - sum_y**2)
        steps = sum(np.abs(np.diff(ink, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
        styles[part, 0] = (2 * SLANT_UNITS * mu11 + mu02) // (2 * mu02)
        styles[part, 1] = 2 * STROKE_UNITS * mass // np.maximum(1, steps)
    return styles


def find_closest(wanted: Ints, styles: Ints, n_closest: int) -> Ints:
    """Find the places of the closest styles to each wanted one, shape (wanted, n_closest)."""
    pairs = zip(wanted.T, styles.T, strict=True)
    distance: Ints = sum(np.subtract.outer(one, other) ** 2 for one, other in pairs)
    # With the place in the key no two keys are equal, so every machine picks the same.
    keys = distance * len(styles) + np.arange(len(styles))
    return np.sort(np.partition(keys, n_closest - 1, axis=1)[:, :n_closest], axis=1) % len(styles)
