"""Writes the command reference, the man page and the patterns: ``python docs/reference.py [DIR]``.

Both come from the program itself, so that they say what it does; the width of a terminal and the
versions of libraries do not change them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from manpage import write_man_page
from program import Command, Distortion, Parameter, read_distortions, read_program

from mnistseq_cli.cli.batch import find_patterns
from mnistseq_cli.compose.presets import load_presets

HEAD = """\
# Commands

Made from the program by `python docs/reference.py`; a test compares them. Every command has
`--help` (`-h`), which says the same. Results go to stdout, paths or JSON; everything for the eye
goes to stderr. The exit status is 0 when all is done, 1 after an error with a name, 2 after wrong
usage, 130 or 143 when interrupted or terminated.
"""

DISTORTIONS = """\
## Distortions

What `--augment` knows, in the order in which it is done. `NAME=VALUE` draws from the strength
that changes nothing to VALUE, both ways where there are two; `NAME=LOW..HIGH` draws from a range;
a bare NAME is the default. `WxH` gives width and height apart; a number alone is for both.
Presets are `light`, `medium`, `heavy`, and `all`: each distortion at its default.

| name | of each | what | unit | limits | default | draws from |
|---|---|---|---|---|---|---|
"""


def write_markdown(commands: list[Command], distortions: list[Distortion]) -> str:
    """Write the reference as a page."""
    contents = [f"- [`{c.name}`](#{c.name.replace(' ', '-')}): {c.text[0]}" for c in commands[1:]]
    contents.append("- [Distortions](#distortions): their units, limits and defaults.")
    sections = [_write_section(command) for command in commands]
    table = DISTORTIONS + "".join(map(_write_distortion, distortions))
    return "\n".join([HEAD, *contents, "", *sections, table])


def _write_section(command: Command) -> str:
    lines = [f"## {command.name}", "", "```text", command.usage, "```", ""]
    for paragraph in command.text:
        lines += [_escape_markdown(paragraph), ""]
    for panel, parameters in command.panels():
        lines += [f"**{panel}**", "", "| name | value | what | default |", "|---|---|---|---|"]
        lines += [_write_row(parameter) for parameter in parameters]
        lines.append("")
    lines += ["**Examples**", ""] if command.examples else []
    for example in command.examples:
        lines += [_escape_markdown(example.text), ""] if example.text else []
        lines += ["```sh", example.line, "```", ""]
    return "\n".join(lines)


def _write_row(parameter: Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.names)
    value = f"`{parameter.value}`".replace("|", r"\|") if parameter.value else ""
    variable = f" Environment variable: `{parameter.variable}`." if parameter.variable else ""
    text, default = map(_escape_markdown, (parameter.text, parameter.default))
    return f"| {names} | {value} | {text}{variable} | {default} |"


def _write_distortion(one: Distortion) -> str:
    cells = [f"`{one.name}`", one.subject, one.summary, one.unit, one.limits]
    return f"| {' | '.join(cells)} | `{one.default}` | `{one.range}` |\n"


def _escape_markdown(text: str) -> str:
    escaped = re.sub(r"([|<*_\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w-])--[a-z][a-z-]+", r"`\g<0>`", escaped)


def write_patterns(_commands: list[Command], _distortions: list[Distortion]) -> str:
    """Write the page of patterns: what stands there by hand, and a row for each preset."""
    page = (Path(__file__).parent / "patterns.md").read_text(encoding="utf-8")
    head, table = "| name | example |", "|---|---|---|---|---|\n"
    rows = [
        f"| `{name}` | `{example}` | {numbers} | {about} | {load_presets()[name].source} |\n"
        for name, example, numbers, about in find_patterns()
    ]
    before, _, _ = page.partition(head)
    return f"{before}{head} numbers | what | source |\n{table}{''.join(rows)}"


PAGES = {
    "commands.md": write_markdown,
    "mnistseq.1": write_man_page,
    "patterns.md": write_patterns,
}


def main(folder: Path) -> None:
    """Write the pages."""
    commands, distortions = read_program(), read_distortions()
    for name, write in PAGES.items():
        (folder / name).write_text(write(commands, distortions), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
