"""How options and arguments are declared: as the defaults of parameters."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def option(panel: str, declaration: str, text: str, **more: Any) -> Any:
    """Declare an option, as the default of a parameter; it is None where the user said nothing.

    `declaration` is what can be typed, such as ``"-w, --width PX"``; `text` ends with the default.
    """
    words = declaration.replace(",", " ").split()
    flags = [word for word in words if word.startswith("-")]
    metavar = " ".join(word for word in words if not word.startswith("-")) or None
    return typer.Option(
        more.pop("default", None),
        *flags,
        help=text,
        metavar=metavar,
        rich_help_panel=panel,
        show_default=False,
        **more,
    )


def flag(panel: str, name: str, text: str, **more: Any) -> Any:
    """Declare an option that takes no value."""
    return option(panel, name, text, default=False, **more)


def argument(metavar: str, text: str, **more: Any) -> Any:
    """Declare an argument, with what stands for its value in the help."""
    default = more.pop("default", None)
    return typer.Argument(default, metavar=metavar, help=text, show_default=False, **more)


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass of options by its fields.

    Typer sees one flat list of options; the command gets them back as values of the dataclasses.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def flat(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    own = [parameter for name, parameter in signature.parameters.items() if name not in groups]
    of_groups = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for group in groups.values()
        for parameter in inspect.signature(group, eval_str=True).parameters.values()
    ]
    flat.__signature__ = signature.replace(parameters=[*own, *of_groups])  # type: ignore[attr-defined]
    return flat


DATA_DIR = option(
    "Glyphs",
    "--data-dir DIR",
    "Where data sets are cached. [default: the user data folder]",
    envvar="MNISTSEQ_DATA_DIR",
    file_okay=False,
)
WORKERS = option(
    "Running",
    "--workers N",
    "Processes that work at once; 0 stays in this one. [default: one for each core]",
)
