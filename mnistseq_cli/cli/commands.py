"""The commands of the program, each imported when it is asked for: that keeps a start short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mnistseq_cli.cli.help import Command, has_room_for_boxes, write_plainly
from mnistseq_cli.cli.usage import WrongUsage

COMPLETION_OPTIONS = ("--install-completion", "--show-completion")
# A command is one module: the function of its name, and the examples that end its help.
COMMANDS = ("sequence", "phone", "batch", "inspect", "verify", "download")


class Program(TyperGroup):
    """The program: a group of these commands."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - Typer keeps its types private
        super().__init__(**values)
        self.commands = _Commands()  # type: ignore[assignment]  # nobody adds to them

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as above
        """Refuse a word after the options that end the program, where Typer drops it."""
        if args[1:] and args[0] in COMPLETION_OPTIONS and not ctx.resilient_parsing:
            raise WrongUsage(
                f"option '{args[0]}' is for the shell it runs in: leave out {args[1]}"
            )
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Write the help."""
        if has_room_for_boxes():
            super().format_help(ctx, formatter)
        else:
            write_plainly(self, ctx, formatter, {name: _sum_up(name) for name in COMMANDS})


class _Commands(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - as above
        if name not in COMMANDS:
            raise KeyError(name)
        return _open(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _sum_up(name: str) -> str:
    """Give the first sentence of the help of a command, without making its options."""
    return str(getattr(_load(name), name).__doc__).partition("\n")[0]


def _load(name: str) -> ModuleType:
    return import_module(f"mnistseq_cli.cli.{name}")


@cache
def _open(name: str) -> Any:  # noqa: ANN401 - as above
    module = _load(name)
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, cls=Command, epilog=module.EPILOG)(getattr(module, name))
    return get_command(alone)
