"""The commands of the program, each imported when it is asked for, which keeps a start short."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.main import get_command

from mnistseq_cli.cli.completion import install_script, show_script
from mnistseq_cli.cli.console import print_result
from mnistseq_cli.cli.help import write_help
from mnistseq_cli.cli.options import HELP, expand, fill_in
from mnistseq_cli.cli.usage_errors import WrongUsage, check_strengths, repeat_single_length

COMPLETION_OPTIONS = {"--install-completion": install_script, "--show-completion": show_script}
# A command is one module with the function of its name; `help.txt` says what it does.
NAMES = ("sequence", "phone", "batch", "inspect", "verify", "hand", "download")
COMMANDS = {name: HELP[name].about.partition("\n")[0] for name in NAMES}


class Program(TyperGroup):
    """The program: a group of these commands."""

    format_help = write_help

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.commands = COMMANDS  # type: ignore[assignment]  # names, and what they do

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as Typer has it
        """Return a command, imported now, or None where there is none of this name."""
        return open_command(cmd_name) if cmd_name in COMMANDS else None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Deal with no words, and with completion, which may have the name of a shell behind."""
        option, _, shell = args[0].partition("=") if args else ("", "", "")
        if not ctx.resilient_parsing and (not args or option in COMPLETION_OPTIONS):
            words = [*filter(None, [shell]), *args[1:]]
            if len(words) > 1:
                raise WrongUsage(f"option '{option}' takes one shell: leave out {words[1]}")
            if args:
                COMPLETION_OPTIONS[option](*words)
            else:
                for line in HELP["welcome"].about.splitlines():
                    print_result(line)
            ctx.exit()
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete names of commands without opening them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from typer._click.shell_completion import CompletionItem  # or nobody would ask

        found = (name for name in COMMANDS if name.startswith(incomplete))
        return [CompletionItem(name, help=COMMANDS[name]) for name in found]


class Command(TyperCommand):
    """A command of the program."""

    format_help = write_help

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words: ``--length 5`` is ``--length 5 5``."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        words = repeat_single_length(args)
        left = super().parse_args(ctx, [*words])
        takes_digits = ctx.command.name == "sequence"
        values = ctx.params.get("digits" if takes_digits else "more_splits") or []
        check_strengths(words, values, takes_digits=takes_digits)
        return left

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete options; only what the help of those names is looked up."""
        found = super().shell_complete(ctx, incomplete)
        for item in found:
            item.help = fill_in(item.help or "")
        return found

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the usage: arguments as they are, hidden ones not at all."""
        shown = [p for p in self.params if isinstance(p, TyperArgument) and not p.hidden]
        names = [p.metavar if p.required else f"[{p.metavar}]" for p in shown]
        formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *map(str, names)]))


@cache
def open_command(name: str) -> Any:
    """Return a command of the program, with its options."""
    function = getattr(import_module(f"mnistseq_cli.cli.{name}"), name)
    text = HELP[name]
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command, help=text.about, epilog=text.examples)(expand(function, name))
    return get_command(alone)
