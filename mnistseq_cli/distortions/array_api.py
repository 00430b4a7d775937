"""Distortions of a user's own images."""

from __future__ import annotations

from typing import TypedDict, Unpack, cast

import numpy as np

from mnistseq_cli.distortions.geometry import slide
from mnistseq_cli.distortions.pipeline import AugmentPipeline, Strength, make_pipeline
from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphInk, measure_ink
from mnistseq_cli.glyphs.resize import SHARP
from mnistseq_cli.glyphs.stamps import Pages, Stamps
from mnistseq_cli.pixels import Pixels, Words, keep_freed_memory, split_up
from mnistseq_cli.randomness import draw_words
from mnistseq_cli.recipe import SEED_LIMIT
from mnistseq_cli.recipe import Ink as Colour
from mnistseq_cli.validation import check_choice, check_number

SMALLEST_PX = 16
_BLOCK_PX = 2**20


class Strengths(TypedDict, total=False):
    """The distortions and presets that `augment` takes by name."""

    scale: Strength
    shear: Strength
    rotate: Strength
    perspective: Strength
    shift: Strength
    elastic: Strength
    thickness: Strength
    erode: Strength
    dilate: Strength
    baseline: Strength
    crop: Strength
    join: Strength
    fade: Strength
    lines: Strength
    blur: Strength
    background: Strength
    contrast: Strength
    brightness: Strength
    sharpen: Strength
    grain: Strength
    noise: Strength
    jpeg: Strength
    resolution: Strength
    light: bool
    medium: bool
    heavy: bool
    all: bool


def augment(
    images: Pixels,
    seed: int,
    *,
    augment_prob: float = 1.0,
    ink: Colour = "white",
    **strengths: Unpack[Strengths],
) -> Pixels:
    """Distort images, each as one piece of writing.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W)
        At least 16 × 16 pixels; not written to. The mask of a masked array is not looked at.
    seed : int
        0 to 2**63 - 1. What happens to image i depends on the seed, i and the strengths.
    augment_prob : float
        How likely each distortion is for each image, 0 to 1.
    ink : "white" or "black"
        White writing on black, as in MNIST, or black on white.
    **strengths
        Names of `AUGMENTATIONS` and their strengths: a number, the largest; a pair (low, high) of
        numbers or of pairs (width, height); a text such as ``"2x3"`` or ``"5..10"``; True for the
        default, False for none. Also the name of one preset, as ``medium=True``.

    Returns
    -------
    ndarray of uint8, shape (N, H, W)
        No ink is cut off but by `crop`: writing that would leave its image is moved back, and
        made smaller where it is too large. `join` has no neighbours here.

    Raises
    ------
    UsageError
        Images, seed, a name or a strength are not allowed.

    Examples
    --------
    >>> images = np.zeros((2, 28, 28), np.uint8)
    >>> images[:, 8:20, 12:15] = 255
    >>> augment(images, seed=1, rotate=20, thickness=0.5).shape
    (2, 28, 28)
    """
    keep_freed_memory()
    _check_images(images)
    images = np.asarray(images)
    seed = check_number("seed", seed, 0, SEED_LIMIT - 1)
    check_choice("ink", ink, ("white", "black"))
    pipeline = make_pipeline(cast("dict[str, Strength]", strengths), augment_prob)
    flip = np.uint8(0 if ink == "white" else 255)
    result = np.empty_like(images)
    for some in split_up(images, _BLOCK_PX):
        result[some] = _augment(images[some] ^ flip, seed, some.start, pipeline, ink) ^ flip
    return result


def _augment(
    images: Pixels, seed: int, start: int, pipeline: AugmentPipeline, colour: Colour
) -> Pixels:
    def draw(use: int, n_words: int) -> Words:
        return draw_words(seed, use, start, start + len(images), n_words)

    left, top, width, height = measure_ink(images).T
    ink = GlyphInk(slide(images, -left), left, top, width, height, np.full(len(images), SHARP))
    ink = pipeline.digits.distort(ink, draw, may_grow=False)
    each = np.arange(len(images))
    boxes = np.stack([np.zeros_like(each), ink.top_px, ink.width_px, ink.height_px], axis=1)
    pages_px = np.full(len(images), images.shape[2])
    room = ((0, 0), (0, 0), (0, images.shape[2] - ink.images.shape[2]))
    stamps = Stamps(np.pad(ink.images, room), each, np.zeros_like(each), ink.left_px, boxes)
    stamps = pipeline.pages.bend_lines(stamps, pages_px, draw)
    pages = Pages(slide(stamps.images, stamps.x_px), pages_px, colour)
    return pipeline.pages.distort(pages, stamps, draw)[0]


def _check_images(images: Pixels) -> None:
    shape = tuple(getattr(images, "shape", ()))
    dtype = getattr(images, "dtype", type(images).__name__)
    if dtype != np.uint8 or len(shape) != 3 or min(shape[1:]) < SMALLEST_PX:  # noqa: PLR2004 - N, H, W
        of_shape = f" of shape {shape}" if shape else ""
        raise UsageError(
            f"images are {dtype}{of_shape}; expected an array of uint8 of shape (N, H, W), H "
            f"and W at least {SMALLEST_PX}"
        )
