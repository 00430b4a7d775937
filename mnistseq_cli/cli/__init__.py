"""The command line."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mnistseq_cli.cli.commands import COMMANDS, Program
from mnistseq_cli.cli.completion import use_scripts
from mnistseq_cli.cli.console import print_result, report_error
from mnistseq_cli.cli.usage_errors import WrongUsage, explain, name_option
from mnistseq_cli.errors import MnistseqError, OutputError

if TYPE_CHECKING:
    from types import FrameType

TERMINATED = 143

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

app = typer.Typer(
    name="mnistseq",
    help="Write numbers in real handwriting: images with exact labels and boxes.",
    cls=Program,
    epilog=EXAMPLES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
use_scripts()


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the callback of a flag gets a bool
    if wanted:
        from importlib.metadata import version

        print_result(f"mnistseq {version('mnistseq')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options_of_all(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback does all there is to do
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        from mnistseq_cli.cli.help import WELCOME

        print_result(WELCOME)


def main() -> NoReturn:
    """Run the command line: errors become a message and an exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = app(standalone_mode=False)
    except MnistseqError as error:
        _fail(error)
    except WrongUsage as error:
        _fail(explain(error, COMMANDS))
    except typer.Abort:
        sys.exit(1)
    except BrokenPipeError:
        sys.stdout = None  # nobody reads on; nothing is left to flush
        sys.exit(1)
    except OSError as error:
        what = error.filename or "the output cannot be written"
        _fail(OutputError(f"{what}: {error.strerror or error}"))
    sys.exit(status or 0)


def _fail(error: MnistseqError) -> NoReturn:
    report_error(name_option(error))
    sys.exit(error.exit_status)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)
