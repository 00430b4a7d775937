"""A dataset written without the engine: each format gets blocks, and files to write into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnistseq_cli.formats import Output, open_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Buffer, Layout

PART_SIZE = 5
BLOCK_SIZE = 3


class Split(NamedTuple):
    """Which samples go where; the folder ends with a ``/``, or is empty."""

    folder: str
    start: int
    stop: int


class Shelf:
    """A `Sink` and `Fragments` in plain folders."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.folder = folder
        self._root = root
        self._kept: list[dict[str, bytes]] = []
        self._placed: dict[str, dict[int, bytes]] = {}
        self._n_placed = 0

    def begin_part(self) -> None:
        self._kept.append({})

    def write(self, name: str, data: bytes) -> None:
        self.path(name).write_bytes(data)

    def path(self, name: str) -> Path:
        path = self._root / self.folder / name
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def keep(self, name: str, data: Buffer) -> None:
        self._kept[-1][name] = self._kept[-1].get(name, b"") + bytes(data)

    def place(self, name: str, layout: Layout, data: Buffer) -> None:
        rows = bytes(data)
        at = layout.header_bytes + self._n_placed * layout.row_bytes
        self._placed.setdefault(name, {})[at] = rows
        self._n_placed += len(rows) // layout.row_bytes

    def gather(self, name: str, path: Path) -> None:
        with path.open("wb") as file:
            for at, rows in self._placed[name].items():
                file.seek(at)
                file.write(rows)

    def read(self, name: str) -> Iterator[bytes]:
        for part in self._kept:
            yield part[name]


def write_dataset(output: Output, generator: SequenceGenerator, splits: list[Split]) -> None:
    form = open_format(output)
    shelves = [Shelf(output.folder, split.folder) for split in splits]
    for split, shelf in zip(splits, shelves, strict=True):
        for number, start in enumerate(range(split.start, split.stop, PART_SIZE)):
            shelf.begin_part()
            stop = min(start + PART_SIZE, split.stop)
            form.write(number, blocks(generator, start, stop), shelf)
    form.join(shelves, Shelf(output.folder))


def blocks(generator: SequenceGenerator, start: int, stop: int) -> Iterator[Block]:
    for at in range(start, stop, BLOCK_SIZE):
        yield generator.block(at, min(at + BLOCK_SIZE, stop))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
