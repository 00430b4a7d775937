"""A loopback HTTP server that misbehaves as told, and a data set small enough to serve."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.catalog import DataFile, Dataset, Patience, SplitFiles
from mnistseq_cli.glyphs.idx import encode_idx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Answer = Callable[[BaseHTTPRequestHandler], None]

N_TRAIN, N_TEST = 30, 20
QUICK = Patience(timeout_s=0.5, deadline_s=2, rounds=3)


class Mirror:
    """What the server answers to each path: a list of answers in turn, the last one again."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rsplit("/", 1)[-1]
        turns = self.answers.get(name, [status(404)])
        turn = min(self.asked.count(name), len(turns) - 1)
        self.asked.append(name)
        turns[turn](handler)


@contextmanager
def serving(
    answers: dict[str, list[Answer]], tls: ssl.SSLContext | None = None
) -> Iterator[Mirror]:
    mirror = Mirror(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):
                mirror.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    mirror.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(body: bytes, *, length: bool = True, **headers: str) -> Answer:
    """Answer 200 with a body; header names have _ for -."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length:
            headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def drip(body: bytes, every_s: float) -> Answer:
    """Send one byte after the other."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for byte in body:
            handler.wfile.write(bytes([byte]))
            time.sleep(every_s)

    return answer


def stall(after: bytes = b"", for_s: float = 5) -> Answer:
    """Send some bytes, if any, and then nothing."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if after:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(after)
        time.sleep(for_s)

    return answer


def draw_tiny(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make n different glyphs; the class of glyph i is i % 10."""
    images = np.zeros((n, 28, 28), np.uint8)
    for i, image in enumerate(images):
        image[4 : 10 + i % 14, 5 + i % 7 : 20] = 100 + (seed + i) % 150
    return images, (np.arange(n) % 10).astype(np.uint8)


def make_tiny(*mirrors: str, unpacked_known: bool = True) -> tuple[Dataset, dict[str, bytes]]:
    """Make a data set and the bytes of its gzip files."""
    bodies: dict[str, bytes] = {}

    def pack(name: str, array: NDArray[np.uint8]) -> DataFile:
        plain = encode_idx(array)
        packed = gzip.compress(plain, mtime=0)
        bodies[f"{name}.gz"] = packed
        known = hashlib.sha256(plain).hexdigest() if unpacked_known else ""
        sha256 = hashlib.sha256(packed).hexdigest()
        return DataFile(name, array.shape, len(packed), sha256, known)

    def split(prefix: str, n: int, seed: int) -> SplitFiles:
        images, labels = draw_tiny(n, seed)
        return SplitFiles(
            pack(f"{prefix}-images-idx3-ubyte", images),
            pack(f"{prefix}-labels-idx1-ubyte", labels),
        )

    train, test = split("train", N_TRAIN, 1), split("t10k", N_TEST, 2)
    return Dataset("tiny", "Tiny", train, test, mirrors, "CC0"), bodies


def serve_well(bodies: dict[str, bytes]) -> dict[str, list[Answer]]:
    return {name: [send(body)] for name, body in bodies.items()}


def write_idx(path: Path, array: NDArray[np.integer[Any]]) -> None:
    place_file(path, [encode_idx(array)])


def write_picture(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
