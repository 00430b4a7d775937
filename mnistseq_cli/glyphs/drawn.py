"""Data sets that a module draws: kept in the cache as IDX files like those that are downloaded."""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.cache import Action, find_data_dir
from mnistseq_cli.glyphs.catalog import DRAWN, SPLITS
from mnistseq_cli.glyphs.glyphset import SIDE_PX
from mnistseq_cli.glyphs.idx import read_idx, write_idx

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.glyphs.catalog import SplitName
    from mnistseq_cli.glyphs.fetch import Progress

LICENCE = "none needed"
_BLOCK = 1000  # glyphs between two steps of a bar
_PREFIXES = {"train": "train", "test": "t10k"}


def ensure_drawn(
    name: str,
    data_dir: Path | None = None,
    *,
    splits: tuple[SplitName, ...] = SPLITS,
    progress: Progress | None = None,
    verify: bool = False,
    force: bool = False,
) -> dict[str, Action]:
    """See to it that the files of a drawn data set are in the cache.

    Parameters
    ----------
    name : str
        A name of `DRAWN`.
    data_dir : Path, optional
        Folder of the cache, see `find_data_dir`.
    splits : tuple of str
        The splits that are needed.
    progress : Progress, optional
        Is told about bytes drawn.
    verify : bool
        Hash what is there; otherwise its headers and sizes are checked.
    force : bool
        Draw again.

    Returns
    -------
    dict of str to Action
        What was done about each split.

    Raises
    ------
    GlyphError
        This machine draws something else than it should.
    CacheError
        The cache cannot be written.
    """
    done: dict[str, Action] = {}
    for split in splits:
        there = not force and is_drawn(name, split, data_dir)
        if there and verify:
            there = _hash(*read_drawn(name, split, data_dir)) == find_drawn_sha256(name, split)
        if not there:
            arrays = draw_split(name, split, progress)
            for path, array in zip(_find_files(name, split, data_dir), arrays, strict=True):
                write_idx(path, array)
            if progress:
                progress.finish(_name_bar(name, split))
        done[split] = Action.USE if there else Action.DRAW
    return done


def is_drawn(name: str, split: SplitName, data_dir: Path | None = None) -> bool:
    """Tell whether the files of a split are there, of the shapes they should have."""
    n_glyphs = n_drawn(name)[split]
    try:
        images, labels = read_drawn(name, split, data_dir)
    except GlyphError:
        return False
    return images.shape == (n_glyphs, SIDE_PX, SIDE_PX) and labels.shape == (n_glyphs,)


def n_drawn(name: str) -> dict[SplitName, int]:
    """Give the number of glyphs of each split."""
    numbers: dict[SplitName, int] = import_module(DRAWN[name]).N_GLYPHS
    return numbers


def find_drawn_sha256(name: str, split: SplitName) -> str:
    """Give the hash of a split: of all its images, then all its labels."""
    sha256: str = import_module(DRAWN[name]).SHA256[split]
    return sha256


def find_drawn_dir(name: str, data_dir: Path | None = None) -> Path:
    """Give the folder of the files of a drawn data set."""
    return find_data_dir(data_dir) / name.capitalize() / "raw"


def read_drawn(
    name: str, split: SplitName, data_dir: Path | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Map the images and labels of a split."""
    images_path, labels_path = _find_files(name, split, data_dir)
    return read_idx(images_path), read_idx(labels_path)


def find_writers(name: str, split: SplitName) -> NDArray[np.int64]:
    """Tell who wrote each glyph of a split."""
    writers: NDArray[np.int64] = import_module(DRAWN[name]).hand_of(
        np.arange(n_drawn(name)[split])
    )
    return writers


def draw_split(
    name: str, split: SplitName, progress: Progress | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the images and labels of a split.

    Raises
    ------
    GlyphError
        This machine draws something else than it should.
    """
    images, labels = _draw_blocks(name, split, progress)
    sha256, wanted = _hash(images, labels), find_drawn_sha256(name, split)
    if sha256 != wanted:
        raise GlyphError(
            f"{name} came out wrong on this machine: SHA-256 of {split} is {sha256}, not {wanted}",
            "Please report this with the version of NumPy. Another data set: --dataset mnist",
        )
    return images, labels


def _draw_blocks(
    name: str, split: SplitName, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    draw_glyphs, n_glyphs = import_module(DRAWN[name]).draw_glyphs, n_drawn(name)[split]
    bar = _name_bar(name, split)
    if progress:
        progress.start(bar, n_glyphs * SIDE_PX * SIDE_PX)
    blocks = []
    for start in range(0, n_glyphs, _BLOCK):
        blocks.append(draw_glyphs(split, start, min(start + _BLOCK, n_glyphs)))
        if progress:
            progress.advance(bar, blocks[-1][0].nbytes)
    images, labels = zip(*blocks, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _name_bar(name: str, split: SplitName) -> str:
    return f"{name} {split}"


def _find_files(name: str, split: SplitName, data_dir: Path | None) -> tuple[Path, Path]:
    folder, prefix = find_drawn_dir(name, data_dir), _PREFIXES[split]
    return folder / f"{prefix}-images-idx3-ubyte", folder / f"{prefix}-labels-idx1-ubyte"


def _hash(images: NDArray[Any], labels: NDArray[Any]) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()
