"""`SequenceGenerator`: samples from a recipe and glyphs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.compose.choice import Chosen, DigitChooser, Digits
from mnistseq_cli.compose.layout import SMALLEST_SCALE, Layout, lay_out, surely_fits
from mnistseq_cli.compose.painting import fit_stamps, gather_inks, paint
from mnistseq_cli.compose.samples import Block, Marks, Sample
from mnistseq_cli.compose.texts import TextSource, list_characters, list_classes, open_source
from mnistseq_cli.errors import GlyphError, LayoutError, UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.stamps import Pages, Stamps
from mnistseq_cli.glyphs.writers import unknown_writers
from mnistseq_cli.pixels import Bools, Ints, Pixels, Words, keep_freed_memory
from mnistseq_cli.randomness import Samples, draw_for
from mnistseq_cli.recipe import COUNT_LIMIT, PAGE_PX, WIDTH_LIMIT_PX, Recipe
from mnistseq_cli.validation import check_number

if TYPE_CHECKING:
    from mnistseq_cli.distortions.pipeline import AugmentPipeline


def explain_misfit(error: LayoutError, recipe: Recipe, chooser: DigitChooser) -> LayoutError:
    """Return the error with a hint that names what lets the row fit: options and fields."""
    found = [*_find_remedies(recipe, chooser, int(str(recipe.width_px)))]
    *others, last = [text for text, *_ in found] or ["fewer digits"]
    hint = f"Use {', '.join(others)} or {last}" if others else f"Use {last}"
    misfit = LayoutError(error.message, hint)
    misfit.remedies = tuple((name, value) for _, name, value in found)
    return misfit


def _find_remedies(
    recipe: Recipe, chooser: DigitChooser, width_px: int
) -> Iterator[tuple[str, str, object]]:
    """Find what to say on the command line, and which field and value of the recipe that is."""
    least_px, most_px = recipe.spacing_px
    shrunk_px = -(-chooser.widest_row_px(max(0, most_px)) // SMALLEST_SCALE)
    if recipe.fit != "pad":
        yield f"--width {shrunk_px} or more", "width_px", shrunk_px
        return
    enough_px = chooser.widest_row_px(max(0, least_px))
    if recipe.spacing_mode == "variable":
        if enough_px <= WIDTH_LIMIT_PX:
            yield f"--width {enough_px} (always enough)", "width_px", enough_px
        if least_px > 0 and chooser.widest_row_px(0) <= width_px:
            yield f"--spacing 0 {most_px}", "spacing_px", (0, most_px)
    else:
        yield "--width widest", "width_px", "widest"
        if enough_px <= width_px:
            yield "--spacing-mode variable", "spacing_mode", "variable"
    if shrunk_px <= width_px:
        yield "--fit shrink", "fit", "shrink"


def _open_distortions(recipe: Recipe) -> AugmentPipeline | None:
    if not (recipe.augment or recipe.paper):
        return None
    from mnistseq_cli.distortions.pipeline import make_pipeline  # noqa: PLC0415 - most have none

    scale = recipe.height_px / PAGE_PX
    return make_pipeline(recipe.augment, recipe.augment_prob, scale=scale, paper=recipe.paper)


def _find_writers(recipe: Recipe, glyphs: GlyphSet) -> str:
    """Return the hash of who wrote the glyphs, where the recipe needs it; "" elsewhere."""
    if not recipe.needs_writers:
        return ""
    if glyphs.writers is None:
        raise unknown_writers(glyphs.name)
    return glyphs.writers.sha256


def _check_hash(recipe: Recipe, what: str, field: str, found: str) -> None:
    """Raise if the recipe was saved with something else."""
    saved = getattr(recipe, field)
    if saved not in ("", found):
        raise GlyphError(
            f"{what} is not what the recipe was made with: the content hash is {found[:12]}…, "
            f"the recipe names {saved[:12]}…",
            f"Use the files of that time, or take {field} out of the recipe",
        )


def _add_symbols(glyphs: GlyphSet, characters: set[str]) -> GlyphSet:
    """Return the glyphs with those of the pen for what they lack."""
    if characters <= {*glyphs.alphabet}:
        return glyphs
    from mnistseq_cli.glyphs.symbols import add_symbols  # noqa: PLC0415 - most need none

    return add_symbols(glyphs, characters)


def _gather(wanted: Bools, *values: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return how many characters are wanted of each sample, and these alone, zeros after them."""
    lengths = wanted.sum(axis=1)
    places = np.argsort(~wanted, axis=1, kind="stable")[:, : max(1, lengths.max())]
    rows = np.arange(len(wanted))[:, None]
    return lengths, *((value.T * wanted.T).T[rows, places] for value in values)


