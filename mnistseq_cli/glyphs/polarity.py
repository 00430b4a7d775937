"""Ink on clean paper: which of the two is dark in glyphs of the user, and what is only noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.glyph_set import split_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The outermost pixels of a glyph are paper. Their level says which paper it is; between the two
# limits it could be either.
_DARK_PAPER, _LIGHT_PAPER = 63, 192
_NOISE = 32  # levels over paper that compression or a scanner can make, after stretching


def has_dark_ink(images: NDArray[np.uint8], polarity: str, name: str) -> bool:
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


def clean_paper(images: NDArray[np.uint8], *, is_lossy: bool) -> NDArray[np.uint8]:
    """Return glyphs whose paper is 0 and whose darkest ink is 255, free of noise.

    Light ink on dark paper that is clean already stays as it is, to the byte, and mapped.
    """
    if not is_lossy and not _is_noisy(images):
        return images
    cleaned = np.empty(images.shape, np.uint8)
    for chosen in split_up(len(images), images):
        part = images[chosen].astype(np.int32)
        paper = _find_paper(images[chosen])[:, None, None].astype(np.int32)
        ink = np.maximum(part.max(axis=(1, 2), keepdims=True), paper + 1)
        stretched = np.clip((part - paper) * 255 // (ink - paper), 0, 255)
        cleaned[chosen] = np.where(stretched > _NOISE, stretched, 0)
    return cleaned


def _is_noisy(images: NDArray[np.uint8]) -> bool:
    """Whether the paper of most glyphs is not quite 0, or specked."""
    border = _take_border(images)
    specked = ((border > 0) & (border <= _NOISE)).any(axis=1)
    return bool(np.median(_find_paper(images)) > 0 or specked.mean() > 0.5)  # noqa: PLR2004 - most


def _find_paper(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the level of the paper of each glyph: the median of its outermost pixels."""
    levels: NDArray[np.uint8] = np.median(_take_border(images), axis=1).astype(np.uint8)
    return levels


def _take_border(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sides = (images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1])
    return np.concatenate(sides, axis=1)
