"""Wrong usage, said in the words of the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from typing import Any

from typer import BadParameter

from mnistseq_cli.errors import MnistseqError, UsageError

# Typer has no public name for all wrong usage; this child of it has one.
WrongUsage: type[Exception] = BadParameter.mro()[1]

# What the library calls its values, where the option is not called --NAME.
_OPTIONS = {
    "format": "--to",
    "image format": "--image-format",
    "label style": "--labels",
    "part size": "--part-size",
    "spacing_px": "--spacing",
    "width_px": "--width",
}
_FIELDS = (
    *("align", "augment_prob", "count", "fit", "glyphs", "ink", "length", "measure", "seed"),
    *("pattern", "spacing_mode", "workers"),
)
# The same of all versions of Typer: "is not a valid int", "should be a valid integer".
_VALID = re.compile(r"\ba valid (int|float|number)")
_WANTED = {"int": "whole numbers", "float": "numbers", "number": "numbers"}


def name_option(error: MnistseqError) -> MnistseqError:
    """Begin a message with the option that was wrong, if it is about a value of the library."""
    options = {field: f"--{field.replace('_', '-')}" for field in _FIELDS} | _OPTIONS
    for field, option in options.items():
        for verb in (" is ", " goes "):
            if error.message.startswith(field + verb):
                return type(error)(option + error.message.removeprefix(field), error.hint)
    return error


def explain(error: Exception, commands: Collection[str]) -> UsageError:
    """Turn what Typer says into one line and a hint.

    Parameters
    ----------
    error : Exception
        A `WrongUsage`.
    commands : collection of str
        The names of all commands.
    """
    param, message = getattr(error, "param", None), getattr(error, "message", "")
    if param is None or not message:
        message = error.format_message()  # type: ignore[attr-defined]
        message = message[0].lower() + message[1:]
    else:
        message = f"{_name_param(param)}: {_name_value(message, error.__cause__)}"
    command = " ".join(word for word in sys.argv[1:2] if word in commands)
    helped = f"mnistseq {command} --help" if command else "mnistseq --help"
    return UsageError(message.rstrip("."), f"See {helped}")


def _name_param(param: Any) -> str:  # noqa: ANN401 - Typer keeps its types private
    """Name an option as it is written, an argument as the help shows it."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    return str(max(param.opts, key=len))


def _name_value(message: str, cause: BaseException | None) -> str:
    """Say which value is no number; from 0.29 on, Typer leaves that to the error of pydantic."""
    valid = _VALID.search(message)
    if valid is None:
        return message
    details = getattr(cause, "errors", None)
    value = repr(details()[0]["input"]) if details else message.partition(" is ")[0]
    return f"{value} is not allowed; allowed are {_WANTED[valid[1]]}"
