"""Download files from mirrors."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mnistseq_cli.errors import DownloadError, UsageError
from mnistseq_cli.files import place_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mnistseq_cli.glyphs.catalog import DataFile


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try.

    Parameters
    ----------
    answer_timeout_s : float
        Up to the first block of a body; covers names, connections, handshakes, redirects.
    stall_timeout_s : float
        Between two blocks.
    deadline_s : float
        For a whole download: all its files, from all mirrors.
    trial_s : float
        After this time, a mirror that would not be done before the deadline is left.
    rounds : int
        How many times to go round the mirrors.
    backoff_s : float
        Wait after the first round; doubles with each.
    longest_wait_s : float
        Limit of all waits, also of those that a server asks for.
    """

    answer_timeout_s: float = 20
    stall_timeout_s: float = 20
    deadline_s: float = 600
    trial_s: float = 20
    rounds: int = 4
    backoff_s: float = 0.5
    longest_wait_s: float = 30


PATIENT = Patience()
HASTY = Patience(answer_timeout_s=4, stall_timeout_s=10, deadline_s=60, trial_s=10, rounds=1)

SCHEMES = ("https", "http")
_BLOCK_BYTES = 1 << 16
_QUEUE_BLOCKS = 16
_HEADERS = {"User-Agent": "mnistseq", "Accept-Encoding": "identity"}
_BUSY_STATUSES = {408, 425, 429, 500, 502, 503, 504}


class FailedTry(Exception):  # noqa: N818 - one try, not yet an error
    """One mirror did not give the file."""

    def __init__(self, reason: str, *, again: bool = False, wait_s: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.wait_s = wait_s


class Unreachable(FailedTry):
    """There was no connection."""


def stream(url: str, size_bytes: int, patience: Patience, deadline: float) -> Iterator[bytes]:
    """Give the blocks of a body of known size, each in time, all before a deadline.

    Parameters
    ----------
    url : str
    size_bytes : int
    patience : Patience
    deadline : float
        On the clock of `time.monotonic`.

    Raises
    ------
    FailedTry
        The server does not give such a body, or not in time.
    """
    blocks: Queue[bytes | FailedTry] = Queue(_QUEUE_BLOCKS)
    given_up = Event()
    Thread(target=_read, args=(url, size_bytes, patience, blocks, given_up), daemon=True).start()
    start = time.monotonic()
    timeout_s = patience.answer_timeout_s
    n_bytes = 0
    try:
        while block := _take(blocks, timeout_s, deadline):
            yield block
            timeout_s = patience.stall_timeout_s
            n_bytes += len(block)
            passed_s = time.monotonic() - start
            if (
                passed_s > patience.trial_s
                and n_bytes * (deadline - start) < size_bytes * passed_s
            ):
                raise FailedTry(f"too slow: {n_bytes:,} bytes in {passed_s:.0f} s")
    finally:
        given_up.set()


def _take(blocks: Queue[bytes | FailedTry], timeout_s: float, deadline: float) -> bytes:
    left_s = deadline - time.monotonic()
    try:
        block = blocks.get(timeout=max(0, min(timeout_s, left_s)))
    except Empty:
        if timeout_s < left_s:
            raise FailedTry(f"nothing came for {timeout_s:g} s", again=True) from None
        raise FailedTry("too slow: not complete at the deadline") from None
    if isinstance(block, FailedTry):
        raise block
    return block


def _read(
    url: str,
    size_bytes: int,
    patience: Patience,
    blocks: Queue[bytes | FailedTry],
    given_up: Event,
) -> None:
    """Read a body into a queue, an empty block at its end; runs in a thread of its own."""
    for block in _talk(url, size_bytes, patience):
        while not given_up.is_set():
            try:
                blocks.put(block, timeout=1)
            except Full:
                continue
            break
        else:
            return


def _talk(url: str, size_bytes: int, patience: Patience) -> Iterator[bytes | FailedTry]:
    request = Request(url, headers=_HEADERS)  # noqa: S310 - see check_mirrors
    opener = build_opener(_Redirects)
    # Whoever waits for a block notices a stall first; this timeout ends the thread after that.
    timeout_s = 2 * patience.stall_timeout_s
    try:
        with opener.open(request, timeout=timeout_s) as response:
            _check_answer(response, size_bytes)
            while block := response.read1(_BLOCK_BYTES):
                yield block
        yield b""
    except FailedTry as failure:
        yield failure
    except HTTPError as error:
        error.close()
        yield _failed_status(error)
    except URLError as error:
        yield Unreachable(_name_cause(error.reason), again=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        yield FailedTry(f"the connection broke: {_name_cause(error)}", again=True)


def _name_cause(cause: str | BaseException) -> str:
    if isinstance(cause, socket.gaierror):
        return "there is no such name, or no network"
    words = cause.strerror if isinstance(cause, OSError) else None
    return words or str(cause) or type(cause).__name__


def _check_answer(response: http.client.HTTPResponse, size_bytes: int) -> None:
    if response.status != http.client.OK:
        raise FailedTry(f"answers {response.status} {response.reason}")
    kind = response.headers.get_content_type()
    if kind in {"text/html", "application/xhtml+xml"}:
        raise FailedTry(f"answers with a web page ({kind}), not with the file")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != size_bytes:
        raise FailedTry(f"offers {int(length):,} bytes, not {size_bytes:,}")


def _failed_status(error: HTTPError) -> FailedTry:
    if error.status in range(300, 400):
        return FailedTry("redirects in circles")
    busy = error.status in _BUSY_STATUSES
    wait_s = _retry_after_s(error.headers.get("Retry-After", "")) if busy else 0
    return FailedTry(f"answers {error.status} {error.reason}", again=busy, wait_s=wait_s)


def _retry_after_s(value: str) -> float:
    """Read a Retry-After header: seconds or a date (RFC 9110, section 10.2.3)."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, none of them from https to http."""

    max_redirections = 5

    def redirect_request(  # noqa: PLR0917 - the signature is the standard library's
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Request | None:
        fp.close()  # or its body, however long, would be read before going on
        allowed = SCHEMES if req.type == "http" else ("https",)
        if urlsplit(newurl).scheme not in allowed:
            raise FailedTry(f"redirects to {newurl}, which is refused: it is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


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
