"""Glyphs from pictures: a folder with one sub-folder per class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.glyphset import SIDE_PX

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
# Luma of red, green and blue in thousandths (ITU-R BT.601).
_LUMA = np.array([299, 587, 114])
_HALF = 128


def read_pictures(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Read a folder with one sub-folder per class, named by its character.

    Pictures are 28 by 28 pixels, grey or in colour, 8 bits. One whose border is bright is black
    on white, and is inverted. Transparent pixels are white. Files are taken in the order of
    their names.

    Returns
    -------
    images : ndarray of uint8, shape (N, 28, 28)
        0 = paper, 255 = ink.
    labels : ndarray of uint8, shape (N,)
    alphabet : str
        The names of the sub-folders.

    Raises
    ------
    GlyphError
        A sub-folder's name is not one character or it has no pictures; a picture cannot be read
        or has another size.
    """
    folders = list_class_folders(folder)
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, class_folder in enumerate(folders):
        paths = sorted(path for path in class_folder.iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise GlyphError(f"{class_folder} holds no pictures: {', '.join(SUFFIXES)}")
        images += [_read_picture(path) for path in paths]
        labels += [label] * len(paths)
    alphabet = "".join(class_folder.name for class_folder in folders)
    return np.stack(images), np.array(labels, np.uint8), alphabet


def list_class_folders(folder: Path) -> list[Path]:
    """List the sub-folders whose names are classes, in the order of their names.

    Raises
    ------
    GlyphError
        There are none, or a name is longer than one character.
    """
    folders = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if not folders:
        raise GlyphError(f"{folder} holds neither IDX files nor a sub-folder per class")
    for class_folder in folders:
        if len(class_folder.name) != 1:
            raise GlyphError(
                f"{class_folder} is no class: a sub-folder is named by one character, like 7"
            )
    return folders


def _read_picture(path: Path) -> NDArray[np.uint8]:
    try:
        shape = iio.improps(path, plugin="pillow").shape
        if shape[:2] != (SIDE_PX, SIDE_PX) or len(shape) > 3:  # noqa: PLR2004 - y, x, channels
            raise GlyphError(
                f"{path} is a picture of shape {shape}; "
                f"glyphs are {SIDE_PX} by {SIDE_PX} pixels, so scale it first"
            )
        pixels = iio.imread(path, plugin="pillow")
    except (OSError, SyntaxError, ValueError) as error:
        raise GlyphError(f"cannot read the picture {path}: {error}") from error
    if pixels.dtype != np.uint8:
        raise GlyphError(f"{path} has pixels of {pixels.dtype}; 8 bits are expected")
    grey = _to_grey(pixels)
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    return 255 - grey if np.median(border) >= _HALF else grey


def _to_grey(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn L, LA, RGB or RGBA pixels into grey ones, shape (28, 28)."""
    if pixels.ndim == 2:  # noqa: PLR2004 - grey already
        return pixels.astype(np.uint8)
    n_channels = pixels.shape[2]
    has_alpha = n_channels in {2, 4}
    colour = pixels[..., : n_channels - has_alpha].astype(np.int64)
    grey = (colour @ _LUMA + 500) // 1000 if colour.shape[2] == len(_LUMA) else colour[..., 0]
    if has_alpha:
        alpha = pixels[..., -1].astype(np.int64)
        grey = (grey * alpha + 255 * (255 - alpha) + 127) // 255
    return grey.astype(np.uint8)
