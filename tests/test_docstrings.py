"""What stands in docstrings as an example is what the program gives."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import mnistseq_cli

PACKAGE = Path(mnistseq_cli.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_true(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Examples name no data set, so here they are written with the built-in pen.
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(tmp_path))
    assert doctest.testmod(import_module(module)).failed == 0
