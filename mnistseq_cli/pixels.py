"""Arrays of pixels and numbers: short names of their types, and the parts to work on at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Classes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.int64]
Shorts: TypeAlias = NDArray[np.uint16]
Words: TypeAlias = NDArray[np.uint64]
Singles: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Instances: TypeAlias = NDArray[np.uint16]  # which character each pixel belongs to
Array: TypeAlias = NDArray[Any]


def split_up(images: Array, chunk_px: int) -> list[slice]:
    """Return the parts of images, shape (N, …), that have about so many pixels each."""
    size = max(1, chunk_px // max(1, images[:1].size))
    return [slice(start, start + size) for start in range(0, len(images), size)]


def find_different(ids: Ints) -> Ints:
    """Sort ids and leave out repeats; np.unique would import masked arrays, 10 ms of a start."""
    ids = np.sort(ids)
    return ids[np.append(True, ids[1:] != ids[:-1])] if ids.size else ids


_KEPT_BYTES = 31 << 20  # less than the 32 MB up to which glibc learns


def keep_freed_memory() -> None:
    """Have the allocator keep what arrays give back, so that the next ones need no fresh pages.

    Clearing those took up to 40 % of the time of a block. glibc gives memory back at twice the
    size of the largest block that it ever got back; other allocators do not mind.
    """
    np.empty(_KEPT_BYTES, np.uint8)
