"""Label files read back: ours, and those of others that say the same.

`LISTINGS` names the files that are looked for, the first one first, those that this program writes
before others; each reader gives a `Row` for each image. Files are read as they come; only the
boxes of a COCO file are kept, 48 bytes each.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.formats.csv_reading import NAMES, TEXTS, read_pairs
from mnistseq_cli.formats.json_reading import read_items
from mnistseq_cli.formats.reading import name_damage, name_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_BOX_NUMBERS = 4
_YOLO = "labels"  # a folder
_ROUNDING = 2e-6  # of shares with six decimals
_JSON_LINES_HINT = 'Needed in each line is an object such as {"file_name": "a.png", "text": "7"}.'


@dataclass(frozen=True)
class Row:
    """What a label file says of an image.

    Parameters
    ----------
    name : str
        Of the image, as the label file has it.
    text : str
    boxes : ndarray of int64, shape (digits, 4), or None
        x, y, width, height in pixels.
    shares : ndarray of float64, shape (digits, 4), or None
        x and y of the middle, width and height, as shares of the image's.
    gaps, glyphs : ndarray of int64, or None
    """

    name: str
    text: str
    boxes: NDArray[np.int64] | None = None
    shares: NDArray[np.float64] | None = None
    gaps: NDArray[np.int64] | None = None
    glyphs: NDArray[np.int64] | None = None


def find_listing(folder: Path, marks: Iterable[str] | None = None) -> Path | None:
    """Find the label file of a folder of images; None if there is none.

    Parameters
    ----------
    folder : Path
    marks : iterable of str, optional
        Keys of `LISTINGS`; by default all.
    """
    for mark in marks or LISTINGS:
        for path in sorted(folder.glob(mark)):
            if path.name in _NOT_LABELS:
                continue
            if path.is_file() or (mark == _YOLO and (folder / "images").is_dir()):
                return path
    return None


def read_listing(path: Path) -> Iterator[Row]:
    """Read a label file that `find_listing` found.

    Raises
    ------
    OutputError
        The file is damaged, or says nothing of images and texts.
    """
    read = next(read for mark, read in LISTINGS.items() if path.match(mark))
    with name_damage(path):
        yield from read(path)


def make_row(name: str, record: dict[str, Any]) -> Row:
    """Make a row of a record as `formats.records` writes it; all but the text may be missing."""
    objects = record.get("objects") or {}
    if not isinstance(objects, dict):
        raise TypeError(f"objects is {objects!r:.80}; allowed is an object with bbox")
    boxes = objects.get("bbox")
    if boxes is not None:
        _check_boxes(boxes)
    return Row(
        name=name,
        text=find_text(record),
        boxes=None if boxes is None else np.array(boxes, np.int64).reshape(-1, _BOX_NUMBERS),
        gaps=_to_array(record.get("gaps")),
        glyphs=_to_array(record.get("glyphs")),
    )


def find_text(record: dict[str, Any]) -> str:
    """Find the text of a record, whatever it is called.

    Raises
    ------
    ValueError
        It has none.
    """
    for key in TEXTS:
        if key in record:
            return str(record[key])
    raise ValueError(f"it has none of {', '.join(TEXTS)}")


def _read_json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        number = 0
        with name_line(path, lambda: number, _JSON_LINES_HINT):
            for number, line in enumerate(file, 1):  # noqa: B007 - told where a line is wrong
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise TypeError("it is no JSON object")
                    yield make_row(_find_name(record), record)


def _read_csv(path: Path) -> Iterator[Row]:
    for name, text in read_pairs(path):
        yield Row(name, text)


def _read_tabs(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            name, tab, text = line.rstrip("\r\n").partition("\t")
            if tab:
                yield Row(name, text)


def _read_json(path: Path) -> Iterator[Row]:
    boxes = array("q")
    names: dict[int, str] = {}
    is_coco = False
    for key, value in read_items(path):
        if key == "data_list":
            text = "".join(found["text"] for found in value["instances"])
            yield Row(value["img_path"], text)
        elif key == "categories":
            names[value["id"]] = value["name"]
        elif key == "annotations":
            _check_boxes([value["bbox"]])
            corner_and_size = (round(number) for number in value["bbox"])
            boxes.extend((value["image_id"], value["category_id"], *corner_and_size))
        elif key == "images":
            is_coco = True
        elif isinstance(value, str) or key not in _OTHER_KEYS:
            yield Row(key, value if isinstance(value, str) else find_text(value))
    if is_coco:
        yield from _read_coco(path, names, np.array(boxes, np.int64).reshape(-1, 6))


def _read_coco(path: Path, names: dict[int, str], found: NDArray[np.int64]) -> Iterator[Row]:
    """Read the images of a COCO file, whose boxes are known: image, category, box."""
    found = found[np.lexsort((found[:, 2], found[:, 0]))]  # of each image from left to right
    for key, image in read_items(path):
        if key == "images":
            start, stop = np.searchsorted(found[:, 0], (image["id"], image["id"] + 1))
            text = "".join(names[category] for category in found[start:stop, 1].tolist())
            yield Row(image["file_name"], text, found[start:stop, 2:])


def _read_yolo(path: Path) -> Iterator[Row]:
    """Read the files in ``labels``; their images lie in ``images``, with the same name."""
    folder = path.parent
    names = _read_class_names(folder / "data.yaml") or _read_class_names(
        folder.parent / "data.yaml"
    )
    for image in _walk(folder / "images"):
        label = path / image.relative_to(folder / "images").with_suffix(".txt")
        with name_damage(label):
            lines = [line.split() for line in label.read_text(encoding="utf-8").splitlines()]
            _check_boxes([line[1:] for line in lines])
            shares = np.array([line[1:] for line in lines], np.float64).reshape(-1, _BOX_NUMBERS)
        left = shares[:, 0] - shares[:, 2] / 2
        order = np.arange(len(left))
        if (np.diff(left) < -_ROUNDING).any():  # digits that overlap may begin in one place
            order = np.argsort(left, kind="stable")
        text = "".join(names.get(lines[place][0], lines[place][0]) for place in order)
        yield Row(image.relative_to(folder).as_posix(), text, shares=shares[order])


def _read_class_names(path: Path) -> dict[str, str]:
    """Read the names of classes from a ``data.yaml`` that has a line for each."""
    if not path.is_file():
        return {}
    _, _, lines = path.read_text(encoding="utf-8").partition("names:\n")
    pairs = [line.strip().partition(": ") for line in lines.splitlines() if line.startswith("  ")]
    return {number: name.strip("\"'") for number, _, name in pairs}


def _walk(folder: Path) -> Iterator[Path]:
    """Give the files of a folder and of those in it, in the order of their names."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _find_name(record: dict[str, Any]) -> str:
    for key in NAMES:
        if key in record:
            return str(record[key])
    raise ValueError(f"it has none of {', '.join(NAMES)}")


def _check_boxes(boxes: Iterable[Any]) -> None:
    for place, box in enumerate(boxes, 1):
        if not isinstance(box, Sized) or len(box) != _BOX_NUMBERS:
            raise ValueError(f"box {place} is {box!r:.80}; needed are x, y, width and height")


def _to_array(numbers: list[int] | None) -> NDArray[np.int64] | None:
    return None if numbers is None else np.array(numbers, np.int64)


_OTHER_KEYS = ("info", "licenses", "metainfo", "type")
_NOT_LABELS = ("dataset.json", "dataset_info.json", "recipe.toml", "texts.txt")
OWN_LISTINGS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "metadata.jsonl": _read_json_lines,
    "instances.json": _read_json,
    "labels.csv": _read_csv,
    "rec_gt.txt": _read_tabs,
    "easyocr/labels.csv": _read_csv,
    "textrecog.json": _read_json,
    "labels.json": _read_json,
    _YOLO: _read_yolo,
}
LISTINGS = OWN_LISTINGS | {
    "*.jsonl": _read_json_lines,
    "*coco.json": _read_json,
    "*.csv": _read_csv,
    "*.tsv": _read_tabs,
    "*.json": _read_json,
}
