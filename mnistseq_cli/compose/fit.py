"""Rows resampled to the width of the page, digit by digit.

Each output pixel is the mean of the source over a window as wide as an output pixel, but never
narrower than a source pixel: area averaging where a row shrinks, linear interpolation where it
grows. All sums are of whole numbers, so every processor gives the same pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resample(
    images: NDArray[np.uint8],
    start_px: NDArray[np.int64],
    row_px: NDArray[np.int64],
    fitted_px: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Resample columns of images that are parts of rows.

    Parameters
    ----------
    images : ndarray of uint8, shape (M, H, W)
        A part of each row; paper is 0, in it and around it.
    start_px : ndarray of int64, shape (M,)
        Column of the row at which the part begins.
    row_px, fitted_px : ndarray of int64, shape (M,)
        Width of the row before and after.

    Returns
    -------
    images : ndarray of uint8, shape (M, H, V)
        The same part after resampling; V is enough for all.
    start_px : ndarray of int64, shape (M,)
        Column of the resampled row at which the part begins.
    """
    part_px = images.shape[2]
    wider_px = np.maximum(row_px, fitted_px)
    first = np.maximum(0, (2 * start_px * fitted_px - wider_px) // (2 * row_px))
    n_columns = int(((part_px * fitted_px + wider_px) // row_px).max()) + 3
    shares = _share_columns(
        first[:, None] + np.arange(n_columns), np.arange(part_px), start_px, row_px, fitted_px
    )
    # All terms and sums are whole numbers far below 2**53: floating point adds them exactly, in
    # whatever order, and rounds no quotient across a whole number.
    total = np.matmul(images.astype(np.float64), shares.transpose(0, 2, 1))
    window = 2.0 * wider_px[:, None, None]
    return np.floor((2 * total + window) / (2 * window)).astype(np.uint8), first


def _share_columns(
    column: NDArray[np.int64],
    source: NDArray[np.int64],
    start_px: NDArray[np.int64],
    row_px: NDArray[np.int64],
    fitted_px: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Give how much of each source column lies in the window of each new one, shape (M, V, W).

    Places are counted in units of 1 / (2 * fitted_px) source pixels, which makes them whole.
    """
    unit, wider = 2 * fitted_px[:, None], np.maximum(row_px, fitted_px)[:, None]
    centre = ((2 * column + 1) * row_px[:, None] - start_px[:, None] * unit)[..., None]
    left = (source * unit).astype(np.float64)[:, None]
    right = left + unit[..., None]
    shares: NDArray[np.float64] = np.minimum(centre + wider[..., None], right) - np.maximum(
        centre - wider[..., None], left
    )
    np.maximum(shares, 0, out=shares)
    shares[column >= fitted_px[:, None]] = 0
    return shares
