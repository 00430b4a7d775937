"""The man page, from the commands of the program; the format is the man macros of roff."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Command, Distortion, Parameter

HEAD = r"""
.\" Made from the program by docs/reference.py
.TH MNISTSEQ 1 "" "mnistseq" "User Commands"
.SH NAME
mnistseq \- write numbers in real handwriting
.SH SYNOPSIS
.B mnistseq
.I COMMAND
.RI [ OPTIONS ]
.RI [ ARGUMENTS ]
.SH DESCRIPTION
.B mnistseq
takes images of single handwritten digits and composes them into images of
digit sequences and phone
numbers, with exact labels and boxes: one picture, or millions of them, the
same on every machine.
.PP
Images are 28 pixels high.
Sizes, gaps and boxes are in pixels.
Without
.B \-\-seed
a seed is drawn, shown and saved, so that every run can be repeated.
.PP
Results go to standard output: paths or JSON, one a line.
Everything for the eye goes to standard error.
.SH COMMANDS
Every command has
.BR \-\-help .
"""

BEFORE_DISTORTIONS = r"""
.SH DISTORTIONS
What
.B \-\-augment
knows, in the order in which it is done.
NAME=VALUE draws from the strength that changes nothing to VALUE, both ways
where there are two; NAME=LOW..HIGH draws from a range; a bare NAME is the
default.
WxH gives width and height apart; a number alone is for both.
Presets are light, medium, heavy, and all: each distortion at its default.
"""

BEFORE_EXAMPLES = r"""
.SH ENVIRONMENT
.TP
.B MNISTSEQ_DATA_DIR
Where data sets are cached, as with
.BR \-\-data\-dir .
.TP
.B MNISTSEQ_OFFLINE
If set to anything but 0, no socket is opened.
.TP
.B NO_COLOR
If set, nothing is coloured.
.TP
.B FORCE_COLOR
If set, colours are written also where standard error is no terminal.
.TP
.B MNISTSEQ_DEBUG
If set, an unexpected error shows where it arose.
.SH FILES
.TP
.I ~/.local/share/mnistseq
Data sets, each laid out as torchvision does.
On macOS the folder is
.IR "~/Library/Application Support/mnistseq" ,
on Windows it is
.IR %LOCALAPPDATA%\emnistseq\emnistseq .
.TP
.I DIR/recipe.toml
What a dataset was made from; with
.B \-\-recipe
it makes the same images again.
.TP
.I DIR/dataset.json
What was written.
A folder without it is not finished.
.TP
.I DIR/.mnistseq/parts
The name, size and SHA\-256 of every file.
.SH EXIT STATUS
.TP
.B 0
All is done.
.TP
.B 1
An error with a name: glyphs that cannot be had, files that cannot be
written, a dataset that is not as it should be.
.TP
.B 2
Wrong usage: a value that is not allowed.
.TP
.B 130
Interrupted by Ctrl\-C.
.TP
.B 143
Terminated, or its terminal was closed.
.SH EXAMPLES
"""

END = r"""
.SH SEE ALSO
The documentation of the project: how digits are spaced, every file format
field by field, what is random and how, how the options of older tools
translate.
"""


def write_man_page(commands: list[Command], distortions: list[Distortion]) -> str:
    """Write the reference as a man page, in the man macros of roff."""
    root, *rest = commands
    lines = [HEAD.strip()]
    lines += [line for command in rest for line in _write_subsection(command)]
    lines.append(".SS Options of the program itself")
    lines += [line for parameter in root.parameters for line in _write_item(parameter)]
    lines.append(BEFORE_DISTORTIONS.strip())
    lines += [line for distortion in distortions for line in _write_distortion(distortion)]
    lines.append(BEFORE_EXAMPLES.strip())
    for command in rest:
        for text, examples in groupby(command.examples, lambda example: example.text):
            lines += [*_wrap(text or command.text[0]), ".PP", ".nf", ".RS 4"]
            lines += [_escape_roff(example.line) for example in examples]
            lines += [".RE", ".fi", ".PP"]
    return "\n".join([*lines[:-1], END.strip()]) + "\n"


def _write_subsection(command: Command) -> Iterator[str]:
    name, _, rest = command.usage.partition(" [OPTIONS]")
    yield f".SS {name}"
    yield rf"\fB{name}\fR {_escape_roff('[OPTIONS]' + rest)}"
    for paragraph in command.text:
        yield ".PP"
        yield from _wrap(paragraph)
    for panel, parameters in command.panels():
        yield ".PP"
        yield f"{panel}:"
        for parameter in parameters:
            yield from _write_item(parameter)


def _write_item(parameter: Parameter) -> Iterator[str]:
    term = ", ".join(rf"\fB{_escape_roff(name)}\fR" for name in parameter.names)
    term += rf" \fI{_escape_roff(parameter.value)}\fR" if parameter.value else ""
    yield ".TP"
    yield term
    yield from _wrap(parameter.text)
    if parameter.default:
        yield from _wrap(f"Default: {parameter.default}.")
    if parameter.variable:
        yield from _wrap(f"Environment variable: {parameter.variable}.")


def _write_distortion(distortion: Distortion) -> Iterator[str]:
    yield ".TP"
    yield rf"\fB{distortion.name}\fR"
    yield from _wrap(f"Of each {distortion.subject}: {distortion.summary}.")
    yield from _wrap(f"Limits: {distortion.limits} ({distortion.unit}).")
    yield from _wrap(f"Default: {distortion.default}, which draws from {distortion.range}.")


def _wrap(text: str) -> Iterator[str]:
    for line in wrap(text, 70, break_long_words=False, break_on_hyphens=False):
        yield _escape_roff(line)


def _escape_roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    escaped = escaped.replace("~", r"\(ti").replace("^", r"\(ha").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
