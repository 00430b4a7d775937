"""One run at a time in a folder."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mnistseq_cli.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def lock(path: Path) -> Iterator[int]:
    """Hold the lock that a file stands for; it ends with the process, however that ends.

    Gives the descriptor of the file: a forked child must close its copy, or it would go on
    holding the lock.

    Raises
    ------
    OutputError
        Another process holds it.
    OSError
        The file cannot be made.
    """
    descriptor = _acquire(path)
    try:
        yield descriptor
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise OutputError(
                f"another run is writing into {path.parent.parent}",
                "Wait until it ends, or choose another --out.",
            ) from error
        if _is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # whoever held the lock has just removed the file


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
