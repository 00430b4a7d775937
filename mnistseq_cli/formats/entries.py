"""Label files with an entry for each image, in one file for each split."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Sink


class Entries:
    """A header, an entry for each sample, a footer."""

    file_name: ClassVar[str]
    fragment: ClassVar[str]
    header: ClassVar[str] = ""
    separator: ClassVar[str] = ""
    footer: ClassVar[str] = ""

    def entries(self, names: Sequence[str], block: Block) -> Iterable[str]:
        """Write an entry for each sample of a block, whose images have these names."""
        raise NotImplementedError

    def write(self, names: Sequence[str], block: Block, sink: Sink) -> None:
        """Keep the entries of a block."""
        keep_entries(self.entries(names, block), self.fragment, sink, self.separator)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write a file for each split."""
        for split in splits:
            with sink.path(split.folder + self.file_name).open("wb") as file:
                file.write(self.header.encode())
                write_entries(split, self.fragment, file, self.separator)
                file.write(self.footer.encode())


def keep_entries(entries: Iterable[str], fragment: str, sink: Sink, separator: str) -> None:
    """Keep entries, each after a separator."""
    sink.keep(fragment, "".join([separator + entry for entry in entries]).encode())


def write_entries(split: Fragments, fragment: str, file: IO[bytes], separator: str) -> None:
    """Write what was kept, without the separator before the first entry."""
    n_cut = len(separator)
    for data in split.read(fragment):
        file.write(memoryview(data)[n_cut:])
        n_cut = 0
