"""Options and arguments: types and defaults are those of a function, `help.txt` has the words.

A parameter whose type is a dataclass stands for the options that are its fields; they have a
section of their own in `help.txt`, under the name of the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, NamedTuple, cast

import typer

from mnistseq_cli.cli.completion import find_completer, load_table


class HelpText(NamedTuple):
    """What a section of `help.txt` says of a command, or of options that commands share."""

    about: str  # paragraphs
    entries: dict[str, OptionText]
    examples: str


class OptionText(NamedTuple):
    """What the help says of an option or an argument."""

    flags: list[str]  # such as -w and --width; an argument has none
    metavar: str | None  # what stands for its value
    panel: str
    text: str


def _read_help() -> dict[str, HelpText]:
    """Return the sections of `help.txt`."""
    text = Path(__file__).with_name("help.txt").read_text(encoding="utf-8")
    _, *sections = re.split(r"^# (\w+)\n", text, flags=re.MULTILINE)
    found = {}
    for name, section in zip(sections[::2], sections[1::2], strict=True):
        page, _, examples = section.partition("Examples:\n")
        about, *panels = re.split(r"^([A-Z]\w+):\n(?=\S)", page, flags=re.MULTILINE)
        found[name] = HelpText(about.strip(), dict(_read_entries(panels)), examples.strip())
    return found


def _read_entries(panels: list[str]) -> Iterator[tuple[str, OptionText]]:
    """Yield what each option, by its name, or argument can be typed as, and what it means."""
    for panel, text in zip(panels[::2], panels[1::2], strict=True):
        for entry in re.split(r"\n(?=\S)", text.strip()):
            head, _, meaning = entry.partition("\n")
            words = head.replace(",", " ").split()
            flags = [word for word in words if word[0] == "-"]
            value = " ".join(word for word in words if word[0] != "-")
            name = flags[-1].partition("/")[0].strip("-").replace("-", "_") if flags else value
            yield name, OptionText(flags, value or None, panel, " ".join(meaning.split()))


HELP = _read_help()


def expand(command: Callable[..., None], section: str) -> Callable[..., None]:
    """Return a command with one flat list of options, each with what a section says of it."""
    shape = signature(command, eval_str=True)
    own, groups = [], {}
    for name, parameter in shape.parameters.items():
        if is_dataclass(parameter.annotation):
            groups[name] = cast("Any", parameter.annotation)
        else:
            own.append(parameter)

    @wraps(command)
    def flat(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    declared = [*_declare(own, section)]
    for name, group in groups.items():
        declared += _declare(signature(group, eval_str=True).parameters.values(), name)
    flat.__signature__ = shape.replace(parameters=declared)  # type: ignore[attr-defined]
    flat.__annotations__ = {one.name: one.annotation for one in declared}
    return flat


def _declare(parameters: Iterable[Parameter], section: str) -> Iterator[Parameter]:
    """Yield parameters as Typer takes them, with what a section says of each."""
    entries = HELP["shared"].entries | HELP[section].entries
    arguments = (entry for entry in entries.values() if not entry.flags)
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD:
            entry = next(arguments)
        else:
            entry = entries.get(name.removesuffix("_px").rstrip("_"), OptionText([], None, "", ""))
        declare = typer.Option if entry.flags else typer.Argument
        declared = declare(
            ... if parameter.default is Parameter.empty else parameter.default,
            *entry.flags,
            metavar=entry.metavar,
            help=entry.text,
            hidden=not entry.text,
            rich_help_panel=entry.panel,
            autocompletion=find_completer(name, entry.metavar or ""),
            parser=parse_lengths if parameter.annotation is Any else None,
            envvar="MNISTSEQ_DATA_DIR" if name == "data_dir" else None,
            readable=False,  # who reads or writes a file says what is wrong with it
            show_default=False,
        )
        yield parameter.replace(default=declared, kind=Parameter.KEYWORD_ONLY)


def fill_in(text: str) -> str:
    """Return a text of the help with the names in tables, such as ``{recipe.NAMED_RECIPES}``."""
    return re.sub(r"\{([\w.]+\.[A-Z_]+)\}", lambda found: ", ".join(load_table(found[1])), text)


def parse_lengths(value: str) -> Any:
    """Parse pixels or LOW..HIGH; a word stays one, and the recipe knows which there are."""
    low, dots, high = value.partition("..")
    try:
        return (int(low), int(high)) if dots else int(low)
    except ValueError:
        return value
