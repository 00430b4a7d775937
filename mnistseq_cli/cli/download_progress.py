"""Bars for downloads: bytes, speed and time left of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mnistseq_cli.cli.console import say, warn
from mnistseq_cli.errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import TaskID

    from mnistseq_cli.cli.bars import Bars
    from mnistseq_cli.errors import GlyphError


class DownloadBars:
    """Shows a bar for each file while it is the context of a ``with`` statement.

    When the first file is in its place, it says where files are kept. No bar is shown where stderr
    is no terminal. Its methods are those of `mnistseq_cli.glyphs.fetch.Progress`.

    Parameters
    ----------
    data_dir : Path, optional
        Folder of the cache, see `mnistseq_cli.glyphs.cache.find_data_dir`.
    """

    def __init__(self, data_dir: Path | None = None) -> None:
        self._data_dir = data_dir
        self._has_said = False
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def start(self, name: str, total_bytes: int) -> None:
        """Begin with a file, or begin again at 0 after a failure."""
        if self._bars is None:
            from mnistseq_cli.cli.bars import count_bytes

            self._bars = count_bytes()
            self._bars.start()
        if name in self._tasks:
            self._bars.reset(self._tasks[name], total=total_bytes)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total_bytes)

    def advance(self, name: str, n_bytes: int) -> None:
        """Count bytes that have come."""
        if self._bars:
            self._bars.advance(self._tasks[name], n_bytes)

    def finish(self, name: str) -> None:
        """End: the bar stays, full."""
        self._say_where()
        if self._bars:
            self._bars.stop_task(self._tasks[name])

    def _say_where(self) -> None:
        if self._has_said:
            return
        from mnistseq_cli.glyphs.cache import find_data_dir

        self._has_said = True
        say(f"Glyphs are kept in {find_data_dir(self._data_dir)}; change it with --data-dir.")


def warn_of_pen(missed: list[GlyphError], unkept: list[GlyphError]) -> None:
    """Warn where digits come from the built-in pen in place of MNIST, or are not kept.

    Parameters
    ----------
    missed : list of GlyphError
        Why MNIST could not be had.
    unkept : list of GlyphError
        Why what the pen drew could not be kept.
    """
    for error in unkept[:1]:
        warn(
            "Glyphs cannot be kept, so that the built-in pen draws them anew each time: "
            f"{error.message}",
            error.hint,
        )
    for error in missed:
        if not (unkept and isinstance(error, CacheError)):
            hint = "" if unkept else error.hint  # it would bring files to where none can be kept
            warn(f"Digits come from the built-in pen, not from MNIST: {error.message}", hint)
