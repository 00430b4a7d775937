"""Fetch a file from the first mirror that gives the right bytes.

A body is trusted when its SHA-256 is the expected one, whatever the server says about it.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from mnistseq_cli.errors import DownloadError, UsageError
from mnistseq_cli.glyphs.patience import PATIENT
from mnistseq_cli.glyphs.place import place_file
from mnistseq_cli.glyphs.web import SCHEMES, FailedTry, stream

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
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Fetch a gzip file from the first mirror that gives the right bytes, into a folder.

    All mirrors are tried before any is tried again; those that failed for good (not there, wrong
    bytes) are not.

    Returns
    -------
    str
        The mirror that gave it.

    Raises
    ------
    UsageError
        A mirror is no address.
    DownloadError
        No mirror gave the right bytes; the message lists each address and its reason.
    CacheError
        The folder cannot be written.
    """
    check_mirrors(mirrors)
    reasons: dict[str, str] = {}
    waiting = list(dict.fromkeys(mirrors))
    for tries in range(patience.rounds):
        wait_s = patience.backoff_s * 2**tries
        for mirror in list(waiting):
            url = f"{mirror.rstrip('/')}/{file.gzip_name}"
            try:
                _fetch_from(url, file, folder, progress, patience)
            except FailedTry as failure:
                reasons[url] = failure.reason
                wait_s = max(wait_s, failure.wait_s)
                if not failure.again:
                    waiting.remove(mirror)
            else:
                return mirror
        if not waiting:
            break
        if tries < patience.rounds - 1:
            sleep(min(wait_s, patience.longest_wait_s))
    listed = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise DownloadError(
        f"no mirror gave {file.gzip_name}: {listed}",
        "Try again later, name another mirror with --mirror URL, or fetch the files by hand: "
        "mnistseq download --from FOLDER",
    )


def _fetch_from(
    url: str, file: DataFile, folder: Path, progress: Progress | None, patience: Patience
) -> None:
    if progress:
        progress.start(file.gzip_name, file.size_bytes)
    blocks = _check(stream(url, file.size_bytes, patience), file, progress)
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
