"""A server of S3 on loopback, which can be told to fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.bulk.storage import open_folder
from tests.helpers.bulk_cases import Case, read_own

SECRET = "a-secret-that-nobody-may-see"  # noqa: S105 - of a server in this process
BUCKET = "bucket"


class Faulty:
    """A WSGI application in front of another; `fault` says what a request meets, if anything."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.fault: Callable[[str, str], str | None] = lambda method, path: None  # noqa: ARG005
        self.requests: list[tuple[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.requests.append((method, path))
        fault = self.fault(method, path)  # which may make a request itself
        if fault == "cut":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        if fault:
            # Or a slow client, which is still sending, meets a closed door instead of the answer.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(fault, [("Content-Length", "0")])
            return []
        found: Iterable[bytes] = self._app(environ, start_response)
        return found


@pytest.fixture(scope="session")
def server() -> Iterator[Faulty]:
    """Serve S3 from a bucket; the client keeps its address for good."""
    moto = pytest.importorskip("moto.moto_server.werkzeug_app")
    pytest.importorskip("s3fs")
    serving = pytest.importorskip("werkzeug.serving")
    app = Faulty(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = serving.make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "known")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        folder: Any = open_folder(f"s3://{BUCKET}/x")
        folder.fs.mkdir(BUCKET)
        yield app
    server.shutdown()
    thread.join()


def make_here(case: Case, folder: Path) -> dict[str, bytes]:
    """Make a dataset in a folder, as it should be in a store."""
    case.tree(folder)
    return read_there(folder)


def read_there(place: Path) -> dict[str, bytes]:
    """Read a finished dataset, but not what lists records: they differ in a store."""
    own = read_own(place)
    del own["dataset.json"]
    return own
