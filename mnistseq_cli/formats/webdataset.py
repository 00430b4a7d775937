"""Shards for WebDataset: a tar file for each part, the files of a sample side by side.

Format: POSIX.1-1988 tar ("ustar"). Owner and time are fixed, so that the same samples give the
same bytes. https://github.com/webdataset/webdataset: files that share a name up to the first dot
are a sample.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.files import naming_damage, open_regular
from mnistseq_cli.formats.base import Encoded, LoadedSample, PartWriter, Wanted, list_files
from mnistseq_cli.formats.fields import write_lines
from mnistseq_cli.formats.images import decode_grey
from mnistseq_cli.formats.read_labels import row_from_record

_BLOCK_BYTES = 512
_RECORD_BYTES = 20 * _BLOCK_BYTES
_NAME_BYTES = 100
_KEY = re.compile(r"(?s:.*/)?[^.]*")
# Mode, owner, group; time, type (a file), magic and version after the size and before the rest.
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_TIME = b"00000000000\0"
_AFTER_SUM = b"0" + b"\0" * 100 + b"ustar\x0000" + b"\0" * (_BLOCK_BYTES - 265)
_FIXED_SUM = sum(_BEFORE_SIZE + _TIME + _AFTER_SUM) + 8 * ord(" ")


class WebDataset(Encoded):
    """``data-000000.tar`` and so on: the image, ``.txt`` and ``.json`` of each sample."""

    marks = ("*.tar",)

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:
        """Write a shard."""
        size_bytes = 0
        with writer.open(f"data-{number:06d}.tar") as append:
            for block in blocks:
                data = b"".join(self._members(block))
                append(data)
                size_bytes += len(data)
            append(end_tar(size_bytes))

    def _members(self, block: Block) -> Iterator[bytes]:
        images = self._encode(block.images, block.widths_px)
        rows = zip(images, block.texts.tolist(), write_lines(block).splitlines(), strict=True)
        licence = f", {json.dumps(self._licence)[1:]}" if self._licence else "}"
        for index, (image, text, record) in enumerate(rows, block.start):
            yield from _pack(f"{index:09d}.{self._ending}", image)
            yield from _pack(f"{index:09d}.txt", text.encode())
            yield from _pack(f"{index:09d}.json", record[:-1] + licence.encode())

    def read_split(self, split: str, folder: Path, wanted: Wanted) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        for path in list_files(folder, "*.tar"):
            with naming_damage(path), open_regular(path) as file:
                for key, members in _group(_read_members(file)):
                    if not wanted(f"{key}.{next(iter(members))}"):
                        continue
                    with naming_damage(path, part=key):
                        sample = _load(key, split, members)
                    yield sample


def end_tar(size_bytes: int) -> bytes:
    """Return what ends a tar whose members have so many bytes."""
    return bytes(-(size_bytes + 2 * _BLOCK_BYTES) % _RECORD_BYTES + 2 * _BLOCK_BYTES)


def trim_tar(data: bytes) -> bytes:
    """Return a shard without its end: the last member is text, which has no zeros of its own."""
    size_bytes = len(data.rstrip(b"\0"))
    return data[: size_bytes + -size_bytes % _BLOCK_BYTES]


def _load(key: str, split: str, members: dict[str, bytes]) -> LoadedSample:
    """Return the sample of its files, by their endings."""
    record = json.loads(members.pop("json", b"{}"))
    for ending in ("txt", "cls"):
        if ending in members:
            record = {"text": members.pop(ending).decode("utf-8-sig").rstrip("\r\n")} | record
    if not members:
        raise ValueError("it has no image")
    ending, data = next(iter(members.items()))
    return row_from_record(record, f"{key}.{ending}").with_image(split, decode_grey(data))


def _group(members: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Gather files that share a name up to the first dot after the last slash."""
    for key, group in groupby(members, lambda member: _KEY.match(member[0])[0]):  # type: ignore[index] # matches always
        gathered: dict[str, bytes] = {}
        for name, data in group:
            ending = name[len(key) + 1 :]
            if ending in gathered:
                raise ValueError(f"{name} is there twice")
            gathered[ending] = data
        yield key, gathered


def _read_members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Read names and bytes of the files in a tar, which may be far larger than memory."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:", errors="strict") as tar:
        while (info := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined] # it would keep the headers of all
            if not 0 <= info.size <= size_bytes - info.offset_data:
                raise ValueError(f"it ends within {info.name}")
            if info.isreg():
                content = tar.extractfile(info)
                yield info.name, content.read() if content else b""
        # To tarfile a damaged header is the end.
        file.seek(tar.offset)
        rest = file.read(_BLOCK_BYTES)
        if len(rest) < _BLOCK_BYTES or rest.strip(b"\0"):
            raise ValueError("it ends too early" if not rest else "a header in it is damaged")


def _pack(name: str, data: bytes) -> tuple[bytes, ...]:
    """Return header, data and what fills the last block of a member."""
    named = name.encode()
    size = b"%011o\0" % len(data)
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(named) + sum(size))
    header = (named.ljust(_NAME_BYTES, b"\0"), _BEFORE_SIZE, size, _TIME, checksum, _AFTER_SUM)
    return (*header, data, b"\0" * (-len(data) % _BLOCK_BYTES))
