"""One hand for a whole row: glyphs that one person could have written.

A drawn data set knows who wrote each glyph. Of other glyphs slant and stroke width are measured,
and a hand is all glyphs that lie closest to one of these styles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.randomness import scale_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

CLOSEST = 64  # glyphs of a class that one hand can write
SLANT_UNITS = 24  # of 1 px to the side for each px down
STROKE_UNITS = 6  # of 1 px
_CHUNK = 4096


@dataclass(frozen=True)
class Hands:
    """The hands of a glyph set."""

    hand_of: NDArray[np.int64]  # (N,), the hand of each glyph that can be drawn
    glyphs: NDArray[np.int64]  # (hands, classes, K), ids that a hand can write of each class

    def choose(
        self,
        classes: NDArray[np.uint8],
        hand_words: NDArray[np.uint64],
        glyph_words: NDArray[np.uint64],
    ) -> NDArray[np.int64]:
        """Choose a hand for each row, as often as its style occurs, and ids of its glyphs."""
        hands = self.hand_of[scale_words(hand_words, len(self.hand_of))]
        place = scale_words(glyph_words, self.glyphs.shape[2])
        chosen: NDArray[np.int64] = self.glyphs[hands[:, None], classes, place]
        return chosen


def find_hands(glyphs: GlyphSet) -> Hands:
    """Find the hands of a glyph set: its writers where they are known, or else its styles."""
    known = glyphs.writers is not None
    styles = (
        glyphs.writers[:, None] if glyphs.writers is not None else measure_styles(glyphs.images)
    )
    found, hand_of = np.unique(styles[glyphs.ids], axis=0, return_inverse=True)
    counts = glyphs.counts[glyphs.counts > 0]
    # A writer has written every digit equally often.
    wanted = len(glyphs.ids) // (len(found) * len(counts)) if known else CLOSEST
    n_closest = min(max(1, wanted), int(counts.min()))
    ids = np.zeros((len(found), len(glyphs.alphabet), n_closest), np.int64)
    for label in np.flatnonzero(glyphs.counts):
        own = glyphs.ids[glyphs.labels[glyphs.ids] == label]
        ids[:, label] = own[_find_closest(found, styles[own], n_closest)]
    return Hands(hand_of.reshape(-1), ids)


def measure_styles(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Measure slant, in 1 / `SLANT_UNITS`, and stroke width, in 1 / `STROKE_UNITS` px, (N, 2).

    The slant is that of the moments of the ink, mu11 / mu02, which LeCun et al. ("Gradient-based
    learning applied to document recognition", 1998) take out of digits. The stroke width is twice
    the ink over the length of its edges, which is the sum of all steps between pixels.
    """
    parts = range(0, len(images), _CHUNK)
    return np.concatenate([_measure_part(images[at : at + _CHUNK]) for at in parts])


def _measure_part(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    ink = images.astype(np.int64)
    places = np.arange(ink.shape[1])
    by_row, by_column = ink.sum(axis=2), ink.sum(axis=1)
    mass = np.maximum(1, by_row.sum(axis=1))
    sum_y, sum_x = by_row @ places, by_column @ places
    sum_xy = (ink @ places) @ places
    # Moments around the centre, times the mass.
    mu11 = sum_xy * mass - sum_x * sum_y
    mu02 = np.maximum(1, (by_row @ places**2) * mass - sum_y**2)
    steps = np.abs(np.diff(ink, axis=1)).sum(axis=(1, 2)) + np.abs(np.diff(ink)).sum(axis=(1, 2))
    slant = (2 * SLANT_UNITS * mu11 + mu02) // (2 * mu02)
    stroke = 2 * STROKE_UNITS * mass // np.maximum(1, steps)
    return np.stack([slant, stroke], axis=1)


def _find_closest(
    wanted: NDArray[np.int64], styles: NDArray[np.int64], n_closest: int
) -> NDArray[np.int64]:
    """Find the places of the closest styles to each wanted one, shape (wanted, n_closest)."""
    distance = np.zeros((len(wanted), len(styles)), np.int64)
    for axis in range(styles.shape[1]):
        distance += np.subtract.outer(wanted[:, axis], styles[:, axis]) ** 2
    # With the place in the key no two keys are equal, so every machine picks the same.
    keys = distance * len(styles) + np.arange(len(styles))
    return np.sort(np.partition(keys, n_closest - 1, axis=1)[:, :n_closest], axis=1) % len(styles)
