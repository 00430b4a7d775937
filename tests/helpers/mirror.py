"""A loopback HTTP server that misbehaves as told, and a data set small enough to serve."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.catalog import DataFile, Dataset, Patience, SplitFiles
from mnistseq_cli.glyphs.idx import encode_idx

Answer = Callable[[BaseHTTPRequestHandler], None]

N_TRAIN, N_TEST = 30, 20
QUICK = Patience(timeout_s=0.5, deadline_s=2, rounds=3)


class Mirror(ThreadingHTTPServer):
    """A server with a list of answers for each name: given in turn, the last one again."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answers: dict[str, list[Answer]], tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.answers = answers
        self.asked: list[str] = []
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name, asked = self.path.rsplit("/", 1)[-1], self.server.asked
        turns = self.server.answers.get(name, [status(404)])
        turn = min(asked.count(name), len(turns) - 1)
        asked.append(name)
        with suppress(ConnectionError):
            turns[turn](self)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(
    answers: dict[str, list[Answer]], tls: ssl.SSLContext | None = None
) -> Iterator[Mirror]:
    with Mirror(answers, tls) as mirror:
        thread = Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.shutdown()
            thread.join()


def reply(code: int, *turns: bytes | float, **headers: str) -> Answer:
    """Answer with a status, headers whose names have _ for -, bytes, and waits in seconds."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for turn in turns:
            if isinstance(turn, bytes):
                handler.wfile.write(turn)
            else:
                time.sleep(turn)

    return answer


def send(body: bytes, *, length: bool = True, **headers: str) -> Answer:
    said = {"Content_Length": str(len(body))} if length else {}
    return reply(200, body, **said | headers)


def status(code: int, **headers: str) -> Answer:
    return reply(code, Content_Length="0", **headers)


def drip(body: bytes, every_s: float) -> Answer:
    return reply(200, *(turn for byte in body for turn in (bytes([byte]), every_s)))


def stall(after: bytes = b"", for_s: float = 5) -> Answer:
    return reply(200, after, for_s) if after else lambda _: time.sleep(for_s)


def draw_tiny(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make n different glyphs; the class of glyph i is i % 10."""
    images = np.zeros((n, 28, 28), np.uint8)
    for i, image in enumerate(images):
        image[4 : 10 + i % 14, 5 + i % 7 : 20] = 100 + (seed + i) % 150
    return images, (np.arange(n) % 10).astype(np.uint8)


def make_file(
    name: str, array: NDArray[np.integer[Any]], packing: str = ".gz"
) -> tuple[DataFile, bytes]:
    """Make the record of a packed IDX file, and its bytes."""
    plain = encode_idx(array)
    packed = gzip.compress(plain, mtime=0) if packing == ".gz" else lzma.compress(plain)
    known, unpacked = (hashlib.sha256(data).hexdigest() for data in (packed, plain))
    size_bytes = array.dtype.itemsize
    return DataFile(name, array.shape, len(packed), known, unpacked, size_bytes, packing), packed


def make_tiny(*mirrors: str, unpacked_known: bool = True) -> tuple[Dataset, dict[str, bytes]]:
    """Make a data set and the bytes of its gzip files."""
    bodies: dict[str, bytes] = {}
    splits = []
    for prefix, n, seed in (("train", N_TRAIN, 1), ("t10k", N_TEST, 2)):
        files = []
        for kind, array in zip(("images-idx3", "labels-idx1"), draw_tiny(n, seed), strict=True):
            file, body = make_file(f"{prefix}-{kind}-ubyte", array)
            bodies[file.packed_name] = body
            files.append(file if unpacked_known else replace(file, unpacked_sha256=""))
        splits.append(SplitFiles(files[0], files[1]))
    return Dataset("tiny", "Tiny", splits[0], splits[1], mirrors, "CC0"), bodies


def serve_well(bodies: dict[str, bytes]) -> dict[str, list[Answer]]:
    return {name: [send(body)] for name, body in bodies.items()}


def write_idx(path: Path, array: NDArray[np.integer[Any]]) -> None:
    place_file(path, [encode_idx(array)])


def write_pair(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], prefix: str = ""
) -> Path:
    """Write a pair of IDX files; give its folder."""
    write_idx(folder / f"{prefix}images-idx3-ubyte", images)
    write_idx(folder / f"{prefix}labels-idx1-ubyte", labels)
    return folder


def write_picture(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def flip(path: Path, position: int, bits: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= bits
    path.write_bytes(data)
