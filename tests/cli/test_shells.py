"""Completion in real shells, typed at a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnistseq_cli.cli import completion
from mnistseq_cli.cli.commands import COMMANDS
from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS
from mnistseq_cli.formats import LABEL_STYLES
from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.recipe import CHOICES
from tests.helpers.prompt import ARGUMENTS, PROMPT, SETTINGS, Prompt

pytestmark = pytest.mark.consumers

COMPLETIONS = Path(completion.__file__).with_name("completions")
PROGRAM = Path(sys.executable).with_name("mnistseq")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TAB = "\t"


@dataclass(frozen=True)
class Home:
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


def test_first_tab_completes(home: Home) -> None:
    prompt = home.open_shell()
    try:
        assert prompt.type("mnistseq seq" + TAB) == "mnistseq sequence "
    finally:
        prompt.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("mnistseq down", "mnistseq download "),
        ("mnistseq --vers", "mnistseq --version "),
        ("mnistseq sequence 350 --align ce", "mnistseq sequence 350 --align center "),
        ("mnistseq sequence --align=ri", "mnistseq sequence --align=right "),
        ("mnistseq batch -w wi", "mnistseq batch -w widest "),
        ("mnistseq batch --labels csv --labels co", "mnistseq batch --labels csv --labels coco "),
        ("mnistseq batch --augment=rot", "mnistseq batch --augment=rotate "),
        ("mnistseq phone --pattern jp-", "mnistseq phone --pattern jp-mobile "),
        ("mnistseq phone --no-ed", "mnistseq phone --no-edges "),
        ("mnistseq download mnist km", "mnistseq download mnist kmnist "),
    ],
)
def test_words_complete(prompt: Prompt, typed: str, completed: str) -> None:
    assert prompt.type(typed + TAB) == completed


@pytest.mark.parametrize(
    "typed",
    [
        "mnistseq batch --augment rotate=5",
        "mnistseq batch --width=100",
        "mnistseq phone --pattern '[789]0##",
        "mnistseq batch --name '{index:05d}",
        "mnistseq download --mirror https://example.org/mn",
        'mnistseq sequence "3 5',
        "mnistseq nothing-like-this",
    ],
)
def test_what_nothing_completes_stays_as_it_is(prompt: Prompt, typed: str) -> None:
    assert prompt.type(typed + TAB) == typed


@pytest.mark.parametrize(
    ("before", "path"),
    [
        ("mnistseq batch -o my", r"my\ numbers/"),
        ("mnistseq download --from my", r"my\ numbers/"),
        ("mnistseq batch --dataset my", r"my\ numbers/"),
        ("mnistseq verify my", r"my\ numbers/"),
        ("mnistseq batch --texts num", r"numbers\ list.txt "),
        ("mnistseq sequence 3 -o num", r"numbers\ list.txt "),
        ("mnistseq batch --labels csv --sheet num", r"numbers\ list.txt "),
    ],
)
def test_paths_complete(prompt: Prompt, before: str, path: str) -> None:
    assert prompt.type(before + TAB) == f"{before.rpartition(' ')[0]} {path}"


def test_paths_complete_however_they_are_begun(prompt: Prompt) -> None:
    begun = "mnistseq batch --texts"
    assert prompt.type(f"{begun}=num{TAB}") == rf"{begun}=numbers\ list.txt "
    assert prompt.type(f"{begun} 'num{TAB}") == f"{begun} 'numbers list.txt' "
    assert prompt.type(rf"{begun} numbers\ l{TAB}") == rf"{begun} numbers\ list.txt "
    assert prompt.type(f"{begun} ./num{TAB}") == rf"{begun} ./numbers\ list.txt "
    assert (
        prompt.type(f"mnistseq batch --dataset ./ot{TAB}") == "mnistseq batch --dataset ./other/"
    )


def list_choices(prompt: Prompt, typed: str, choices: Iterable[str]) -> str:
    """Press Tab where there is a choice, and give what is listed."""
    tabs = TAB * 2 if prompt.shell == "bash" else TAB
    assert prompt.type(typed + tabs) == typed
    lines = prompt.wait_for(lambda lines: set(choices) <= set(drop_prompt(lines).split()))
    return drop_prompt(lines)


def drop_prompt(lines: list[str]) -> str:
    return "\n".join(line for line in lines if not line.startswith(PROMPT))


@pytest.mark.parametrize(
    ("typed", "choices"),
    [
        ("mnistseq sequence 350 --fit ", CHOICES["fit"]),
        ("mnistseq batch --dataset ", ["auto", *DATASETS]),
        ("mnistseq batch --labels csv --labels ", LABEL_STYLES),
        ("mnistseq batch --augment rotate=5 --augment ", [*PRESETS, *AUGMENTATIONS]),
    ],
)
def test_values_are_listed(prompt: Prompt, typed: str, choices: list[str]) -> None:
    listed = list_choices(prompt, typed, choices)
    assert sorted(listed.split()) == sorted(choices)


@pytest.mark.parametrize(
    ("typed", "choices", "about"),
    [
        ("mnistseq ", list(COMMANDS), "Write pictures of phone numbers"),
        (
            "mnistseq batch --d",
            ["--dataset", "--data-dir", "--dask", "--dry-run"],
            "make nothing.",
        ),
        (
            "mnistseq batch --sp",
            ["--spacing", "--spacing-mode", "--splits"],
            "Smallest and largest gap",
        ),
        ("mnistseq phone --pattern ", ["jp-mobile", "fr", "us"], "Japan, mobile"),
    ],
)
def test_choices_are_explained(prompt: Prompt, typed: str, choices: list[str], about: str) -> None:
    listed = list_choices(prompt, typed, choices)
    assert (about in listed) == (prompt.shell != "bash")
    assert "\\" not in listed


@pytest.mark.parametrize(
    "typed", ["mnistseq batch --align ce", "mnistseq batch --align ", "mnistseq batch --texts num"]
)
def test_a_tab_asks_the_program_once(home: Home, prompt: Prompt, typed: str) -> None:
    before = home.count_calls()
    prompt.type(typed + TAB)
    assert home.count_calls() == before + 1


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
