"""Libraries that only some formats need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mnistseq_cli.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType


def import_extra(library: str, extra: str) -> ModuleType:
    """Import a library that a format needs.

    Parameters
    ----------
    library : str
        Name of the module.
    extra : str
        Name of the extra that installs it; also that of the format.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the format {extra} needs the library {library.partition('.')[0]}, which is not "
            "installed",
            f"Install it: pip install 'mnistseq[{extra}]'",
        ) from error
