"""A dataset written without the engine: each format gets blocks, and files to write into.

And read back by the format that is found in its folder.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.formats import Output, find_format, open_format
from mnistseq_cli.formats.base import Append, Buffer, Fragments, LoadedSample

PART_SIZE = 5
BLOCK_SIZE = 3


class Split(NamedTuple):
    """Which samples go where; the folder ends with a ``/``, or is empty."""

    folder: str
    start: int
    stop: int


class Shelf:
    """A `PartWriter` in plain folders."""

    def __init__(self, root: Path, folder: str = "", fragments: Path | None = None) -> None:
        self._files = root / folder
        self._fragments = fragments

    def write(self, names: Sequence[str], contents: Sequence[bytes]) -> None:
        for name, data in zip(names, contents, strict=True):
            self.path(name).write_bytes(data)

    def path(self, name: str) -> Path:
        path = self._files / name
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def open(self, name: str) -> Iterator[Append]:
        with self.path(name).open("wb") as file:
            yield file.write

    def append(self, fragment: str, data: Buffer) -> None:
        assert self._fragments
        self._fragments.mkdir(parents=True, exist_ok=True)
        with (self._fragments / fragment).open("ab") as file:
            file.write(data)


def write_dataset(output: Output, generator: SequenceGenerator, splits: list[Split]) -> None:
    form = open_format(output)
    fragments = []
    with TemporaryDirectory() as scratch:
        for split in splits:
            root = Path(scratch) / split.folder
            for number, start in enumerate(range(split.start, split.stop, PART_SIZE)):
                writer = Shelf(output.folder, split.folder, root / f"{number}")
                stop = min(start + PART_SIZE, split.stop)
                blocks = (
                    generator.block(at, min(at + BLOCK_SIZE, stop), masks=form.needs_masks)
                    for at in range(start, stop, BLOCK_SIZE)
                )
                form.write(number, blocks, writer)
            names = [*map(str, range(number + 1))]
            fragments.append(Fragments(split.folder, root, names, split.stop - split.start))
        form.join(fragments, Shelf(output.folder))


def read_dataset(folder: Path) -> list[LoadedSample]:
    form = find_format(folder)
    assert form is not None
    return list(open_format(Output(folder=folder, to=form)).read(folder))


def refuse(folder: Path) -> MnistseqError:
    """Give the error that reading ends with; it takes no memory to find it."""
    tracemalloc.start()
    try:
        with pytest.raises(OutputError) as caught:
            read_dataset(folder)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    return caught.value


def write_image(path: Path) -> None:
    """Write 30 x 20 pixels of paper."""
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, np.full((20, 30), 255, np.uint8))


def check_read_back(
    folder: Path, generator: SequenceGenerator, splits: list[Split], held: set[str]
) -> None:
    """Check that what is read is what was made, with what is held of boxes, gaps and glyphs."""
    found, samples = read_dataset(folder), list(generator)
    assert len(found) == splits[-1].stop
    assert len({seen.name for seen in found}) == len(found)
    for split in splits:
        for index in range(split.start, split.stop):
            seen, sample = found[index], samples[index]
            assert (seen.split, seen.text) == (split.folder.removesuffix("/"), sample.text)
            assert seen.image.dtype == np.uint8
            assert np.array_equal(seen.image, sample.image)
            for name in ("boxes", "gaps", "glyphs"):
                value = getattr(seen, name)
                assert (value is not None) == (name in held)
                if value is not None:
                    assert value.dtype == np.int64
                    assert np.array_equal(value, getattr(sample, name))
