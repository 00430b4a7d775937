"""Download files from mirrors."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mnistseq_cli.errors import DownloadError, UsageError
from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.catalog import PATIENT, DataFile, Patience, Progress

BACKOFF_S = 0.5  # the wait after the first round; doubles with each
LONGEST_WAIT_S = 30  # whatever a server asks for
_SCHEMES = ("https", "http")
_BLOCK_BYTES = 1 << 16
# Without "identity" some servers compress the gzip file once more.
_HEADERS = {"User-Agent": "mnistseq", "Accept-Encoding": "identity"}
_BUSY_STATUSES = {408, 425, 429, 500, 502, 503, 504}


@dataclass(eq=False)
class FailedTry(Exception):  # noqa: N818 - one try, not yet an error
    """One mirror did not give the file."""

    reason: str
    again: bool = False
    wait_s: float = 0
    is_reached: bool = True


def check_mirrors(mirrors: Iterable[str]) -> None:
    """Check that mirrors are addresses."""
    for mirror in mirrors:
        try:
            address = urlsplit(mirror)
        except ValueError:  # such as brackets that are no IPv6 address
            address = urlsplit("")
        if address.scheme not in _SCHEMES or not address.netloc:
            raise UsageError(
                f"{mirror!r} is not a mirror; expected an address like https://example.org/mnist/",
                "Files on this machine are brought in with --from PATH.",
            )


def fetch_file(
    file: DataFile,
    folder: Path,
    mirrors: tuple[str, ...],
    *,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
) -> str:
    """Fetch a packed file into a folder; return the mirror that gave the right bytes."""
    # All are tried before any is tried again, but those that failed for good (wrong bytes).
    check_mirrors(mirrors)
    deadline = monotonic() + patience.deadline_s
    failures: dict[str, FailedTry] = {}
    waiting = list(dict.fromkeys(mirrors))
    for number in range(patience.rounds):
        wait_s = BACKOFF_S * 2**number
        for place, mirror in enumerate(tried := tuple(waiting)):
            # A mirror that drips leaves time for the others.
            until = monotonic() + (deadline - monotonic()) / (len(tried) - place)
            url = f"{mirror.rstrip('/')}/{file.packed_name}"
            try:
                blocks = _read_body(url, file, patience.timeout_s, until, progress)
                place_file(folder / file.packed_name, blocks)
            except FailedTry as failure:
                failures[mirror] = failure
                wait_s = max(wait_s, failure.wait_s)
                if not failure.again:
                    waiting.remove(mirror)
                continue
            return mirror
        left_s = deadline - monotonic()
        if not waiting or left_s <= 0:
            break
        if number < patience.rounds - 1:
            sleep(min(wait_s, LONGEST_WAIT_S, left_s))
    raise _name_reasons(file, failures)


def _name_reasons(file: DataFile, failures: dict[str, FailedTry]) -> DownloadError:
    """Name each reason once, with the mirrors it holds for."""
    mirrors_of: dict[str, list[str]] = {}
    for mirror, failure in failures.items():
        mirrors_of.setdefault(failure.reason, []).append(mirror)
    if not any(failure.is_reached for failure in failures.values()):
        hosts = ", ".join(dict.fromkeys(urlsplit(mirror).netloc for mirror in failures))
        return DownloadError(
            f"cannot reach the mirrors ({hosts}: {', '.join(mirrors_of)}); are you offline?"
        )
    listed = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in mirrors_of.items())
    return DownloadError(f"no mirror gave {file.packed_name}: {listed}")


def _read_body(
    url: str, file: DataFile, timeout_s: float, deadline: float, progress: Progress | None
) -> Iterator[bytes]:
    """Yield the blocks of a file; fail instead of ending when they are not the file."""
    digest, n_bytes = hashlib.sha256(), 0
    most_bytes = file.size_bytes or file.unpacked_size_bytes  # to pack makes nothing larger
    tell = progress or (lambda *_: None)
    tell(file.packed_name, 0, most_bytes)
    for block in _open_url(url, file.size_bytes, timeout_s, deadline):
        n_bytes += len(block)
        if n_bytes > most_bytes:
            raise FailedTry(f"sends more than the {most_bytes:,} bytes expected")
        digest.update(block)
        yield block
        if n_bytes < most_bytes:
            tell(file.packed_name, n_bytes, most_bytes)
    if n_bytes < file.size_bytes:
        raise FailedTry(f"ended after {n_bytes:,} of {file.size_bytes:,} bytes", again=True)
    if digest.hexdigest() != file.sha256:
        raise FailedTry(f"sent other bytes: SHA-256 {digest.hexdigest()}, not {file.sha256}")
    tell(file.packed_name, most_bytes, most_bytes)


def _open_url(url: str, size_bytes: int, timeout_s: float, deadline: float) -> Iterator[bytes]:
    """Yield what a server sends; each error becomes a `FailedTry`."""
    request = Request(url, headers=_HEADERS)  # noqa: S310 - see check_mirrors
    try:
        with build_opener(_Redirects).open(request, timeout=timeout_s) as response:
            _check_answer(response, size_bytes)
            while block := response.read1(_BLOCK_BYTES):
                if monotonic() > deadline:
                    raise FailedTry("too slow: not complete at the deadline")
                yield block
    except HTTPError as error:
        error.close()
        if error.status in range(300, 400):
            raise FailedTry("redirects in circles") from error
        busy = error.status in _BUSY_STATUSES
        wait_s = _read_retry_after(error.headers.get("Retry-After", "")) if busy else 0
        raise FailedTry(_spell_status(error.status), again=busy, wait_s=wait_s) from error
    except TimeoutError as error:
        raise FailedTry(f"nothing came for {timeout_s:g} s", again=True) from error
    except URLError as error:
        raise FailedTry(_name_cause(error.reason), again=True, is_reached=False) from error
    except http.client.HTTPException as error:  # its words may be those of the server
        raise FailedTry("does not speak HTTP", again=True) from error
    except (OSError, ValueError) as error:
        raise FailedTry(f"the connection broke: {_name_cause(error)}", again=True) from error


def _name_cause(cause: str | BaseException) -> str:
    words = cause.strerror if isinstance(cause, OSError) else None
    return words or str(cause) or type(cause).__name__


def _spell_status(status: int | None) -> str:
    """Spell a status in the words of the standard: those of the server may be anything."""
    return f"answers {status} {http.client.responses.get(status or 0, '')}".strip()


def _check_answer(response: http.client.HTTPResponse, size_bytes: int) -> None:
    if response.status != http.client.OK:
        raise FailedTry(_spell_status(response.status))
    kind = response.headers.get_content_type()
    if kind in {"text/html", "application/xhtml+xml"}:
        raise FailedTry(f"answers with a web page ({kind}), not with the file")
    length = response.headers.get("Content-Length", "")
    if size_bytes and length.isdecimal() and int(length[:20]) != size_bytes:
        raise FailedTry(f"offers {length[:20]} bytes, not {size_bytes}")


def _read_retry_after(value: str) -> float:
    """Read a Retry-After header: seconds or a date (RFC 9110, section 10.2.3)."""
    if value.strip().isdecimal():
        return float(value[:20])
    try:
        return max(0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return 0


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, none of them from https to http."""

    max_redirections = 5

    def redirect_request(self, *arguments: Any) -> Request | None:  # noqa: ANN401 - six, see there
        req, fp, *_, newurl = arguments
        fp.close()  # or its body, however long, would be read before going on
        allowed = _SCHEMES if req.type == "http" else ("https",)
        if urlsplit(newurl).scheme not in allowed:
            raise FailedTry(f"redirects to {newurl!r}, which is refused: it is not https")
        return super().redirect_request(*arguments)
