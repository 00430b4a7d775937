from __future__ import annotations

import pytest

from mnistseq_cli.extras import suggest_install


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/usr", "pip install 'mnistseq[report]'"),
        ("/home/a/.local/share/pipx/venvs/mnistseq", "pipx inject mnistseq "),
        ("/home/a/.local/share/uv/tools/mnistseq", "uv tool install 'mnistseq[report]'"),
    ],
)
def test_the_command_is_that_of_the_tool_that_installed(
    prefix: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", prefix)
    found = suggest_install("report")
    assert found.startswith(command)
    if "pipx" in prefix:
        assert "'matplotlib>=" in found
        assert "extra" not in found
