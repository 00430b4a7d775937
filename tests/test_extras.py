from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mnistseq_cli.extras import suggest_install


@pytest.mark.parametrize(
    ("receipt", "command"),
    [
        ("pyvenv.cfg", "pip install 'mnistseq[report]'"),
        ("pipx_metadata.json", "pipx inject mnistseq 'jinja2>=3.1.3'"),
        ("uv-receipt.toml", "uv tool install --with 'jinja2>=3.1.3'"),
    ],
)
def test_the_command_is_that_of_the_tool_that_installed(
    receipt: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / receipt).touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    found = suggest_install("report")
    assert found.startswith(command)
    assert "extra" not in found
    assert found.endswith(" mnistseq") == ("uv tool" in command)


def test_without_pip_it_is_uv_that_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert suggest_install("lmdb") == "uv pip install 'mnistseq[lmdb]'"
