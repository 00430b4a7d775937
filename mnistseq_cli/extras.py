"""Extras: libraries that only some users need, and how to add them."""

from __future__ import annotations

import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

DISTRIBUTION = "mnistseq"


def import_extra(library: str, extra: str, user: str = "") -> ModuleType:
    """Import a library that an extra brings.

    Parameters
    ----------
    library, extra : str
    user : str
        What needs it, such as ``"--dask"``; by default the format of the name of the extra.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{user or f'the format {extra}'} needs the library {library.partition('.')[0]}, "
            "which is not installed",
            f"Install it: {suggest_install(extra)}",
        ) from error


def suggest_install(extra: str) -> str:
    """Return the command that adds an extra, for the tool that installed the program."""
    from importlib.util import find_spec  # noqa: PLC0415 - slow to load

    whole = f"'{DISTRIBUTION}[{extra}]'"
    libraries = _list_libraries(extra)
    # Both add libraries to what is installed, wherever that came from.
    if libraries and Path(sys.prefix, "pipx_metadata.json").exists():
        return f"pipx inject {DISTRIBUTION} {' '.join(libraries)}"
    if libraries and Path(sys.prefix, "uv-receipt.toml").exists():
        options = " ".join(f"--with {library}" for library in libraries)
        return f"uv tool install {options} {DISTRIBUTION}"
    return f"pip install {whole}" if find_spec("pip") else f"uv pip install {whole}"


def _list_libraries(extra: str) -> list[str]:
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 - as above

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
