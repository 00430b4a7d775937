"""Help: our own page, in boxes where a terminal has room for them; Rich's takes twice as long."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from typer.core import TyperArgument

from mnistseq_cli.cli.options import fill_in

_Row = tuple[str, str]  # a name, and what it means

LEAST_COLUMNS = 70  # in less, boxes leave no room for words
MOST_COLUMNS = 80  # longer lines are hard to read
_MOST_NAME_COLUMNS = 30  # what a longer name means begins below it
_SIDES = 4  # columns that the sides of a box take, with their room
_WORD = r"[^\s,]+"
_OPTION = r"(?<!\S)--?[a-z][\w-]*"
# Numbers of colours and weights, as ECMA-48 has them.
_FRAME, _HEADING, _NAME, _VALUE = "2", "1", "1;36", "33"


def write_help(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the help of a command."""
    has_boxes = _has_room_for_boxes()
    ctx.color = has_boxes and not os.environ.get("NO_COLOR")  # what prints the help strips colours
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS) - (not has_boxes)
    panels = _list_panels(command, ctx)
    lines = _write_page(command, command.get_usage(ctx), panels, width, has_boxes=has_boxes)
    formatter.write("".join(f"{line}\n" for line in lines))


def _has_room_for_boxes() -> bool:
    """Return whether stdout is a terminal that is wide enough and knows the characters."""
    stdout = sys.stdout
    is_terminal = (stdout is not None and stdout.isatty()) or "FORCE_COLOR" in os.environ
    return (
        is_terminal
        and os.environ.get("TERM") not in {"dumb", "unknown"}
        and shutil.get_terminal_size().columns >= LEAST_COLUMNS
        and (stdout.encoding or "").lower().startswith("utf")
    )


def _list_panels(command: Any, ctx: Any) -> dict[str, list[_Row]]:
    panels = {"Commands": [*command.commands.items()]} if hasattr(command, "commands") else {}
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
        panels.setdefault(title, []).append((name, f"{fill_in(param.help)}{variable}"))
    return panels


def _write_page(
    command: Any, usage: str, panels: dict[str, list[_Row]], width: int, *, has_boxes: bool
) -> Iterator[str]:
    yield _paint(usage, _HEADING)
    for paragraph in command.help.split("\n\n"):
        yield from ("", *map(_paint_options, _wrap(paragraph, width)))
    yield ""
    for title, rows in panels.items():
        yield from _draw_panel(title, rows, width) if has_boxes else _list_rows(title, rows, width)
    yield from ([""] if has_boxes else [])
    yield _paint("Examples:", _HEADING)
    for line in command.epilog.splitlines():
        yield f"  {_paint_options(line)}" if line.startswith("mnistseq ") else line


def _list_rows(title: str, rows: list[_Row], width: int) -> Iterator[str]:
    """Yield each name, and under it what it means."""
    yield f"{title}:"
    for name, text in rows:
        yield from (f"  {name}", *(f"      {line}" for line in _wrap(text, width - 6)))
    yield ""


def _draw_panel(title: str, rows: list[_Row], width: int) -> Iterator[str]:
    """Yield a box: names to the left, what they mean to the right."""
    inner_width = width - _SIDES
    fitting = [len(name) for name, _ in rows if len(name) <= _MOST_NAME_COLUMNS]
    left_width = max(fitting, default=_MOST_NAME_COLUMNS)
    right_width = inner_width - left_width - 2
    side = _paint("│", _FRAME)
    rule = _paint(f"{'─' * (width - len(title) - 5)}╮", _FRAME)
    yield f"{_paint('╭─', _FRAME)}{_paint(f' {title} ', _HEADING)}{rule}"
    for name, text in rows:
        left = name
        if len(name) > left_width:
            yield f"{side} {_paint_name(name)}{' ' * (inner_width - len(name))} {side}"
            left = ""
        for line in _wrap(text, right_width):
            room, rest = " " * (left_width + 2 - len(left)), " " * (right_width - len(line))
            yield f"{side} {_paint_name(left)}{room}{_paint_options(line)}{rest} {side}"
            left = ""
    yield _paint(f"╰{'─' * (width - 2)}╯", _FRAME)


def _wrap(text: str, width: int) -> list[str]:
    # Names of options and values stay whole.
    return textwrap.wrap(text, max(width, 20), break_on_hyphens=False)


def _paint_name(text: str) -> str:
    """Paint a name of a command or an option, and otherwise what stands for its value."""
    value = _VALUE if text.startswith("-") else _NAME
    return re.sub(_WORD, lambda it: _paint(it[0], _NAME if it[0][0] == "-" else value), text)


def _paint_options(text: str) -> str:
    return re.sub(_OPTION, lambda found: _paint(found[0], _NAME), text)


def _paint(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m"
