"""The commands of the program, their options, and distortions, as the program has them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument
from typer.main import get_command

from mnistseq_cli.cli import app
from mnistseq_cli.cli.commands import COMMANDS, open_command
from mnistseq_cli.cli.options import HELP, fill_in
from mnistseq_cli.distortions.pipeline import make_pipeline
from mnistseq_cli.distortions.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Parameter:
    """An option or an argument.

    Parameters
    ----------
    names : tuple of str
        Such as ``("-w", "--width")``; the name of an argument is what stands for its value.
    value : str
        What stands for its value, such as ``"PX"``; "" for a flag and for an argument.
    text, default, variable : str
        What it does, what holds without it, the environment variable that gives it.
    panel : str
        What it belongs to.
    """

    names: tuple[str, ...]
    value: str
    text: str
    default: str
    variable: str
    panel: str


@dataclass(frozen=True)
class Example:
    """A line to type, and what it is for; "" if nothing is said."""

    text: str
    line: str


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Parameters
    ----------
    name : str
        Such as ``"mnistseq sequence"``.
    usage : str
    text : tuple of str
        Paragraphs.
    parameters : tuple of Parameter
        Those of a panel side by side.
    examples : tuple of Example
    """

    name: str
    usage: str
    text: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    examples: tuple[Example, ...]

    def panels(self) -> Iterator[tuple[str, list[Parameter]]]:
        """Give each panel with its parameters."""
        for panel, parameters in groupby(self.parameters, lambda parameter: parameter.panel):
            yield panel, list(parameters)


@dataclass(frozen=True)
class Distortion:
    """A distortion.

    Parameters
    ----------
    name, unit, summary : str
    subject : str
        "digit", "row" or "image".
    limits : str
        Such as ``"1 to 5, whole; also WxH"``.
    default, range : str
        What a bare name stands for, such as ``"rotate=10"``, and what that draws from, such as
        ``"-10..10"``.
    """

    name: str
    unit: str
    summary: str
    subject: str
    limits: str
    default: str
    range: str


def read_distortions() -> list[Distortion]:
    """Read the distortions, in the order in which they are done."""
    return [_read_distortion(name) for name in AUGMENTATIONS]


def _read_distortion(name: str) -> Distortion:
    record = AUGMENTATIONS[name]
    (step,) = make_pipeline([name]).steps
    low, high = record.limits
    kind = f"{', whole' if record.whole else ''}{'; also WxH' if record.by_size else ''}"
    return Distortion(
        name=name,
        unit=record.unit,
        summary=record.summary,
        subject=_SUBJECTS[record.stage],
        limits=f"{low:g} to {high:g}{kind}",
        default=f"{name}={record.default}",
        range=f"{step.low[0]:g}..{step.high[0]:g}",
    )


_SUBJECTS = {
    **dict.fromkeys(("geometry", "shape"), "digit"),
    "line": "row",
    **dict.fromkeys(("ink", "page", "lens"), "image"),
}


def read_program() -> list[Command]:
    """Read the commands: first what the program does without one."""
    root = _read_command("mnistseq", "mnistseq [OPTIONS] COMMAND [ARGS]...", get_command(app))
    return [root, *(_read_command(name, "", open_command(name)) for name in COMMANDS)]


def _read_command(section: str, usage: str, command: Any) -> Command:  # noqa: ANN401 - of Typer
    help_text = HELP[section]
    shown = [one for one in command.params if not one.hidden]
    parameters = [_read_parameter(one) for one in shown]
    panels = list(dict.fromkeys(parameter.panel for parameter in parameters))
    name = section if usage else f"mnistseq {section}"
    arguments = [
        one for one in command.params if isinstance(one, TyperArgument) and not one.hidden
    ]
    words = [str(one.metavar) if one.required else f"[{one.metavar}]" for one in arguments]
    return Command(
        name=name,
        usage=usage or " ".join([name, "[OPTIONS]", *words]),
        text=tuple(" ".join(text.split()) for text in help_text.about.split("\n\n")),
        parameters=tuple(sorted(parameters, key=lambda parameter: panels.index(parameter.panel))),
        examples=tuple(_read_examples(help_text.examples)),
    )


def _read_parameter(parameter: Any) -> Parameter:  # noqa: ANN401 - as above
    text, _, default = fill_in(parameter.help).partition("[default: ")
    value = "" if getattr(parameter, "is_flag", False) else parameter.metavar or ""
    is_argument = isinstance(parameter, TyperArgument)
    names = sorted([*parameter.opts, *parameter.secondary_opts], key=lambda name: name[:2] == "--")
    return Parameter(
        names=(value,) if is_argument else tuple(names),
        value="" if is_argument else value,
        text=text.strip(),
        default=default.removesuffix("]"),
        variable=str(parameter.envvar or ""),
        panel=parameter.rich_help_panel or "Options",
    )


def _read_examples(lines: str) -> Iterator[Example]:
    text = ""
    for line in lines.splitlines():
        if line.startswith("mnistseq "):
            yield Example(text, line)
        text = line if line.endswith(":") else ""
