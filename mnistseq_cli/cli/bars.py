"""Bars that show how far work is; nothing of them is seen where stderr is no terminal."""

from __future__ import annotations

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mnistseq_cli.cli.console import get_console


class Bars(Progress):
    """A line for each task: what it is, a bar, some columns, and the time left."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=get_console(),
            disable=not get_console().is_terminal,
        )

    def stop(self) -> None:
        """Stop; older versions of Rich would end what is not shown with an empty line."""
        if not self.disable:
            super().stop()


def count_things() -> Bars:
    """Make bars for things that are counted; tasks have a field `figures` for what else to say."""
    return Bars(MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))


def count_bytes() -> Bars:
    """Make bars for bytes that come."""
    return Bars(DownloadColumn(), TransferSpeedColumn())
