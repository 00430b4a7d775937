"""Finished samples, one by one and as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """One finished image and all that is known of it.

    Parameters
    ----------
    index : int
    text : str
    image : ndarray of uint8, shape (28, width)
    boxes : ndarray of int64, shape (digits, 4)
        x, y, width, height of the ink of each digit in pixels, origin top left.
    glyphs : ndarray of int64, shape (digits,)
        Glyph ids.
    gaps : ndarray of int64, shape (digits - 1,), or (digits + 1,) with edges
        Pixels between digits, as drawn.
    """

    index: int
    text: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.int64]
    glyphs: NDArray[np.int64]
    gaps: NDArray[np.int64]

    def __repr__(self) -> str:
        height, width = self.image.shape
        return f"<Sample {self.index} {self.text!r}: {width} × {height} px>"


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """Consecutive samples as arrays.

    Parameters
    ----------
    start : int
        Index of the first sample.
    images : ndarray of uint8, shape (N, 28, widest)
    widths_px : ndarray of int64, shape (N,)
        Width of each image; paper fills the rest of the array.
    texts : ndarray of str, shape (N,)
    lengths : ndarray of int64, shape (N,)
        Number of digits of each sample; the arrays below hold zeros after them.
    classes : ndarray of uint8, shape (N, n)
    glyphs : ndarray of int64, shape (N, n)
    boxes : ndarray of int64, shape (N, n, 4)
        x, y, width, height of each digit's ink.
    gaps : ndarray of int64, shape (N, n + 1)
        The gap before digit 0, 1, …, and the gap after the last digit.
    edges : bool
        Whether the first and the last of a sample's gaps are drawn ones.
    alphabet : str
        The character of each class.
    """

    start: int
    images: NDArray[np.uint8]
    widths_px: NDArray[np.int64]
    texts: NDArray[np.str_]
    lengths: NDArray[np.int64]
    classes: NDArray[np.uint8]
    glyphs: NDArray[np.int64]
    boxes: NDArray[np.int64]
    gaps: NDArray[np.int64]
    edges: bool
    alphabet: str

    def __repr__(self) -> str:
        n, height, width = self.images.shape
        return f"<Block of samples {self.start} to {self.start + n - 1}: {width} × {height} px>"

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> Sample:
        """Return the sample at a place of the block, 0 being the first."""
        n = int(self.lengths[place])
        return Sample(
            index=self.start + place,
            text=str(self.texts[place]),
            image=self.images[place, :, : self.widths_px[place]],
            boxes=self.boxes[place, :n],
            glyphs=self.glyphs[place, :n],
            gaps=self.gaps[place, : n + 1] if self.edges else self.gaps[place, 1:n],
        )
