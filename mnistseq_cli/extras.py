"""Extras: libraries that only some users need, and how to add them."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

from mnistseq_cli.errors import UsageError

DISTRIBUTION = "mnistseq"


def import_extra(library: str, extra: str, user: str = "") -> ModuleType:
    """Import a library that an extra brings for a format of its name, or for another user."""
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
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 - slow to load
    from importlib.util import find_spec  # noqa: PLC0415 - as above

    needed: list[str] = []
    with suppress(PackageNotFoundError):
        needed = requires(DISTRIBUTION) or []
    parts = [re.sub("[\"' ]", "", requirement).partition(";extra==") for requirement in needed]
    libraries = [shlex.quote(library) for library, _, name in parts if name == extra]
    # Both add libraries to what is installed, wherever that came from.
    if libraries and Path(sys.prefix, "pipx_metadata.json").exists():
        return f"pipx inject {DISTRIBUTION} {' '.join(libraries)}"
    if libraries and Path(sys.prefix, "uv-receipt.toml").exists():
        return f"uv tool install --with {' --with '.join(libraries)} {DISTRIBUTION}"
    return f"{'' if find_spec('pip') else 'uv '}pip install '{DISTRIBUTION}[{extra}]'"
