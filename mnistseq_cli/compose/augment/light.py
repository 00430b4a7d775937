"""Contrast and brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.compose.augment.pages import Pages

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
