"""Completion in real shells, typed at a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

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
