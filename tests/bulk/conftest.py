from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from mnistseq_cli.bulk.run import run
from tests.helpers.bulk_cases import Case, Files, read_tree
from tests.helpers.store import server  # noqa: F401 - a fixture


@pytest.fixture
def case(glyph_folder: Path) -> Case:
    """Return 95 samples in ten parts."""
    return Case(glyph_folder)


@pytest.fixture(scope="session")
def intact(glyph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished dataset: what the case makes."""
    folder = tmp_path_factory.mktemp("intact") / "out"
    run(Case(glyph_folder).plan(folder), workers=0)
    return folder


@pytest.fixture
def dataset(intact: Path, tmp_path: Path) -> Path:
    return copytree(intact, tmp_path / "out")


@pytest.fixture
def undisturbed(intact: Path) -> Files:
    return read_tree(intact)
