"""The width of the pen: ink made thicker or thinner.

Images have room for the ink to grow, and their last `SPARE_PX` columns are paper. So the pixel
before the first one of a row is paper too, that at the end of the row above: neighbours in any
direction are neighbours in memory, and whole images are moved and compared at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.distortions.geometry import surround
from mnistseq_cli.pixels import Floats, Ints, Pixels, Shorts, Words, split_up

_Step = Callable[[Pixels, Ints], Pixels]

SPARE_PX = 2  # columns of paper that end each image
LEAST_INK = 3  # at least a third of the ink stays: less cannot be read
_DIAGONAL = np.uint16(181)  # 256 / sqrt(2)
_SAME, _MOST_GAIN = 64, np.uint16(255)  # factors in 1 / 64
_SURE = 127  # 1 / 256 px: no pixel loses more than half on so short a way
_CHUNK_PX = 2**17  # what the cache of a processor holds with all that is made of it
_LANES, _LANES_PX = np.uint64(0x00FF00FF00FF00FF), 1028


def thicken(images: Pixels, strengths: Floats, _: Words) -> Pixels:
    """Move the edges of the ink outwards by pixels, or inwards where negative, shape (M, 1).

    One upwind step of the level-set equation v' = |grad v| (Osher and Sethian 1988) for each
    pixel or part of it: ink moves along the normal of its edge, and keeps its soft profile.
    """
    inside_out = np.where(strengths < 0, 255, 0).astype(np.uint8)
    distance = np.rint(np.abs(strengths[:, 0]) * 256).astype(np.int64)

    def step(done: int, ink: Pixels, digits: Ints) -> Pixels:
        part = np.clip(distance[digits] - done, 0, 256).astype(np.uint16)[:, None]
        grown = np.empty(ink.shape, np.uint8)
        for some in split_up(grown, _CHUNK_PX):
            grown[some] = _grow_edge(ink[some], inside_out[digits[some]], part[some])
        return grown

    steps = [partial(step, done) for done in range(0, int(distance.max(initial=0)), 256)]
    if distance[strengths[:, 0] < 0].max(initial=0) > _SURE:
        return _darken(_go_on(images, steps), images)
    grown = images
    for go in steps:
        grown = go(grown, np.arange(len(images)))
    return _darken(grown, images)


def dilate(images: Pixels, strengths: Floats, _: Words) -> Pixels:
    """Set each pixel to the most ink in a window of width × height around it, shape (M, 2)."""
    across, down = strengths[:, :1], strengths[:, 1:]
    return _widen(_widen(images, across, 1), down, images.shape[2])


def erode(images: Pixels, strengths: Floats, _: Words) -> Pixels:
    """Set each pixel to the least ink in a window of width × height around it, shape (M, 2).

    The window grows by a column and a row at a time, as long as a third of the ink stays.
    """
    largest = int(strengths.max(initial=1))
    return _go_on(images, [partial(_narrow, strengths, place) for place in range(1, largest)])


def measure_thickening(strengths: Floats) -> Ints:
    """Return the pixels that ink grows to the left, up, right and down, shape (M, 4)."""
    return np.ceil(np.maximum(strengths, 0)).astype(np.int64).repeat(4, axis=1)


def measure_dilation(strengths: Floats) -> Ints:
    """Return the pixels that ink grows to the left, up, right and down, shape (M, 4)."""
    window = np.maximum(strengths, 1).astype(np.int64)
    return np.concatenate([(window - 1) // 2, window // 2], axis=1)


def _grow_edge(images: Pixels, inside_out: Pixels, part: Shorts) -> Pixels:
    """Move edges outwards by 0 to 256 / 256 px; erosion is the growth of paper."""
    size, down = images[0].size, images.shape[2]
    field = surround(images, down + 1)
    field ^= inside_out
    here = field[:, down + 1 : -down - 1]
    sides = np.maximum(field[:, :-2], field[:, 2:])
    across = np.maximum(sides[:, :size], sides[:, 2 * down :])
    np.maximum(across, here, out=across)
    beside = sides[:, down : down + size]
    np.maximum(beside, field[:, 1 : size + 1], out=beside)
    np.maximum(beside, field[:, 2 * down + 1 : -1], out=beside)
    # A pixel across a corner is sqrt(2) px away: this is the ink 1 px on the way to it.
    across -= here
    rise = across.astype(np.uint16)
    rise *= _DIAGONAL
    rise >>= np.uint16(8)
    nearer = rise.astype(np.uint8)
    nearer += here
    np.maximum(nearer, beside, out=nearer)
    nearer -= here
    rise = nearer.astype(np.uint16)
    rise *= part
    rise += np.uint16(128)
    rise >>= np.uint16(8)
    grown = rise.astype(np.uint8)
    grown += here
    grown ^= inside_out
    return grown.reshape(images.shape)


def _darken(images: Pixels, like: Pixels) -> Pixels:
    """Make the darkest ink as dark as it was: a thin pen writes no paler than a thick one."""
    most, was = _find_most(images), _find_most(like)
    gain = _find_gain(most, was)
    paler = np.flatnonzero(gain > _SAME)
    if paler.size:
        images[paler] = _multiply(images[paler].astype(np.uint16), gain[paler])
    return images


def _find_gain(most: Shorts, to: Shorts) -> Shorts:
    """Return what makes ink as dark as it is to be, or four times as dark as it is."""
    gain: Shorts = to * np.uint16(_SAME) // np.maximum(most, 1)
    return np.minimum(gain, _MOST_GAIN)


def _multiply(ink: Shorts, gain: Shorts) -> Shorts:
    """Multiply ink, which is written to, by factors in 1 / 64."""
    ink *= gain[:, None, None]
    ink += np.uint16(_SAME // 2)
    ink >>= np.uint16(6)
    return ink


def _find_most(images: NDArray[np.integer]) -> Shorts:
    return np.asarray(images.reshape(len(images), -1).max(axis=1).astype(np.uint16))


def _weigh(images: Pixels) -> Ints:
    """Add up the ink of each image."""
    pixels = images.reshape(len(images), -1)
    if pixels.shape[1] % 8 == 0 and pixels.shape[1] <= _LANES_PX:
        # Eight pixels at once, in lanes of 16 bits, which hold the ink of so many.
        words = pixels.view(np.uint64)
        lanes = words >> np.uint64(8)
        lanes &= _LANES
        lanes += words & _LANES
        pixels = lanes.sum(axis=1).view(np.uint16).reshape(-1, 4)
    return np.asarray(pixels.sum(axis=1, dtype=np.int64))


def _widen(images: Pixels, windows: Floats, step: int) -> Pixels:
    """Take the maximum of a pixel, the one before, the one after, and so on."""
    largest = int(windows.max(initial=1))
    size, reach = images[0].size, largest // 2 * step
    field = surround(images, reach)
    most = field[:, reach : reach + size]
    for place in range(1, largest):
        first = reach + (-1) ** place * ((place + 1) // 2 * step)
        source = field[:, first : first + size]
        taken = windows > place
        if not taken.all():
            source = source & np.where(taken, 255, 0).astype(np.uint8)
        most = np.maximum(most, source)
    return most.reshape(images.shape)


def _narrow(windows: Floats, place: int, images: Pixels, digits: Ints) -> Pixels:
    """Take the minimum with the next pixels that windows hold: those before, or those after."""
    edge = 0 if place % 2 else -1
    for axis, step in enumerate((1, images.shape[2])):
        narrow = np.empty(images.shape, np.uint8)
        here, there = images.reshape(-1), narrow.reshape(-1)
        least = there[step:] if place % 2 else there[:-step]
        np.minimum(here[step:], here[:-step], out=least)
        there[edge] = 0
        if axis:  # above and below an image there is paper; beside it there is always some
            narrow[:, edge] = 0
        still = np.flatnonzero(windows[digits, axis] <= place)
        narrow[still] = images[still]
        images = narrow
    return images


def _go_on(images: Pixels, steps: Sequence[_Step]) -> Pixels:
    """Go step by step as long as enough ink stays; of the step that goes too far, go a part."""
    ink, most = _weigh(images), _find_most(images)
    least = -(-ink // LEAST_INK)
    result, digits, now = np.empty_like(images), np.arange(len(images)), images
    for step in steps:
        after = step(now, digits)
        left = _weigh(after)
        too_far = left < least[digits]
        if too_far.any():
            at, go = np.flatnonzero(too_far), np.flatnonzero(~too_far)
            back = -(-256 * (least[digits[at]] - left[at]) // (ink[at] - left[at]))
            result[digits[at]] = _mix(now[at], after[at], back, most[digits[at]])
            digits, after, left = digits[go], after[go], left[go]
            if not len(digits):
                return result
        now, ink = after, left
    result[digits] = now
    return result


def _mix(before: Pixels, after: Pixels, back: Ints, most: Shorts) -> Shorts:
    """Go a part of the way back, in 1 / 256, with ink that is as dark as that at most."""
    ink = (before - after).astype(np.uint16)
    ink *= back.astype(np.uint16)[:, None, None]
    ink >>= np.uint16(8)
    ink += after
    return _multiply(ink, _find_gain(_find_most(ink), most))
