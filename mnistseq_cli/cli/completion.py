"""Completion: the scripts of shells, and the values of options."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperOption

from mnistseq_cli.cli.console import print_result, say
from mnistseq_cli.errors import UsageError
from mnistseq_cli.validation import check_choice

SCRIPTS = {
    "bash": "mnistseq.bash",
    "zsh": "_mnistseq",
    "fish": "mnistseq.fish",
    "powershell": "mnistseq.ps1",
}
PROGRAM, VARIABLE = "mnistseq", "_MNISTSEQ_COMPLETE"
LINES = "lines"  # the name under which Typer knows who answers the scripts

# Where the values of a parameter stand, by its name: in tables, loaded when they are asked for.
_TABLES = {
    "augment": ("distortions.registry.PRESETS", "distortions.registry.AUGMENTATIONS"),
    "dataset": ("glyphs.catalog.DATASETS",),
    "image_format": ("formats.IMAGE_FORMATS",),
    "labels": ("formats.LABEL_STYLES",),
    "names": ("glyphs.catalog.DATASETS",),
    "paper": ("distortions.registry.PAPERS",),
    "pattern": ("compose.presets.describe_presets",),
    "recipe": ("recipe.NAMED_RECIPES",),
    "to": ("formats.FORMATS",),
}


def answer_scripts() -> None:
    """Have Typer answer our scripts: a value a line, and what it is after a tab."""
    # Typer keeps what this needs to itself; where it moves, there is no completion.
    with suppress(ImportError):
        from typer._click.shell_completion import add_completion_class
        from typer._completion_classes import ZshComplete, completion_init

        class Lines(ZshComplete):
            name = LINES

            def complete(self) -> str:
                # Values stay the words they are: no callback is run, and Typer loads no pydantic.
                # So for the rest of the process, which ends with the answer.
                for kind in (TyperArgument, TyperOption):
                    kind.process_value = lambda *words: words[-1]  # type: ignore[method-assign]
                found = self.get_completions(*self.get_completion_args())
                pairs = ((item.value, " ".join((item.help or "").split())) for item in found)
                return "\n".join(f"{value}\t{about}".rstrip() for value, about in pairs)

        completion_init()
        add_completion_class(Lines, LINES)


def install_script(shell: str = "") -> None:
    """Install completion for a shell, by default the one that runs the program."""
    from typer._completion_shared import _completion_scripts, install

    name = _choose_shell(shell, "--install-completion")
    _completion_scripts[name] = _read_script(name).replace("%", "%%")  # which Typer formats
    _, path = install(shell=name, prog_name=PROGRAM, complete_var=VARIABLE)
    print_result(f"{name} completion installed in {path}")
    say("It takes effect in a new shell.")


def show_script(shell: str = "") -> None:
    """Write the script of a shell, by default the one that runs the program."""
    for line in _read_script(_choose_shell(shell, "--show-completion")).splitlines():
        print_result(line)


def _read_script(shell: str) -> str:
    name = SCRIPTS["powershell" if shell == "pwsh" else shell]
    return (Path(__file__).with_name("completions") / name).read_text(encoding="utf-8")


def _choose_shell(name: str, option: str) -> str:
    known = (*SCRIPTS, "pwsh")
    if not name:
        import shellingham  # Typer needs it too

        with suppress(shellingham.ShellDetectionFailure):
            name = shellingham.detect_shell()[0]
        if name not in known:
            raise UsageError(
                f"cannot tell for which shell: the program runs in {name or 'none that it knows'}",
                f"Name it: mnistseq {option} {'|'.join(SCRIPTS)}",
            )
    check_choice(option, name, known)
    return name


def find_completer(name: str, metavar: str) -> Callable[[str], list[Any]] | None:
    """Return what completes the values of a parameter; a shell completes paths by itself."""
    # Words in what stands for the value, such as left|right, are values too.
    words = [word for word in metavar.split("|") if re.fullmatch("[a-z-]{2,}", word)]
    if name not in _TABLES and not words:
        return None

    def complete(incomplete: str) -> list[tuple[str, str]]:
        found = dict.fromkeys(words, "")
        for table in map(load_table, _TABLES.get(name, ())):
            # What a function returns says what each value is.
            found |= table() if callable(table) else dict.fromkeys(table, "")
        if name == "recipe":
            found |= dict.fromkeys(_list_recipes(incomplete), "")
        return [item for item in found.items() if item[0].startswith(incomplete)]

    return complete


def load_table(place: str) -> Any:
    """Return a table by its module in `mnistseq_cli` and its name there."""
    module, _, name = f"mnistseq_cli.{place}".rpartition(".")
    return getattr(import_module(module), name)


def _list_recipes(incomplete: str) -> list[str]:
    """Return files of recipes, and folders, that a path may become."""
    folder, _, start = incomplete.rpartition("/")
    paths = sorted(Path(folder or ".").glob(f"{glob.escape(start)}*")) if incomplete else []
    found = [str(path) + "/" * path.is_dir() for path in paths]
    return [path for path in found if path.endswith((".toml", "/"))]
