"""The only Consoles: results go to stdout, everything for the eye to stderr.

Nothing reaches either unescaped: names of files, phrases of servers and texts of labels come from
others, and must neither command a terminal nor forge a line.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from mnistseq_cli.errors import MnistseqError

# What moves the cursor, ends a line or turns its direction; and bytes of names that are no UTF-8.
# A pattern is compiled when it is first used: completion does without.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_ENDLESS = r"([^\s/]{60})[^\s/]{176,}([^\s/]{20})"


@cache
def get_console(*, stderr: bool = True) -> Console:
    """Return the Console of stderr or stdout, made when first needed: completion does without."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def is_terminal() -> bool:
    """Whether stderr is a terminal, or is to be taken for one."""
    is_one = sys.stderr is not None and sys.stderr.isatty()
    return is_one or bool(os.environ.get("FORCE_COLOR"))


def escape(text: str) -> str:
    r"""Return a text as one harmless line: ``\x1b``, ``\n``, ``\u202e``; JSON stays JSON."""

    def spell(found: re.Match[str]) -> str:
        # JSON escapes those below a space itself, and knows no \x.
        return repr(found[0])[1:-1] if found[0] < " " else f"\\u{ord(found[0]):04x}"

    return re.sub(_UNSAFE, spell, text)


def print_result(text: str) -> None:
    """Write one line of a result, a path or JSON, to stdout."""
    if sys.stdout is not None:  # it is None where the caller has closed it
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        line = escape(text).encode(encoding, "backslashreplace").decode(encoding)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def print_table(rows: Sequence[tuple[str, ...]], figures: tuple[int, ...]) -> None:
    """Write rows to stdout, some columns of figures: no box, so that programs can read it too."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in figures else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_result("  ".join(cells).rstrip())


def say(message: str, style: str = "") -> None:
    """Write one line for the eye; what it says is never read as markup."""
    _print((message, style))


def warn(message: str, hint: str = "") -> None:
    """Write a warning of one or two lines."""
    _report("Warning: ", "bold yellow", message, hint)


def report_error(error: MnistseqError) -> None:
    """Write an error of one or two lines: what is wrong, then what mends it."""
    _report("Error: ", "bold red", error.message, error.hint)


def _report(kind: str, style: str, *lines: str) -> None:
    # Words that are longer than a name of a file lack their middle.
    message, hint = (re.sub(_ENDLESS, r"\1…\2", line) for line in lines)
    _print((kind, style), (message, ""))
    if hint:
        _print((f"  {hint}", ""))


def _print(*parts: tuple[str, str]) -> None:
    """Write a line of texts with styles; without Rich where none show."""
    if sys.stderr is None:
        return
    safe = [(escape(text), style) for text, style in parts]
    with suppress(OSError):  # of a terminal that was closed: the work goes on to its end
        if not is_terminal():
            sys.stderr.write("".join(text for text, _ in safe) + "\n")
            return
        from rich.text import Text

        get_console().print(Text.assemble(*safe), soft_wrap=not sys.stderr.isatty())
