import gzip
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from mnistseq_cli.errors import DownloadError, UsageError
from mnistseq_cli.glyphs.catalog import HASTY, MNIST, Patience
from mnistseq_cli.glyphs.download import BACKOFF_S, LONGEST_WAIT_S, fetch_file
from tests.helpers.mirror import QUICK, Answer, drip, make_tiny, send, serving, stall, status

DATASET, BODIES = make_tiny()
FILE = DATASET.train.images
NAME = FILE.packed_name
BODY = BODIES[NAME]


@pytest.fixture(autouse=True)
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the waits between rounds, which take no time here."""
    sleeps: list[float] = []
    monkeypatch.setattr("mnistseq_cli.glyphs.download.sleep", sleeps.append)
    return sleeps


def fetch(folder: Path, *mirrors: str, patience: Patience = QUICK) -> str:
    return fetch_file(FILE, folder, mirrors, patience=patience)


def fetch_from(answers: list[Answer], folder: Path) -> str:
    """Fetch from one mirror; give the reason why it failed, or nothing."""
    with serving({NAME: answers}) as mirror:
        try:
            fetch(folder, mirror.url)
        except DownloadError as error:
            assert not list(folder.iterdir())
            return error.message.partition(f"no mirror gave {NAME}: {mirror.url}: ")[2]
    assert (folder / NAME).read_bytes() == BODY
    return ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(BODY[:-7], Content_Length=str(len(BODY))), "ended after"),
        (send(BODY[:-7], length=False), "ended after"),
        (send(b""), "offers 0 bytes"),
        (send(b"<html>", Content_Type="text/html; charset=utf-8"), "a web page (text/html)"),
        (send(BODY + b"\0" * 1_000_000, length=False), "more than"),
        (send(BODY + b"\0"), "offers"),
        (send(b"\0" + BODY[1:], length=False), "SHA-256"),
        (send(gzip.compress(BODY), Content_Encoding="gzip"), "offers"),
        (status(204), "answers 204"),
        (status(403), "answers 403 Forbidden"),
        (status(302, Location=f"/{NAME}"), "redirects in circles"),
        (status(302, Location="ftp://127.0.0.1/x"), "refused"),
        (stall(), "nothing came for 0.5 s"),
        (stall(BODY[:9]), "nothing came for 0.5 s"),
        (drip(BODY, 0.1), "too slow"),
    ],
)
def test_a_bad_answer_leaves_nothing(answer: Answer, reason: str, tmp_path: Path) -> None:
    assert reason in fetch_from([answer], tmp_path)


@pytest.mark.parametrize(
    ("first", "waits"),
    [
        ([], 0),
        ([send(BODY, Content_Encoding="gzip", Content_Type="text/plain")], 0),
        ([send(BODY, length=False)], 0),
        ([status(503), status(503)], 2),
        ([send(BODY[:100], length=False)], 1),
        ([stall(BODY[:100])], 1),
        ([status(301, Location=f"/once/{NAME}")], 0),
    ],
)
def test_an_answer_right_in_the_end(
    first: list[Answer], waits: int, tmp_path: Path, sleeps: list[float]
) -> None:
    assert not fetch_from([*first, send(BODY)], tmp_path)
    assert sleeps == [BACKOFF_S, 2 * BACKOFF_S][:waits]


def test_what_failed_for_good_is_not_tried_again(tmp_path: Path) -> None:
    with (
        serving({NAME: [status(404)]}) as first,
        serving({NAME: [status(404)]}) as second,
        serving({NAME: [status(500)]}) as busy,
        pytest.raises(DownloadError) as caught,
    ):
        fetch(tmp_path, first.url, second.url, busy.url)
    assert first.asked == second.asked == [NAME]
    assert busy.asked == [NAME] * QUICK.rounds
    # A reason that several mirrors have is given once.
    assert caught.value.message.startswith(
        f"no mirror gave {NAME}: {first.url}, {second.url}: answers 404 Not Found; {busy.url}: "
    )


@pytest.mark.parametrize(
    ("retry_after", "shortest_s", "longest_s"),
    [
        ("7", 7, 7),
        ("100000", LONGEST_WAIT_S, LONGEST_WAIT_S),
        ("soon", BACKOFF_S, BACKOFF_S),
        (format_datetime(datetime.now(UTC) + timedelta(days=9), usegmt=True), 30, 30),
        (format_datetime(datetime.now(UTC) - timedelta(days=9), usegmt=True), 0, 1),
    ],
    ids=range(5),  # a date is another one in each process
)
def test_retry_after_is_honoured_and_capped(
    retry_after: str, shortest_s: float, longest_s: float, tmp_path: Path, sleeps: list[float]
) -> None:
    patience = replace(QUICK, deadline_s=600)
    with serving({NAME: [status(429, Retry_After=retry_after), send(BODY)]}) as mirror:
        fetch(tmp_path, mirror.url, patience=patience)
    assert len(sleeps) == 1
    assert shortest_s <= sleeps[0] <= longest_s


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_no_redirect_leads_to_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate, folder = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "raw"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serving({NAME: [send(BODY)]}) as plain:
        away = status(302, Location=f"{plain.url}{NAME}")
        with serving({NAME: [away, send(BODY)]}, tls) as secure:
            with pytest.raises(DownloadError, match="refused: it is not https"):
                fetch(folder, secure.url)
            assert plain.asked == []
            fetch(folder, secure.url)
            monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(DownloadError, match="certificate"):
                fetch(folder, secure.url)


def test_no_network_is_noticed_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network where nothing answers: seen after one timeout a mirror."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        mirrors = [f"http://{host}/{i}/" for i in range(len(MNIST.mirrors))]
        start = time.monotonic()
        with pytest.raises(DownloadError, match=r"nothing came for 0\.3 s"):
            fetch(tmp_path, *mirrors, patience=replace(HASTY, timeout_s=0.3))
    assert time.monotonic() - start < 0.3 * len(mirrors) + 1
    assert HASTY.timeout_s * len(mirrors) < 10
    with pytest.raises(DownloadError, match="are you offline") as caught:  # nobody listens now
        fetch(tmp_path, *mirrors)
    assert f"({host}: Connection refused)" in caught.value.message
    monkeypatch.setenv("no_proxy", "*")
    patience = replace(QUICK, timeout_s=20, deadline_s=60, rounds=1)
    with pytest.raises(DownloadError, match="are you offline") as caught:
        fetch(tmp_path, "https://a.invalid/mnist/", patience=patience)  # RFC 2606: no such name
    assert "a.invalid" in caught.value.message


def test_one_deadline_holds_for_all_mirrors(tmp_path: Path) -> None:
    patience = replace(QUICK, deadline_s=0.6)
    start = time.monotonic()
    with serving({NAME: [drip(BODY, 0.1)]}) as slow, serving({NAME: [send(BODY)]}) as good:
        mirrors = tuple(f"{slow.url}{i}/" for i in range(5))
        with pytest.raises(DownloadError, match="too slow"):
            fetch(tmp_path, *mirrors, patience=patience)
        assert not list(tmp_path.iterdir())
        assert fetch(tmp_path, slow.url, good.url, patience=patience) == good.url
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("mirror", ["file:///tmp/", "example.org/a", "ftp://a/", "http://", ""])
def test_a_mirror_that_is_no_address_is_refused(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mirror"):
        fetch(tmp_path, mirror)


def test_progress_counts_the_bytes_again_after_a_failure(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with serving({NAME: [send(BODY[:50], length=False), send(BODY)]}) as mirror:
        fetch_file(
            FILE, tmp_path, (mirror.url,), progress=lambda *it: told.append(it), patience=QUICK
        )
    assert {(name, total) for name, _, total in told} == {(NAME, len(BODY))}
    done = [n_bytes for _, n_bytes, _ in told]
    again = done.index(0, 1)
    assert done[:again] == [0, 50]
    assert done[again:] == sorted({*done[again:]})
    assert done[-1] == len(BODY)
