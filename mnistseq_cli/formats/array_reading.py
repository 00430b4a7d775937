"""npy and npz files read back, a few rows at a time."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mnistseq_cli.formats.column_reading import open_npy, read_columns
from mnistseq_cli.formats.columns import COLUMNS
from mnistseq_cli.formats.reading import (
    check_regular,
    has_any,
    list_files,
    name_damage,
    rank_split,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.formats.reading import Seen

KERAS = {"images": "x", "labels": "y", "lengths": "lengths", "boxes": "boxes"}
_ENDING = ".npy"


def holds_npy(folder: Path) -> bool:
    """Tell whether a folder has ``images.npy``."""
    return has_any(folder, "images.npy")


def holds_npz(folder: Path) -> bool:
    """Tell whether a folder has an npz file."""
    return has_any(folder, "*.npz")


def read_npy(split: str, folder: Path) -> Iterator[Seen]:
    """Read the samples in ``images.npy`` and the files beside it."""
    with ExitStack() as stack:
        columns = {}
        for name in COLUMNS:
            path = folder / f"{name}{_ENDING}"
            if path.exists() or name in ("images", "labels"):
                with name_damage(path):
                    size_bytes = check_regular(path)
                    file = stack.enter_context(path.open("rb"))
                    columns[name] = open_npy(file, name, path, size_bytes, str(path))
        with name_damage(folder):
            yield from read_columns(split, columns)


def read_npz(split: str, folder: Path) -> Iterator[Seen]:
    """Read the samples in the npz files of a folder, ours or as those of Keras."""
    for path in list_files(folder, "*.npz"):
        with name_damage(path), zipfile.ZipFile(path) as archive:
            for name, members in _find_members(archive.namelist()):
                with ExitStack() as stack:
                    columns = {}
                    for column, member in members.items():
                        file = stack.enter_context(archive.open(member))
                        size_bytes = archive.getinfo(member).file_size
                        where = f"{member} in {path}"
                        columns[column] = open_npy(file, column, path, size_bytes, where)
                    yield from read_columns(split or name, columns)


def _find_members(names: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Give the splits of an archive, and the name of each column of theirs.

    Raises
    ------
    ValueError
        It has none.
    """
    if "images.npy" in names:
        return [("", {column: f"{column}.npy" for column in COLUMNS if f"{column}.npy" in names})]
    ends = [name.removeprefix("x_").removesuffix(_ENDING) for name in names if name[:2] == "x_"]
    found = []
    for split in sorted(ends, key=rank_split):
        members = {column: f"{key}_{split}{_ENDING}" for column, key in KERAS.items()}
        found.append((split, {key: member for key, member in members.items() if member in names}))
    if not found:
        raise ValueError(
            f"it holds {', '.join(names) or 'nothing'}; images or x_train is expected"
        )
    return found
