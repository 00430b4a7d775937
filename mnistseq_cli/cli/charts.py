"""Facts and bar charts in plain text: every bar stands beside its number."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ROWS = 20  # of a chart: neighbours are counted together
MOST_BAR = 40
LEAST_BAR = 6
LEAST_TEXT = 16
NAME_WIDTH = 12
INDENT = "  "
TOGETHER = "\N{NO-BREAK SPACE}"  # no line ends here; written as a plain space
FULL, HALF = "█", "▌"


@dataclass(frozen=True)
class Page:
    """What texts are laid out on.

    Parameters
    ----------
    width : int
        Characters in a line.
    is_unicode : bool
        Whether there are characters beyond ASCII.
    """

    width: int
    is_unicode: bool

    def show(self, text: str) -> str:
        """Give a text with what cannot be shown, or would control the terminal, spelt out."""
        shown = "".join(
            character
            if character.isprintable() or character == TOGETHER
            else ascii(character)[1:-1]
            for character in text
        )
        return shown if self.is_unicode else shown.encode("ascii", "replace").decode()

    def write_fact(self, name: str, text: str) -> list[str]:
        """Write a name and what is to be said of it, which goes on in its own column."""
        head = f"{INDENT}{name:<{NAME_WIDTH}}"
        return self._wrap(text, head, " " * len(head))

    def write_sentence(self, text: str) -> list[str]:
        """Write a sentence, indented."""
        return self._wrap(text, INDENT, INDENT)

    def write_chart(
        self, names: list[str], columns: Mapping[str, list[str]], values: list[float]
    ) -> list[str]:
        """Write a row for each name: its columns, and a bar as long as its value.

        Parameters
        ----------
        names : list of str
        columns : mapping of str to list of str
            Numbers to show, by what stands over them.
        values : list of float
            What bars show; they are left out where there is no room.
        """
        table = [
            ["", *map(self.show, names)],
            *([head, *cells] for head, cells in columns.items()),
        ]
        widths = [max(map(len, cells)) for cells in table]
        rows = [
            INDENT + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            for row in zip(*table, strict=True)
        ]
        room = min(MOST_BAR, self.width - max(map(len, rows)) - 3)
        bars = ["", *(self._draw_bar(value / (max(values) or 1), room) for value in values)]
        return [f"{row}  {bar}".rstrip() for row, bar in zip(rows, bars, strict=True)]

    def _draw_bar(self, share: float, room: int) -> str:
        if room < LEAST_BAR:
            return ""
        whole, half = divmod(round(2 * share * room), 2)
        return FULL * whole + HALF * half if self.is_unicode else "#" * round(share * room)

    def _wrap(self, text: str, first: str, following: str) -> list[str]:
        width = max(self.width - 1, len(following) + LEAST_TEXT)
        lines = textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
        )
        return [self.show(line.replace(TOGETHER, " ")) for line in lines]


def gather(counts: Mapping[int, float]) -> dict[str, float]:
    """Count neighbours together where there are too many for a chart; name them as ranges."""
    if not counts:
        return {}
    low, high = min(counts), max(counts)
    step = -(-(high - low + 1) // MOST_ROWS)
    gathered: dict[str, float] = {}
    for start in range(low, high + 1, step):
        stop = min(start + step, high + 1)
        name = str(start) if stop == start + 1 else f"{start} to {stop - 1}"
        gathered[name] = sum(counts.get(value, 0) for value in range(start, stop))
    return gathered
