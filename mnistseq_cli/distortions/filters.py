"""Distortions of light and lens: blur, contrast, brightness, noise, grain, JPEG."""

from __future__ import annotations

from io import BytesIO
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.glyphs.stamps import Pages
from mnistseq_cli.pixels import Floats, Ints, Pixels, Shorts, Words, split_up
from mnistseq_cli.randomness import expand_bytes, expand_shorts

_REACH = 3  # the kernel ends at three standard deviations: what is left out is under half a grey
_CHUNK_PX = 2**17  # what the cache of a processor holds along with its sums


def blur(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Blur with a Gaussian of sigma pixels, shape (N, 1); around the image is paper.

    The kernel is rounded to 1/256, and the ink to whole grey levels across and then down: what is
    less than half a grey level is no ink.
    """
    weights = _make_kernels(strengths[:, 0])
    reaches, images = np.count_nonzero(weights, axis=1) - 1, pages.images.copy()
    for reach in range(1, weights.shape[1]):  # those that are too narrow to be seen change nothing
        alike = np.flatnonzero(reaches == reach)
        for some in split_up(images[: len(alike)], _CHUNK_PX):
            chosen = some if len(alike) == len(images) else alike[some]
            images[chosen] = _convolve(images[chosen], weights[chosen, : reach + 1])
    return images


def measure_blur(strengths: Floats) -> Ints:
    """Return the pixels that ink may grow to each side, shape (N, 4)."""
    return np.ceil(strengths * _REACH).astype(np.int64).repeat(4, axis=1)


def _convolve(images: Pixels, weights: Shorts) -> Pixels:
    n, height, width = images.shape
    reach = weights.shape[1] - 1
    # With paper between rows and images, and around all, neighbours in a row or column are so in
    # memory, and all images are added up as one.
    stride = width + reach
    size, edge = (height + reach) * stride, reach * stride
    field = np.zeros(n * size + 2 * edge, np.uint16)
    inside = field[edge : edge + n * size].reshape(n, size)
    rows = inside.reshape(n, -1, stride)[:, :height, :width]
    rows[...] = images
    blurred, beside = np.empty((2, n, size), np.uint16)
    for step in (1, stride):
        np.multiply(inside, weights[:, :1], out=blurred)
        for far in range(1, reach + 1):
            before, after = (field[edge + way * far * step :] for way in (-1, 1))
            np.add(before[: n * size], after[: n * size], out=beside.reshape(-1))
            np.multiply(beside, weights[:, far, None], out=beside)
            np.add(blurred, beside, out=blurred)
        blurred += np.uint16(128)
        np.right_shift(blurred, 8, out=inside)
    return rows.astype(np.uint8)


def _make_kernels(sigma_px: Floats) -> Shorts:
    """Return the middle and one side of each kernel in 1/256, shape (N, radius + 1)."""
    far = np.arange(int(np.ceil(sigma_px.max(initial=0) * _REACH)) + 1)
    sigma = np.maximum(sigma_px, 1 / 256)[:, None]
    heights = np.where(far <= sigma * _REACH, _exp_of_minus(far * far / (2 * sigma * sigma)), 0)
    total = heights[:, 0].copy()
    for place in far[1:]:  # one by one, so that every processor rounds alike
        total += 2 * heights[:, place]
    weights = np.rint(256 * heights / total[:, None])
    weights[:, 0] = 256 - 2 * weights[:, 1:].sum(axis=1)
    return weights.astype(np.uint16)


def _exp_of_minus(x: Floats) -> Floats:
    """Compute exp(-x) for x >= 0 to 1e-6, in steps that every processor rounds alike."""
    small = x / 256
    value = 1 / (1 + small * (1 + small * (0.5 + small / 6)))
    for _ in range(8):
        value = value * value
    return value


_GREY, _GAIN = 128, 64


def contrast(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Move grey levels away from the middle grey by a fraction of their distance, shape (N, 1)."""
    levels = pages.images.astype(np.int16)
    levels -= _GREY
    levels *= np.rint(_GAIN * (1 + strengths)).astype(np.int16)[:, :, None]
    levels += _GREY * _GAIN + _GAIN // 2
    levels >>= 6
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def brightness(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Make images lighter by a fraction of the whole range of grey levels, shape (N, 1)."""
    more_ink = -255 * strengths if pages.ink == "black" else 255 * strengths
    levels = pages.images.astype(np.int16)
    levels += np.rint(more_ink).astype(np.int16)[:, :, None]
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def fade(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Take a fraction of the ink away, shape (N, 1), but none wholly: boxes stay exact."""
    share = np.rint(256 - 256 * strengths).astype(np.uint16)[:, :, None]
    levels = (pages.images * share + np.uint16(128)) >> np.uint16(8)
    return np.asarray(np.maximum(levels, pages.images > 0).astype(np.uint8))


def sharpen(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Add a fraction of the difference from the mean of 3 by 3 pixels, shape (N, 1)."""
    levels = pages.images.astype(np.int32)
    padded = np.pad(levels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    each, right = np.arange(len(levels)), pages.widths_px
    padded[each, :, right + 1] = padded[each, :, right]  # beyond narrower pages, too
    down = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    difference = 9 * levels - down[:, :, :-2] - down[:, :, 1:-1] - down[:, :, 2:]
    difference *= np.rint(strengths * (2**16 / 9)).astype(np.int32)[:, :, None]
    difference += np.int32(2**15)
    difference >>= 16
    levels += difference
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


_QUANTILES = np.array([round(1024 * NormalDist().inv_cdf((n + 0.5) / 256)) for n in range(256)])
_GAUSSIAN = _QUANTILES / (np.square(_QUANTILES).sum() / 256) ** 0.5


def grain(pages: Pages, strengths: Floats, keys: Words) -> Pixels:
    """Add noise with a standard deviation, a fraction of the range of grey levels, shape (N, 1).

    The noise is Gaussian: a byte chooses one of 256 quantiles, equally likely.
    """
    levels: NDArray[np.int16] = np.rint(255 * strengths * _GAUSSIAN).astype(np.int16)

    images = np.empty_like(pages.images)
    for some in split_up(images, _CHUNK_PX):
        chosen = expand_bytes(keys[some], *images.shape[1:]).astype(np.intp)
        chosen += np.arange(len(chosen))[:, None, None] * 256
        grains = levels[some].take(chosen, mode="wrap")
        grains += pages.images[some]
        images[some] = np.clip(grains, 0, 255, out=grains)
    return images


def noise(pages: Pages, strengths: Floats, keys: Words) -> Pixels:
    """Make a fraction of the pixels black or white, either equally likely, shape (N, 1)."""
    numbers = expand_shorts(keys, *pages.images.shape[1:])
    half = np.rint(strengths * 2**15).astype(np.int64)[:, :, None]
    black = (numbers < half.astype(np.uint16)).view(np.uint8)
    white = (numbers > (2**16 - 1 - half).astype(np.uint16)).view(np.uint8)
    white -= np.uint8(1)  # 255 where a pixel stays
    white &= pages.images
    white |= np.negative(black, out=black)
    return white


def jpeg(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Save as JPEG of a quality, shape (N, 1), and read again; 100 leaves images alone.

    The only distortion whose pixels follow an installed library: Pillow's JPEG codec.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and only this needs it

    images = pages.images.copy()
    flip = np.uint8(255 if pages.ink == "black" else 0)
    for image, width, quality in zip(images, pages.widths_px, strengths[:, 0], strict=True):
        stream = BytesIO()
        Image.fromarray(image[:, :width] ^ flip).save(stream, "JPEG", quality=int(quality))
        image[:, :width] = np.asarray(Image.open(stream, formats=["JPEG"])) ^ flip
    return images


def coarsen(pages: Pages, strengths: Floats, _: Words) -> Pixels:
    """Take images with a fraction of their rows and columns, shape (N, 1), and enlarge them again.

    Each row and column is the mean of those that it stands for; between the middles of two of
    them grey levels grow evenly.
    """
    n, height, _ = pages.images.shape
    rows = np.rint(height * strengths[:, 0]).astype(np.int64)
    reach = 2 * (height // int(rows.min(initial=height)) + 1)
    wide = np.pad(pages.images, ((0, 0), (0, 0), (0, reach)))
    beyond = np.arange(wide.shape[2]) >= pages.widths_px[:, None]
    edges = wide[np.arange(n), :, pages.widths_px - 1]
    wide = np.where(beyond[:, None], edges[:, :, None], wide)  # the paper goes on there
    across = _sample(wide.transpose(0, 2, 1), rows, height)[:, :-reach]
    return _sample(across.transpose(0, 2, 1), rows, height)


def _sample(images: Pixels, n: Ints, of: int) -> Pixels:
    """Take n rows, (N,), instead of each so many, and enlarge them to as many again."""
    n_images, n_rows, width = images.shape
    counts = -(-n_rows * n // of)
    begin = np.cumsum(counts) - counts
    image = np.repeat(np.arange(n_images), counts)
    starts = image * n_rows + (np.arange(len(image)) - begin[image]) * of // n[image]
    sizes = np.diff(starts, append=n_images * n_rows)
    rows, means = images.reshape(-1, width), np.empty((len(starts), width), np.int16)
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        sums = np.full((len(chosen), width), size, np.min_scalar_type(511 * size))
        for place in range(size):
            sums += 2 * rows[starts[chosen] + place].astype(sums.dtype)
        means[chosen] = sums // (2 * size)
    above, part = np.divmod((2 * np.arange(n_rows) + 1) * n[:, None] * 8 // of - 8, 16)
    upper, lower = (
        means.take(begin[:, None] + np.clip(above + at, 0, counts[:, None] - 1), axis=0)
        for at in (0, 1)
    )
    levels: NDArray[np.int16] = (
        16 * upper + (lower - upper) * part.astype(np.int16)[:, :, None] + 8
    )
    levels >>= 4
    return levels.astype(np.uint8)
