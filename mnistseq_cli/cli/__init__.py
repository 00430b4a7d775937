"""The command line."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mnistseq_cli.cli import batch, download, phone, sequence, verify
from mnistseq_cli.cli.console import print_result, report_error
from mnistseq_cli.errors import MnistseqError, OutputError

if TYPE_CHECKING:
    from types import FrameType

# A command is one module: the function of its name, and the examples that end its help.
COMMANDS = {
    "sequence": sequence,
    "phone": phone,
    "batch": batch,
    "verify": verify,
    "download": download,
}

TERMINATED = 143

app = typer.Typer(
    name="mnistseq",
    help="Write numbers in real handwriting: images with exact labels and boxes.",
    epilog="Start here: [bold]mnistseq sequence 3 5 0 --width 100[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the callback of a flag gets a bool
    if wanted:
        from importlib.metadata import version

        print_result(f"mnistseq {version('mnistseq-cli')}")
        raise typer.Exit


@app.callback()
def _options_of_all(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


for _name, _module in COMMANDS.items():
    app.command(_name, epilog=_module.EPILOG)(getattr(_module, _name))


def main() -> NoReturn:
    """Run the command line: errors become a message and an exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except MnistseqError as error:
        _fail(error)
    except BrokenPipeError:
        sys.stdout = None  # nobody reads on; nothing is left to flush
        sys.exit(1)
    except OSError as error:
        _fail(OutputError(f"{error.strerror or error}: {error.filename or 'no file named'}"))
    sys.exit(0)


def _fail(error: MnistseqError) -> NoReturn:
    report_error(error)
    sys.exit(error.exit_status)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)
