"""Noise of single pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.augment.words import expand, expand_shorts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.augment.pages import Pages

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
