"""Ctrl-C and SIGTERM, in a run and in its workers."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TERMINATED = 143


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Leave by SystemExit on SIGTERM, so that everything is put in order on the way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def noted_signals() -> Iterator[Callable[[], None]]:
    """Note Ctrl-C and SIGTERM; give what raises them, to be called where it is safe.

    Raised where it arrives, Ctrl-C is lost if that is in a `__del__` of a library.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    noted: list[int] = []

    def raise_noted() -> None:
        if signal.SIGTERM in noted:
            raise SystemExit(_TERMINATED)
        if noted:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in _SIGNALS}
    try:
        yield raise_noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back, here and in processes that start meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started later, the tracker of multiprocessing would let the signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle_signals() -> None:
    """Leave Ctrl-C to the parent and let SIGTERM end a worker, whatever it has inherited."""
    # The terminal sends Ctrl-C to every process; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
