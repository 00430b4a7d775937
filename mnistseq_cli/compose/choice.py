"""From texts to digits: which glyphs write them, distorted, which touch, before the layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.painting import LARGEST_SCALE, fill_height
from mnistseq_cli.glyphs.hands import AlikeHands, Hands, WriterHands
from mnistseq_cli.glyphs.stamps import Stamps
from mnistseq_cli.randomness import Samples, Use, draw_for, list_indices, scale_words, to_fractions
from mnistseq_cli.recipe import Recipe, scale_px

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.texts import Texts, TextSource
    from mnistseq_cli.distortions.digits import DigitStage
    from mnistseq_cli.distortions.steps import Draw
    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from mnistseq_cli.glyphs.symbols import SymbolHands
    from mnistseq_cli.pixels import Bools, Classes, Ints, Pixels, Words

_GROUP_GAP_PX = 14  # of a page of 28 px: half a cell
_OVERLAP_PX = 2  # of ink that touches, at most, on such a page
APART_PX = 2**31  # instead of a gap where neighbours do not touch


@dataclass(frozen=True)
class Chosen:
    """The texts of some samples and the glyphs that write them."""

    samples: Samples
    texts: Texts
    glyphs: Ints  # (N, n), their ids
    longest: int  # digits of the longest text of the recipe: it fixes the words of a sample

    def index(self, place: int | np.integer) -> int:
        """Return the index of the sample at a place."""
        return int(list_indices(self.samples)[place])


@dataclass(frozen=True)
class Digits:
    """The digits of some samples, as the layout sees them."""

    chosen: Chosen
    widths_px: Ints  # (N, n), of ink or of cells; 0 after the end of a text
    touch_px: Ints | None = None  # (N, n), gaps that are settled; see `draw_contacts`


def find_group_gap(recipe: Recipe) -> int:
    """Return the pixels that are added where a number is grouped."""
    return scale_px(_GROUP_GAP_PX, recipe.height_px)


class DigitChooser:
    """Chooses texts and glyphs, and cuts the digits out.

    `longest` is the number of digits of the longest text.
    """

    def __init__(
        self, recipe: Recipe, glyphs: GlyphSet, source: TextSource, distortions: DigitStage | None
    ) -> None:
        self._recipe = recipe
        self._glyphs = glyphs.soften() if distortions and distortions.motions else glyphs
        self._source = source
        self._distortions = distortions
        self._draw = partial(draw_for, recipe.seed)
        self._alphabet = np.array([*glyphs.alphabet, ""])
        self.longest = source.longest
        if recipe.hand == "writer":  # what cannot be is said before work
            _ = self._hands
        # Where gaps are equal, cells stay equally wide.
        self._may_grow = recipe.measure != "cell" or recipe.spacing_mode != "fixed"

    def choose(self, samples: Samples) -> Chosen:
        """Choose the texts and glyphs of samples."""
        texts = self._source.texts(samples)
        words = self._draw(Use.GLYPH, samples, self.longest)[:, : texts.classes.shape[1]]
        # Places of symbols are as those after the end of a text to who writes the others.
        is_own = texts.inside & (texts.classes < self._glyphs.n_own)
        classes = np.where(is_own, texts.classes, np.uint8(0))
        if self._hands:
            hand_words = self._draw(Use.HAND, samples, 1)[:, 0]
            glyphs = self._hands.choose(classes, is_own, hand_words, words)
        else:
            glyphs = self._glyphs.own.choose(classes, words)
        is_symbol = texts.inside & ~is_own
        if is_symbol.any():
            hand_words = self._draw(Use.SYMBOL, samples, 1)[:, 0]
            symbols = self._symbols.choose(texts.classes, glyphs, is_own, hand_words, words)
            glyphs = np.where(is_symbol, symbols, glyphs)
        return Chosen(samples, texts, glyphs * texts.inside, self.longest)

    def spell(self, classes: Classes, lengths: Ints) -> NDArray[np.str_]:
        """Return texts, shape (N,), from the class of each character, shape (N, n)."""
        inside = np.arange(classes.shape[1]) < lengths[:, None]
        characters = self._alphabet[np.where(inside, classes, len(self._alphabet) - 1)]
        return characters.view(f"U{characters.shape[1]}")[:, 0]

    def cut(self, chosen: Chosen, *, whole: bool = True) -> tuple[Stamps, Digits]:
        """Cut the digits out, distort them, and measure them for the layout.

        Images are of whole cells, or of the ink alone, which is enough where it is not distorted.
        The stamps' `x_px` counts from where the layout puts the digit.
        """
        place, sample = chosen.texts.places
        ink = self._glyphs.cut_out(chosen.glyphs[sample, place], whole=whole)
        if self._distortions:
            draws = self._draw_for_each(chosen)
            ink = self._distortions.distort(ink, *draws, may_grow=self._may_grow)
        cells_px = np.full(len(sample), self._glyphs.height_px)
        if self._recipe.margin_px is not None:
            low, high = self._recipe.margin_px
            words = self._draw(Use.MARGIN, chosen.samples, 2)
            above_px, below_px = (low + scale_words(words, high - low + 1)).T
            ink, cells_px = fill_height(ink, (sample, place), above_px, below_px)
        boxes = np.stack([np.zeros_like(ink.top_px), ink.top_px, ink.width_px, ink.height_px], 1)
        x_px, digits = self._measure(chosen, ink.left_px, ink.width_px, cells_px)
        stamps = Stamps(ink.images, sample, place, x_px, boxes)
        return stamps, self._let_touch(digits, stamps) if self._recipe.touching else digits

    def measure(self, chosen: Chosen) -> Digits:
        """Measure digits for the layout, without their images where there is no need of them."""
        if self._distortions or self._recipe.margin_px is not None or self._recipe.touching:
            return self.cut(chosen)[1]
        return self._measure_glyphs(chosen)

    def bound(self, chosen: Chosen) -> Digits:
        """Return digits that are no narrower than those of `measure`, in a tenth of the time."""
        if self._recipe.margin_px is not None:
            return Digits(chosen, self._widest_px[chosen.texts.classes] * chosen.texts.inside)
        if not self._distortions:
            return self._measure_glyphs(chosen)
        place, sample = chosen.texts.places
        ink = self._glyphs.cut_out(chosen.glyphs[sample, place])
        draws = self._draw_for_each(chosen)
        bounds = self._distortions.bound(ink, *draws, may_grow=self._may_grow)
        return self._measure(chosen, *bounds, np.full(len(sample), self._glyphs.height_px))[1]

    def widest_row_px(self, gap_px: int) -> int:
        """Return the width of the widest row that there can be, with all gaps of one width."""
        lengths, n_groups, digits_px = self._source.widest(self._widest_px)
        n_gaps = lengths + 1 if self._recipe.edges else lengths - 1
        return int((digits_px + n_gaps * gap_px + n_groups * find_group_gap(self._recipe)).max())

    @cached_property
    def _hands(self) -> Hands | None:
        own = self._glyphs.own
        if self._recipe.hand == "writer":
            classes = self._source.classes
            return WriterHands(own, classes[classes < self._glyphs.n_own])
        return AlikeHands(own) if self._recipe.hand == "alike" else None

    @cached_property
    def _symbols(self) -> SymbolHands:
        from mnistseq_cli.glyphs.symbols import SymbolHands  # noqa: PLC0415 - most need none

        return SymbolHands(self._glyphs)

    @cached_property
    def _widest_px(self) -> Ints:
        """Width of the widest digit of each class, or of its cell, shape (classes,)."""
        glyphs_px = self._glyphs.widest_px
        widest_px = cells_px = np.full_like(glyphs_px, self._glyphs.height_px)
        if self._recipe.measure == "ink":
            widest_px = glyphs_px
            if self._distortions:
                widest_px = self._distortions.widest_px(glyphs_px, cells_px) * (glyphs_px > 0)
        elif self._distortions and self._may_grow:
            widest_px[:] = self._distortions.widest_cell_px(int(glyphs_px.max()))
        if self._recipe.margin_px is None:
            return widest_px
        return LARGEST_SCALE * (widest_px + 1)  # whose edges are softer

    def _let_touch(self, digits: Digits, stamps: Stamps) -> Digits:
        """Settle the gaps of digits that touch, as gaps between what the layout places."""
        chosen = digits.chosen
        words = self._draw(Use.TOUCH, chosen.samples, 2 * self.longest)
        words = words.reshape(-1, self.longest, 2)[:, : chosen.glyphs.shape[1]]
        may_touch = chosen.texts.inside & ~chosen.texts.grouped
        touch_px = draw_contacts(words, may_touch, self._recipe.touching, stamps)
        left_px, ink_px = np.zeros((2, *touch_px.shape), np.int64)
        left_px[stamps.sample, stamps.place] = stamps.x_px
        ink_px[stamps.sample, stamps.place] = stamps.boxes[:, 2]
        right_px = digits.widths_px - left_px - ink_px
        blank_px = left_px + np.pad(right_px[:, :-1], ((0, 0), (1, 0)))
        return replace(
            digits, touch_px=np.where(touch_px < APART_PX, touch_px - blank_px, APART_PX)
        )

    def _measure_glyphs(self, chosen: Chosen) -> Digits:
        inside = chosen.texts.inside
        widths_px = np.full(inside.shape, self._glyphs.height_px) * inside
        if self._recipe.measure == "ink":
            widths_px[inside] = self._glyphs.measure(chosen.glyphs[inside])[:, 2]
        return Digits(chosen, widths_px)

    def _measure(
        self, chosen: Chosen, left_px: Ints, width_px: Ints, cells_px: Ints
    ) -> tuple[Ints, Digits]:
        """Return where ink begins in what the layout places, and how wide that is."""
        x_px = np.zeros_like(left_px)
        if self._recipe.measure == "cell":
            start_px = np.minimum(left_px, 0)
            x_px = left_px - start_px
            width_px = np.maximum(left_px + width_px, cells_px) - start_px
        place, sample = chosen.texts.places
        widths_px = np.zeros_like(chosen.glyphs)
        widths_px[sample, place] = width_px
        return x_px, Digits(chosen, widths_px)

    def _draw_for_each(self, chosen: Chosen) -> tuple[Draw, Draw | None]:
        """Return what draws words for each digit, and for its row where one hand writes that."""
        place, sample = chosen.texts.places

        def draw_of_row(use: int, n_words: int) -> Words:
            return self._draw(use, chosen.samples, n_words)[sample]

        def draw(use: int, n_words: int) -> Words:
            words = self._draw(use, chosen.samples, self.longest * n_words)
            return words.reshape(-1, self.longest, n_words)[sample, place]

        return draw, None if self._recipe.hand == "any" else draw_of_row


def draw_contacts(words: Words, may_touch: Bools, share: float, stamps: Stamps) -> Ints:
    """Draw the gap before each digit that touches the one before it, shape (N, n).

    Of those that may, shape (N, n), a share touches; of two words for each digit, shape (N, n, 2),
    the first says whether it does, the second how far ink may overlap. With its gap ink meets ink
    in a row of pixels, and overlaps by no more in any. It is `APART_PX` for others, and for those
    that do not meet before one begins, or ends, where the other does.
    """
    touches = may_touch & (to_fractions(words[..., 0]) < share)
    touches[:, 0] = False
    digit = np.zeros(touches.shape, np.int64)
    digit[stamps.sample, stamps.place] = np.arange(len(stamps.sample))
    right, left = digit[touches], np.roll(digit, 1, axis=1)[touches]
    most_px = scale_px(_OVERLAP_PX, stamps.images.shape[1])
    overlap_px = scale_words(words[..., 1], most_px + 1)[touches]
    width_px = stamps.boxes[:, 2]
    meet_px = -_find_room(stamps.images[left], stamps.images[right], width_px[left])
    least_px = 1 - np.minimum(width_px[left], width_px[right])
    gaps_px = np.full(touches.shape, APART_PX)
    gaps_px[touches] = np.where(
        meet_px >= least_px, np.maximum(meet_px - overlap_px, least_px), APART_PX
    )
    return gaps_px


def _find_room(left: Pixels, right: Pixels, left_px: Ints) -> Ints:
    """Return how much nearer than their extents digits can come until ink meets ink, shape (P,).

    Ink is what is over half as dark as a digit's darkest: that paler edges meet is not seen.
    """
    is_left, is_right = (
        images > images.max(axis=(1, 2), keepdims=True) // 2 for images in (left, right)
    )
    behind = left_px[:, None] - left.shape[2] + is_left[:, :, ::-1].argmax(axis=2)
    room = behind + is_right.argmax(axis=2)
    both = is_left.any(axis=2) & is_right.any(axis=2)
    room_px: Ints = np.where(both, room, APART_PX).min(axis=1, initial=APART_PX)
    return room_px
