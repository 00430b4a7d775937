"""Glyphs with labels, sorted by class, with the ink extent of each."""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.errors import GlyphError, TextError
from mnistseq_cli.glyphs.resize import SHARP, enlarge, find_steepness, steepen
from mnistseq_cli.glyphs.stamps import view_windows
from mnistseq_cli.glyphs.writers import Writers
from mnistseq_cli.pixels import Bools, Classes, Ints, Pixels, Words, find_different, split_up
from mnistseq_cli.randomness import draw_by_weight, scale_words

SIDE_PX = 28
_UNSAID: Any = None  # what `GlyphSet` makes itself
_N_SIZED = 200  # glyphs that say how large those of a set are
_CUT_OUT = ("_lock", "_kept", "_block", "_owners", "_next", "_place", "_extents")
_CUT_OUT_BYTES = 140_000_000  # of glyphs that are kept cut out: all of MNIST at 64 px
_STEPS = 16  # in which the room for ink grows to that of a cell
_LONG_PX = 100  # rows that are looked through faster one by one
_CHUNK_PX = 2**18  # of images that are measured while they lie in a processor's cache
AT_ONCE_PX = 2**22  # of glyphs that are worked on together: more would take too much memory


@dataclass(frozen=True)
class GlyphInk:
    """The ink of some glyphs, moved to the left edge of its cells."""

    images: Pixels  # (N, H, W), of whole cells or lower ones; the first column holds ink
    left_px: Ints  # where the ink stood in its cell
    top_px: Ints
    width_px: Ints
    height_px: Ints
    steepness: Ints  # of edges that are soft until glyphs have been moved; see `steepen`

    def take(self, chosen: Ints | slice) -> GlyphInk:
        """Return the ink of some of the glyphs."""
        return GlyphInk(*(value[chosen] for value in vars(self).values()))


