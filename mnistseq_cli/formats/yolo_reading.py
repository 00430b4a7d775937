"""Labels of YOLO read back: a text file for each image, and the names of classes."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.reading import name_damage, read_file
from mnistseq_cli.formats.rows import Row
from mnistseq_cli.formats.values import BOX_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_ROUNDING = 2e-6  # of shares with six decimals
_MOST_OVER = 0.01  # that a share may be under 0 or over 1, as other programs round


def read_yolo(path: Path) -> Iterator[Row]:
    """Read the files in a folder ``labels``; their images lie in ``images``, with the same name.

    Raises
    ------
    OutputError
        The labels of an image are missing or damaged.
    """
    folder = path.parent
    names = _read_class_names(folder / "data.yaml") or _read_class_names(
        folder.parent / "data.yaml"
    )
    for image in _walk(folder / "images"):
        label = path / image.relative_to(folder / "images").with_suffix(".txt")
        with name_damage(label):
            classes, shares = _parse_labels(read_file(label).decode("utf-8-sig"))
            left = shares[:, 0] - shares[:, 2] / 2
            order = np.arange(len(left))
            if (np.diff(left) < -_ROUNDING).any():  # digits that overlap may begin in one place
                order = np.argsort(left, kind="stable")
            text = "".join(_spell(classes[place], names) for place in order)
            row = Row(image.relative_to(folder).as_posix(), text, shares=shares[order])
        yield row


def _parse_labels(text: str) -> tuple[list[str], NDArray[np.float64]]:
    """Give the class of each box, and its shares of the image."""
    lines = [line for line in map(str.split, text.splitlines()) if line]
    for place, (_, *box) in enumerate(lines, 1):
        if len(box) != BOX_NUMBERS or not all(map(_is_share, box)):
            raise ValueError(
                f"box {place} is {reprlib.repr(box)}; needed are x, y, width and height, "
                "as shares from 0 to 1"
            )
    shares = np.array([box for _, *box in lines], np.float64).reshape(-1, BOX_NUMBERS)
    return [line[0] for line in lines], shares


def _is_share(text: str) -> bool:
    try:
        return -_MOST_OVER <= float(text) <= 1 + _MOST_OVER
    except ValueError:
        return False


def _spell(number: str, names: dict[str, str]) -> str:
    if names and number not in names:
        raise ValueError(f"class {number!r:.80} is not among the names in data.yaml")
    return names.get(number, number)


def _read_class_names(path: Path) -> dict[str, str]:
    """Read the names of classes from a ``data.yaml``, as list or mapping; {} if it has none."""
    if not path.is_file():
        return {}
    with name_damage(path):
        _, is_there, text = f"\n{read_file(path).decode('utf-8-sig')}".partition("\nnames:")
        inline, *lines = text.splitlines() or [""]
        if inline.strip()[:1] in ("[", "{"):
            end = "]" if inline.strip()[0] == "[" else "}"
            entries = text.strip()[1:].partition(end)[0].split(",")
        else:
            block = [line for line in lines if line.strip() and line.strip()[0] != "#"]
            n_inside = next(
                (at for at, line in enumerate(block) if line[0] not in " -"), len(block)
            )
            entries = block[:n_inside]
        names = dict(_parse_name(entry, number) for number, entry in enumerate(entries))
        if is_there and not names:
            raise ValueError("names holds none; needed is a list, or a number and a name a line")
    return names


def _parse_name(entry: str, number: int) -> tuple[str, str]:
    """Give number and name of a class; in a list it is counted."""
    key, sign, name = entry.strip().removeprefix("- ").partition(": ")
    if not sign:
        key, name = str(number), key
    return key.strip("\"' "), name.strip().strip("\"'")


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Give the files of a folder and of those in it, in the order of their names."""
    real = folder.resolve()
    if real in above:
        raise ValueError(f"{folder} leads back to {real}")
    for path in sorted(folder.iterdir()):
        if path.name[0] == ".":
            continue
        if path.is_dir():
            yield from _walk(path, (*above, real))
        else:
            yield path
