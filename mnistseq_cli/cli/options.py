"""Options and arguments, declared as the help shows them: a text says what can be typed.

A command is a plain function, and the text `OPTIONS` of its module has titles of panels, below
them what can be typed, such as ``-w, --width PX``, and indented what it means. Types and defaults
are those of the parameters. A parameter whose type is a dataclass stands for the options that are
its fields; `OPTIONS` of that says what they are.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, cast

import typer

from mnistseq_cli.cli.completion import find_completer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DATA_DIR = """\
--data-dir DIR
    Where data sets are cached. [default: the user data folder]"""
WORKERS = """\
--workers N
    Processes that work at once; 0 stays in this one. [default: one for each core]"""
_VARIABLES = {"data_dir": "MNISTSEQ_DATA_DIR"}


def expand(command: Callable[..., None], text: str) -> Callable[..., None]:
    """Return a command with one flat list of options, each with what is said of it."""
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

    declared = [*_declare(own, text)]
    for group in groups.values():
        declared += _declare(signature(group, eval_str=True).parameters.values(), group.OPTIONS)
    flat.__signature__ = shape.replace(parameters=declared)  # type: ignore[attr-defined]
    return flat


def _declare(parameters: Iterable[Parameter], text: str) -> Iterator[Parameter]:
    """Yield parameters as Typer takes them, with what a text says of each."""
    said = dict(_read(text))
    arguments = (name for name, about in said.items() if not about["flags"])
    for parameter in parameters:
        name = parameter.name
        is_argument = parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
        key = next(arguments) if is_argument else name.removesuffix("_px").rstrip("_")
        about = said.get(key, {"flags": (), "hidden": True, "metavar": ""})
        declare = typer.Option if about["flags"] else typer.Argument
        declared = declare(
            ... if parameter.default is Parameter.empty else parameter.default,
            *about.pop("flags"),
            **about,
            autocompletion=find_completer(name, about["metavar"] or ""),
            parser=parse_lengths if parameter.annotation is Any else None,
            envvar=_VARIABLES.get(name),
            readable=False,  # who reads or writes a file says what is wrong with it
            show_default=False,
        )
        yield parameter.replace(default=declared, kind=Parameter.KEYWORD_ONLY)


def _read(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each option, or what stands for an argument, and what is said of it."""
    panel = None
    for block in re.split(r"\n(?=\S)", text.strip()):
        head, _, about = block.partition("\n")
        if not about:
            panel = head.removesuffix(":")
            continue
        words = head.replace(",", " ").split()
        flags = [word for word in words if word[0] == "-"]
        value = " ".join(word for word in words if word[0] != "-")
        name = flags[-1].partition("/")[0].strip("-").replace("-", "_") if flags else value
        about = {"help": " ".join(about.split()), "metavar": value or None, "flags": flags}
        yield name, about | {"rich_help_panel": panel} if flags else about


def parse_lengths(value: str) -> Any:
    """Parse pixels or LOW..HIGH; a word stays one, and the recipe knows which there are."""
    low, dots, high = value.partition("..")
    try:
        return (int(low), int(high)) if dots else int(low)
    except ValueError:
        return value