@dataclass(eq=False, repr=False)
class GlyphSet:
    """The glyphs of one data set and split.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, side, side)
        0 = paper, 255 = ink. May be memory-mapped: only the glyphs in use are read.
    labels : ndarray of uint8, shape (N,)
        Class of each glyph, an index into `alphabet`.
    name, split, licence : str
        Where the glyphs come from, and on which terms.
    sha256 : str
        Content hash, saved with every dataset.
    alphabet : str
        The character of each class.
    ids : ndarray of int64, shape (M,), optional
        The glyphs to draw from; all by default. A glyph's id is its place in `images`.
    writers : Writers, optional
        Who wrote each glyph, where that is known.
    is_test : ndarray of bool, shape (N,), optional
        Which glyphs are to test with, in a set of both splits.
    pen_ids : ndarray of int64, shape (N,), optional
        Which glyph of the built-in pen each is, those to test with going on from those to train
        with; -1 for others. The pen draws them anew at any height.
    set_of : ndarray of int64, shape (N,), optional
        Which set of a mix each glyph belongs to.
    weights : tuple of int
        How often each set of a mix is drawn.
    n_own : int, optional
        How many characters of the alphabet are the set's own; the pen adds the others, whose
        glyphs have labels but no images.
    height_px : int, optional
        Height of the glyphs when they are cut out; by default that of `images`.
    is_soft : bool, optional
        Whether edges of enlarged glyphs stay soft, to be made steeper after they are moved.
    """

    images: Pixels
    labels: Classes
    _: KW_ONLY
    name: str
    split: str
    licence: str
    sha256: str
    alphabet: str = "0123456789"
    ids: Ints = _UNSAID
    writers: Writers | None = None
    is_test: Bools = _UNSAID
    pen_ids: Ints = _UNSAID
    set_of: Ints = _UNSAID
    weights: tuple[int, ...] = (1,)
    n_own: int = _UNSAID
    height_px: int = _UNSAID
    is_soft: bool = False

    def __post_init__(self) -> None:
        n_glyphs = len(self.labels)
        made = {
            "ids": np.arange(n_glyphs),
            "is_test": np.zeros(n_glyphs, np.bool_),
            "pen_ids": np.full(n_glyphs, -1),
            "set_of": np.zeros(n_glyphs, np.int64),
            "n_own": len(self.alphabet),
            "height_px": self.images.shape[1],
        }
        vars(self).update({key: one for key, one in made.items() if getattr(self, key) is None})
        ids = np.sort(self.ids)
        self.ids = ids[np.argsort(self.labels[ids], kind="stable")]
        self.counts = np.bincount(self.labels[ids], minlength=len(self.alphabet))
        self._starts = np.cumsum(self.counts) - self.counts
        self._reset_cache()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        n_classes = np.count_nonzero(self.counts)
        return f"<GlyphSet {self.name} {self.split}: {len(self):,} glyphs, {n_classes} classes>"

    def _repr_html_(self) -> str:
        from mnistseq_cli import sheet  # noqa: PLC0415 - only notebooks need it

        n_each = -(-160 // np.count_nonzero(self.counts))
        rows = [ids[:n_each] for ids in np.split(self.ids, self._starts[1:]) if ids.size]
        pictures = [255 - np.concatenate([*self.images[ids]], axis=1) for ids in rows]
        return sheet.to_html(sheet.make_sheet(pictures), repr(self))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is cut out again when needed; of a mapped file the place is enough."""
        state = {key: value for key, value in vars(self).items() if key not in _CUT_OUT}
        mapped = self.images.base
        layout = (self.images.shape, self.images.strides)
        if isinstance(mapped, np.memmap) and (mapped.shape, mapped.strides) == layout:
            state["images"] = (mapped.filename, mapped.dtype, "r", mapped.offset, mapped.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the file again."""
        images = state["images"]
        if isinstance(images, tuple):
            images = np.memmap(*images).view(np.ndarray)
        vars(self).update(state | {"images": images})
        self._reset_cache()

    def _reset_cache(self) -> None:
        self._lock = RLock()  # what is kept changes while others may read it
        self._extents = np.zeros((len(self.labels), 4), np.int64)  # of those not kept, too
        self._make_room(1, 1)

    def _make_room(self, high_px: int, wide_px: int) -> None:
        """Keep glyphs cut out from now on, their ink in blocks of a size; forget the others."""
        n_kept = max(1, min(len(self.ids), _CUT_OUT_BYTES // (high_px * wide_px)))
        self._block = high_px, wide_px
        self._kept = np.empty((n_kept, high_px * wide_px), np.uint8)
        self._owners = np.full(n_kept, -1)  # the glyph in each place
        self._next = 0  # the place that is taken next, whoever has it
        self._place = np.full(len(self.labels), -1)  # of each glyph

    @cached_property
    def own(self) -> GlyphSet:
        """The set without what the pen adds."""
        if self.n_own == len(self.alphabet):
            return self
        n = len(self.images)
        names = ("labels", "is_test", "pen_ids", "set_of")
        return replace(
            self,
            **{name: getattr(self, name)[:n] for name in names},
            writers=self.writers[:n] if self.writers else None,
            ids=self.ids[self.ids < n],
            alphabet=self.alphabet[: self.n_own],
        )

    def at_height(self, height_px: int) -> GlyphSet:
        """Return the same glyphs at another height: drawn by the pen, or resampled, when used."""
        return self if height_px == self.height_px else replace(self, height_px=height_px)

    def soften(self) -> GlyphSet:
        """Return the same glyphs, those that are enlarged with edges as soft as that makes."""
        return self if self._steepness == SHARP else replace(self, is_soft=True)

    @property
    def _steepness(self) -> int:
        return find_steepness(self.images.shape[1], self.height_px)

    def classes_of(self, text: str) -> Pixels:
        """Return the class of each character of a text, (len(text),), or raise a TextError."""
        codes, known = list_code_points(text), list_code_points(self.alphabet)
        order = np.argsort(known)
        classes = order[np.searchsorted(known, codes, sorter=order) % len(known)]
        for place in np.flatnonzero(known[classes] != codes)[:1]:
            from mnistseq_cli.glyphs.strokes.characters import PEN_ADDITIONS  # noqa: PLC0415

            raise TextError(
                f"{text[place]!r} cannot be written: {self.name} has only {self.alphabet}, and "
                f"the pen {PEN_ADDITIONS}"
            )
        return classes.astype(np.uint8)

    def choose(self, classes: Classes, words: Words) -> Ints:
        """Choose the id of a glyph of each class, all equally likely; in a mix, sets by weight."""
        starts, counts = self._starts[classes], self.counts[classes]
        if len(self.weights) > 1:
            of_sets, starts_of_sets = self._count_sets
            sets, words = draw_by_weight(words, np.where(of_sets > 0, self.weights, 0)[classes])
            starts, counts = starts_of_sets[classes, sets], of_sets[classes, sets]
        ids: Ints = self.ids[starts + scale_words(words, counts)]
        return ids

    @cached_property
    def _count_sets(self) -> tuple[Ints, Ints]:
        """Return the number of glyphs of each class and set, and the place of the first in ids."""
        shape = (len(self.alphabet), len(self.weights))
        cells = self.labels[self.ids].astype(np.int64) * shape[1] + self.set_of[self.ids]
        counts = np.bincount(cells, minlength=shape[0] * shape[1])
        return counts.reshape(shape), (np.cumsum(counts) - counts).reshape(shape)

    def cut_out(self, ids: Ints, *, whole: bool = True) -> GlyphInk:
        """Return the ink of glyphs at the left edge of cells; a blank one raises a GlyphError.

        Unless `whole`, images are only as high and wide as any ink needs. They begin where ink
        does, or end where cells do.
        """
        with self._lock:
            place = self._place[ids]
            blocks, is_new = self._kept[place], place < 0
            if is_new.any():
                new, room = find_different(ids[is_new]), self._block
                cut = self._cut_out(new)
                if self._block != room:  # the others were forgotten
                    return self.cut_out(ids, whole=whole)
                blocks[is_new] = cut[np.searchsorted(new, ids[is_new])]
            (high_px, wide_px), extents = self._block, self._extents.take(ids, axis=0)
        n, side_px = len(ids), self.height_px
        steepness = np.full(n, SHARP)
        if self.is_soft:
            steepness[~self._is_drawn(ids)] = self._steepness
        left, top, width, height = extents.T
        images = blocks.reshape(n, high_px, wide_px)
        if whole:
            cells = np.zeros((n, side_px, side_px), np.uint8)
            windows = view_windows(cells.reshape(-1), (high_px, wide_px), side_px)
            row = np.arange(n) * side_px + np.minimum(top, side_px - high_px)
            windows[row * side_px] = images.view(windows.dtype)[:, :, 0]
            images = cells
        return GlyphInk(images, left, top, width, height, steepness)

    def measure(self, ids: Ints) -> Ints:
        """Return x, y, width, height of the ink of glyphs, (N, 4); a blank one is a GlyphError."""
        with self._lock:
            unknown = ids[self._extents[ids, 2] == 0]
            if unknown.size:
                self._cut_out(find_different(unknown))
            return self._extents.take(ids, axis=0)

    @cached_property
    def widest_px(self) -> Ints:
        """Width of the widest ink of each class, shape (classes,); 0 for a class without any.

        Where glyphs have another height than their images, it is a width that none exceeds: the
        edge of ink may move by half a pixel of the image, a soft one by two.
        """
        if added := self.alphabet[self.n_own :]:
            from mnistseq_cli.glyphs.strokes.characters import read_forms  # noqa: PLC0415

            widest_px = np.array([read_forms().widest_px[one] for one in added])
            widest_px = self._bound(widest_px, SIDE_PX, self._symbol_px)
            return np.append(self.own.widest_px, widest_px)
        images = self.images
        widths = np.empty(len(images), np.int64)
        for part in split_up(images, AT_ONCE_PX):
            widths[part] = _measure_along(_find_columns(images[part]))[1]
        widths = self._bound(widths[self.ids], images.shape[1], self.height_px)
        classes = np.split(widths, self._starts[1:])  # ids are sorted by class
        return np.array([of_class.max(initial=0) for of_class in classes])

    def _bound(self, widths_px: Ints, side_px: int, to_px: int) -> Ints:
        """Return a bound of the widths of ink in cells of one size that are made another."""
        if side_px != to_px:
            beyond_px = 4 if self.is_soft else 1
            widths_px = -(-(widths_px + beyond_px) * to_px // side_px) + 1
        return np.minimum(widths_px, self.height_px)

    @cached_property
    def _symbol_px(self) -> int:
        """Height of the pen's cells: it adds what is as large as digits, 20 of 28 pixels."""
        some = self.own.ids[:: -(-len(self.own) // _N_SIZED)]
        middle_px = int(np.median(measure_ink(self.images[some])[:, 3]))
        em_px = min(max(middle_px * SIDE_PX // self.images.shape[1], 10), 23)
        em_px = 20 if abs(em_px - 20) <= 2 else em_px  # noqa: PLR2004 - as those of MNIST
        return (self.height_px * em_px + 10) // 20

    def _cut_out(self, ids: Ints) -> Pixels:
        """Cut out glyphs, measure them, and keep them instead of those that came first."""
        images = self._render(ids)
        extents = measure_ink(images)
        for blank in ids[extents[:, 2] == 0][:1]:
            raise GlyphError(f"glyph {blank} of {self.name} is blank: it has no ink to write with")
        self._extents[ids] = extents
        needed_px = np.maximum(extents[:, [3, 2]].max(axis=0), self._block)
        step_px = -(-self.height_px // _STEPS)  # to grow seldom
        block = np.minimum(-(-needed_px // step_px) * step_px, self.height_px)
        if tuple(block) != self._block:
            self._make_room(*block.tolist())
        side_px, n = self.height_px, len(ids)
        padded = np.pad(images.reshape(n, -1), ((0, 0), (0, side_px)))  # beyond the last row
        windows = view_windows(padded.reshape(-1), self._block, side_px)
        at_px = np.minimum(extents[:, 1], side_px - self._block[0]) * side_px + extents[:, 0]
        at_px += np.arange(n) * padded.shape[1]
        cut: Pixels = windows[at_px].view(np.uint8)
        ids = ids[: len(self._kept)]
        places = (self._next + np.arange(len(ids))) % len(self._kept)
        self._next += len(ids)
        evicted = self._owners[places]
        self._place[evicted[evicted >= 0]] = -1
        self._owners[places], self._place[ids] = ids, places
        self._kept[places] = cut[: len(ids)]
        return cut

    def _render(self, ids: Ints) -> Pixels:
        """Return glyphs at the height, shape (N, height, height)."""
        is_added, is_drawn = ids >= len(self.images), self._is_drawn(ids)
        own = enlarge(self.images[ids[~is_drawn]], self.height_px)
        if not self.is_soft:
            own = steepen(own, np.full(len(own), self._steepness))
        if not is_drawn.any():
            return own
        from mnistseq_cli.glyphs.strokes import draw_by_id  # noqa: PLC0415 - most draw nothing

        images = np.empty((len(ids), self.height_px, self.height_px), np.uint8)
        images[~is_drawn] = own
        sizes = ((is_drawn & ~is_added, self.height_px), (is_added, self._symbol_px))
        for chosen, side_px in sizes:
            if chosen.any():
                drawn = draw_by_id(self.pen_ids[ids[chosen]], side_px)
                images[chosen] = _center(drawn, self.height_px)
        return images

    def _is_drawn(self, ids: Ints) -> Bools:
        """Whether the pen draws each glyph at the height."""
        is_resized = self.height_px != self.images.shape[1]
        is_drawn: Bools = (ids >= len(self.images)) | (is_resized & (self.pen_ids[ids] >= 0))
        return is_drawn


def _center(images: Pixels, side_px: int) -> Pixels:
    """Cut paper off around square images, or put it there, evenly."""
    more_px = max(0, side_px - images.shape[1])
    around = (more_px // 2, more_px - more_px // 2)
    padded = np.pad(images, ((0, 0), around, around))
    first = (padded.shape[1] - side_px) // 2
    return padded[:, first : first + side_px, first : first + side_px]


def hash_glyphs(images: Pixels, labels: Classes, alphabet: str) -> str:
    """Return the SHA-256 of glyphs whose files have none that is known."""
    digest = hashlib.sha256(f"{images.shape} {alphabet}".encode("utf-8", "surrogateescape"))
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def measure_ink(images: Pixels) -> Ints:
    """Return x, y, width, height of ink (what is over 0) in images, (N, 4); 0 for a blank one."""
    boxes = np.empty((len(images), 4), np.int64)
    for some in split_up(images, _CHUNK_PX):
        left, width = _measure_along(_find_columns(images[some]))
        top, height = _measure_along(_find_rows(images[some]))
        boxes[some] = np.stack([left, top, width, height], axis=1)
    return boxes


def _measure_along(is_ink: Bools) -> tuple[Ints, Ints]:
    """Return where ink begins in lines, shape (N, L), and how far it reaches; 0 without any."""
    first = is_ink.argmax(axis=1)
    last = is_ink.shape[1] - is_ink[:, ::-1].argmax(axis=1)
    return first, (last - first) * is_ink[np.arange(len(first)), first]


def _find_columns(images: Pixels) -> Bools:
    """Return which columns hold ink, (N, W): the lower half of the rows laid on the upper."""
    n, height, width = images.shape
    ink = images.reshape(n, height * width)
    while height > 1:
        upper = height - height // 2
        ink = ink[:, : upper * width] | ink[:, -upper * width :]
        height = upper
    is_ink: Bools = ink != 0
    return is_ink


def _find_rows(images: Pixels) -> Bools:
    """Return which rows hold ink, shape (N, H): all words of a row laid on its first."""
    n, height, width = images.shape
    if width > _LONG_PX:
        return np.asarray(images.any(axis=2))
    rest = -width % 4
    padded = np.pad(images, ((0, 0), (0, 0), (0, rest))) if rest else images
    ink = np.ascontiguousarray(padded).reshape(-1).view(np.uint32)
    n_words, laid = (width + rest) // 4, 1
    while laid < n_words:
        further = min(laid, n_words - laid)
        ink = ink[:-further] | ink[further:]
        laid += further
    is_ink: Bools = (ink[::n_words] != 0).reshape(n, height)
    return is_ink


def list_code_points(text: str) -> NDArray[np.uint32]:
    """Return the code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
