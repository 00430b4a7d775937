"""Help and welcome: whether they teach, and can be read everywhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistseq_cli.cli.commands import COMMANDS, open_command
from mnistseq_cli.distortions.registry import AUGMENTATIONS
from mnistseq_cli.formats import FORMATS, LABEL_STYLES
from mnistseq_cli.recipe import CHOICES
from tests.helpers.program import Run, run_program

PANELS = ["Text", "Output", "Picture", "Spacing", "Glyphs", "Distortions", "Running"]
Ask = Callable[..., str]


@pytest.fixture
def ask(run: Run, monkeypatch: pytest.MonkeyPatch) -> Ask:
    def ask_for_help(command: str, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        result = run(command, "--help", glyphs=False)
        assert (result.status, result.err) == (0, "")
        return result.out

    return ask_for_help


def ask_outside(**environment: str) -> str:
    result = run_program("batch", "--help", environment={"COLUMNS": "80"} | environment)
    assert (result.status, result.err) == (0, "")
    return result.out


def options_of(command: str) -> list[str]:
    params = open_command(command).params
    names = [name for param in params for name in (*param.opts, *param.secondary_opts)]
    return [name for name in names if name.startswith("-")]


def examples_in(text: str) -> list[str]:
    return re.findall(r"^ +(mnistseq .*)$", text, re.MULTILINE)


def test_the_program_alone_says_what_to_try(run: Run, tmp_path: Path) -> None:
    result = run(glyphs=False)
    assert (result.status, result.err) == (0, "")
    assert len(result.out.splitlines()) <= 20
    assert max(map(len, result.out.splitlines())) <= 40
    *tries, _, _ = examples_in(result.out)
    assert len(tries) == 3
    for line in tries:
        _, *words = shlex.split(line)
        assert run(*words, glyphs=words[0] != "download").status == 0
    assert (tmp_path / "350.png").exists()
    assert (tmp_path / "phone-numbers" / "dataset.json").exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [20, 40, 80])
def test_no_name_of_an_option_is_cut(command: str, columns: int, ask: Ask) -> None:
    text = ask(command, columns)
    for name in options_of(command):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", text), name
    assert "…" not in text
    assert "....." not in text
    _, _, page = text.partition("\n\n")  # usage names how the program was called
    prose = [line for line in page.splitlines() if not re.match(r" *(-|mnistseq )", line)]
    assert max(map(len, prose)) <= max(40, columns)


def test_help_in_a_terminal_names_all_options_in_boxes() -> None:
    text = ask_outside(FORCE_COLOR="1", TERM="xterm-256color")
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert text != plain
    for panel in PANELS:
        assert f"╭─ {panel} ─" in plain
    for name in options_of("batch"):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", plain), name
    assert max(map(len, plain.splitlines())) <= 80
    assert {len(line) for line in plain.splitlines() if line[:1] in {*"╭│╰"}} == {80}
    plainly = ask_outside(FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")
    assert plainly == plain


@pytest.mark.parametrize("command", ["sequence", "batch"])
def test_help_names_what_can_be_chosen(command: str, ask: Ask) -> None:
    text = ask(command)
    words = set(re.findall(r"[\w-]+", text))
    assert words >= {*AUGMENTATIONS}
    if command == "batch":
        assert words >= {*FORMATS, *LABEL_STYLES}
    for name, values in CHOICES.items():
        assert f"--{name.replace('_', '-')} " not in text or "|".join(values) in text


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb", "FORCE_COLOR": "1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "FORCE_COLOR": "1"},
        {"NO_COLOR": "1"},
    ],
    ids=["dumb", "no UTF-8", "no colour"],
)
def test_help_needs_no_colour_and_no_boxes(environment: dict[str, str]) -> None:
    text = ask_outside(**environment)
    assert text.isascii()
    assert "\x1b" not in text
