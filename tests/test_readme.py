"""The README: its commands and examples run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mnistseq_cli.compose.augment import AUGMENTATIONS
from mnistseq_cli.recipe import CHOICES

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")
FEW = "40"


def find_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def find_commands() -> Iterator[list[str]]:
    """Give the words of each line that begins with our program."""
    for block in find_blocks("sh"):
        for line in block.splitlines():
            if line.startswith("mnistseq "):
                yield shlex.split(line, comments=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home folder with what the commands of the README expect."""
    home = tmp_path_factory.mktemp("home")
    (home / "numbers.txt").write_text("007\n350\n", encoding="utf-8")
    if mnist := os.environ.get("MNISTSEQ_TEST_MNIST"):
        (home / "Downloads").symlink_to(mnist)
    return home


def run(home: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(home),
        "MNISTSEQ_OFFLINE": "1",
        "MNISTSEQ_DATA_DIR": str(home / "data"),
    }
    words = [word.replace("~", str(home)) for word in command]
    return subprocess.run(
        words, cwd=home, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_every_command_runs(home: Path) -> None:
    program = str(Path(sys.executable).with_name("mnistseq"))
    ran = 0
    for _, *words in find_commands():
        if "--install-completion" in words or (
            "--from" in words and not (home / "Downloads").exists()
        ):
            continue
        few = [
            FEW if word.isdigit() and before == "-n" else word
            for before, word in zip(["", *words], words, strict=False)
        ]
        result = run(home, [program, *few])
        assert result.returncode == 0, (words, result.stderr)
        ran += 1
    assert ran >= 10


def test_every_example_in_python_runs(home: Path) -> None:
    blocks = find_blocks("python")
    assert len(blocks) >= 2
    for block in blocks:
        if any(name in block and not find_spec(name) for name in ("torch", "tensorflow")):
            continue
        result = run(home, [sys.executable, "-c", block.replace("100_000", FEW)])
        assert result.returncode == 0, result.stderr


def test_every_picture_and_file_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("https://"):
            assert (PROJECT / target).is_file(), target


def test_the_test_command_is_the_one_that_is_run() -> None:
    assert "bash .ci/test" in README
    assert "bash .ci/test" in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_option_of_a_picture_is_documented() -> None:
    for name, values in CHOICES.items():
        assert f"--{name.replace('_', '-')}" in README
        if name != "measure":
            assert all(value in README for value in values)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_distortion_is_documented(name: str) -> None:
    record = AUGMENTATIONS[name]
    assert re.search(
        rf"`{name}={re.escape(record.default)}` \| \w+ \| {record.unit} \| {record.summary}",
        README,
    )
