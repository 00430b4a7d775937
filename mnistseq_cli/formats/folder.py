"""Images in folders, with label files beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnistseq_cli.formats import open_label_style
from mnistseq_cli.formats.encoders import Encoded
from mnistseq_cli.formats.images import holds_images, holds_own_images, read_images
from mnistseq_cli.formats.names import NameTemplate
from mnistseq_cli.formats.reading import find_splits, read_splits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink
    from mnistseq_cli.formats.reading import Seen


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

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - names come from the index
        """Write the images of a part, and keep their labels."""
        for block in blocks:
            names = self._names.fill(block)
            images = self._encode(block.images, block.widths_px)
            for name, data in zip(names, images, strict=True):
                sink.write(name, data)
            for style in self._labels:
                style.write(names, block, sink)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the label files."""
        for style in self._labels:
            style.join(splits, sink)

    @staticmethod
    def holds(folder: Path) -> bool:
        """Tell whether a folder has a label file."""
        return holds_images(folder)

    def read(self, folder: Path) -> Iterator[Seen]:
        """Read samples back: any images with a label file, see `listing.LISTINGS`."""
        # What else people put beside their splits is no label file.
        is_own = bool(find_splits(folder, holds_own_images))
        return read_splits(folder, holds_own_images if is_own else holds_images, read_images)
