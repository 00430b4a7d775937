"""What the tests of distortions share: digits, words, and a page with some digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.compose.painting import paint
from mnistseq_cli.distortions.pipeline import AugmentPipeline
from mnistseq_cli.glyphs.glyph_set import GlyphInk, GlyphSet
from mnistseq_cli.glyphs.stamps import Pages, Stamps
from mnistseq_cli.randomness import draw_words

SEED = 7
PAGE_PX = 150
DIGITS = 5


def only(name: str, strength: object = True) -> dict[str, Any]:  # noqa: FBT002 - the default strength
    return {name: strength}


def draw_of(n: int, seed: int = SEED, start: int = 0) -> Callable[[int, int], NDArray[np.uint64]]:
    def draw(use: int, n_words: int) -> NDArray[np.uint64]:
        return draw_words(seed, use, start, start + n, n_words)

    return draw


def cut(glyphs: GlyphSet, n: int, start: int = 0) -> GlyphInk:
    return glyphs.cut_out(glyphs.ids[(np.arange(start, start + n) * 7) % len(glyphs)])


def put_on_pages(ink: GlyphInk, overlap_px: int = 3) -> Stamps:
    """Put every five digits on a page, each over the edge of the one before."""
    n_pages = len(ink.images) // DIGITS
    place, page = np.divmod(np.arange(DIGITS * n_pages), n_pages)
    boxes = np.stack([np.zeros_like(page), ink.top_px, ink.width_px, ink.height_px], axis=1)
    widths = ink.width_px.reshape(DIGITS, n_pages)
    steps = np.maximum(widths - overlap_px, 1)
    return Stamps(ink.images, page, place, (np.cumsum(steps, axis=0) - steps).ravel(), boxes)


def finish(
    stamps: Stamps,
    n_pages: int,
    pipeline: AugmentPipeline,
    page_px: int = PAGE_PX,
    array_px: int | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Do to pages all that a pipeline does to them."""
    widths_px, draw = np.full(n_pages, page_px), draw_of(n_pages)
    stamps = pipeline.pages.bend_lines(stamps, widths_px, draw)
    size_px = (stamps.images.shape[1], array_px or page_px)
    images, _ = paint(stamps, (n_pages, int(stamps.place.max()) + 1), size_px)
    return pipeline.pages.distort(Pages(images, widths_px, "black"), stamps, draw)


def distort(glyphs: GlyphSet, pipeline: AugmentPipeline, n: int = 60) -> GlyphInk:
    return pipeline.digits.distort(cut(glyphs, n), draw_of(n))
