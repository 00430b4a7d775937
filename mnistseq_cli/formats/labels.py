"""Label files of a folder of images.

UTF-8, lines end with a line feed, paths are relative to the file with ``/`` on every system.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Sink

_NEEDS_QUOTES = re.compile('[",\r\n]')


class Csv:
    """``labels.csv``: RFC 4180 with the header ``file_name,label``."""

    file_name = "labels.csv"

    def write(self, names: Sequence[str], block: Block, sink: Sink) -> None:
        """Keep a line for each sample."""
        rows = zip(_quote_csv(names), _quote_csv(block.texts.tolist()), strict=True)
        sink.keep(self.file_name, "".join([f"{name},{text}\n" for name, text in rows]).encode())

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write a file for each split."""
        for split in splits:
            _join_lines(split, self.file_name, sink, header=b"file_name,label\n")


class JsonLines:
    """``metadata.jsonl``, as the imagefolder loader of Hugging Face datasets reads it.

    A line has ``file_name``, ``text``, ``objects`` (``bbox``: x, y, width, height in pixels;
    ``category``: classes), ``glyphs`` (ids) and ``gaps`` (pixels).
    """

    file_name = "metadata.jsonl"

    def write(self, names: Sequence[str], block: Block, sink: Sink) -> None:
        """Keep a line for each sample."""
        lengths, (numbers, ends) = block.lengths.tolist(), _flatten(block)
        rows = zip(
            lengths,
            _quote_json(names),
            _quote_json(block.texts.tolist()),
            [0, *ends],
            ends,
            strict=False,
        )
        lines = [
            _line(length, edges=block.edges) % (name, text, *numbers[start:end])
            for length, name, text, start, end in rows
        ]
        sink.keep(self.file_name, "".join(lines).encode())

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write a file for each split."""
        for split in splits:
            _join_lines(split, self.file_name, sink)


def _join_lines(split: Fragments, file_name: str, sink: Sink, header: bytes = b"") -> None:
    with sink.path(split.folder + file_name).open("wb") as file:
        file.write(header)
        file.writelines(split.read(file_name))


def _quote_csv(values: Sequence[str]) -> Sequence[str]:
    if not _NEEDS_QUOTES.search("".join(values)):
        return values
    return [
        '"' + value.replace('"', '""') + '"' if _NEEDS_QUOTES.search(value) else value
        for value in values
    ]


def _quote_json(values: Sequence[str]) -> list[str]:
    # A line feed stands inside no JSON string, so one call quotes all values.
    listed = json.dumps(values, ensure_ascii=False, separators=("\n", ":"))
    return listed[1:-1].split("\n")


def _flatten(block: Block) -> tuple[list[int], list[int]]:
    """Give all numbers of all lines, and where those of each line end."""
    places = np.arange(block.classes.shape[1] + 1)
    inside = places[:-1] < block.lengths[:, None]
    is_gap = (places > 0) & (places < block.lengths[:, None])
    if block.edges:
        is_gap = places <= block.lengths[:, None]
    boxes = block.boxes.reshape(len(block), -1)
    numbers = np.concatenate([boxes, block.classes, block.glyphs, block.gaps], axis=1)
    in_box = np.repeat(inside[:, : block.boxes.shape[1]], 4, axis=1)
    given = np.concatenate([in_box, inside, inside, is_gap], axis=1)
    return numbers[given].tolist(), np.cumsum(given.sum(axis=1)).tolist()


@lru_cache(maxsize=2048)
def _line(length: int, *, edges: bool) -> str:
    """Give the line of a sample of so many digits, with %s for each value."""
    boxes = ", ".join(["[%s, %s, %s, %s]"] * length)
    each = ", ".join(["%s"] * length)
    gaps = ", ".join(["%s"] * (length + 1 if edges else length - 1))
    return (
        f'{{"file_name": %s, "text": %s, "objects": {{"bbox": [{boxes}], "category": [{each}]}}, '
        f'"glyphs": [{each}], "gaps": [{gaps}]}}\n'
    )
