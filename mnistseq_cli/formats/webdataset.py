"""Shards for WebDataset: a tar file for each part, the files of a sample side by side.

Format: POSIX.1-1988 tar ("ustar"). Owner and time are fixed, so that the same samples give the
same bytes. https://github.com/webdataset/webdataset: files that share a name up to the first dot
are a sample.
"""

from __future__ import annotations

import json
import tarfile
from typing import IO, TYPE_CHECKING

from mnistseq_cli.formats.decoding import decode_grey
from mnistseq_cli.formats.encoders import Encoded
from mnistseq_cli.formats.listing import make_row
from mnistseq_cli.formats.reading import Seen, has_any, name_damage, read_splits
from mnistseq_cli.formats.records import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Sink

_BLOCK_BYTES = 512
_RECORD_BYTES = 20 * _BLOCK_BYTES
_NAME_BYTES = 100
# Mode, owner, group; time, type (a file), magic and version after the size and before the rest.
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_TIME = b"00000000000\0"
_AFTER_SUM = b"0" + b"\0" * 100 + b"ustar\x0000" + b"\0" * (_BLOCK_BYTES - 265)
_FIXED_SUM = sum(_BEFORE_SIZE + _TIME + _AFTER_SUM) + 8 * ord(" ")


class WebDataset(Encoded):
    """``data-000000.tar`` and so on: the image, ``.txt`` and ``.json`` of each sample."""

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

    @staticmethod
    def holds(folder: Path) -> bool:
        """Tell whether a folder has shards."""
        return has_any(folder, "*.tar")

    def read(self, folder: Path) -> Iterator[Seen]:
        """Read samples back: images, and texts from ``.json``, ``.txt`` or ``.cls``."""
        return read_splits(folder, self.holds, _read_shards)


def _read_shards(split: str, folder: Path) -> Iterator[Seen]:
    for path in sorted(folder.glob("*.tar")):
        with name_damage(path), path.open("rb") as file:
            for key, members in _group(_read_members(file)):
                yield _see(key, split, members)


def _see(key: str, split: str, members: dict[str, bytes]) -> Seen:
    """Make a sample of its files, by their endings."""
    record = json.loads(members.pop("json", b"{}"))
    for ending in ("txt", "cls"):
        if ending in members:
            record.setdefault("text", members.pop(ending).decode())
    if not members:
        raise ValueError(f"{key} has no image")
    ending, data = next(iter(members.items()))
    row = make_row(f"{key}.{ending}", record)
    return Seen(row.name, split, decode_grey(data), row.text, row.boxes, row.gaps, row.glyphs)


def _group(members: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Gather files that share a name up to the first dot after the last slash."""
    key, gathered = "", dict[str, bytes]()
    for name, data in members:
        folder, slash, last = name.rpartition("/")
        stem, _, ending = last.partition(".")
        if gathered and key != folder + slash + stem:
            yield key, gathered
            gathered = {}
        key = folder + slash + stem
        gathered[ending] = data
    if gathered:
        yield key, gathered


def _read_members(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Read names and bytes of the files in a tar, which may be far larger than memory."""
    while (header := file.read(_BLOCK_BYTES)).strip(b"\0"):
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise ValueError(str(error)) from error
        data = file.read(info.size)
        file.seek(-info.size % _BLOCK_BYTES, 1)
        if len(data) < info.size:
            raise ValueError(f"it ends within {info.name}")
        if info.isreg():
            yield info.name, data
    if len(header) < _BLOCK_BYTES:
        raise ValueError("it ends too early")


def _pack(name: str, data: bytes) -> tuple[bytes, ...]:
    """Give header, data and what fills the last block of a member."""
    named = name.encode()
    size = b"%011o\0" % len(data)
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(named) + sum(size))
    header = (named.ljust(_NAME_BYTES, b"\0"), _BEFORE_SIZE, size, _TIME, checksum, _AFTER_SUM)
    return (*header, data, b"\0" * (-len(data) % _BLOCK_BYTES))
