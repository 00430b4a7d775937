"""Neighbours whose ink meets, as people write them: which ones, and how near they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.randomness import scale_words, to_fractions
from mnistseq_cli.recipe import scale_px

if TYPE_CHECKING:
    from mnistseq_cli.glyphs.stamps import Stamps
    from mnistseq_cli.pixels import Bools, Ints, Pixels, Words

APART_PX = 2**31  # instead of a gap where neighbours do not touch
_OVERLAP_PX = 2  # at most, on a page of 28 px


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
    is_left, is_right = (_find_ink(images) for images in (left, right))
    behind = left_px[:, None] - left.shape[2] + is_left[:, :, ::-1].argmax(axis=2)
    room = behind + is_right.argmax(axis=2)
    both = is_left.any(axis=2) & is_right.any(axis=2)
    room_px: Ints = np.where(both, room, APART_PX).min(axis=1, initial=APART_PX)
    return room_px


def _find_ink(images: Pixels) -> Bools:
    half = images.max(axis=(1, 2), keepdims=True) // 2
    is_ink: Bools = images > half
    return is_ink
