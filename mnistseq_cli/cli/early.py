"""What can be refused early: before anything is downloaded or made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mnistseq_cli.errors import TextError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.recipe import Recipe


def check_characters(recipe: Recipe) -> None:
    """Refuse a text that the data set cannot write, if it is one of the catalogue.

    Raises
    ------
    TextError
        A character is not in its alphabet.
    """
    from mnistseq_cli.glyphs.catalog import DATASETS, DIGITS, DRAWN, MNIST
    from mnistseq_cli.glyphs.load import AUTO

    name = MNIST.name if recipe.dataset == AUTO else recipe.dataset
    if name not in DATASETS and name not in DRAWN:
        return
    alphabet = DATASETS[name].alphabet if name in DATASETS else DIGITS
    text = "".join(recipe.texts or (recipe.digits or "",))
    if strangers := set(text) - set(alphabet):
        first = min(strangers, key=text.index)
        raise TextError(f"{first!r} is not in the alphabet of {name}; allowed: {alphabet}")


def check_glyphs(recipe: Recipe, said: str) -> None:
    """Refuse a choice of glyphs that splits would take no notice of.

    Raises
    ------
    UsageError
        There are splits, and not all glyphs are chosen.
    """
    if recipe.splits and said != "all":
        raise UsageError(
            f"--glyphs is {said!r}, which does not go with --splits: the split test is written "
            "with the test glyphs, the others with training glyphs",
            "Leave --glyphs out",
        )


def check_ending(path: Path, option: str) -> None:
    """Refuse the name of an image whose ending names no format that can be written.

    Raises
    ------
    UsageError
        There is no ending, or it is that of another format.
    """
    from mnistseq_cli.formats import IMAGE_FORMATS
    from mnistseq_cli.formats.encoders import open_encoder

    try:
        open_encoder(path.suffix.removeprefix(".").lower())
    except UsageError as error:
        endings = ", ".join(f".{name}" for name in IMAGE_FORMATS)
        raise UsageError(
            f"{option} is {str(path)!r}; the ending names the format, and allowed are {endings}",
            f"For example: {option} {suggest_name(path, option.strip('-') + '.png')}",
        ) from error


def suggest_name(path: Path, name: str) -> Path:
    """Give a path its right ending, or put a name behind it where it can only be a folder."""
    if path.name in {"", ".."}:
        return path / name
    return path.with_suffix(name[name.index(".") :])


def check_outside(path: Path, option: str, folder: Path) -> None:
    """Refuse a file inside the folder of a dataset, where `verify` would find it to be extra.

    Raises
    ------
    UsageError
        It is inside.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        beside = os.path.normpath(folder / ".." / path.name)
        raise UsageError(
            f"{option} is {str(path)!r}, inside the dataset {folder}, which holds only its own "
            "files",
            f"Write it beside the dataset: {option} {beside}",
        )
