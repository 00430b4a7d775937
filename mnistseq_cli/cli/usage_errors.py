"""Wrong usage, said in the words of the command line."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from typer import BadParameter

from mnistseq_cli.cli.options import HELP
from mnistseq_cli.errors import UsageError

# Typer has no public name for all wrong usage; this child of it has one.
WrongUsage: type[Exception] = BadParameter.mro()[1]

_ANSWERS = (line.split(": ", 1) for line in HELP["answers"].about.splitlines())
# What does here what options of other tools, or of a first guess, do there.
_OTHER_WORDS = {word: answer for words, answer in _ANSWERS for word in words.split()}
_WANTED = {"int": "a whole number", "float": "a number", "number": "a number"}
_NUMBER = r"-?\d+(\.\d+)?"


def repeat_single_length(words: list[str]) -> list[str]:
    """Return the words of a command with ``--length 5`` as ``--length 5 5``."""
    parts = [word.split("=", 1) if word.startswith("--length=") else [word] for word in words]
    words = [word for part in parts for word in part]
    for place, word in enumerate(words):
        values = [bool(re.fullmatch(_NUMBER, value)) for value in words[place + 1 : place + 3]]
        if word == "--length" and values and values[0] and values[1:] != [True]:
            return [*words[: place + 2], *words[place + 1 :]]
    return words


def check_strengths(words: list[str], values: list[str], *, takes_digits: bool) -> None:
    """Raise if a number after ``--augment NAME`` is among the values that belong to no option."""
    # A command that takes digits takes that number for them where there are no others.
    if "--augment" not in words or (takes_digits and len(values) == 1):
        return
    from mnistseq_cli.distortions.registry import AUGMENTATIONS

    for option, name, value in zip(words, words[1:], words[2:], strict=False):
        is_bare = option == "--augment" and name in AUGMENTATIONS
        if is_bare and re.fullmatch(_NUMBER, value) and value in values:
            problem = "could be its strength or more digits" if takes_digits else "is unexpected"
            place = " Digits stand before the options." if takes_digits else ""
            raise UsageError(
                f"{value} after --augment {name} {problem}",
                f"Did you mean --augment {name}={value}?{place}",
            )


def explain(error: Exception, command: str) -> UsageError:
    """Turn what Typer says of a command into one line and a hint; `error` is a `WrongUsage`."""
    helped = f"See mnistseq {command} --help".replace("  ", " ")
    if hasattr(error, "possibilities"):
        unknown = str(getattr(error, "option_name", ""))
        hint = _suggest_option(unknown, error.possibilities or [])
        return UsageError(f"no such option: {unknown}", " ".join(filter(None, (hint, helped))))
    param, message = getattr(error, "param", None), getattr(error, "message", "")
    if param is None or not message:
        message = error.format_message()  # type: ignore[attr-defined]
        message = message[0].lower() + message[1:]
    else:
        message = f"{name_parameter(param)}: {_name_value(message, error.__cause__)}"
    return UsageError(message.rstrip("."), helped)


def _suggest_option(unknown: str, known: list[str]) -> str:
    """Return what does the same here, or what is spelt nearly so."""
    from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS

    name = unknown.lstrip("-").replace("_", "-").lower()
    if re.fullmatch(_NUMBER, unknown):
        return f"Put -- before a number with a minus: -- {unknown}."
    answers = {one: f"Use --augment {one}, or --augment {one}=VALUE." for one in AUGMENTATIONS}
    answers |= {one: f"Use --augment {one}." for one in PRESETS} | _OTHER_WORDS
    if name in answers:
        return answers[name]
    near = get_close_matches(name, [option.lstrip("-") for option in known], n=1)
    return f"Did you mean --{near[0]}?" if near else ""  # dashes do not count as likeness


def name_parameter(parameter: Any) -> str:
    """Name an option as it is written, an argument as the help shows it."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar).rstrip(".")
    return str(max(parameter.opts, key=len))


def _name_value(message: str, cause: BaseException | None) -> str:
    """Name the value that is no number: from 0.29 on, Typer leaves that to pydantic."""
    # Of one version or another: "is not a valid int", "should be a valid integer".
    valid = re.search(r"\ba valid (int|float|number)", message)
    if valid is None:
        return message
    details = getattr(cause, "errors", None)
    value = repr(details()[0]["input"]) if details else message.partition(" is ")[0]
    return f"{value} is not {_WANTED[valid[1]]}"
