"""Help: our own page, coloured where a terminal shows it; Rich's takes twice as long."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    _Row = tuple[str, str]  # a name, and what it means

MOST_COLUMNS = 80  # longer lines are hard to read
_OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")
# Numbers of colours and weights, as ECMA-48 has them.
_HEADING, _NAME = "1", "1;36"


def write_help(command: Any, ctx: Any, formatter: Any, commands: dict[str, str]) -> None:
    """Write the help of a command; `commands` are those below it, and what they do."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    # What prints the help strips colours where there are none.
    ctx.color = (is_terminal or "FORCE_COLOR" in os.environ) and not (
        os.environ.get("NO_COLOR") or os.environ.get("TERM") in {"dumb", "unknown"}
    )
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS) - 1
    lines = _write_page(
        command, command.get_usage(ctx), _list_panels(command, ctx, commands), width
    )
    formatter.write("".join(f"{line}\n" for line in lines))


def _list_panels(command: Any, ctx: Any, commands: dict[str, str]) -> dict[str, list[_Row]]:
    panels = {"Commands": [*commands.items()]} if commands else {}
    for param in command.get_params(ctx):
        if getattr(param, "hidden", False):
            continue
        is_argument = isinstance(param, TyperArgument)
        title = param.rich_help_panel or ("Arguments" if is_argument else "Options")
        name = str(param.metavar)
        if not is_argument:
            name = ", ".join(sorted([*param.opts, *param.secondary_opts], key=len))
            name += "" if param.is_flag else f" {param.metavar or ''}"
        variable = f" [env var: {param.envvar}]" if param.envvar else ""
        panels.setdefault(title, []).append((name, f"{param.help}{variable}"))
    return panels


def _write_page(
    command: Any, usage: str, panels: dict[str, list[_Row]], width: int
) -> Iterator[str]:
    yield _paint(usage, _HEADING)
    for paragraph in command.help.split("\n\n"):
        yield from ("", *_wrap(paragraph, width))
    for title, rows in panels.items():
        yield from ("", _paint(f"{title}:", _HEADING))
        for name, text in rows:  # each name, and under it what it means
            shown = _paint_options(name) if name[0] == "-" else _paint(name, _NAME)
            yield from (f"  {shown}", *(f"      {line}" for line in _wrap(text, width - 6)))
    yield ""
    yield _paint("Examples:", _HEADING)
    for line in command.epilog.splitlines():
        yield f"  {_paint_options(line)}" if line.startswith("mnistseq ") else line


def _wrap(text: str, width: int) -> list[str]:
    # Names of options and values stay whole.
    lines = textwrap.wrap(text, max(width, 20), break_on_hyphens=False)
    return [*map(_paint_options, lines)]


def _paint_options(text: str) -> str:
    return _OPTION.sub(lambda found: _paint(found[0], _NAME), text)


def _paint(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m"
