"""Shards for WebDataset: a tar file for each part, the files of a sample side by side.

Format: POSIX.1-1988 tar ("ustar"). Owner and time are fixed, so that the same samples give the
same bytes. https://github.com/webdataset/webdataset: files that share a name up to the first dot
are a sample.
"""

from __future__ import annotations

import json
import tarfile
from typing import IO, TYPE_CHECKING

from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.base import has_any, list_files, read_splits
from mnistseq_cli.formats.images import Encoded, decode_grey
from mnistseq_cli.formats.read_labels import find_object, make_row
from mnistseq_cli.formats.sample_json import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted

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

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:
        """Write a shard."""
        size_bytes = 0
        with writer.path(f"data-{number:06d}.tar").open("wb") as file:
            for block in blocks:
                data = b"".join(self._members(block))
                size_bytes += file.write(data)
            end_bytes = -(size_bytes + 2 * _BLOCK_BYTES) % _RECORD_BYTES + 2 * _BLOCK_BYTES
            file.write(b"\0" * end_bytes)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
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

    def read(self, folder: Path, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read samples back: images, and texts from ``.json``, ``.txt`` or ``.cls``."""
        return read_splits(folder, self.holds, _read_shards, wanted)


def _read_shards(split: str, folder: Path, wanted: Wanted | None) -> Iterator[LoadedSample]:
    for path in list_files(folder, "*.tar"):
        with naming_damage(path), path.open("rb") as file:
            for key, members in _group(_read_members(file, path.stat().st_size)):
                if wanted and not any(wanted(f"{key}.{ending}") for ending in members):
                    continue
                with naming_damage(path, part=key):
                    seen = _see(key, split, members)
                yield seen


def _see(key: str, split: str, members: dict[str, bytes]) -> LoadedSample:
    """Make a sample of its files, by their endings."""
    record = find_object(json.loads(members.pop("json", b"{}")))
    for ending in ("txt", "cls"):
        if ending in members:
            text = members.pop(ending).decode("utf-8-sig")
            record.setdefault("text", text.rstrip("\r\n"))
    if not members:
        raise ValueError("it has no image")
    ending, data = next(iter(members.items()))
    row = make_row(f"{key}.{ending}", record)
    return row.see(split, decode_grey(data))


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
        if ending in gathered:
            raise ValueError(f"{name} is there twice")
        gathered[ending] = data
    if gathered:
        yield key, gathered


def _read_members(file: IO[bytes], size_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Read names and bytes of the files in a tar, which may be far larger than memory."""
    name = ""  # of the next file, where it is too long for its header
    while (header := file.read(_BLOCK_BYTES)).strip(b"\0"):
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except tarfile.TarError as error:
            raise ValueError(str(error)) from error
        if not 0 <= info.size <= size_bytes - file.tell():
            raise ValueError(f"it ends within {info.name}")
        data = file.read(info.size)
        file.seek(-info.size % _BLOCK_BYTES, 1)
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            name = _find_long_name(info, data) or name
        elif info.isreg():
            yield name or info.name, data
            name = ""
    if len(header) < _BLOCK_BYTES:
        raise ValueError("it ends too early")


def _find_long_name(info: tarfile.TarInfo, data: bytes) -> str:
    """Find the name that a header of GNU tar, or of POSIX.1-2001, gives to the next file."""
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return data.rstrip(b"\0").decode()
    names = [line for line in data.split(b"\n") if b" path=" in line]
    return names[0].partition(b"=")[2].decode() if names else ""


def _pack(name: str, data: bytes) -> tuple[bytes, ...]:
    """Give header, data and what fills the last block of a member."""
    named = name.encode()
    size = b"%011o\0" % len(data)
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(named) + sum(size))
    header = (named.ljust(_NAME_BYTES, b"\0"), _BEFORE_SIZE, size, _TIME, checksum, _AFTER_SUM)
    return (*header, data, b"\0" * (-len(data) % _BLOCK_BYTES))
