"""Distortions of light and lens: blur, contrast, brightness, noise, grain, JPEG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.randomness import expand, expand_shorts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.stamps import Pages

_REACH = 3  # the kernel ends at three standard deviations: what is left out is under half a grey
_CHUNK_PX = 2**16  # what the cache of a processor holds along with its sums


def blur(pages: Pages, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Blur with a Gaussian of sigma pixels, shape (N, 1); around the image is paper.

    The kernel is rounded to 1/256 and the sums are whole numbers, rounded once at the end: what
    is less than half a grey level is no ink.
    """
    weights = _make_kernels(strengths[:, 0])[:, :, None, None]
    images = np.empty_like(pages.images)
    size = max(1, _CHUNK_PX // max(1, images[:1].size))
    for start in range(0, len(images), size):
        some = slice(start, start + size)
        images[some] = _convolve(pages.images[some], weights[some])
    return images


def measure_blur(strengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the pixels that ink may grow to each side, shape (N, 4)."""
    return np.ceil(strengths * _REACH).astype(np.int64).repeat(4, axis=1)


def _convolve(images: NDArray[np.uint8], weights: NDArray[np.uint16]) -> NDArray[np.uint8]:
    n, height, width = images.shape
    radius = weights.shape[1] - 1
    ink = images.astype(np.uint16)
    down = ink * weights[:, 0]
    for far in range(1, min(radius + 1, height)):
        part = ink * weights[:, far]
        down[:, far:] += part[:, :-far]
        down[:, :-far] += part[:, far:]
    # With paper between the rows, neighbours along a row are neighbours in memory.
    rows = np.zeros((n, height, width + radius), np.uint32)
    rows[:, :, :width] = down
    across = rows * weights[:, 0]
    flat, part_across = across.reshape(-1), np.empty_like(rows)
    for far in range(1, radius + 1):
        part = np.multiply(rows, weights[:, far], out=part_across).reshape(-1)
        flat[far:] += part[:-far]
        flat[:-far] += part[far:]
    across += np.uint32(2**15)
    across >>= np.uint32(16)
    return across[:, :, :width].astype(np.uint8)


def _make_kernels(sigma_px: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return the middle and one side of each kernel in 1/256, shape (N, radius + 1)."""
    far = np.arange(int(np.ceil(sigma_px.max(initial=0) * _REACH)) + 1)
    sigma = np.maximum(sigma_px, 1 / 256)[:, None]
    heights = np.where(far <= sigma * _REACH, _exp_of_minus(far * far / (2 * sigma * sigma)), 0)
    total = heights[:, 0].copy()
    for place in far[1:]:
        total += 2 * heights[:, place]
    weights = np.rint(256 * heights / total[:, None])
    weights[:, 0] = 256
    for place in far[1:]:
        weights[:, 0] -= 2 * weights[:, place]
    return weights.astype(np.uint16)


def _exp_of_minus(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute exp(-x) for x >= 0 to 1e-6, in steps that every processor rounds alike."""
    small = x / 256
    value = 1 / (1 + small * (1 + small * (0.5 + small / 6)))
    for _ in range(8):
        value = value * value
    return value


_GREY = 128


def contrast(
    pages: Pages, strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Move grey levels away from the middle grey by a fraction of their distance, shape (N, 1)."""
    gain = np.rint(256 + 256 * strengths).astype(np.int32)[:, :, None]
    levels = (pages.images.astype(np.int32) - np.int32(_GREY)) * gain
    levels += np.int32(_GREY * 256 + 128)
    levels >>= 8
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def brightness(
    pages: Pages, strengths: NDArray[np.float64], _: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Make images lighter by a fraction of the whole range of grey levels, shape (N, 1)."""
    more_ink = -255 * strengths if pages.ink == "black" else 255 * strengths
    levels = pages.images.astype(np.int16) + np.rint(more_ink).astype(np.int16)[:, :, None]
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_MEAN = 510  # of the sum of four random bytes
_STD = 147.8  # sqrt(4 * (256**2 - 1) / 12)


def grain(
    pages: Pages, strengths: NDArray[np.float64], keys: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Add noise with a standard deviation, a fraction of the range of grey levels, shape (N, 1).

    The noise is the sum of four uniform numbers, which nobody can tell from a Gaussian.
    """
    factor = np.rint(strengths * (255 / _STD * 1024)).astype(np.int32)[:, :, None]
    levels = _sum_of_bytes(keys, *pages.images.shape[1:]).astype(np.int32)
    levels -= np.int32(_MEAN)
    levels *= factor
    levels += np.int32(512)
    levels >>= 10
    levels += pages.images
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def noise(
    pages: Pages, strengths: NDArray[np.float64], keys: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Make a fraction of the pixels black or white, either equally likely, shape (N, 1)."""
    numbers = expand_shorts(keys, *pages.images.shape[1:])
    half = np.rint(strengths * 2**15).astype(np.int64)[:, :, None]
    black = numbers < half.astype(np.uint16)
    white = numbers > (2**16 - 1 - half).astype(np.uint16)
    return np.where(black, np.uint8(255), np.where(white, np.uint8(0), pages.images))


def _sum_of_bytes(keys: NDArray[np.uint64], height: int, width: int) -> NDArray[np.uint16]:
    words = expand(keys, height, -(-width // 4) * 2)
    pairs = (words & _EVEN_BYTES) + ((words >> np.uint64(8)) & _EVEN_BYTES)
    sums = pairs[..., ::2] + pairs[..., 1::2]
    return sums.astype("<u8", copy=False).view("<u2")[..., :width]


def jpeg(pages: Pages, strengths: NDArray[np.float64], _: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Save as JPEG of a quality, shape (N, 1), and read again; 100 leaves images alone.

    The only distortion whose pixels follow an installed library: imageio's JPEG codec.
    """
    import imageio.v3 as iio  # noqa: PLC0415 - slow to import, and only this needs it

    images = pages.images.copy()
    flip = np.uint8(255 if pages.ink == "black" else 0)
    for image, width, quality in zip(images, pages.widths_px, strengths[:, 0], strict=True):
        seen = image[:, :width] ^ flip
        packed = iio.imwrite("<bytes>", seen, extension=".jpg", quality=int(quality))
        image[:, :width] = iio.imread(packed, extension=".jpg") ^ flip
    return images
