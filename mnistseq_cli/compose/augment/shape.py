"""The width of the pen: ink made thicker or thinner.

Images have room for the ink to grow, and their last `SPARE_PX` columns are paper. So the pixel
before the first one of a row is paper too, that at the end of the row above: neighbours in any
direction are neighbours in memory, and whole images are moved and compared at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

SPARE_PX = 2  # columns of paper that end each image
LEAST_INK = 3  # at least a third of the ink stays: less cannot be read
_DIAGONAL = np.uint16(181)  # 256 / sqrt(2)
_SAME, _MOST_GAIN = 64, 255  # factors in 1 / 64
_EXACT_PX = 2**24  # the ink of so many pixels is less than 2**32


def thicken(
    images: NDArray[np.uint8], strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Move the edges of the ink outwards by pixels, or inwards where negative, shape (M, 1).

    One upwind step of the level-set equation v' = |grad v| (Osher and Sethian 1988) for each
    pixel or part of it: ink moves along the normal of its edge, and keeps its soft profile.
    """
    inside_out = np.where(strengths < 0, 255, 0).astype(np.uint8)
    distance = np.rint(np.abs(strengths[:, 0]) * 256).astype(np.int64)
    grown = images
    for step in range(-(-int(distance.max(initial=0)) // 256)):
        part = np.clip(distance - 256 * step, 0, 256).astype(np.uint16)
        grown = _grow_edge(grown, inside_out, part[:, None])
    return _darken(_keep_ink(images, grown), images)


def dilate(
    images: NDArray[np.uint8], strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Give each pixel the most ink in a window of width × height around it, shape (M, 2)."""
    return _look_around(images, strengths, np.maximum)


def erode(
    images: NDArray[np.uint8], strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Give each pixel the least ink in a window of width × height around it, shape (M, 2).

    Where less than a third of the ink would stay, the digit goes only a part of the way.
    """
    return _keep_ink(images, _look_around(images, strengths, np.minimum))


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
    down = images.shape[2]
    here, shifted = _surround(images ^ inside_out[:, :, None], inside_out, down + 1)
    beside = _maximum(shifted(far) for far in (-1, 1, -down, down))
    across = _maximum(shifted(far) for far in (-down - 1, 1 - down, down - 1, down + 1))
    np.maximum(across, here, out=across)
    # A pixel across a corner is sqrt(2) px away: this is the ink 1 px on the way to it.
    across -= here
    rise = across.astype(np.uint16)
    rise *= _DIAGONAL
    rise >>= np.uint16(8)
    nearer = here + rise.astype(np.uint8)
    np.maximum(nearer, beside, out=nearer)
    nearer -= here
    rise = nearer * part
    rise += np.uint16(128)
    rise >>= np.uint16(8)
    grown: NDArray[np.uint8] = (here + rise.astype(np.uint8)) ^ inside_out
    return grown.reshape(images.shape)


def _surround(
    images: NDArray[np.uint8], paper: NDArray[np.uint8] | int, reach: int
) -> tuple[NDArray[np.uint8], Callable[[int], NDArray[np.uint8]]]:
    """Put paper around images: give their pixels, and what lies so far along memory from each."""
    n, size = len(images), images[0].size
    field = np.empty((n, size + 2 * reach), np.uint8)
    field[:, :reach] = field[:, reach + size :] = paper
    field[:, reach : reach + size] = images.reshape(n, size)

    def shifted(far: int) -> NDArray[np.uint8]:
        return field[:, reach + far : reach + far + size]

    return shifted(0), shifted


def _darken(images: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make the darkest ink as dark as it was: a thin pen writes no paler than a thick one."""
    gain = _find_gain(images, like)
    paler = np.flatnonzero(gain > _SAME)
    if paler.size:
        images[paler] = _multiply(images[paler].astype(np.uint16), gain[paler])
    return images


def _find_gain(images: NDArray[np.integer], like: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Give the factors that make ink as dark as that of others, in 1 / 64, shape (M,)."""
    most, was = (_flatten(ink).max(axis=1).astype(np.uint16) for ink in (images, like))
    gain = (was * np.uint16(_SAME) + most // 2) // np.maximum(most, 1)
    clipped: NDArray[np.uint16] = np.clip(gain, _SAME, _MOST_GAIN)
    return clipped


def _multiply(ink: NDArray[np.uint16], gain: NDArray[np.uint16]) -> NDArray[np.uint16]:
    ink *= gain[:, None, None]
    ink += np.uint16(_SAME // 2)
    ink //= np.uint16(_SAME)
    # NumPy compares with an array five times as fast as with a number.
    darker: NDArray[np.uint16] = np.minimum(ink, np.full_like(ink[0], 255), out=ink)
    return darker


def _weigh(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    pixels = _flatten(images)
    exact = np.uint32 if pixels.shape[1] <= _EXACT_PX else np.uint64
    weights: NDArray[np.int64] = pixels.sum(axis=1, dtype=exact).astype(np.int64)
    return weights


def _flatten(images: NDArray[np.integer]) -> NDArray[np.integer]:
    return images.reshape(len(images), -1)


def _maximum(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    first, second, *others = images
    most = np.maximum(first, second)
    for other in others:
        np.maximum(most, other, out=most)
    return most


def _look_around(
    images: NDArray[np.uint8], windows: NDArray[np.float64], choose: np.ufunc
) -> NDArray[np.uint8]:
    """Take the maximum or the minimum over windows; around images there is paper."""
    across, down = windows[:, :1], windows[:, 1:]
    images = _look_along(images, across, 1, choose)
    return _look_along(images, down, images.shape[2], choose)


def _look_along(
    images: NDArray[np.uint8], windows: NDArray[np.float64], step: int, choose: np.ufunc
) -> NDArray[np.uint8]:
    """Choose among a pixel, the one before, the one after, and so on."""
    largest = int(windows.max(initial=1))
    here, shifted = _surround(images, 0, largest // 2 * step)
    chosen = None
    for place in range(1, largest):
        far = (place + 1) // 2 * step
        source = shifted(-far if place % 2 else far)
        taken = windows > place
        if not taken.all():
            shut = np.where(taken, 0, 255).astype(np.uint8)
            source = source & ~shut if choose is np.maximum else source | shut
        chosen = choose(here if chosen is None else chosen, source, out=chosen)
    return (here if chosen is None else chosen).reshape(images.shape)


def _keep_ink(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Go only as far from before to after as leaves enough ink."""
    had, has = (_weigh(images) for images in (before, after))
    missing = had - has * LEAST_INK
    lost = np.flatnonzero(missing > 0)
    if lost.size:
        back = -(-256 * missing[lost] // (LEAST_INK * (had - has)[lost]))
        start, end = before[lost], after[lost]
        ink = (start - end).astype(np.uint16)
        ink *= back.astype(np.uint16)[:, None, None]
        ink >>= np.uint16(8)
        ink += end
        after[lost] = _multiply(ink, _find_gain(ink, start))
    return after
