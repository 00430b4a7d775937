"""The only Consoles: results go to stdout, everything for the eye to stderr."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mnistseq_cli.errors import MnistseqError


@cache
def get_console(*, stderr: bool = True) -> Console:
    """Give the Console of stderr or stdout, made when first needed: completion does without."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_result(text: str) -> None:
    """Write one line of a result, a path or JSON, to stdout."""
    if sys.stdout is not None:  # it is None where the caller has closed it
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def count(number: int, noun: str) -> str:
    """Say how many: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say(message: str, style: str = "") -> None:
    """Write one line for the eye; what it says is never read as markup."""
    _print((message, style))


def warn(message: str, hint: str = "") -> None:
    """Write a warning of one or two lines."""
    _report("Warning: ", "bold yellow", message, hint)


def report_error(error: MnistseqError) -> None:
    """Write an error of one or two lines: what is wrong, then what mends it."""
    _report("Error: ", "bold red", error.message, error.hint)


def _report(kind: str, style: str, message: str, hint: str) -> None:
    _print((kind, style), (message, ""))
    if hint:
        _print((f"  {hint}", ""))


def _print(*parts: tuple[str, str]) -> None:
    """Write a line of texts with styles; without Rich, which is slow to start, where none show."""
    if sys.stderr is None:
        return
    if not sys.stderr.isatty() and "FORCE_COLOR" not in os.environ:
        sys.stderr.write("".join(text for text, _ in parts) + "\n")
        return
    from rich.text import Text

    get_console().print(Text.assemble(*parts), soft_wrap=True)
