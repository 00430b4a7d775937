"""Completion: what it answers, and what it does typed at a terminal in real shells."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyte
import pytest

from mnistseq_cli.cli import completion
from mnistseq_cli.cli.commands import COMMANDS
from mnistseq_cli.cli.completion import SCRIPTS
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS
from mnistseq_cli.formats import LABEL_STYLES
from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.recipe import CHOICES

COMPLETIONS = Path(completion.__file__).with_name("completions")
PROGRAM = Path(sys.executable).with_name("mnistseq")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TAB = "\t"
ROWS, COLUMNS = 60, 160
PATIENCE_S = 30.0
PROMPT = "ready>"
ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-d", "-i"], "fish": ["-i"]}
CLEAR_LINE, CLEAR_SCREEN, TELL = "\x15", "\x0c", "\x14"
# Where a shell reads its settings, and settings that give it a short prompt and a key that tells
# the line, as the title of the window, when everything typed before has been dealt with.
SETTINGS = {
    "bash": (
        ".bashrc",
        rf"""
PS1='{PROMPT} '
tell() {{ printf '\e]2;line:%s\a' "$READLINE_LINE"; }}
bind -x '"\C-t": tell'
""",
    ),
    "zsh": (
        ".zshrc",
        rf"""
PS1='{PROMPT} '
tell() {{ printf '\e]2;line:%s\a' "$BUFFER" >$TTY }}
zle -N tell
bindkey -e
bindkey '^T' tell
""",
    ),
    "fish": (
        ".config/fish/config.fish",
        rf"""
