from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnistseq_cli.cli import COMMANDS

COMPLETIONS = Path(__file__).parent.parent / "completions"
SCRIPTS = {
    "bash": "mnistseq.bash",
    "zsh": "_mnistseq",
    "fish": "mnistseq.fish",
    "powershell": "mnistseq.ps1",
}
PROGRAM = Path(sys.executable).with_name("mnistseq")


def ask(**environment: str) -> str:
    result = subprocess.run(
        [PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return result.stdout


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts_are_those_of_the_program(shell: str) -> None:
    script = ask(_MNISTSEQ_COMPLETE=f"source_{shell}")
    kept = (COMPLETIONS / SCRIPTS[shell]).read_text(encoding="utf-8")
    assert kept.strip() == script.strip()


def complete(line: str) -> list[str]:
    words = line.split(" ")
    place = str(len(words) - 1)
    return ask(_MNISTSEQ_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place).split()


def test_commands_complete() -> None:
    assert complete("mnistseq ") == list(COMMANDS)
    assert complete("mnistseq ph") == ["phone"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("mnistseq sequence --al", ["--align"]),
        ("mnistseq sequence --align ", ["left", "center", "right", "random"]),
        ("mnistseq sequence --fit s", ["shrink", "stretch"]),
        ("mnistseq batch --measure ", ["ink", "cell"]),
        ("mnistseq batch --dataset k", ["kmnist"]),
        ("mnistseq batch --glyphs t", ["train", "test"]),
        ("mnistseq batch --to fol", ["folder"]),
        ("mnistseq batch --labels js", ["jsonl"]),
        ("mnistseq batch --image-format p", ["png", "pgm"]),
        ("mnistseq phone --pattern jp", ["jp", "jp-mobile"]),
        ("mnistseq download q", ["qmnist"]),
    ],
)
def test_values_complete(line: str, values: list[str]) -> None:
    assert complete(line) == values
