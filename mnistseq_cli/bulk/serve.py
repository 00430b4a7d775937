"""The life of a worker process."""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.signals import settle_signals
from mnistseq_cli.errors import MnistseqError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

TOLD, FINISHED, FAILED = "told", "finished", "failed"
_TELL_EVERY_S = 0.2
_LOOK_EVERY_S = 1.0


def serve(connection: Connection, open_job: Callable[[], Any], close: tuple[int, ...]) -> None:
    """Do the tasks that come through a pipe until None comes, or the parent is gone."""
    for descriptor in close:
        os.close(descriptor)
    settle_signals()
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        job = open_job()
        while (task := connection.recv()) is not None:
            result = job(task, _Teller(connection))
            connection.send((FINISHED, result))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        with suppress(OSError):
            connection.send((FAILED, make_portable(error)))


class _Teller:
    """Sends what a job tells, but not so often that it costs anything."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told_s = time.monotonic()

    def __call__(self, message: object) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_EVERY_S:
            self._told_s = now_s
            self._connection.send((TOLD, message))


def _leave_with_parent(started_by: int) -> None:
    """End this process when the one that wants its work is gone, however that ended."""
    parent = mp.parent_process()
    while parent is not None and os.getppid() == started_by:
        if wait([parent.sentinel], _LOOK_EVERY_S):
            break
    os._exit(1)


def make_portable(error: Exception) -> Exception:
    """Give an exception that can be sent to another process, and tells where it was raised."""
    if not isinstance(error, MnistseqError):
        error.add_note("In a worker:\n" + traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - an exception can refuse in any way
        return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return error
