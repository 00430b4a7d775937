"""Arrays of pixels and numbers: short names of their types, and the parts to work on at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Classes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Instances: TypeAlias = NDArray[np.uint16]  # which character each pixel belongs to
Array: TypeAlias = NDArray[Any]


def split_up(images: Array, chunk_px: int) -> list[slice]:
    """Return the parts of images, shape (N, …), that have about so many pixels each."""
    size = max(1, chunk_px // max(1, images[:1].size))
    return [slice(start, start + size) for start in range(0, len(images), size)]
