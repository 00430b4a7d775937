"""Finished samples, one by one and as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mnistseq_cli.glyphs.writers import Writers

_MOST_SHOWN = 24  # samples of a block in a notebook


class Mark(NamedTuple):
    """A character that is written but not read."""

    character: str
    box: tuple[int, int, int, int]  # x, y, width, height of its ink in pixels, origin top left


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """One finished image and all that is known of it.

    Parameters
    ----------
    index : int
    text : str
        What is read.
    image : ndarray of uint8, shape (height, width)
    boxes : ndarray of int64, shape (digits, 4)
        x, y, width, height of the ink of each digit in pixels, origin top left.
    glyphs : ndarray of int64, shape (digits,)
        Glyph ids.
    gaps : ndarray of int64, shape (written - 1,), or (written + 1,) with edges
        Pixels between the characters that are written, as drawn.
    written : str
        What stands on the paper: the text, and the marks where they stand.
    marks : tuple of Mark
        What is written but not read, from left to right.
    wrote : Writers, optional
        Who wrote each digit; see `writers`.
    one_writer : bool
        Whether the recipe has each row written by one person.
    masks : ndarray of bool, shape (characters, height, width), optional
        Where each character has ink, those of the text first, then marks; where they overlap, a
        pixel belongs to both. Made when asked for; see `SequenceGenerator.block`.
    """

    index: int
    text: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.int64]
    glyphs: NDArray[np.int64]
    gaps: NDArray[np.int64]
    written: str
    marks: tuple[Mark, ...] = ()
    wrote: Writers | None = None
    one_writer: bool = False
    masks: NDArray[np.bool_] | None = None

    def __repr__(self) -> str:
        height, width = self.image.shape
        return f"<Sample {self.index} {self.text!r}: {width} × {height} px>"

    @property
    def writers(self) -> tuple[str, ...]:
        """Who wrote each digit, such as ``"nist/2154"``; empty where that is not known."""
        return tuple(self.wrote.spell().tolist()) if self.wrote else ()

    @property
    def writer(self) -> str | None:
        """Name of who wrote the row, where the recipe has each written by one person."""
        return self.writers[0] if self.wrote and self.one_writer else None

    def _repr_png_(self) -> bytes:
        from mnistseq_cli import sheet  # noqa: PLC0415 - only notebooks need it

        return sheet.to_png(sheet.draw_sample(self, max(1, 4 * 28 // len(self.image))))

    def to_pil(self) -> Image:
        """Return the image as one of Pillow, of mode "L"."""
        from PIL.Image import fromarray  # noqa: PLC0415 - only who asks needs it

        return fromarray(self.image)

    def save(self, path: str | Path) -> None:
        """Write the image to a file; its ending names the format, such as ``.png``."""
        self.to_pil().save(path)


@dataclass(frozen=True, eq=False, repr=False)
class Marks:
    """The marks of consecutive samples, sample by sample, from left to right."""

    lengths: NDArray[np.int64]  # (N,), number of marks of each sample
    characters: str
    boxes: NDArray[np.int64]  # (len(characters), 4)

    def __getitem__(self, some: slice) -> Marks:
        """Return the marks of some samples."""
        ends = self.lengths.cumsum()
        start, stop = (ends - self.lengths)[some.start], ends[some.stop - 1]
        return Marks(self.lengths[some], self.characters[start:stop], self.boxes[start:stop])

    def of(self, place: int) -> tuple[Mark, ...]:
        """Return the marks of one sample."""
        stop = int(self.lengths[: place + 1].sum())
        some = slice(stop - int(self.lengths[place]), stop)
        return tuple(map(Mark, self.characters[some], map(tuple, self.boxes[some].tolist())))

    def of_each(self) -> Iterator[tuple[str, list[list[int]]]]:
        """Yield the characters and the boxes of each sample."""
        start, boxes = 0, self.boxes.tolist()
        for stop in self.lengths.cumsum().tolist():
            yield self.characters[start:stop], boxes[start:stop]
            start = stop


@dataclass(frozen=True, eq=False, repr=False)
class Inks:
    """The ink of each character, alone on its page: what masks are made of.

    All characters of the first sample come first, from left to right, then those of the second.
    """

    images: NDArray[np.uint8]  # (M, height, W), 0 without ink; nothing lies beyond the page
    sample: NDArray[np.int64]  # (M,), which sample of the block a character belongs to
    instance: NDArray[np.int64]  # (M,), which one of it: those of the text first, then marks
    x_px: NDArray[np.int64]  # (M,), the column of the page where it begins; may be below 0

    def __getitem__(self, some: slice) -> Inks:
        """Return the ink of some samples."""
        chosen = (self.sample >= some.start) & (self.sample < some.stop)
        sample = self.sample[chosen] - some.start
        return Inks(self.images[chosen], sample, self.instance[chosen], self.x_px[chosen])

    def masks(self, sample: int, width_px: int) -> NDArray[np.bool_]:
        """Return where each character of a sample has ink, shape (characters, height, width)."""
        chosen = np.flatnonzero(self.sample == sample)
        stamp_px = self.images.shape[2]
        masks = np.zeros((len(chosen), self.images.shape[1], width_px + 2 * stamp_px), np.bool_)
        for one in chosen.tolist():
            start = min(max(0, int(self.x_px[one]) + stamp_px), width_px + stamp_px)
            masks[self.instance[one], :, start : start + stamp_px] = self.images[one] > 0
        return masks[:, :, stamp_px : width_px + stamp_px]


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """Consecutive samples as arrays.

    Parameters
    ----------
    start : int
        Index of the first sample.
    images : ndarray of uint8, shape (N, height, widest)
    widths_px : ndarray of int64, shape (N,)
        Width of each image; paper fills the rest of the array.
    texts : ndarray of str, shape (N,)
    lengths : ndarray of int64, shape (N,)
        Number of digits of each sample; the arrays below hold zeros after them.
    classes : ndarray of uint8, shape (N, n)
    glyphs : ndarray of int64, shape (N, n)
    boxes : ndarray of int64, shape (N, n, 4)
        x, y, width, height of each digit's ink.
    gaps : ndarray of int64, shape (N, written + 1)
        The gap before the character 0, 1, … that is written, marks among them, and the gap after
        the last one.
    edges : bool
        Whether the first and the last of a sample's gaps are drawn ones.
    alphabet : str
        The character of each class.
    written : ndarray of str, shape (N,)
        What stands on the paper.
    marks : Marks, optional
        What is written but not read, where the recipe leaves characters unlabelled.
    wrote : Writers, optional
        Who wrote each digit, shape (N, n), where that is known; see `writers`.
    one_writer : bool
        Whether the recipe has each row written by one person.
    inks : Inks, optional
        The ink of each character, where masks were asked for.
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
    written: NDArray[np.str_]
    marks: Marks | None = None
    wrote: Writers | None = None
    one_writer: bool = False
    inks: Inks | None = None

    def __repr__(self) -> str:
        n, height, width = self.images.shape
        return f"<Block of samples {self.start} to {self.start + n - 1}: {width} × {height} px>"

    def _repr_html_(self) -> str:
        from mnistseq_cli import sheet  # noqa: PLC0415 - only notebooks need it

        first = [*islice(self, _MOST_SHOWN)]
        return sheet.to_html(sheet.make_labelled_sheet(first), repr(self))

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(len(self)))

    @cached_property
    def writers(self) -> NDArray[np.str_] | None:
        """Names of who wrote each digit, shape (N, n), where that is known."""
        return self.wrote.spell() if self.wrote else None

    @property
    def n_written(self) -> NDArray[np.int64]:
        """Number of characters that are written, shape (N,)."""
        return self.lengths + self.marks.lengths if self.marks else self.lengths

    def take(self, some: slice, start: int) -> Block:
        """Return samples that follow each other, the first of which has this index."""
        block, of_all = copy(self), {"start", "edges", "alphabet", "one_writer"}
        own = {name: one for name, one in vars(self).items() if name not in of_all}
        vars(block).update({name: one[some] for name, one in own.items() if one is not None})
        images = np.ascontiguousarray(block.images[:, :, : block.widths_px.max()])
        vars(block).update(start=start, images=images)
        return block

    def __getitem__(self, place: int) -> Sample:
        """Return the sample at a place of the block, 0 being the first, -1 the last."""
        place = range(len(self))[place]
        n, n_written = int(self.lengths[place]), int(self.n_written[place])
        width_px = int(self.widths_px[place])
        gaps = slice(0, n_written + 1) if self.edges else slice(1, n_written)
        return Sample(
            index=self.start + place,
            text=str(self.texts[place]),
            image=self.images[place, :, :width_px],
            boxes=self.boxes[place, :n],
            glyphs=self.glyphs[place, :n],
            gaps=self.gaps[place, gaps],
            written=str(self.written[place]),
            marks=self.marks.of(place) if self.marks else (),
            wrote=self.wrote[place, :n] if self.wrote else None,
            one_writer=self.one_writer,
            masks=self.inks.masks(place, width_px) if self.inks else None,
        )