_BLOCK_PX = 2**22  # of all images of a block, the fastest; memory does not grow with their size
CHECK_SIZE, DOUBT_SIZE = 4096, 128


class SequenceGenerator:
    """The samples of a recipe.

    Sample i is a pure function of the recipe and i: it does not matter in which order, in which
    blocks, in which process or on which machine samples are made.

    Parameters
    ----------
    recipe : Recipe or path
        A path is that of a saved one.
    glyphs : GlyphSet or str, optional
        The glyphs to write with, or the name of a data set; by default those that the recipe
        names, downloaded when they are not there.
    data_dir : path, optional
        Where glyphs are cached.
    source : TextSource, optional
        Where texts come from, if not from the recipe.
    widest_px : int, optional
        Width of all images of a recipe of width "widest", if it is not to be its own.

    Raises
    ------
    GlyphError
        The glyphs cannot be had, or are not those the recipe was saved with.
    TextError
        The glyphs cannot write the texts.

    Examples
    --------
    >>> from mnistseq_cli import Recipe, SequenceGenerator
    >>> generator = SequenceGenerator(Recipe(length=(3, 7), width_px=200, count=1000, seed=1))
    >>> generator[5].text
    '769'
    >>> generator.block(0, 100).images.shape
    (100, 28, 200)
    """

    def __init__(
        self,
        recipe: Recipe | str | Path,
        glyphs: GlyphSet | str | None = None,
        data_dir: str | Path | None = None,
        *,
        source: TextSource | None = None,
        widest_px: int | None = None,
    ) -> None:
        keep_freed_memory()
        if not isinstance(recipe, Recipe):
            recipe = Recipe.load(recipe)
        if isinstance(glyphs, str):
            recipe, glyphs = replace(recipe, dataset=glyphs), None
        self._opened_with = (glyphs, data_dir, source, widest_px)
        if glyphs is None:
            glyphs = load_glyphs(recipe.dataset, recipe.glyphs, data_dir, polarity=recipe.polarity)
            recipe = replace(recipe, dataset=glyphs.name)
        writers_sha256 = _find_writers(recipe, glyphs.own)
        _check_hash(recipe, recipe.dataset, "glyphs_sha256", glyphs.sha256)
        _check_hash(recipe, "the list of writers", "writers_sha256", writers_sha256)
        glyphs = _add_symbols(glyphs, list_characters(recipe, glyphs.alphabet))
        self.glyphs = glyphs = glyphs.at_height(recipe.height_px)
        self.alphabet = list_classes(recipe, glyphs.alphabet)
        self._numbers = np.array(
            [max(0, self.alphabet.find(one)) for one in glyphs.alphabet], np.uint8
        )
        self._distortions = distortions = _open_distortions(recipe)
        saved: dict[str, Any] = {"glyphs_sha256": glyphs.sha256, "writers_sha256": writers_sha256}
        if distortions:
            saved["augment"] = distortions.spell_out()
        if distortions and (paper := distortions.paper):
            _check_hash(recipe, "the paper", "paper_sha256", paper.sha256)
            saved |= {"paper": paper.write(), "paper_sha256": paper.sha256}
        self.recipe = replace(recipe, **saved)
        # Whole cells are needed where digits move in them, or are held against each other.
        self._is_ink_enough = not (recipe.touching or recipe.margin_px or distortions)
        source = source or open_source(recipe, glyphs)
        of_digits = distortions.digits if distortions else None
        self._chooser = DigitChooser(recipe, glyphs, source, of_digits)

    def __reduce__(self) -> tuple[object, ...]:
        # Glyphs that the recipe names are opened again: mapped files are shared, copies are not.
        glyphs, data_dir, source, widest_px = self._opened_with
        again = partial(SequenceGenerator, source=source, widest_px=widest_px)
        return again, (self.recipe, glyphs, data_dir)

    def __repr__(self) -> str:
        width = f"{self.width_px} px wide" if self.width_px else "each as wide as its row"
        return f"<SequenceGenerator: {len(self)} samples, {self.glyphs!r}, {width}>"

    def _repr_html_(self) -> str:
        from mnistseq_cli import sheet  # noqa: PLC0415 - only notebooks need it

        shown = self.block(0, min(12, len(self)))
        return sheet.to_html(sheet.make_labelled_sheet([*shown]), repr(self))

    def __len__(self) -> int:
        return self.recipe.count

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Block: ...

    def __getitem__(self, index: int | slice) -> Sample | Block:
        """Make one sample, or those of a slice together; negative indices count from the end."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise UsageError(f"a slice with step {step}; expected consecutive samples")
            return self.block(start, stop)
        try:
            number = operator.index(index)
        except TypeError:
            raise TypeError(
                f"sample {index!r}: expected a whole number, or a slice such as 10:20"
            ) from None
        at = number + len(self) if number < 0 else number
        if not 0 <= at < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        return self.block(at, at + 1)[0]

    def __iter__(self) -> Iterator[Sample]:
        for block in self.blocks(0, len(self)):
            yield from block

    def blocks(self, start: int, stop: int, *, masks: bool = False) -> Iterator[Block]:
        """Yield samples start to stop, not included, in blocks of the size that is fastest."""
        n_blocks = -((start - stop) // self.block_size)
        size = -((start - stop) // max(1, n_blocks))  # a short one at the end would cost as much
        for first in range(start, stop, max(1, size)):
            yield self.block(first, min(first + size, stop), masks=masks)

    def batches(self, batch_size: int) -> Iterator[tuple[Pixels, NDArray[np.str_]]]:
        """Yield images, shape (batch_size, height, width), and texts, without end.

        Samples go on after the last one of the recipe, as in a recipe of a larger count.
        """
        size = check_number("batch_size", batch_size, 1, COUNT_LIMIT)
        start = 0
        while True:
            block = self.block(start, start + size)
            yield block.images, block.texts
            start += size

    @cached_property
    def width_px(self) -> int | None:
        """Width of all images; None where each has its own."""
        width = self.recipe.width_px
        if width == "natural":
            return None
        if isinstance(width, int):
            return width
        *_, widest_px = self._opened_with
        return self._widest_row_px if widest_px is None else widest_px

    @property
    def block_size(self) -> int:
        """Number of samples of a block, the fastest."""
        height_px, width_px = self.largest_px
        return max(1, _BLOCK_PX // (height_px * width_px))

    @property
    def largest_px(self) -> tuple[int, int]:
        """Height and width of the largest image that the recipe can make."""
        width_px = self._widest_row_px if self.width_px is None else self.width_px
        return self.recipe.height_px, width_px

    @property
    def _widest_row_px(self) -> int:
        row_px = self._chooser.widest_row_px(max(0, self.recipe.spacing_px[1]))
        return row_px + 2 * self._halo_px

    @property
    def longest(self) -> int:
        """Number of digits of the longest text."""
        return self._chooser.longest

    def check(self, report: Callable[[int], None] | None = None) -> None:
        """Raise if the digits of a sample do not fit, before any image is made.

        Where the widest digits of all fit, this takes no time; otherwise the samples that may
        be too wide are laid out once, without their images. `report` is given the number of
        samples that were looked at.

        Raises
        ------
        LayoutError
            The digits of a sample do not fit into the width.
        """
        width_px = self.recipe.width_px
        if not isinstance(width_px, int) or self._always_fits(width_px):
            return
        for start in range(0, len(self), CHECK_SIZE):
            for chosen in self._find_doubtful(start, min(start + CHECK_SIZE, len(self)), width_px):
                self._lay_out(self._chooser.measure(chosen))
            if report:
                report(min(start + CHECK_SIZE, len(self)))

    def block(self, start: int, stop: int, *, masks: bool = False) -> Block:
        """Make samples start..stop-1 together, on request with what masks are made of.

        A recipe goes on beyond its count, as one of a larger count would: `stop` may be more.

        Raises
        ------
        LayoutError
            The digits of a sample do not fit into the width.
        UsageError
            The block is empty.
        """
        start, stop = operator.index(start), operator.index(stop)
        if not 0 <= start < stop:
            raise UsageError(f"a block from {start} to {stop}; expected 0 <= start < stop")
        return self._make((range(start, stop),), masks=masks)

    def stretches(self, samples: Samples, *, masks: bool = False) -> Iterator[Block]:
        """Make stretches of samples together, which is faster where they are short: a block each.

        Arrays of digits are as wide as the longest text of all of them asks for.
        """
        whole, first = self._make(samples, masks=masks), 0
        for one in samples:
            yield whole.take(slice(first, first + len(one)), one.start)
            first += len(one)

    def _make(self, samples: Samples, *, masks: bool) -> Block:
        chosen = self._chooser.choose(samples)
        stamps, digits = self._chooser.cut(chosen, whole=masks or not self._is_ink_enough)
        layout = self._lay_out(digits)
        stamps = self._place(stamps, layout)
        images, boxes, stamps = self._paint(stamps, layout, samples, masks=masks)
        texts, marks = chosen.texts, None
        written = self._chooser.spell(texts.classes, texts.lengths)
        lengths, classes, ids = texts.lengths, texts.classes, chosen.glyphs
        if texts.marked is not None:
            characters = "".join(self.glyphs.alphabet[one] for one in classes[texts.marked])
            marks = Marks(texts.marked.sum(axis=1), characters, boxes[texts.marked])
            is_read = texts.inside & ~texts.marked
            lengths, classes, ids, boxes = _gather(is_read, classes, ids, boxes)
        return Block(
            start=samples[0].start,
            images=np.invert(images, out=images) if self.recipe.ink == "black" else images,
            widths_px=layout.page_px,
            texts=self._chooser.spell(classes, lengths) if marks else written,
            lengths=lengths,
            classes=self._numbers[classes] * (np.arange(classes.shape[1]) < lengths[:, None]),
            glyphs=ids,
            boxes=boxes,
            gaps=layout.gaps_px,
            edges=self.recipe.edges,
            alphabet=self.alphabet,
            written=written,
            marks=marks,
            wrote=self.glyphs.writers[ids] if self.glyphs.writers else None,
            one_writer=self.recipe.hand == "writer",
            inks=gather_inks(stamps, layout.page_px, texts.marked) if masks else None,
        )

    def _paint(
        self, stamps: Stamps, layout: Layout, samples: Samples, *, masks: bool
    ) -> tuple[Pixels, Ints, Stamps]:
        stage = self._distortions.pages if self._distortions else None
        page_px = self.recipe.height_px, int(layout.page_px.max())

        def draw(use: int, n_words: int) -> Words:
            return draw_for(self.recipe.seed, use, samples, n_words)

        if stage:
            stamps = stage.bend_lines(stamps, layout.page_px, draw)
        images, boxes = paint(stamps, layout.x_px.shape, page_px)
        if stage and stage.changes_images:
            pages = Pages(images, layout.page_px, self.recipe.ink, stage.scale)
            images, on_page = stage.distort(pages, stamps, draw)
            boxes[stamps.sample, stamps.place] = on_page
        if stage and masks:
            stamps = stage.show_ink(stamps, self.recipe.ink, draw)
        return images, boxes, stamps

    def _place(self, stamps: Stamps, layout: Layout) -> Stamps:
        row = stamps.sample
        stamps = replace(stamps, x_px=stamps.x_px + layout.x_px[row, stamps.place])
        if self._is_fitted:
            keep_height = self.recipe.fit == "stretch"
            lengths_px = layout.row_px, layout.fitted_px, self.recipe.height_px
            stamps = fit_stamps(stamps, *lengths_px, keep_height=keep_height)
        return replace(stamps, x_px=stamps.x_px + layout.offset_px[row])

    def _lay_out(self, digits: Digits) -> Layout:
        try:
            layout = lay_out(self.recipe, digits, self.width_px)
        except LayoutError as error:
            raise explain_misfit(error, self.recipe, self._chooser) from None
        if self.width_px is not None:
            return layout
        page_px, offset_px = layout.page_px + 2 * self._halo_px, layout.offset_px + self._halo_px
        return replace(layout, page_px=page_px, offset_px=offset_px)

    @property
    def _halo_px(self) -> int:
        """Room beside a row for the soft edges of blurred ink, where there are no margins."""
        if self.recipe.edges or not self._distortions:
            return 0
        return self._distortions.pages.halo_px

    def _find_doubtful(self, start: int, stop: int, width_px: int) -> Iterator[Chosen]:
        """Yield the samples, and some beside them, that are not sure to fit into the width."""
        chosen = self._chooser.choose((range(start, stop),))
        fits = surely_fits(self.recipe, self._chooser.bound(chosen), width_px)
        if not fits.any():
            yield chosen
            return
        for first in range(0, len(fits), DOUBT_SIZE):
            if not fits[first : first + DOUBT_SIZE].all():
                doubtful = range(start + first, min(start + first + DOUBT_SIZE, stop))
                yield self._chooser.choose((doubtful,))

    def _always_fits(self, width_px: int) -> bool:
        if self.recipe.fit != "pad" or self.recipe.spacing_mode == "fixed":
            return False
        return self._chooser.widest_row_px(max(0, self.recipe.spacing_px[0])) <= width_px

    @property
    def _is_fitted(self) -> bool:
        return self.recipe.fit != "pad" and self.width_px is not None
