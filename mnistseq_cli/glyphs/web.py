"""The body of one HTTP answer, each block in time. The only module that opens a socket.

A thread of its own talks to the server and hands over blocks, so that whatever hangs (a name that
does not resolve, a handshake, a header that drips) is seen in one place: no block in time.
"""

from __future__ import annotations

import http.client
import socket
import time
from email.utils import parsedate_to_datetime
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.glyphs.patience import Patience

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
