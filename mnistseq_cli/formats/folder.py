"""A folder of image files with label files beside them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mnistseq_cli.files import naming_damage, read_file
from mnistseq_cli.formats import open_label_style
from mnistseq_cli.formats.base import find_splits, read_splits
from mnistseq_cli.formats.images import Encoded, decode_grey
from mnistseq_cli.formats.names import NameTemplate
from mnistseq_cli.formats.read_labels import OWN_LISTINGS, find_listing, read_listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted


def holds_images(folder: Path) -> bool:
    """Tell whether a folder has a label file."""
    return find_listing(folder) is not None


def holds_own_images(folder: Path) -> bool:
    """Tell whether a folder has a label file with a name that this program gives."""
    return find_listing(folder, OWN_LISTINGS) is not None


def read_images(split: str, folder: Path, wanted: Wanted | None) -> Iterator[LoadedSample]:
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
        if wanted and not wanted(row.name):
            continue
        if base is None:
            with naming_damage(listing):
                base = _find_base(listing.parent, row.name)
        try:
            image = decode_grey(read_file(os.path.join(base, row.name)))  # noqa: PTH118 - a tenth of the time
        except Exception:  # a context and a path for each image would be slow
            with naming_damage(base / row.name):
                raise
        try:
            seen = row.see(split, image)
        except ValueError:
            with naming_damage(listing, part=row.name):
                raise
        yield seen


def _find_base(folder: Path, name: str) -> Path:
    """Find what the names of a label file are relative to: some leave ``images`` out."""
    inside = folder / "images"
    return inside if (inside / name).exists() and not (folder / name).exists() else folder


class Folder(Encoded):
    """One image file a sample, and a file for each label style.

    Parameters
    ----------
    output : Output

    Raises
    ------
    UsageError
        The image format or the name template cannot be used.
    """

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._names = NameTemplate(output.name, output.image_format)
        self._labels = [open_label_style(style) for style in output.labels]

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:  # noqa: ARG002 - names come from the index
        """Write the images of a part, and keep their labels."""
        for block in blocks:
            names = self._names.fill(block)
            images = self._encode(block.images, block.widths_px)
            for name, data in zip(names, images, strict=True):
                writer.write(name, data)
            for style in self._labels:
                style.write(names, block, writer)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the label files."""
        for style in self._labels:
            style.join(splits, writer)

    @staticmethod
    def holds(folder: Path) -> bool:
        """Tell whether a folder has a label file."""
        return holds_images(folder)

    def read(self, folder: Path, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read samples back: any images with a label file, see `listing.LISTINGS`."""
        # What else people put beside their splits is no label file.
        is_own = bool(find_splits(folder, holds_own_images))
        return read_splits(
            folder, holds_own_images if is_own else holds_images, read_images, wanted
        )
