"""Help: our own page, in boxes where a terminal has room for them; Rich's takes twice as long."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_COLUMNS = 70  # in less, boxes leave no room for words
MOST_COLUMNS = 80  # longer lines are hard to read
_MOST_NAME_COLUMNS = 30  # what a longer name means begins below it
_SIDES = 4  # columns that the sides of a box take, with their room
_WORD = re.compile(r"[^\s,]+")
_OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")
# Numbers of colours and weights, as ECMA-48 has them.
_FRAME, _HEADING, _NAME, _VALUE = "2", "1", "1;36", "33"

WELCOME = """\
mnistseq writes numbers in real
handwriting, with labels and boxes.

Try:

  mnistseq sequence 350 --show
      one number, as 350.png and here
  mnistseq phone -n 1000
      a thousand phone numbers
  mnistseq download --list
      the handwriting there is

All commands and options:

  mnistseq --help
  mnistseq sequence --help"""


@dataclass(frozen=True)
class Page:
    """What the help of a command says."""

    usage: str
    paragraphs: tuple[str, ...]
    panels: dict[str, list[tuple[str, str]]]  # by title: names, and what they mean
    examples: tuple[str, ...]  # lines to type, and what they do


def write_help(
    command: Any,
    ctx: Any,
    formatter: Any,
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
        lines = _draw_page(page, width)
    else:
        lines = _write_page(page, width - 1)
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


def _list_panels(
    command: Any,
    ctx: Any,
    commands: dict[str, str],
) -> dict[str, list[tuple[str, str]]]:
    panels = {"Commands": [*commands.items()]}
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
    return {title: rows for title, rows in panels.items() if rows}


def _write_page(page: Page, width: int) -> Iterator[str]:
    """Yield the lines of a page: a name, and under it what it means."""
    yield page.usage
    for paragraph in page.paragraphs:
        yield from ("", *_wrap(paragraph, width))
    for title, rows in page.panels.items():
        yield from ("", f"{title}:")
        for name, text in rows:
            yield from (f"  {name}", *(f"      {line}" for line in _wrap(text, width - 6)))
    yield from ("", "Examples:")
    for line in page.examples:
        yield f"  {line}" if _is_typed(line) else line


def _draw_page(page: Page, width: int) -> Iterator[str]:
    """Yield the lines of a page in colours, with a box around each panel."""
    yield from ("", f" {_paint(page.usage, _HEADING)}")
    for paragraph in page.paragraphs:
        yield from ("", *(f" {_paint_options(line)}" for line in _wrap(paragraph, width - 2)))
    yield ""
    for title, rows in page.panels.items():
        rule = "─" * (width - len(title) - 5)
        yield _paint("╭─", _FRAME) + _paint(f" {title} ", _HEADING) + _paint(f"{rule}╮", _FRAME)
        side = _paint("│", _FRAME)
        yield from (f"{side} {line} {side}" for line in _draw_rows(rows, width - _SIDES))
        yield _paint(f"╰{'─' * (width - 2)}╯", _FRAME)
    yield from ("", f" {_paint('Examples', _HEADING)}")
    for line in page.examples:
        yield f"   {_paint_options(line)}" if _is_typed(line) else f" {line}"
    yield ""


def _draw_rows(rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield lines of equal width: names to the left, what they mean to the right."""
    fitting = [len(name) for name, _ in rows if len(name) <= _MOST_NAME_COLUMNS]
    left_width = max(fitting, default=_MOST_NAME_COLUMNS)
    right_width = width - left_width - 2
    for name, text in rows:
        left = name
        if len(name) > left_width:
            yield _paint_name(name) + " " * (width - len(name))
            left = ""
        for line in _wrap(text, right_width):
            room, rest = " " * (left_width + 2 - len(left)), " " * (right_width - len(line))
            yield f"{_paint_name(left)}{room}{_paint_options(line)}{rest}"
            left = ""


def _is_typed(line: str) -> bool:
    return line.startswith("mnistseq ")


def _wrap(text: str, width: int) -> list[str]:
    # Names of options and values stay whole.
    return textwrap.wrap(text, max(width, 20), break_on_hyphens=False)


def _paint_name(text: str) -> str:
    """Paint a name of a command or an option, and otherwise what stands for its value."""
    has_value = text.startswith("-")
    return _WORD.sub(
        lambda found: _paint(
            found[0], _VALUE if has_value and not found[0].startswith("-") else _NAME
        ),
        text,
    )


def _paint_options(text: str) -> str:
    return _OPTION.sub(lambda found: _paint(found[0], _NAME), text)


def _paint(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text else ""
