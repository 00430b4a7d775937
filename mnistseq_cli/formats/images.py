"""Folders of images with a label file, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.decoding import decode_grey
from mnistseq_cli.formats.listing import OWN_LISTINGS, find_listing, read_listing
from mnistseq_cli.formats.reading import Seen, name_damage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.formats.listing import Row


def holds_images(folder: Path) -> bool:
    """Tell whether a folder has a label file."""
    return find_listing(folder) is not None


def holds_own_images(folder: Path) -> bool:
    """Tell whether a folder has a label file with a name that this program gives."""
    return find_listing(folder, OWN_LISTINGS) is not None


def read_images(split: str, folder: Path) -> Iterator[Seen]:
    """Read the images of a split in the order of its label file.

    Raises
    ------
    OutputError
        The label file is damaged, or an image is missing or damaged.
    """
    listing = find_listing(folder)
    if listing is None:
        return
    base = None
    for row in read_listing(listing):
        if base is None:
            base = _find_base(listing.parent, row.name)
        path = base / row.name
        with name_damage(path):
            image = decode_grey(path.read_bytes())
            seen = _see(row, split, image)
        yield seen


def _find_base(folder: Path, name: str) -> Path:
    """Find what the names of a label file are relative to: some leave ``images`` out."""
    inside = folder / "images"
    return inside if (inside / name).exists() and not (folder / name).exists() else folder


def _see(row: Row, split: str, image: NDArray[np.uint8]) -> Seen:
    boxes = row.boxes
    if boxes is None and row.shares is not None:
        boxes = _to_px(row.shares, image.shape[1], image.shape[0])
    return Seen(row.name, split, image, row.text, boxes, row.gaps, row.glyphs)


def _to_px(shares: NDArray[np.float64], width_px: int, height_px: int) -> NDArray[np.int64]:
    """Turn shares of the image (middle and size) into boxes in pixels."""
    spans = shares[:, 2:] * (width_px, height_px)
    corners = shares[:, :2] * (width_px, height_px) - spans / 2
    boxes: NDArray[np.int64] = np.rint(np.concatenate([corners, spans], 1)).astype(np.int64)
    return boxes
