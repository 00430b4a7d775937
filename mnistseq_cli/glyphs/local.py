"""Glyphs of the user's own: IDX pair, npz, folder of classes."""

from __future__ import annotations

import re
import zipfile
import zlib
from math import prod
from typing import IO, TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.catalog import DIGITS
from mnistseq_cli.glyphs.glyph_set import SIDE_PX
from mnistseq_cli.glyphs.idx import MAX_DEFLATE_RATIO, read_idx, read_packed_idx

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.catalog import SplitName

_MAX_BYTES = 2**32
_UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,  # a method of compression that zipfile does not know
    RuntimeError,  # encrypted
)
_MAX_HEADER_BYTES = 4096
_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[|<>]?[iu][1248])', 'fortran_order': False, "
    rb"'shape': \((?P<shape>[\d, ]*)\),? ?\}\s*"
)


def read_npz(path: Path, split: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Read the images and labels of a split.

    Parameters
    ----------
    path : Path
        An npz file with `x_train`, `y_train`, `x_test` and `y_test`.
    split : {"train", "test"}
        Which two to read.

    Returns
    -------
    images : ndarray of uint8, shape (N, H, W)
    labels : ndarray of integers, shape (N,)

    Raises
    ------
    GlyphError
        The file cannot be read, lacks an array, or an array is not what it should be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            images = _read_array(archive, f"x_{split}", path)
            labels = _read_array(archive, f"y_{split}", path)
    except _UNREADABLE as error:
        raise GlyphError(f"cannot read {path}: {error}") from error
    if images.dtype != np.uint8:
        raise GlyphError(f"x_{split} in {path} holds {images.dtype}; images are uint8")
    return images, labels


def _read_array(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[Any]:
    try:
        member = archive.getinfo(f"{key}.npy")
    except KeyError:
        raise GlyphError(
            f"{path} has no array {key}; x_train, y_train, x_test and y_test are expected"
        ) from None
    with archive.open(member) as stream:
        dtype, shape = _read_header(stream, f"{key} in {path}")
        n_bytes = prod(shape) * dtype.itemsize
        real_bytes = min(member.compress_size * MAX_DEFLATE_RATIO, _MAX_BYTES)
        if not 0 < n_bytes == member.file_size - stream.tell() <= real_bytes:
            raise GlyphError(
                f"{key} in {path} says it is an array of shape {shape}, {n_bytes:,} bytes, "
                f"in a file of {member.compress_size:,} bytes"
            )
        return np.frombuffer(stream.read(n_bytes), dtype).reshape(shape)


def _read_header(stream: IO[bytes], name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read the header of a .npy file (NumPy Enhancement Proposal 1), without evaluating it."""
    magic = stream.read(8)
    length = stream.read(2 if magic == b"\x93NUMPY\1\0" else 4)
    text = stream.read(min(int.from_bytes(length, "little"), _MAX_HEADER_BYTES))
    header = _HEADER.fullmatch(text)
    if not magic.startswith(b"\x93NUMPY") or not header:
        raise GlyphError(
            f"{name} is no NumPy array of whole numbers in C order; arrays of Python objects "
            "(pickles) are refused"
        )
    shape = tuple(int(length) for length in re.findall(rb"\d+", header["shape"]))
    return np.dtype(header["descr"].decode()), shape


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


_WORDS = {"train": ("train",), "test": ("test", "t10k")}


def read_local(path: Path, split: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Read the glyphs of a split from a path.

    Parameters
    ----------
    path : Path
        - The images file of an IDX pair, or a folder that holds one; packed with gzip or not.
          The labels file has the same name with `labels` for `images` and `idx1` for `idx3`.
        - A file `*.npz` with x_train, y_train, x_test, y_test, as Keras has it.
        - A folder with one sub-folder of pictures per class, see `read_pictures`.

        A folder with `train` and `test` inside, or with a pair for each, is split; anything
        else but an npz gives the same glyphs for both.
    split : {"train", "test"}
        Which glyphs to read.

    Returns
    -------
    images : ndarray of uint8, shape (N, 28, 28)
        0 = paper, 255 = ink; memory-mapped if they come from an unpacked IDX file.
    labels : ndarray of uint8, shape (N,)
    alphabet : str
        The character of each class.

    Raises
    ------
    GlyphError
        The path is none of these, or its contents do not go together.
    """
    if path.is_file():
        images, labels = read_npz(path, split) if path.suffix == ".npz" else _read_pair(path)
        return images, _check_labels(images, labels, path), DIGITS
    if not path.is_dir():
        raise GlyphError(f"there is no file or folder {path}")
    if (path / "train").is_dir() and (path / "test").is_dir():
        return read_local(path / split, split)
    images_path = find_images(path, split)
    if images_path:
        return read_local(images_path, split)
    return read_pictures(path)


def has_splits(path: Path) -> bool:
    """Tell whether a path has glyphs for train and others for test."""
    if path.is_file():
        return path.suffix == ".npz"
    if (path / "train").is_dir() and (path / "test").is_dir():
        return True
    return path.is_dir() and find_images(path, "train") != find_images(path, "test")


def find_images(folder: Path, split: SplitName) -> Path | None:
    """Find the images file of an IDX pair in a folder: the one of the split, or the only one.

    Raises
    ------
    GlyphError
        There are several, and it is not clear which one is meant.
    """
    by_name = {
        path.name.removesuffix(".gz"): path
        for path in sorted(folder.iterdir(), reverse=True)  # unpacked files come last and stay
        if "images" in path.name and "idx3" in path.name and path.is_file()
    }
    names = sorted(by_name)
    if len(names) > 1:
        names = [name for name in names if any(word in name for word in _WORDS[split])]
        if len(names) != 1:
            raise GlyphError(
                f"{folder} holds several IDX files of images, but not one for {split}: "
                f"{', '.join(sorted(by_name))}",
                "Name the one that is meant: --dataset FOLDER/FILE",
            )
    return by_name[names[0]] if names else None


def _read_pair(images_path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    labels_name = images_path.name.replace("images", "labels").replace("idx3", "idx1")
    if labels_name == images_path.name:
        raise GlyphError(
            f"{images_path} is none of: an IDX file with 'images' in its name, a file *.npz, "
            "a folder with one sub-folder per class"
        )
    return _read_file(images_path), _read_file(images_path.with_name(labels_name))


def _read_file(path: Path) -> NDArray[Any]:
    twin = path.with_name(path.name.removesuffix(".gz"))
    if not path.exists() and not twin.exists():
        twin = path.with_name(f"{path.name}.gz")
    there = path if path.exists() else twin
    return read_packed_idx(there) if there.suffix == ".gz" else read_idx(there)


def _check_labels(images: NDArray[Any], labels: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Check that images and labels go together; give the labels as uint8."""
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE_PX, SIDE_PX):
        raise GlyphError(
            f"{path} holds {images.dtype.name} of shape {images.shape}; "
            f"glyphs are uint8 of shape (N, {SIDE_PX}, {SIDE_PX})"
        )
    if labels.shape != (len(images),):
        raise GlyphError(f"{path}: {len(images):,} images, but labels of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= len(DIGITS):
        raise GlyphError(
            f"{path}: labels from {labels.min()} to {labels.max()}; "
            f"allowed are 0 to {len(DIGITS) - 1}"
        )
    return labels.astype(np.uint8)
