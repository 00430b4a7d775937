"""Help: in boxes where a terminal has room for them, in plain lines everywhere else."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand

from mnistseq_cli.cli.page import Page, draw_page, write_page

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_COLUMNS = 70  # in less, boxes leave no room for words
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
        write_help(self, ctx, formatter, {})


def write_help(
    command: Any,  # noqa: ANN401 - as above
    ctx: Any,  # noqa: ANN401 - as above
    formatter: Any,  # noqa: ANN401 - as above
    commands: dict[str, str],
) -> None:
    """Write the help of a command; `commands` are those below it, and what they do."""
    page = Page(
        usage=command.get_usage(ctx),
        paragraphs=tuple(command.help.split("\n\n")),
        panels=_list_panels(command, ctx, commands),
        examples=tuple(command.epilog.splitlines()),
    )
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    if _has_room_for_boxes():
        ctx.color = not os.environ.get("NO_COLOR")  # for what prints the help
        lines = draw_page(page, width)
    else:
        lines = write_page(page, width - 1)
    formatter.write("".join(f"{line}\n" for line in lines))


def _has_room_for_boxes() -> bool:
    """Tell whether stdout is a terminal that is wide enough and knows the characters."""
    stdout = sys.stdout
    is_terminal = (stdout is not None and stdout.isatty()) or "FORCE_COLOR" in os.environ
    return (
        is_terminal
        and os.environ.get("TERM") not in {"dumb", "unknown"}
        and shutil.get_terminal_size().columns >= LEAST_COLUMNS
        and (stdout.encoding or "").lower().startswith("utf")
    )


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
    return f"{param.help}{variable}"
