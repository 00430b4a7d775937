"""Shards for WebDataset: a tar file for each part, the files of a sample side by side.

Format: POSIX.1-1988 tar ("ustar"). Owner and time are fixed, so that the same samples give the
same bytes. https://github.com/webdataset/webdataset: files that share a name up to the first dot
are a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnistseq_cli.formats.folder import open_encoder
from mnistseq_cli.formats.records import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink

_BLOCK_BYTES = 512
_RECORD_BYTES = 20 * _BLOCK_BYTES
_NAME_BYTES = 100
# Mode, owner, group; time, type (a file), magic and version after the size and before the rest.
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_TIME = b"00000000000\0"
_AFTER_SUM = b"0" + b"\0" * 100 + b"ustar\x0000" + b"\0" * (_BLOCK_BYTES - 265)
_FIXED_SUM = sum(_BEFORE_SIZE + _TIME + _AFTER_SUM) + 8 * ord(" ")


class WebDataset:
    """``data-000000.tar`` and so on: the image, ``.txt`` and ``.json`` of each sample.

    Parameters
    ----------
    output : Output

    Raises
    ------
    UsageError
        The image format cannot be used.
    """

    def __init__(self, output: Output) -> None:
        self._encode = open_encoder(output.image_format)
        self._ending = output.image_format

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:
        """Write a shard."""
        size_bytes = 0
        with sink.path(f"data-{number:06d}.tar").open("wb") as file:
            for block in blocks:
                data = b"".join(self._members(block))
                size_bytes += file.write(data)
            end_bytes = -(size_bytes + 2 * _BLOCK_BYTES) % _RECORD_BYTES + 2 * _BLOCK_BYTES
            file.write(b"\0" * end_bytes)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Do nothing: each shard stands for itself."""

    def _members(self, block: Block) -> Iterator[bytes]:
        images = self._encode(block.images, block.widths_px)
        rows = zip(images, block.texts.tolist(), write_records(block), strict=True)
        for index, (image, text, record) in enumerate(rows, block.start):
            yield from _pack(f"{index:09d}.{self._ending}", image)
            yield from _pack(f"{index:09d}.txt", text.encode())
            yield from _pack(f"{index:09d}.json", record.encode())


def _pack(name: str, data: bytes) -> tuple[bytes, ...]:
    """Give header, data and what fills the last block of a member."""
    named = name.encode()
    size = b"%011o\0" % len(data)
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(named) + sum(size))
    header = (named.ljust(_NAME_BYTES, b"\0"), _BEFORE_SIZE, size, _TIME, checksum, _AFTER_SUM)
    return (*header, data, b"\0" * (-len(data) % _BLOCK_BYTES))
