"""Extras: libraries that only some users need, and how to add them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

DISTRIBUTION = "mnistseq"


def suggest_install(extra: str) -> str:
    """Return the command that adds an extra, for the tool that installed the program."""
    folders = Path(sys.prefix).parts
    whole = f"'{DISTRIBUTION}[{extra}]'"
    if "pipx" in folders:  # it adds libraries to what is installed, wherever that came from
        return f"pipx inject {DISTRIBUTION} {' '.join(_list_libraries(extra)) or whole}"
    if "uv" in folders and "tools" in folders:
        return f"uv tool install {whole}"
    return f"pip install {whole}"


def _list_libraries(extra: str) -> list[str]:
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 - slow to load

    try:
        needed = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return []
    parts = [requirement.partition(";") for requirement in needed]
    return [
        shlex.quote(library.strip())
        for library, _, condition in parts
        if condition.replace('"', "'").replace(" ", "") == f"extra=='{extra}'"
    ]
