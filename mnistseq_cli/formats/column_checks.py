"""Arrays of others: whether they are what a column of a dataset can be."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats.decoding import PIXELS_LIMIT
from mnistseq_cli.recipe import LENGTH_LIMIT

_MATRIX = 2  # axes
_GREYS = (np.uint8, np.bool_)
_ALLOWED = {
    "images": "uint8 or bool of shape (N, height, width)",
    "labels": f"whole numbers of shape (N,) or (N, digits), up to {LENGTH_LIMIT:,} digits, or "
    "strings of shape (N,)",
    "lengths": "whole numbers of shape (N,)",
    "boxes": "whole numbers of shape (N, digits, 4)",
}


def check_column(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    """Refuse an array that cannot be read as what it is meant to be.

    Parameters
    ----------
    name : str
        Of the column: images, labels, lengths or boxes.
    shape : tuple of int
    dtype : numpy dtype
    where : str
        What the array is called in messages.

    Raises
    ------
    OutputError
        Its items or its axes are others than those allowed.
    """
    if min(shape, default=0) < 0:
        raise ValueError(f"it says that its {name} have the shape {shape!s:.80}")
    if _is_allowed(name, shape, dtype):
        return
    is_other = name == "images" and dtype not in _GREYS
    hint = "Scale them to 0..255, 0 black, and save them as uint8." if is_other else ""
    raise OutputError(
        f"cannot read {where}: its {name} are {dtype!s:.40} of shape {shape!s:.80}; allowed are "
        f"{_ALLOWED[name]}",
        hint,
    )


def check_size(shape: tuple[int, ...], dtype: np.dtype[Any], left_bytes: int) -> None:
    """Refuse an array that is larger than the file that should hold it, or than can be handled.

    Raises
    ------
    ValueError
        It is.
    """
    claimed_bytes = dtype.itemsize * prod(shape)
    if claimed_bytes > left_bytes:
        raise ValueError(
            f"it ends too early: for an array of shape {shape} it has {left_bytes:,} bytes of "
            f"{claimed_bytes:,}"
        )
    if dtype.itemsize * prod(shape[1:]) > PIXELS_LIMIT:
        raise ValueError(f"an image of shape {shape[1:]} has more pixels than are read here")


def check_digits(labels: tuple[int, ...], boxes: tuple[int, ...]) -> None:
    """Refuse boxes of fewer digits than labels have.

    Raises
    ------
    ValueError
        Arrays of these shapes do not go together.
    """
    if len(labels) == _MATRIX and boxes[1] < labels[1]:
        raise ValueError(f"it has boxes of {boxes[1]} digits, and labels of {labels[1]}")


def _is_allowed(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array can be read as a column of a name."""
    is_whole = dtype.kind in "iu"
    if name == "images":
        return dtype in _GREYS and _has_axes(shape, 3)
    if name == "labels" and not is_whole:
        is_text = dtype.kind in "US" and 0 < dtype.itemsize <= 4 * LENGTH_LIMIT
        return is_text and _has_axes(shape, 1)
    if name == "labels" and len(shape) == _MATRIX:
        return 0 < shape[1] <= LENGTH_LIMIT
    if name == "boxes":
        return is_whole and shape[2:] == (4,)
    return is_whole and _has_axes(shape, 1)


def _has_axes(shape: tuple[int, ...], n_axes: int) -> bool:
    """Tell whether an array has so many axes, but for a last one of length 1, and none empty."""
    is_long = len(shape) >= n_axes and shape[n_axes:] in ((), (1,))
    return is_long and 0 not in shape[1:]
