"""Folders of images with a label file, read back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mnistseq_cli.formats.decoding import decode_grey
from mnistseq_cli.formats.listing import OWN_LISTINGS, find_listing, read_listing
from mnistseq_cli.formats.reading import name_damage, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.formats.reading import Seen


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
            with name_damage(listing):
                base = _find_base(listing.parent, row.name)
        try:
            image = decode_grey(read_file(os.path.join(base, row.name)))  # noqa: PTH118 - a tenth of the time
        except Exception:  # a context and a path for each image would be slow
            with name_damage(base / row.name):
                raise
        try:
            seen = row.see(split, image)
        except ValueError:
            with name_damage(listing, row.name):
                raise
        yield seen


def _find_base(folder: Path, name: str) -> Path:
    """Find what the names of a label file are relative to: some leave ``images`` out."""
    inside = folder / "images"
    return inside if (inside / name).exists() and not (folder / name).exists() else folder
