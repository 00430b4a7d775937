from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnistseq_cli.cli import completion
from mnistseq_cli.cli.commands import COMMANDS
from mnistseq_cli.cli.completion import SCRIPTS

COMPLETIONS = Path(completion.__file__).with_name("completions")
PROGRAM = Path(sys.executable).with_name("mnistseq")


def ask(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def complete(line: str) -> dict[str, str]:
    """Complete a line: the values, each with its help."""
    answer = ask([str(PROGRAM)], _MNISTSEQ_COMPLETE="complete_lines", _TYPER_COMPLETE_ARGS=line)
    found = (line.partition("\t") for line in answer.splitlines() if line)
    return {value: about for value, _, about in found}


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("mnistseq ", [*COMMANDS]),
        ("mnistseq ph", ["phone"]),
        ("mnistseq --version ba", ["batch"]),  # runs nothing
        ("mnistseq sequence --al", ["--align"]),
        ("mnistseq sequence --align ", ["left", "center", "right", "random"]),
        ("mnistseq sequence --fit s", ["shrink", "stretch"]),
        ("mnistseq batch --width ", ["natural", "widest"]),
        ("mnistseq batch --dataset k", ["kmnist"]),
        ("mnistseq batch --to fol", ["folder"]),
        ("mnistseq batch --labels js", ["jsonl"]),
        ("mnistseq batch --image-format p", ["png", "pgm"]),
        ("mnistseq batch --augment li", ["light", "lines"]),
        ("mnistseq phone --pattern jp", ["jp", "jp-mobile"]),
        ("mnistseq download q", ["qmnist"]),
        ("mnistseq batch --texts ", []),
    ],
)
def test_values_complete(line: str, values: list[str]) -> None:
    assert list(complete(line)) == values


def test_options_and_patterns_are_explained() -> None:
    for line in ("mnistseq --", "mnistseq batch --", "mnistseq download --"):
        found = complete(line)
        assert "--help" in found
        assert all(about and "\\" not in about for about in found.values())
    assert complete("mnistseq phone --pattern jp-")["jp-mobile"] == "Japan, mobile"
    assert complete("mnistseq batch --pattern ib")["iban"] == "Bank accounts of 19 countries"


@pytest.mark.parametrize(
    "line", ["mnistseq ", "mnistseq batch --width 9 --", "mnistseq batch --augment "]
)
def test_completion_loads_little(line: str) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'numpy', 'pydantic', 'rich.console', 'imageio', 'multiprocessing'}\n"
        "atexit.register(lambda: print('loaded', heavy & set(sys.modules)))\n"
        "sys.argv = ['mnistseq']\n"
        "from mnistseq_cli.cli import main\n"
        "main()\n"
    )
    asked = {"_MNISTSEQ_COMPLETE": "complete_lines", "_TYPER_COMPLETE_ARGS": line}
    result = ask([sys.executable, "-c", code], **asked)
    assert len(result.splitlines()) > 1
    assert result.splitlines()[-1] == "loaded set()"


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", ".bash_completions/mnistseq.sh"),
        ("zsh", ".zfunc/_mnistseq"),
        ("fish", ".config/fish/completions/mnistseq.fish"),
    ],
)
@pytest.mark.parametrize("words", ["--install-completion {}", "--install-completion={}"])
def test_completion_is_installed_for_a_shell_that_is_named(
    shell: str, script: str, words: str, tmp_path: Path
) -> None:
    command = ["sh", "-c", f'"$0" {words.format(shell)}; exit $?', str(PROGRAM)]
    assert str(tmp_path / script) in ask(command, HOME=str(tmp_path))
    kept = (COMPLETIONS / SCRIPTS[shell]).read_text(encoding="utf-8")
    assert (tmp_path / script).read_text(encoding="utf-8").strip() == kept.strip()


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_a_shell_that_is_named_is_shown(shell: str) -> None:
    shown = ask([str(PROGRAM), "--show-completion", shell])
    assert shown.strip() == (COMPLETIONS / SCRIPTS[shell]).read_text("utf-8").strip()
