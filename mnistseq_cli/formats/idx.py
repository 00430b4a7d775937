"""IDX files, for readers of MNIST; the format is described in `mnistseq_cli.glyphs.idx`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.columns import NO_CLASS, keep_columns, read_column, read_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink
    from mnistseq_cli.formats.columns import Shape

_UINT8, _INT32 = 0x08, 0x0C
_BLANK = 255  # an IDX file has no place for NO_CLASS
_PREFIXES = {"": "train", "train/": "train", "test/": "t10k"}


class Idx:
    """Images, labels and lengths of labels, named and laid out as the files of MNIST are.

    ``train-images-idx3-ubyte`` (N, 28, W), ``train-labels-idx2-ubyte`` (N, longest; 255 after
    the end) and ``train-lengths-idx1-int`` (N,); ``t10k-…`` for the split test. Where every text
    is a single digit, labels are ``train-labels-idx1-ubyte`` (N,), as in MNIST itself.
    """

    def __init__(self, output: Output) -> None:
        """Take any output: nothing of it matters here."""
        del output

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - as the protocol says
        """Keep the samples of a part."""
        keep_columns(blocks, sink)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the files."""
        for split in splits:
            shape = read_shape(split)
            prefix = split.folder + _PREFIXES.get(split.folder, split.folder.removesuffix("/"))
            with sink.path(f"{prefix}-images-idx3-ubyte").open("wb") as file:
                file.write(_make_header(_UINT8, shape.of("images")))
                for images in read_column(split, shape, "images"):
                    file.write(images.data)
            self._write_labels(split, shape, prefix, sink)
            with sink.path(f"{prefix}-lengths-idx1-int").open("wb") as file:
                file.write(_make_header(_INT32, shape.of("lengths")))
                for lengths in read_column(split, shape, "lengths"):
                    file.write(lengths.astype(">i4").data)

    def _write_labels(self, split: Fragments, shape: Shape, prefix: str, sink: Sink) -> None:
        n_samples, longest = shape.of("labels")
        axes = (n_samples,) if longest == 1 else (n_samples, longest)
        with sink.path(f"{prefix}-labels-idx{len(axes)}-ubyte").open("wb") as file:
            file.write(_make_header(_UINT8, axes))
            for labels in read_column(split, shape, "labels"):
                file.write(np.where(labels == NO_CLASS, _BLANK, labels).astype(np.uint8).data)


def _make_header(kind: int, axes: tuple[int, ...]) -> bytes:
    return bytes([0, 0, kind, len(axes)]) + np.array(axes, ">u4").tobytes()
