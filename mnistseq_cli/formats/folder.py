"""A folder of image files with label files beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import MnistseqError
from mnistseq_cli.files import explain_damage, read_regular
from mnistseq_cli.formats import Output, labels
from mnistseq_cli.formats.base import (
    Encoded,
    Fragments,
    LoadedSample,
    PartWriter,
    Wanted,
    find_splits,
    want_all,
)
from mnistseq_cli.formats.images import decode_grey
from mnistseq_cli.formats.labels import LabelStyle
from mnistseq_cli.formats.masks import decode_instances
from mnistseq_cli.formats.names import NameTemplate
from mnistseq_cli.formats.read_labels import (
    ImageFinder,
    find_label_file,
    find_label_files,
    find_split,
    read_labels,
)


def _read_listed(
    split: str, folder: Path, label_file: Path, wanted: Wanted
) -> Iterator[LoadedSample]:
    images, masks = ImageFinder(folder, label_file), ImageFinder(folder, label_file)
    for row in read_labels(label_file, wanted):
        path: Path | str = label_file
        part, mask = "", None
        try:  # a context for each image would be slow
            path = images.find(row.name) or folder / row.name
            image = decode_grey(read_regular(path))
            if row.mask_name:
                path = masks.find(row.mask_name) or folder / row.mask_name
                mask = decode_instances(read_regular(path))
            path, part = label_file, row.name
            sample = row.with_image(split, image, mask)
        except MnistseqError:
            raise
        except Exception as error:
            where = Path(path) if isinstance(path, str) else path
            raise explain_damage(error, where, part=part) from error
        yield sample


class Folder(Encoded):
    """One image file a sample, and a file for each label style."""

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._names = NameTemplate(output.name, output.image_format)
        self._labels: list[LabelStyle] = []
        for name in output.labels:
            style = getattr(labels, name.upper())
            if style is labels.COCO:
                style = replace(style, licence=self._licence)
            elif style is labels.JSONL:
                style = replace(style, name_mask="masks" in output.labels)
            style.check(output.name)
            self._labels.append(style)
        self.needs_masks = any(style.needs_masks for style in self._labels)

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:  # noqa: ARG002 - names come from the index
        """Write the images of a part, and keep their labels."""
        for block in blocks:
            names = self._names.fill(block)
            writer.write(names, self._encode(block.images, block.widths_px))
            for style in self._labels:
                style.write(names, block, writer)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the label files."""
        for style in self._labels:
            style.join(splits, writer)

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether a folder has a label file."""
        return find_label_file(folder) is not None

    def read(self, folder: Path, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read samples back: any images with a label file, see `read_labels.LABEL_FILES`."""
        # What else people put beside their splits is no label file.
        own = find_splits(folder, lambda path: find_label_file(path, own=True) is not None)
        for split, path in own or find_splits(folder, self.holds):
            yield from self.read_split(split, path, wanted or want_all)

    def read_split(self, split: str, folder: Path, wanted: Wanted) -> Iterator[LoadedSample]:
        """Read the images of a split in the order of its label file."""
        label_files = find_label_files(folder)
        for label_file in label_files:
            own_split = split or (find_split(label_file) if len(label_files) > 1 else "")
            yield from _read_listed(own_split, folder, label_file, wanted)
