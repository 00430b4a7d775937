"""Label files of a folder of images.

UTF-8, lines end with a line feed, paths are relative to the file with ``/`` on every system.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mnistseq_cli.formats.entries import Entries
from mnistseq_cli.formats.records import quote, write_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnistseq_cli.compose.samples import Block

_NEEDS_QUOTES = re.compile('[",\r\n]')


class Csv(Entries):
    """``labels.csv``: RFC 4180 with the header ``file_name,text``."""

    file_name = fragment = "labels.csv"
    header = "file_name,text\n"

    def entries(self, names: Sequence[str], block: Block) -> Iterator[str]:
        """Write a line for each sample."""
        rows = zip(_quote_csv(names), _quote_csv(block.texts.tolist()), strict=True)
        return (f"{name},{text}\n" for name, text in rows)


class JsonLines(Entries):
    """``metadata.jsonl``, as the imagefolder loader of Hugging Face datasets reads it.

    A line has ``file_name``, ``text``, ``objects`` (``bbox``: x, y, width, height in pixels;
    ``category``: classes), ``glyphs`` (ids) and ``gaps`` (pixels).
    """

    file_name = fragment = "metadata.jsonl"

    def entries(self, names: Sequence[str], block: Block) -> Iterator[str]:
        """Write a line for each sample."""
        rows = zip(quote(names), write_records(block), strict=True)
        return (f'{{"file_name": {name}, {record[1:]}\n' for name, record in rows)


def _quote_csv(values: Sequence[str]) -> Sequence[str]:
    if not _NEEDS_QUOTES.search("".join(values)):
        return values
    return [
        '"' + value.replace('"', '""') + '"' if _NEEDS_QUOTES.search(value) else value
        for value in values
    ]
