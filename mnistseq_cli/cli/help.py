"""Help: in boxes where a terminal has room for them, in plain lines everywhere else."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_COLUMNS = 70  # in less, boxes cut the names of options
MOST_COLUMNS = 80  # longer lines are hard to read


class Command(TyperCommand):
    """A command whose help reads well everywhere."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer keeps its types private
        """Write the usage: arguments as they are, hidden ones not at all."""
        shown = [param for param in self.params if isinstance(param, TyperArgument)]
        names = [
            param.metavar if param.required else f"[{param.metavar}]"
            for param in shown
            if not param.hidden
        ]
        formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *map(str, names)]))

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Write the help."""
        if has_room_for_boxes():
            super().format_help(ctx, formatter)
        else:
            write_plainly(self, ctx, formatter, {})


def has_room_for_boxes() -> bool:
    """Tell whether stdout is a terminal that is wide enough and knows the characters."""
    stdout = sys.stdout
    is_terminal = (stdout is not None and stdout.isatty()) or "FORCE_COLOR" in os.environ
    return (
        is_terminal
        and os.environ.get("TERM") not in {"dumb", "unknown"}
        and shutil.get_terminal_size().columns >= LEAST_COLUMNS
        and (stdout.encoding or "").lower().startswith("utf")
    )


def write_plainly(
    command: Any,  # noqa: ANN401 - as above
    ctx: Any,  # noqa: ANN401 - as above
    formatter: Any,  # noqa: ANN401 - as above
    commands: dict[str, str],
) -> None:
    """Write the help in lines: a name, and under it what it means; `commands` are those below."""
    formatter.width = min(shutil.get_terminal_size().columns, MOST_COLUMNS) - 1
    command.format_usage(ctx, formatter)
    for paragraph in _read_markup(command.help).split("\n\n"):
        formatter.write("\n" + _wrap(paragraph, formatter.width))
    for title, rows in _list_panels(command, ctx, commands).items():
        formatter.write(f"\n{title}:\n")
        for name, text in rows:
            formatter.write(f"  {name}\n{_wrap(text, formatter.width, ' ' * 6)}")
    formatter.write("\n")
    for line in filter(None, _read_markup(command.epilog).splitlines()):
        formatter.write(f"  {line}\n" if line.startswith("mnistseq ") else f"{line}\n")


def _wrap(text: str, width: int, indent: str = "") -> str:
    lines = textwrap.wrap(
        text,
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,  # names of options and values stay whole
    )
    return "".join(f"{line}\n" for line in lines)


def _list_panels(
    command: Any,  # noqa: ANN401 - as above
    ctx: Any,  # noqa: ANN401 - as above
    commands: dict[str, str],
) -> dict[str, list[tuple[str, str]]]:
    """Give the title of each panel, with the names in it and what they mean."""
    panels = {"Commands": [*commands.items()]}
    for param in command.get_params(ctx):
        if not getattr(param, "hidden", False):
            is_argument = isinstance(param, TyperArgument)
            title = param.rich_help_panel or ("Arguments" if is_argument else "Options")
            panels.setdefault(title, []).append((" ".join(_name(param)), _explain(param)))
    return {title: rows for title, rows in panels.items() if rows}


def _name(param: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    if isinstance(param, TyperArgument):
        yield str(param.metavar)
        return
    yield ", ".join(sorted([*param.opts, *param.secondary_opts], key=len))
    if not param.is_flag:
        yield param.metavar or ""


def _explain(param: Any) -> str:  # noqa: ANN401 - as above
    variable = f" [env var: {param.envvar}]" if param.envvar else ""
    return f"{_read_markup(param.help)}{variable}"


def _read_markup(text: str | None) -> str:
    """Take out the one tag that help has, and what keeps a bracket from being a tag."""
    # Rich would do it, but takes longer to start than all else that help needs.
    return re.sub(r"\[/?bold\]", "", text or "").replace(r"\[", "[")
