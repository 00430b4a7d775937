"""The command line."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import NoReturn

import typer

from mnistseq_cli.cli.commands import COMMANDS, Program, open_command
from mnistseq_cli.cli.completion import answer_scripts
from mnistseq_cli.cli.console import print_result, report_error
from mnistseq_cli.cli.options import HELP, expand
from mnistseq_cli.cli.usage_errors import WrongUsage, explain, name_parameter
from mnistseq_cli.errors import MnistseqError, OutputError, UsageError

INTERRUPTED, TERMINATED = 130, 143
DEBUG_VARIABLE = "MNISTSEQ_DEBUG"
# What is said where a library could not be loaded, or a process not started.
_LACKS_MEMORY = "(?i)failed to map segment|cannot allocate memory|out of memory"

app = typer.Typer(
    name="mnistseq",
    help=HELP["mnistseq"].about,
    epilog=HELP["mnistseq"].examples,
    cls=Program,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,  # `completion` has its own
    context_settings={"help_option_names": ["-h", "--help"]},
)
answer_scripts()


def _start(
    *,
    version: bool = False,
    install_completion: bool = False,  # noqa: ARG001 - `Program.parse_args` does it
    show_completion: bool = False,  # noqa: ARG001 - as above
) -> None:
    if version:
        from importlib.metadata import version as find_version

        print_result(f"mnistseq {find_version('mnistseq')}")
        raise typer.Exit


app.callback(invoke_without_command=True)(expand(_start, "mnistseq"))


def main() -> NoReturn:
    """Run the command line: errors become a message and an exit status."""
    _end_when_asked()
    try:
        status = app(standalone_mode=False)
    except KeyboardInterrupt:  # before Typer waits for it
        sys.exit(INTERRUPTED)
    except typer.Abort:
        sys.exit(1)
    except BrokenPipeError:
        sys.stdout = None  # nobody reads on; nothing is left to flush
        sys.exit(1)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE) and not isinstance(error, MnistseqError | WrongUsage):
            raise
        named = _name_error(error)
        report_error(named)
        sys.exit(named.exit_status)
    sys.exit(status or 0)


def _name_error(error: Exception) -> MnistseqError:
    """Return the message for anything that can go wrong: a traceback helps nobody here."""
    if isinstance(error, UsageError | WrongUsage):
        return _name_usage(error)
    if isinstance(error, MnistseqError):
        return error
    if isinstance(error, MemoryError) or re.search(_LACKS_MEMORY, str(error)):
        return OutputError(
            "there is not enough memory",
            "Use fewer --workers, a smaller --part-size or a smaller --width.",
        )
    if isinstance(error, UnicodeEncodeError):
        return UsageError(f"{error.object[:60]!r} is not text in UTF-8")
    if isinstance(error, OSError):
        what = error.filename or "the output cannot be written"
        return OutputError(f"{what}: {error.strerror or error}")
    return MnistseqError(
        f"unexpected {type(error).__name__}: {str(error)[:200]}",
        f"This is a fault of mnistseq. Please report it with the command and what it says after "
        f"{DEBUG_VARIABLE}=1.",
    )


def _name_usage(error: Exception) -> UsageError:
    """Return what is wrong with the use of a command, with its options as they are written."""
    command = next((word for word in sys.argv[1:2] if word in COMMANDS), "")
    if not isinstance(error, UsageError):
        return explain(error, command)
    parameters = open_command(command).params if command else []
    return error.renamed({one.name: name_parameter(one) for one in parameters})


def _end_when_asked() -> None:
    """End as politely when the terminal is closed as when the program is terminated."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP, and nohup ignores it
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: sys.exit(TERMINATED))
