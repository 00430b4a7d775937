"""A distortion that is to be done: what is drawn for it, and for which digits or pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mnistseq_cli.distortions.registry import AUGMENTATIONS, Augmentation
from mnistseq_cli.pixels import Floats, Ints, Pixels, Words
from mnistseq_cli.randomness import scale_words, to_fractions

Draw = Callable[[int, int], "Words"]
"""``draw(use, n)`` returns the words of a use, n for each digit or page, shape (M, n)."""


USE_OF_ROW = 200  # more than the number of a distortion's stream is that of its rows
_DEVIATION = 0.25


@dataclass(frozen=True)
class Step:
    """One distortion that is to be done."""

    name: str  # a key of `AUGMENTATIONS`
    low: tuple[float, ...]  # the range of each strength that is drawn
    high: tuple[float, ...]
    probability: float = 1.0  # how likely it is for each digit or page

    @property
    def record(self) -> Augmentation:
        """What the table says of the distortion."""
        return AUGMENTATIONS[self.name]

    @property
    def is_neutral(self) -> bool:
        """Whether the step never changes anything."""
        return self.probability == 0 or {*self.low, *self.high} == {self.record.neutral}

    def scale(self, factor: float) -> Step:
        """Return the step for pages so much larger than those its strengths are meant for."""
        if factor == 1 or not self.record.unit.startswith("pixels"):  # no length
            return self

        def grow(bound: tuple[float, ...]) -> tuple[float, ...]:
            neutral = self.record.neutral
            grown = (neutral + (strength - neutral) * factor for strength in bound)
            return tuple(float(round(one)) if self.record.whole else one for one in grown)

        return replace(self, low=grow(self.low), high=grow(self.high))

    def write(self) -> str:
        """Return the step as a user would write it; what is read from that is exactly the same."""
        return f"{self.name}={self._write_bound(self.low)}..{self._write_bound(self.high)}"

    def draw(self, draw: Draw, draw_of_row: Draw | None = None) -> tuple[Floats, Words]:
        """Draw strengths, shape (M, n), and a key for each digit or page, shape (M,).

        The words are: one for the probability, one for each strength, one for the key. Digits of
        a row by one hand have words in common, without a key: those of `draw_of_row`.
        """
        words = draw(self.record.use, len(self.low) + 2)
        strengths, chance = self._scale(words[:, 1:-1]), words[:, 0]
        if draw_of_row:
            of_row = draw_of_row(self.record.use + USE_OF_ROW, len(self.low) + 1)
            strengths, chance = self._deviate(self._scale(of_row[:, 1:]), strengths), of_row[:, 0]
        if self.probability < 1:
            strengths[to_fractions(chance) >= self.probability] = self.record.neutral
        return strengths, words[:, -1]

    def _deviate(self, of_row: Floats, own: Floats) -> Floats:
        """Return strengths near those of rows: a quarter of what a digit's own are off."""
        low, high = np.array(self.low), np.array(self.high)
        strengths: Floats = of_row + _DEVIATION * (own - (low + high) / 2)
        if self.record.whole:
            np.rint(strengths, out=strengths)
        np.clip(strengths, low, high, out=strengths)
        return strengths

    def measure_growth(self, strengths: Floats) -> Ints:
        """Return the pixels that ink grows to the left, up, right and down, shape (M, 4)."""
        if self.record.growth is None:
            return np.zeros((len(strengths), 4), np.int64)
        return self.record.growth(strengths)

    def change(
        self, images: Pixels, strengths: Floats, keys: Words, take: Callable[..., object]
    ) -> Pixels:
        """Distort those images whose strength is not the neutral one.

        ``take(chosen)`` returns what the distortion works on, for some of the images.
        """
        is_on = (strengths != self.record.neutral).any(axis=1)
        if not is_on.any():
            return images
        chosen = slice(None) if is_on.all() else np.flatnonzero(is_on)
        changed: Pixels = self.record.apply(take(chosen), strengths[chosen], keys[chosen])
        if is_on.all():
            return changed
        images = images.copy()
        images[chosen] = changed
        return images

    def _scale(self, words: Words) -> Floats:
        low, high = np.array(self.low), np.array(self.high)
        if self.record.whole:
            return low + scale_words(words, (high - low + 1).astype(np.int64))
        return np.asarray(low + (high - low) * to_fractions(words))

    def _write_bound(self, bound: tuple[float, ...]) -> str:
        texts = [str(int(one)) if self.record.whole else repr(one) for one in bound]
        return "x".join(texts) if self.record.by_size else texts[0]
