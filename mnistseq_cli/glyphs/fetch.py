"""Fetch a file from the first mirror that gives the right bytes.

A body is trusted when its SHA-256 is the expected one, whatever the server says about it.
"""

from __future__ import annotations

import hashlib
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from mnistseq_cli.errors import DownloadError, UsageError
from mnistseq_cli.glyphs.patience import PATIENT
from mnistseq_cli.glyphs.place import place_file
from mnistseq_cli.glyphs.web import SCHEMES, FailedTry, Unreachable, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mnistseq_cli.glyphs.catalog import DataFile
    from mnistseq_cli.glyphs.patience import Patience


class Progress(Protocol):
    """What is told about a download. Any object with these methods will do."""

    def start(self, name: str, total_bytes: int) -> None:
        """Begin with a file, or begin again at 0 after a failure."""

    def advance(self, name: str, n_bytes: int) -> None:
        """Count bytes that have come."""

    def finish(self, name: str) -> None:
        """End: the file is complete and in its place."""


def check_mirrors(mirrors: Iterable[str]) -> None:
    """Check that mirrors are addresses.

    Raises
    ------
    UsageError
        One does not begin with https:// or http://, or names no host.
    """
    for mirror in mirrors:
        address = urlsplit(mirror)
        if address.scheme not in SCHEMES or not address.netloc:
            raise UsageError(
                f"{mirror!r} is no mirror: write an address like https://example.org/mnist/",
                "Files on this machine are brought in with --from PATH.",
            )


def fetch_file(
    file: DataFile,
    folder: Path,
    *,
    mirrors: tuple[str, ...],
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    deadline: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Fetch a gzip file from the first mirror that gives the right bytes, into a folder.

    All mirrors are tried before any is tried again; those that failed for good (not there, wrong
    bytes) are not.

    Parameters
    ----------
    file : DataFile
    folder : Path
    mirrors : tuple of str
    progress : Progress, optional
        Is told about bytes.
    patience : Patience
    deadline : float, optional
        When to give up, on the clock of `time.monotonic`, where the file is one of several.
    sleep : callable
        What waits between rounds.

    Returns
    -------
    str
        The mirror that gave it.

    Raises
    ------
    UsageError
        A mirror is no address.
    DownloadError
        No mirror gave the right bytes; the message names each mirror and its reason.
    CacheError
        The folder cannot be written.
    """
    check_mirrors(mirrors)
    deadline = time.monotonic() + patience.deadline_s if deadline is None else deadline
    read = partial(stream, patience=patience, deadline=deadline)
    failures: dict[str, FailedTry] = {}
    waiting = list(dict.fromkeys(mirrors))
    for tries in range(patience.rounds):
        wait_s = patience.backoff_s * 2**tries
        for mirror in list(waiting):
            url = f"{mirror.rstrip('/')}/{file.gzip_name}"
            try:
                _fetch_from(url, file, folder, progress, read)
            except FailedTry as failure:
                failures[mirror] = failure
                wait_s = max(wait_s, failure.wait_s)
                if not failure.again:
                    waiting.remove(mirror)
            else:
                return mirror
        left_s = deadline - time.monotonic()
        if not waiting or left_s <= 0:
            break
        if tries < patience.rounds - 1:
            sleep(min(wait_s, patience.longest_wait_s, left_s))
    raise _explain(file, failures)


def _explain(file: DataFile, failures: dict[str, FailedTry]) -> DownloadError:
    """Name each reason once, with the mirrors it holds for."""
    mirrors_of: dict[str, list[str]] = {}
    for mirror, failure in failures.items():
        mirrors_of.setdefault(failure.reason, []).append(mirror)
    if len(mirrors_of) == 1 and all(isinstance(one, Unreachable) for one in failures.values()):
        hosts = ", ".join(dict.fromkeys(urlsplit(mirror).netloc for mirror in failures))
        return DownloadError(f"no mirror can be reached ({hosts}): {next(iter(mirrors_of))}")
    listed = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in mirrors_of.items())
    return DownloadError(f"no mirror gave {file.gzip_name}: {listed}")


def _fetch_from(
    url: str,
    file: DataFile,
    folder: Path,
    progress: Progress | None,
    read: Callable[[str, int], Iterator[bytes]],
) -> None:
    if progress:
        progress.start(file.gzip_name, file.size_bytes)
    blocks = _check(read(url, file.size_bytes), file, progress)
    place_file(folder / file.gzip_name, blocks)
    if progress:
        progress.finish(file.gzip_name)


def _check(blocks: Iterator[bytes], file: DataFile, progress: Progress | None) -> Iterator[bytes]:
    """Pass blocks on; fail instead of ending when they are not the file."""
    digest = hashlib.sha256()
    n_bytes = 0
    for block in blocks:
        n_bytes += len(block)
        if n_bytes > file.size_bytes:
            raise FailedTry(f"sends more than the {file.size_bytes:,} bytes expected")
        digest.update(block)
        if progress:
            progress.advance(file.gzip_name, len(block))
        yield block
    if n_bytes < file.size_bytes:
        raise FailedTry(f"ended after {n_bytes:,} of {file.size_bytes:,} bytes", again=True)
    if digest.hexdigest() != file.sha256:
        raise FailedTry(f"sent other bytes: SHA-256 {digest.hexdigest()}, not {file.sha256}")
