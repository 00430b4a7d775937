"""The package's metadata: complete, and with links that work outside the repository."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
ADDRESS = "https://example.org/owner/mnistseq"


@pytest.fixture(scope="session")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an index is told of the project once its address is filled in."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("LICENSE", "README.md", "hatch_build.py"):
        shutil.copy(PROJECT / name, folder)
    declared = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    filled_in = re.sub(r'^address = ".*"$', f'address = "{ADDRESS}"', declared, flags=re.MULTILINE)
    (folder / "pyproject.toml").write_text(filled_in, encoding="utf-8")
    command = [sys.executable, "-m", "hatchling", "metadata"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_links_of_the_long_description_are_absolute(metadata: dict[str, Any]) -> None:
    links = re.findall(r"\]\(([^)]+)\)", metadata["readme"]["text"])
    assert any(link.endswith(".png") for link in links)
    for link in links:
        assert re.match(r"https://|#", link), link
        path = re.sub(rf"^{ADDRESS}/(raw|blob)/main/|#.*", "", link)
        assert link.startswith(f"{ADDRESS}/raw/") or not link.endswith(".png")
        assert "://" in path or (PROJECT / path).exists(), link


def test_the_project_has_links(metadata: dict[str, Any]) -> None:
    assert all(link.startswith(ADDRESS) for link in metadata["urls"].values())
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= metadata["urls"].keys()


def test_the_citation_names_this_version(metadata: dict[str, Any]) -> None:
    cited = (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {metadata['version']}\n" in cited


def test_completions_and_the_man_page_come_along() -> None:
    installed = "\n".join(path.as_posix() for path in files("mnistseq") or ())
    for name in (
        "share/bash-completion/completions/mnistseq",
        "share/fish/vendor_completions.d/mnistseq.fish",
        "share/man/man1/mnistseq.1",
        "share/mnistseq/completions/mnistseq.ps1",
        "share/zsh/site-functions/_mnistseq",
    ):
        assert name in installed