set -g fish_greeting
function fish_title; end
function fish_prompt; echo '{PROMPT} '; end
function tell; printf '\e]2;line:%s\a' (commandline); end
bind \ct tell
""",
    ),
}


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
    assert "(cheque, form, " in complete("mnistseq batch --rec")["--recipe"]
    assert complete("mnistseq phone --pattern jp-")["jp-mobile"] == "Japan, mobile"
    assert complete("mnistseq batch --pattern ib")["iban"] == "Bank accounts of 19 countries"


@pytest.mark.parametrize(
    "line", ["mnistseq ", "mnistseq batch --width 9 --sp", "mnistseq batch --augment "]
)
def test_completion_loads_little(line: str) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'numpy', 'pydantic', 'rich.console', 'imageio', 'mnistseq_cli.recipe'}\n"
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


class Prompt:
    """One interactive shell, started in the folder `work` of a home that holds its settings."""

    def __init__(self, shell: str, home: Path, path: str) -> None:
        from tests.helpers.terminal import open_terminal  # noqa: PLC0415 - not for Windows

        self.shell = shell
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        environment = {"HOME": str(home), "PATH": path, "TERM": "linux", "LANG": "C.UTF-8"}
        self._process, self._terminal = open_terminal(
            [shell, *ARGUMENTS[shell]],
            columns=COLUMNS,
            rows=ROWS,
            env=environment | {"MNISTSEQ_OFFLINE": "1"},
            cwd=home / "work",
        )
        if shell == "bash":  # it would read the settings of the machine as well
            self._send(f"source {shlex.quote(str(home / '.bashrc'))}\n")
        self.wait_for(lambda lines: PROMPT in lines)

    def close(self) -> None:
        os.close(self._terminal)
        self._process.kill()
        self._process.wait()

    def type(self, keys: str) -> str:
        """Type on an empty line of an empty screen; give the line when all is done."""
        self._screen.set_title("")
        self._send(CLEAR_LINE + CLEAR_SCREEN + keys + TELL)
        self.wait_for(lambda _: self._screen.title.startswith("line:"))
        return self._screen.title.removeprefix("line:")

    def run(self, command: str, until: str) -> None:
        self._send(CLEAR_LINE + CLEAR_SCREEN + command + "\n")
        self.wait_for(lambda lines: until in " ".join(lines))

    def wait_for(self, seen: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + PATIENCE_S
        while not seen(lines := [one.rstrip() for one in self._screen.display if one.strip()]):
            left_s = deadline - time.monotonic()
            if left_s < 0 or not select.select([self._terminal], [], [], left_s)[0]:
                raise AssertionError("\n".join(["the shell shows only:", *lines]))
            self._stream.feed(os.read(self._terminal, 65536))
        return lines

    def _send(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())


class Home(NamedTuple):
    """A new home folder, with the program on its path."""

    shell: str
    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / SETTINGS[self.shell][0]

    def open_shell(self) -> Prompt:
        return Prompt(self.shell, self.folder, f"{self.folder / 'bin'}:{SYSTEM_PATH}")

    def count_calls(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


def make_home(shell: str, folder: Path) -> Home:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home = Home(shell, folder)
    for name in ("bin", "work/my numbers", "work/other"):
        (folder / name).mkdir(parents=True)
    (folder / "work" / "numbers list.txt").write_text("350\n")
    program = folder / "bin" / "mnistseq"
    program.write_text(f'#!/bin/sh\necho >>"{folder}/calls"\nexec "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    home.settings.parent.mkdir(parents=True, exist_ok=True)
    home.settings.write_text(SETTINGS[shell][1])
    return home


def add_script(home: Home) -> None:
    """Add the script of the project as the README tells."""
    if home.shell == "fish":
        shutil.copytree(COMPLETIONS, home.settings.parent / "completions")
        return
    with home.settings.open("a") as settings:
        if home.shell == "bash":
            settings.write(f"source '{COMPLETIONS / 'mnistseq.bash'}'\n")
        else:
            folder = home.folder / ".zfunc"
            folder.mkdir(mode=0o755)
            shutil.copy(COMPLETIONS / "_mnistseq", folder)
            settings.write("fpath=(~/.zfunc $fpath)\nautoload -Uz compinit && compinit\n")


@pytest.fixture(scope="module", params=ARGUMENTS)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Home:
    shell: str = request.param
    home = make_home(shell, tmp_path_factory.mktemp(shell))
    add_script(home)
    return home


@pytest.fixture(scope="module")
def prompt(home: Home) -> Iterator[Prompt]:
    opened = home.open_shell()
    yield opened
    opened.close()


@pytest.mark.consumers
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("--vers", "--version "),
        ("sequence 350 --align ce", "sequence 350 --align center "),
        ("sequence --align=ri", "sequence --align=right "),
        ("batch --labels csv --labels co", "batch --labels csv --labels coco "),
        ("batch --augment=rot", "batch --augment=rotate "),
        ("phone --pattern jp-", "phone --pattern jp-mobile "),
        ("download mnist km", "download mnist kmnist "),
        # What nothing completes stays as it is.
        ("batch --augment rotate=5", "batch --augment rotate=5"),
        ("batch --name '{index:05d}", "batch --name '{index:05d}"),
        ("download --mirror https://example.org/mn", "download --mirror https://example.org/mn"),
        ('sequence "3 5', 'sequence "3 5'),
        ("nothing-like-this", "nothing-like-this"),
        # Paths, however they are begun.
        ("batch -o my", r"batch -o my\ numbers/"),
        ("batch --dataset my", r"batch --dataset my\ numbers/"),
        ("verify my", r"verify my\ numbers/"),
        ("sequence 3 -o num", r"sequence 3 -o numbers\ list.txt "),
        ("batch --labels csv --sheet num", r"batch --labels csv --sheet numbers\ list.txt "),
        ("batch --texts=num", r"batch --texts=numbers\ list.txt "),
        ("batch --texts 'num", "batch --texts 'numbers list.txt' "),
        (r"batch --texts numbers\ l", r"batch --texts numbers\ list.txt "),
        ("batch --texts ./num", r"batch --texts ./numbers\ list.txt "),
        ("batch --dataset ./ot", "batch --dataset ./other/"),
    ],
)
def test_words_and_paths_complete(prompt: Prompt, typed: str, completed: str) -> None:
    assert prompt.type(f"mnistseq {typed}{TAB}") == f"mnistseq {completed}"


@pytest.mark.consumers
@pytest.mark.parametrize(
    ("typed", "choices", "about"),
    [
        ("sequence 350 --fit ", CHOICES["fit"], ""),
        ("batch --dataset ", ["auto", *DATASETS], ""),
        ("batch --labels csv --labels ", LABEL_STYLES, ""),
        ("batch --augment rotate=5 --augment ", [*PRESETS, *AUGMENTATIONS], ""),
        ("", COMMANDS, "Write pictures of phone numbers"),
        ("batch --d", ["--dataset", "--data-dir", "--dask", "--dry-run"], "make nothing."),
        ("batch --sp", ["--spacing", "--splits"], "Smallest and largest gap"),
        ("phone --pattern ", ["jp-mobile", "fr", "us"], "Japan, mobile"),
    ],
)
def test_choices_are_listed_and_explained(
    prompt: Prompt, typed: str, choices: Iterable[str], about: str
) -> None:
    tabs = TAB * 2 if prompt.shell == "bash" else TAB
    assert prompt.type(f"mnistseq {typed}{tabs}") == f"mnistseq {typed}"

    def read(lines: list[str]) -> str:
        return "\n".join(line for line in lines if not line.startswith(PROMPT))

    listed = read(prompt.wait_for(lambda lines: {*choices} <= {*read(lines).split()}))
    if not about:
        assert sorted(listed.split()) == sorted(choices)
    elif prompt.shell != "bash":
        assert about in listed
    assert "\\" not in listed


@pytest.mark.consumers
@pytest.mark.parametrize(
    "typed", ["mnistseq batch --align ce", "mnistseq batch --align ", "mnistseq batch --texts num"]
)
def test_a_tab_asks_the_program_once(home: Home, prompt: Prompt, typed: str) -> None:
    before = home.count_calls()
    prompt.type(typed + TAB)
    assert home.count_calls() == before + 1


@pytest.mark.consumers
@pytest.mark.parametrize("shell", ARGUMENTS)
def test_the_program_installs_its_completion(shell: str, tmp_path: Path) -> None:
    home = make_home(shell, tmp_path)
    prompt = home.open_shell()
    prompt.run("mnistseq --install-completion", until=f"{shell} completion installed in")
    prompt.close()
    prompt = home.open_shell()
    try:
        assert prompt.type("mnistseq batch --align=ri" + TAB) == "mnistseq batch --align=right "
        assert prompt.type("mnistseq verify my" + TAB) == r"mnistseq verify my\ numbers/"
    finally:
        prompt.close()
