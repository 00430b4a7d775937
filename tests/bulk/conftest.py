from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.bulk.storage import open_folder
from tests.helpers.bulk_cases import Case
from tests.helpers.store import BUCKET, Faulty, serve_s3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def case(glyph_folder: Path) -> Case:
    """Return 95 samples in ten parts."""
    return Case(glyph_folder)


@pytest.fixture
def undisturbed(case: Case, tmp_path: Path) -> dict[str, bytes]:
    """Return the files that the case makes."""
    return case.tree(tmp_path / "undisturbed")


@pytest.fixture(scope="session")
def server() -> Iterator[Faulty]:
    """Serve S3; the client keeps its address for good."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with pytest.MonkeyPatch.context() as patch:
        environment: dict[str, str] = {}
        served = serve_s3(environment)
        app = next(served)
        for name, value in environment.items():
            patch.setenv(name, value)
        folder: Any = open_folder(f"s3://{BUCKET}/x")
        folder.fs.mkdir(BUCKET)
        yield app
        next(served, None)
