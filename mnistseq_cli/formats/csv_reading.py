"""Label files in csv: which columns hold images and texts, and what each row says."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from mnistseq_cli.formats.labels_text import EASYOCR_BLANK
from mnistseq_cli.formats.reading import name_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = (
    "file_name",
    "filename",
    "file",
    "image_path",
    "img_path",
    "image",
    "img",
    "path",
    "name",
)
TEXTS = ("text", "label", "labels", "words", "word", "transcription", "digits", "number", "value")
_HINT = (
    f"Needed are a column for the image, such as {NAMES[0]}, and one for its text, such as "
    f"{TEXTS[0]}, with a comma between them."
)
_PAIR = 2


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Read the name and the text of each image; a header is not needed.

    Raises
    ------
    OutputError
        A line does not have both. The message gives its number.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        with name_line(path, lambda: rows.line_num, _HINT):
            head = next(rows, [])
            name_at, text_at, is_header = _find_columns(head)
            if not is_header:
                yield head[name_at], head[text_at]
            for row in rows:
                if row and len(row) <= max(name_at, text_at):
                    n_needed = max(name_at, text_at) + 1
                    raise ValueError(f"the row has {len(row)} of the {n_needed} values it needs")
                if row and row[name_at] != EASYOCR_BLANK:
                    yield row[name_at], row[text_at]


def _find_columns(head: list[str]) -> tuple[int, int, bool]:
    """Find the columns of name and text by the first row, and whether that is a header."""
    columns = [column.strip().lower() for column in head]
    names = [columns.index(name) for name in NAMES if name in columns]
    texts = [columns.index(text) for text in TEXTS if text in columns]
    if names and texts:
        return names[0], texts[0], True
    line = ",".join(head)
    if len(head) < _PAIR:
        raise ValueError(f"{line!r:.80} is one value, not two" if head else "it is empty")
    if names or (texts and "." not in head[0]):  # an image may be called a.png, its text "word"
        missing = "text" if names else "image"
        raise ValueError(f"the header {line!r:.80} has no column that is known for the {missing}")
    return 0, 1, False
