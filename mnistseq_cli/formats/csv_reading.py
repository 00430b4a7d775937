"""Label files in csv: which columns hold images and texts, and what each row says."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from mnistseq_cli.formats.labels_text import EASYOCR_BLANK
from mnistseq_cli.formats.reading import name_line
from mnistseq_cli.formats.values import NAMES, TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAIR = 2


def read_pairs(
    path: Path, delimiter: str = ",", *, may_have_head: bool = True
) -> Iterator[tuple[str, str]]:
    """Read the name and the text of each image; a header is not needed.

    Parameters
    ----------
    path : Path
    delimiter : str
        What stands between columns.
    may_have_head : bool
        Whether the first line may be a header; if not, nothing is quoted either.

    Raises
    ------
    OutputError
        A line does not have both. The message gives its number.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(
            file,
            strict=True,
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if may_have_head else csv.QUOTE_NONE,
        )
        with name_line(path, lambda: rows.line_num, _describe(delimiter)):
            head = next(filter(None, rows), [])
            name_at, text_at, is_header = _find_columns(head, path, may_have_head=may_have_head)
            if not is_header:
                yield head[name_at], head[text_at]
            for row in rows:
                if row and len(row) <= max(name_at, text_at):
                    n_needed = max(name_at, text_at) + 1
                    raise ValueError(f"the row has {len(row)} of the {n_needed} values it needs")
                if row and row[name_at] != EASYOCR_BLANK:
                    yield row[name_at], row[text_at]


def _find_columns(head: list[str], path: Path, *, may_have_head: bool) -> tuple[int, int, bool]:
    """Find the columns of name and text by the first row, and whether that is a header."""
    columns = [column.strip().lower() for column in head]
    names = [columns.index(name) for name in NAMES if name in columns]
    texts = [columns.index(text) for text in TEXTS if text in columns]
    if names and texts and may_have_head:
        return names[0], texts[0], True
    line = ",".join(head)
    if len(head) < _PAIR:
        raise ValueError(f"{line!r:.80} is one value, not two" if head else "it is empty")
    if not may_have_head or _has_image(path.parent, head[0]):
        return 0, 1, False
    if names or (texts and "." not in head[0]):  # an image may be called a.png, its text "word"
        missing = "text" if names else "image"
        raise ValueError(f"the header {line!r:.80} has no column that is known for the {missing}")
    raise ValueError(
        f"{line!r:.80} is no header that is known, and there is no image {head[0]!r:.80}"
    )


def _has_image(folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder / "images" / name).is_file()


def _describe(delimiter: str) -> str:
    sign = "tab" if delimiter == "\t" else "comma"
    return (
        f"Needed are a column for the image ({', '.join(NAMES)}) and one for its text "
        f"({', '.join(TEXTS)}), with a {sign} between them."
    )
