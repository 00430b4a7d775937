from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.bulk_cases import Case

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def case(glyph_folder: Path) -> Case:
    """Return 95 samples in ten parts."""
    return Case(glyph_folder)


@pytest.fixture
def undisturbed(case: Case, tmp_path: Path) -> dict[str, bytes]:
    """Return the files that the case makes."""
    return case.tree(tmp_path / "undisturbed")
