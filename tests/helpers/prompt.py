"""A shell at a pseudo-terminal: keys go in, what a person would see comes out."""

from __future__ import annotations

import os
import select
import shlex
import time
from typing import TYPE_CHECKING

import pyte

from tests.helpers.terminal import open_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, COLUMNS = 60, 160
PATIENCE_S = 30.0
PROMPT = "ready>"
ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-d", "-i"], "fish": ["-i"]}
CLEAR_LINE, CLEAR_SCREEN, TELL = "\x15", "\x0c", "\x14"
# Where a shell reads its settings, and settings that give it a short prompt and a key that tells
# the line, as the title of the window, when everything typed before has been dealt with.
SETTINGS = {
    "bash": (
        ".bashrc",
        rf"""
PS1='{PROMPT} '
tell() {{ printf '\e]2;line:%s\a' "$READLINE_LINE"; }}
bind -x '"\C-t": tell'
""",
    ),
    "zsh": (
        ".zshrc",
        rf"""
PS1='{PROMPT} '
tell() {{ printf '\e]2;line:%s\a' "$BUFFER" >$TTY }}
zle -N tell
bindkey -e
bindkey '^T' tell
""",
    ),
    "fish": (
        ".config/fish/config.fish",
        rf"""
set -g fish_greeting
function fish_title; end
function fish_prompt; echo '{PROMPT} '; end
function tell; printf '\e]2;line:%s\a' (commandline); end
bind \ct tell
""",
    ),
}


class Prompt:
    """One interactive shell, started in the folder `work` of a home that holds its settings."""

    def __init__(self, shell: str, home: Path, path: str) -> None:
        self.shell = shell
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        environment = {"HOME": str(home), "PATH": path, "TERM": "linux", "LANG": "C.UTF-8"}
        self._process, self._terminal = open_terminal(
            [shell, *ARGUMENTS[shell]],
            columns=COLUMNS,
            rows=ROWS,
            env=environment | {"MNISTSEQ_OFFLINE": "1"},
            cwd=home / "work",
        )
        if shell == "bash":  # it would read the settings of the machine as well
            self._send(f"source {shlex.quote(str(home / '.bashrc'))}\n")
        self.wait_for(lambda lines: PROMPT in lines)

    def close(self) -> None:
        """End the shell."""
        os.close(self._terminal)
        self._process.kill()
        self._process.wait()

    def type(self, keys: str) -> str:
        """Type on an empty line of an empty screen; give the line when all is done."""
        self._screen.set_title("")
        self._send(CLEAR_LINE + CLEAR_SCREEN + keys + TELL)
        self.wait_for(lambda _: self._screen.title.startswith("line:"))
        return self._screen.title.removeprefix("line:")

    def run(self, command: str, until: str) -> None:
        """Run a command, and wait until it has written something."""
        self._send(CLEAR_LINE + CLEAR_SCREEN + command + "\n")
        self.wait_for(lambda lines: until in " ".join(lines))

    def wait_for(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen shows something; give its lines."""
        deadline = time.monotonic() + PATIENCE_S
        while not seen(lines := [one.rstrip() for one in self._screen.display if one.strip()]):
            left_s = deadline - time.monotonic()
            if left_s < 0 or not select.select([self._terminal], [], [], left_s)[0]:
                raise AssertionError("\n".join(["the shell shows only:", *lines]))
            self._stream.feed(os.read(self._terminal, 65536))
        return lines

    def _send(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())
