"""The command line."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

from mnistseq_cli.cli.commands import COMMANDS, Program, open_command
from mnistseq_cli.cli.completion import answer_scripts
from mnistseq_cli.cli.console import print_result, report_error
from mnistseq_cli.cli.options import expand
from mnistseq_cli.cli.usage_errors import WrongUsage, explain, name_parameter
from mnistseq_cli.errors import MnistseqError, OutputError, UsageError

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
DEBUG_VARIABLE = "MNISTSEQ_DEBUG"

EXAMPLES = """\
One number, 100 pixels wide, shown in the terminal:
mnistseq sequence 3 5 0 --width 100 --show
A thousand phone numbers, with boxes in COCO style:
mnistseq phone -n 1000 --labels coco
A hundred thousand random numbers of 3 to 7 digits:
mnistseq batch -n 100000 --length 3 7 -o train
All options of a command, with examples:
mnistseq phone --help
"""

OPTIONS = """
Options:
--version
    Show the version and exit.
--install-completion
    Install completion for the shell named after it (bash, zsh, fish, powershell), or for the one
    it runs in.
--show-completion
    Show the script that would be installed.
"""

app = typer.Typer(
    name="mnistseq",
    help="Write numbers in real handwriting: images with exact labels and boxes.",
    cls=Program,
    epilog=EXAMPLES,
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


app.callback(invoke_without_command=True)(expand(_start, OPTIONS))


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
    if isinstance(error, MemoryError) or _lacks_memory(error):
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


def _lacks_memory(error: Exception) -> bool:
    """Return whether a library could not be loaded for want of memory."""
    words = ("failed to map segment", "cannot allocate memory", "out of memory")
    return isinstance(error, ImportError | OSError) and any(
        word in str(error).lower() for word in words
    )


def _end_when_asked() -> None:
    """End as politely when the terminal is closed as when the program is terminated."""
    signal.signal(signal.SIGTERM, _terminate)
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none, and nohup ignores it
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        signal.signal(hang_up, _terminate)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)
