"""The width of the pen: ink made thicker or thinner.

Around each image is paper; images have room for the ink to grow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

LEAST_INK = 3  # at least a third of the ink stays: less cannot be read
_DIAGONAL = np.uint16(181)  # 256 / sqrt(2)
_SAME, _MOST_GAIN = 64, 255  # factors in 1 / 64


def thicken(
    images: NDArray[np.uint8], strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Move the edges of the ink outwards by pixels, or inwards where negative, shape (M, 1).

    One upwind step of the level-set equation v' = |grad v| (Osher and Sethian 1988) for each
    pixel or part of it: ink moves along the normal of its edge, and keeps its soft profile.
    """
    inside_out = np.where(strengths < 0, 255, 0).astype(np.uint8)[:, :, None]
    distance = np.rint(np.abs(strengths[:, 0]) * 256).astype(np.int64)
    grown = images
    for step in range(-(-int(distance.max(initial=0)) // 256)):
        part = np.clip(distance - 256 * step, 0, 256).astype(np.uint16)
        grown = _grow_edge(grown, inside_out, part[:, None, None])
    return _darken(_keep_ink(images, grown), images)


def dilate(
    images: NDArray[np.uint8], strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Give each pixel the most ink in a window of width × height around it, shape (M, 2)."""
    return _spread(images, strengths)


def erode(
    images: NDArray[np.uint8], strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Give each pixel the least ink in a window of width × height around it, shape (M, 2).

    Where less than a third of the ink would stay, the digit goes only a part of the way.
    """
    return _keep_ink(images, ~_spread(~images, strengths, around=255))


def measure_thickening(strengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the pixels that ink grows to the left, up, right and down, shape (M, 4)."""
    return np.ceil(np.maximum(strengths, 0)).astype(np.int64).repeat(4, axis=1)


def measure_dilation(strengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the pixels that ink grows to the left, up, right and down, shape (M, 4)."""
    window = np.maximum(strengths, 1).astype(np.int64)
    return np.concatenate([(window - 1) // 2, window // 2], axis=1)


def _grow_edge(
    images: NDArray[np.uint8], inside_out: NDArray[np.uint8], part: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Move edges outwards by 0 to 256 / 256 px; erosion is the growth of paper."""
    _, height, width = images.shape
    field = np.pad(images, ((0, 0), (1, 1), (1, 1))) ^ inside_out

    def shifted(down: int, right: int) -> NDArray[np.uint8]:
        return field[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    here = np.ascontiguousarray(shifted(0, 0))
    beside = _maximum(shifted(*way) for way in ((0, -1), (0, 1), (-1, 0), (1, 0)))
    across = _maximum(shifted(*way) for way in ((-1, -1), (-1, 1), (1, -1), (1, 1)))
    np.maximum(across, here, out=across)
    # A pixel across a corner is sqrt(2) px away: this is the ink 1 px on the way to it.
    rise = (across - here).astype(np.uint16)
    nearer = here + ((rise * _DIAGONAL) >> np.uint16(8)).astype(np.uint8)
    np.maximum(nearer, beside, out=nearer)
    np.maximum(nearer, here, out=nearer)
    rise = ((nearer - here) * part + np.uint16(128)) >> np.uint16(8)
    return (here + rise.astype(np.uint8)) ^ inside_out


def _darken(images: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make the darkest ink as dark as it was: a thin pen writes no paler than a thick one."""
    most, was = (ink.max(axis=(1, 2)).astype(np.uint16) for ink in (images, like))
    gain = np.minimum((was * np.uint16(_SAME) + most // 2) // np.maximum(most, 1), _MOST_GAIN)
    paler = np.flatnonzero(gain > _SAME)
    if paler.size:
        ink = images[paler] * gain[paler, None, None]
        ink += np.uint16(_SAME // 2)
        ink //= np.uint16(_SAME)
        images[paler] = np.minimum(ink, np.uint16(255), out=ink)
    return images


def _weigh(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    weights: NDArray[np.int64] = images.reshape(len(images), -1).sum(axis=1, dtype=np.int64)
    return weights


def _maximum(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    first, second, *others = images
    most = np.maximum(first, second)
    for other in others:
        np.maximum(most, other, out=most)
    return most


def _spread(
    images: NDArray[np.uint8], windows: NDArray[np.float64], around: int = 0
) -> NDArray[np.uint8]:
    """Take the maximum over windows: a pixel, the one before, the one after, and so on."""
    n, height, width = images.shape
    room = int(windows.max(initial=1)) // 2
    sides = ((0, 0), (room, room), (room, room))
    field = np.pad(images, sides, constant_values=around).reshape(n, -1)
    # With room around each image, neighbours in any direction are neighbours in memory.
    stride = width + 2 * room
    for step, window in ((1, windows[:, :1]), (stride, windows[:, 1:])):
        before = field.copy()
        for place in range(1, int(window.max(initial=1))):
            taken = np.where(window > place, 255, 0).astype(np.uint8)
            far = (place + 1) // 2 * step
            if place % 2:
                target, source = field[:, far:], before[:, :-far]
            else:
                target, source = field[:, :-far], before[:, far:]
            np.maximum(target, source & taken, out=target)
    result = field.reshape(n, height + 2 * room, stride)
    return result[:, room : room + height, room : room + width].copy()


def _keep_ink(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Go only as far from before to after as leaves enough ink."""
    had, has = (_weigh(images) for images in (before, after))
    missing = had - has * LEAST_INK
    lost = np.flatnonzero(missing > 0)
    if lost.size:
        back = -(-256 * missing[lost] // (LEAST_INK * (had - has)[lost]))
        start, end = before[lost], after[lost]
        rise = (start - end) * back.astype(np.uint16)[:, None, None]
        rise >>= np.uint16(8)
        end += rise.astype(np.uint8)
        after[lost] = _darken(end, start)
    return after
