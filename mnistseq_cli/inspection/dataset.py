"""What lies in a folder: a dataset of ours, finished or not, or images and labels of others."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.manifest import DATASET_FILE, load_plan
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats import FORMATS, Output, find_format, open_format
from mnistseq_cli.formats.read_labels import LABEL_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample


@dataclass(frozen=True)
class Dataset:
    """A dataset that can be read.

    Parameters
    ----------
    folder : Path
    format_name : str
        A name of `mnistseq_cli.formats.FORMATS`.
    recipe : dict or None
        What it was made with, as plain values; None where that is not known.
    n_samples : int or None
        How many there are, or are meant to be; None where that is not known.
    is_finished : bool or None
        Whether the run that wrote it has ended; None where no run of this program wrote it.
    output : dict or None
        What decides its files, see `Output.to_dict`; None where that is not known.
    """

    folder: Path
    format_name: str
    recipe: dict[str, Any] | None = None
    n_samples: int | None = None
    is_finished: bool | None = None
    output: dict[str, Any] | None = None

    def read(self) -> Iterator[LoadedSample]:
        """Read its samples in order, split by split.

        Raises
        ------
        OutputError
            A file is missing or damaged.
        UsageError
            A library that the format needs is not installed.
        """
        return open_format(Output(folder=self.folder, to=self.format_name)).read(self.folder)


def open_dataset(folder: Path) -> Dataset:
    """Find out what lies in a folder.

    Raises
    ------
    OutputError
        There is no such folder, it may not be read, or it holds nothing that can be read.
    """
    if not folder.is_dir():
        what = "no folder, but a file" if folder.exists() else "not there"
        raise OutputError(f"{folder} is {what}; allowed is the folder of a dataset")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise OutputError(f"cannot read the folder {folder}: permission denied")
    plan = load_plan(folder)
    is_finished = None if plan is None else (folder / DATASET_FILE).exists()
    format_name = find_format(folder)
    if format_name is None:
        raise _explain_nothing(folder, is_finished=is_finished)
    if plan is None:
        return Dataset(folder, format_name)
    with naming_damage(f"what {folder} says of itself"):
        recipe, output = plan["recipe"], plan["output"]
        return Dataset(folder, output["to"], recipe, recipe["count"], is_finished, output)


def _explain_nothing(folder: Path, *, is_finished: bool | None) -> OutputError:
    if is_finished is False:
        return OutputError(
            f"{folder} is unfinished, and nothing in it can be read yet",
            "Run the command that began it again, with --resume.",
        )
    listings = [name for name in LABEL_FILES if re.fullmatch(r"[\w.*]+\.\w+", name)]
    return OutputError(
        f"{folder} holds nothing that can be read: no {', '.join(list(FORMATS)[1:])} and no "
        "images with a label file",
        f"Label files that are read: {', '.join(listings)}.",
    )
