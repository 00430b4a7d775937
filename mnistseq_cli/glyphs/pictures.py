"""Pictures made glyphs: square, as large as each other, light ink on clean, dark paper."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.glyphs.glyph_set import AT_ONCE_PX
from mnistseq_cli.glyphs.idx import MAX_BYTES
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.sources import Entry
from mnistseq_cli.pixels import Ints, Pixels, split_up

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
SIDES_PX = range(4, 4097)  # of glyphs that are read
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP")
_LIMIT_PX = 2**26
_LARGEST_PX = 256  # the height and width of glyphs that are kept: more than images can have
# Luma of red, green and blue in thousandths (ITU-R BT.601).
_LUMA = np.array([299, 587, 114])
# The outermost pixels of a glyph are paper. Their level says which paper it is; between the two
# limits it could be either.
_DARK_PAPER, _LIGHT_PAPER = 63, 192
_NOISE = 32  # levels over paper that compression or a scanner can make, after stretching


def read_squares(pictures: Iterable[Entry], n_glyphs: int) -> Pixels:
    """Read pictures as square glyphs, all as large as the largest, shape (N, side, side)."""
    squares = []
    for entry in pictures:
        with entry.open() as stream:
            name, picture = entry.title, read_picture(stream, entry.title)
        if max(picture.shape) not in SIDES_PX:
            raise GlyphError(
                f"{name} is {picture.shape[1]} by {picture.shape[0]} pixels; expected "
                f"{SIDES_PX[0]} to {SIDES_PX[-1]} at the longer side"
            )
        squares.append(make_square(picture[np.newaxis]))
        if n_glyphs * squares[-1].size > MAX_BYTES:
            raise GlyphError(f"{name} is one of {n_glyphs:,} glyphs of its size: too many")
    side_px = max(square.shape[1] for square in squares)
    return np.concatenate([_resize(square, side_px) for square in squares])


def read_picture(stream: BinaryIO, name: str) -> Pixels:
    """Read a picture as grey levels; transparent pixels are white."""
    with open_picture(stream, name) as image:
        if image.mode.startswith(("I", "F")):
            raise GlyphError(f"{name} has pixels of more than 8 bits; expected 8")
        if image.mode in {"1", "L"}:
            return np.asarray(image.convert("L"))
        has_alpha = "A" in image.mode or (image.mode != "RGB" and "transparency" in image.info)
        pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB")).astype(np.int64)
    grey: Ints = (pixels[..., :3] @ _LUMA + 500) // 1000
    if has_alpha:
        alpha = pixels[..., 3]
        grey = (grey * alpha + 255 * (255 - alpha) + 127) // 255
    return grey.astype(np.uint8)


def _resize(images: Pixels, side_px: int) -> Pixels:
    """Return square images at another size, whatever their polarity."""
    if images.shape[1] == side_px:
        return images
    flip = np.uint8(255 if _find_far_paper(images) > 127 else 0)  # noqa: PLR2004 - half way
    return resize(images ^ flip, side_px) ^ flip


@contextmanager
def open_picture(stream: BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open a picture that is not too large; what is wrong with it is an error that names it."""
    with naming_damage(name, GlyphError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large and of cut pictures
        with Image.open(stream, formats=_FORMATS) as image:
            if image.width * image.height > _LIMIT_PX:
                raise GlyphError(
                    f"{name} is {image.width} by {image.height} pixels; expected at most "
                    f"{_LIMIT_PX:,} pixels"
                )
            yield image


def make_square(images: Pixels) -> Pixels:
    """Return images in the middle of square ones, of at most `_LARGEST_PX`."""
    _, height, width = images.shape
    if height != width:
        margins = ((max(height, width) - size) for size in (height, width))
        sides = [(margin // 2, margin - margin // 2) for margin in margins]
        images = np.pad(images, ((0, 0), *sides), constant_values=_find_far_paper(images))
    return _resize(images, min(max(height, width), _LARGEST_PX))


def _find_far_paper(images: Pixels) -> np.uint8:
    """Return the level at the two sides that ink is farther from."""
    _, height, width = images.shape
    sides = images[:, [0, -1]] if height >= width else images[:, :, [0, -1]]
    return np.uint8(np.median(sides))


def has_dark_ink(images: Pixels, polarity: str, name: str) -> bool:
    """Whether glyphs are dark ink on light paper; "auto" looks at the paper around the ink."""
    if polarity != "auto":
        return polarity == "dark-ink"
    levels = _find_paper(images)
    paper = int(np.median(levels))
    is_light = levels >= _LIGHT_PAPER
    is_dark = levels <= _DARK_PAPER
    if _DARK_PAPER < paper < _LIGHT_PAPER:
        reason = f"the paper around the ink is grey (level {paper} of 255)"
    elif is_light.any() and is_dark.any():
        reason = f"{int(is_light.sum()):,} have light paper, {int(is_dark.sum()):,} dark paper"
    else:
        return paper >= _LIGHT_PAPER
    raise GlyphError(
        f"cannot tell ink from paper in the glyphs of {name}: {reason}",
        "Say which it is: --polarity dark-ink, or --polarity light-ink (white on black)",
    )


def clean_paper(images: Pixels, *, is_lossy: bool) -> Pixels:
    """Return glyphs of paper 0 and ink up to 255, free of noise; what is clean stays mapped."""
    border = _take_border(images)
    specked = ((border > 0) & (border <= _NOISE)).any(axis=1)
    is_noisy = np.median(_find_paper(images)) > 0 or specked.mean() > 0.5  # noqa: PLR2004 - most
    if not is_lossy and not is_noisy:
        return images
    cleaned = np.empty(images.shape, np.uint8)
    for chosen in split_up(images, AT_ONCE_PX):
        part = images[chosen].astype(np.int32)
        paper = _find_paper(images[chosen])[:, None, None].astype(np.int32)
        ink = np.maximum(part.max(axis=(1, 2), keepdims=True), paper + 1)
        stretched = np.clip((part - paper) * 255 // (ink - paper), 0, 255)
        cleaned[chosen] = np.where(stretched > _NOISE, stretched, 0)
    return cleaned


def _find_paper(images: Pixels) -> Pixels:
    """Return the level of the paper of each glyph: the median of its outermost pixels."""
    return np.asarray(np.median(_take_border(images), axis=1).astype(np.uint8))


def _take_border(images: Pixels) -> Pixels:
    sides = (images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1])
    return np.concatenate(sides, axis=1)
