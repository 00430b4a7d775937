"""Put a finished file in its place, or none at all."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import TYPE_CHECKING

from mnistseq_cli.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_STALE_AFTER_S = 86_400


def place_file(path: Path, blocks: Iterable[bytes]) -> None:
    """Write blocks to a file that appears under its name only when it is complete.

    They go to a file of another, unique name in the same folder, which then takes the place of
    whatever had the name. Any number of processes can do this at once: the last one wins, and a
    reader that has the old file open or mapped keeps it.

    Parameters
    ----------
    path : Path
        The file; missing folders are made.
    blocks : iterable of bytes
        Contents. If it raises, nothing is left behind.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    part = path.with_name(f".{path.name}.{token_hex(8)}.part")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        try:
            with part.open("xb") as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed processes left; a file that is being written is never that old."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        with suppress(FileNotFoundError):  # another process may have finished it just now
            if time.time() - part.stat().st_mtime > _STALE_AFTER_S:
                part.unlink()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"cannot write {path}: {error.strerror or error}",
            "Choose a folder that can be written, with --data-dir DIR or MNISTSEQ_DATA_DIR.",
        ) from error
