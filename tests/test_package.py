"""The package: what an index is told of it, what it installs, and where it runs."""

from __future__ import annotations

import doctest
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

import mnistseq_cli
from mnistseq_cli.extras import suggest_install

PROJECT = Path(__file__).parents[1]
ADDRESS = "https://example.org/owner/mnistseq"
PACKAGE = Path(mnistseq_cli.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
# What Python runs before anything else. Modules that Windows has not are found by mypy
# (`mypy --platform win32 mnistseq_cli`): the program asks for the platform before it imports them.
WITHOUT_POSIX = """
import os, signal
for name in (
    "O_DIRECTORY", "O_NOFOLLOW", "getpgrp", "killpg", "mkfifo", "posix_fadvise",
    "sched_getaffinity", "setsid", "tcgetpgrp",
):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGQUIT", "SIGWINCH"):
    delattr(signal, name)
"""


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


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_true(module: str, pen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Examples name no data set, so here they are written with the built-in pen.
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(pen_dir))
    assert doctest.testmod(import_module(module)).failed == 0


@pytest.mark.slow
def test_every_command_runs_where_calls_of_posix_are_missing(tmp_path: Path) -> None:
    """As on Windows, whose terminals know cp1252."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX, encoding="utf-8")
    own = {
        "MNISTSEQ_DATA_DIR": str(tmp_path / "data"),
        "PYTHONIOENCODING": "cp1252",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    phone = "phone -n 300 --dataset strokes --workers 2 --part-size 50 -o phone"
    for line in (
        "--help",
        "sequence 350 --dataset strokes --show -n 2",
        phone,
        f"{phone} --resume",
        "batch --length 3 7 -n 40 --dataset strokes --augment medium --to webdataset -o shards",
        "verify phone --deep",
        "inspect phone",
        "inspect phone --sheet sheet.png",
        "download --list",
    ):
        command = [sys.executable, "-m", "mnistseq_cli", *line.split()]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | own, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode("cp1252")
