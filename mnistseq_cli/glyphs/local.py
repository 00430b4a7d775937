"""Glyphs from a path: an IDX pair, a Keras npz, a folder with one sub-folder per class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.catalog import DIGITS
from mnistseq_cli.glyphs.glyphset import SIDE_PX
from mnistseq_cli.glyphs.idx import read_idx, read_packed_idx
from mnistseq_cli.glyphs.npz import read_npz
from mnistseq_cli.glyphs.pictures import read_pictures

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.catalog import SplitName

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
