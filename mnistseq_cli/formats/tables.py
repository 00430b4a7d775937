"""Tables of names and texts, such as csv files, as people and programs write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any, TextIO

from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.files import describe_damage, hint_at_verify, open_text
from mnistseq_cli.formats.base import Wanted, want_all
from mnistseq_cli.recipe import LENGTH_LIMIT

NAME_KEYS = (
    *("file_name", "filename", "file", "image_path", "img_path", "image", "img", "path", "name"),
)
TEXT_KEYS = (
    *("text", "label", "labels", "words", "word", "transcription", "digits", "number", "value"),
)
_LINE_LIMIT = 1 << 16  # characters
_BLOCK, _LONGEST = 1 << 16, 1 << 24  # characters that are read at once, and to a line's end


def read_lines(file: TextIO, plain: str, wanted: Wanted) -> Iterator[str]:
    """Yield the lines of a text file, empty ones for most of those that no wanted sample is in.

    That is so while all match the pattern of lines that hold a sample each, after the first block.
    """
    pass_over: Any = getattr(wanted, "pass_over", None)
    is_plain = pass_over
    blocks = iter(lambda: file.read(_BLOCK) + file.readline(_LONGEST), "")
    for place, block in enumerate(blocks):
        is_plain = is_plain and re.fullmatch(plain, block)
        if place and is_plain and pass_over(n := block.count("\n")):  # the first may have a header
            yield from repeat("\n", n)
        else:
            yield from StringIO(block, newline="")


def read_table(
    path: Path,
    text_keys: Sequence[str] = TEXT_KEYS,
    is_image: Callable[[str], bool] | None = None,  # tells a first row from a header
    error: type[MnistseqError] = OutputError,  # the type of what is raised
    wanted: Wanted = want_all,
) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and text of each row, between commas, semicolons, tabs or spaces."""
    hint = (
        f"Expected: a column for the image ({', '.join(NAME_KEYS)}) and one for its text "
        f"({', '.join(text_keys)}), with a comma or a tab between them."
    )
    with open_text(path, error=error) as file:
        sign = _find_sign(file, path.suffix.lower())
        # In files for PaddleOCR and its like, nothing is quoted.
        is_plain = path.suffix.lower() == ".txt" and sign in "\t "
        plain = f'(?:[^{sign}"\r\n]++{sign}[^{sign}"\r\n]*+\n)*+'
        lines: Iterable[str] = map(_check_line, read_lines(file, plain, wanted))
        if sign == " ":  # only the first spaces of a line: a text may have others
            lines = (re.sub(r"[ \t]+", "\t", line.lstrip(" "), count=1) for line in lines)
        rows = csv.reader(
            lines,
            strict=True,
            delimiter="\t" if sign == " " else sign,
            quoting=csv.QUOTE_NONE if is_plain else csv.QUOTE_MINIMAL,
            skipinitialspace=True,
        )
        with naming_line(path, lambda: rows.line_num, hint, error):
            head = next(filter(None, rows), [])
            name_at, text_at, is_header = _find_columns(
                head, text_keys, (lambda _: True) if is_plain else is_image
            )
            needed = max(name_at, text_at) + 1
            for row in rows if is_header else chain([head], rows):
                if row and len(row) < needed:
                    raise ValueError(f"the row has {len(row)} of the {needed} values it needs")
                if row:
                    yield rows.line_num, row[name_at], row[text_at]


@contextmanager
def naming_line(
    path: Path, line: Callable[[], int], hint: str, kind: type[MnistseqError] = OutputError
) -> Iterator[None]:
    """Turn what is wrong in a line of a text file into an error that names file and line."""
    try:
        yield
    except (MnistseqError, OSError, UnicodeDecodeError):  # a file is decoded ahead of the line
        raise
    except Exception as error:
        message = f"{path}, line {max(1, line())}: {describe_damage(error)}"
        raise kind(message, hint_at_verify(path) or hint) from error


def check_text(text: str, kind: str = "text", limit: int = LENGTH_LIMIT) -> None:
    """Raise ValueError for what is no Unicode, or longer than any that this program writes."""
    if len(text) > limit:
        raise ValueError(f"a {kind} has {len(text):,} characters; expected at most {limit:,}")
    if not text.isascii():
        text.encode()


def _check_line(line: str) -> str:
    if len(line) >= _LINE_LIMIT:
        raise ValueError(f"it has more than {_LINE_LIMIT:,} characters")
    return line


def _find_sign(file: TextIO, ending: str) -> str:
    """Return what stands between the columns of a table, by its ending and its first line."""
    first = next((line for line in file if line.strip()), "").strip("\r\n")
    file.seek(0)
    signs = ",\t; " if ending == ".csv" else "\t,; "
    return next((sign for sign in signs if sign in first), signs[0])


def _find_columns(
    head: list[str], text_keys: Sequence[str], is_image: Callable[[str], bool] | None
) -> tuple[int, int, bool]:
    """Find the columns of name and text by the first row, and whether that is a header."""
    columns = [column.strip().lower() for column in head]
    names = [columns.index(name) for name in NAME_KEYS if name in columns]
    texts = [columns.index(text) for text in text_keys if text in columns]
    if names and texts:
        return names[0], texts[0], True
    line = ",".join(head)
    if len(head) < 2:  # noqa: PLR2004 - name and text
        raise ValueError(f"{line!r:.80} is one value, not two" if head else "it is empty")
    # The row may be of an image called a.png, its text "word".
    is_header = bool(names or (texts and "." not in head[0]))
    if is_image(head[0]) if is_image else not is_header:
        return 0, 1, False
    if is_header:
        missing = "text" if names else "image"
        raise ValueError(f"the header {line!r:.80} has no column that is known for the {missing}")
    raise ValueError(
        f"{line!r:.80} is no header that is known, and there is no image {head[0]!r:.80}"
    )
