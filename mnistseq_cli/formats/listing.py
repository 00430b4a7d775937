"""Label files read back: ours, and those of others that say the same.

`LISTINGS` names the files that are looked for, the first one first, those that this program writes
before others; each reader gives a `Row` for each image. Files are read as they come; only the
boxes of a COCO file are kept, 48 bytes each.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.csv_reading import read_pairs
from mnistseq_cli.formats.json_reading import read_items
from mnistseq_cli.formats.reading import name_damage, name_line
from mnistseq_cli.formats.rows import Row, make_row
from mnistseq_cli.formats.values import (
    find_name,
    find_object,
    find_text,
    find_value,
    flatten_boxes,
)
from mnistseq_cli.formats.yolo_reading import read_yolo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LISTINGS", "OWN_LISTINGS", "Row", "find_listing", "read_listing"]

_YOLO = "labels"  # a folder
_JSON_LINES_HINT = 'Needed in each line is an object such as {"file_name": "a.png", "text": "7"}.'


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


def _read_json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        number = 0
        with name_line(path, lambda: number, _JSON_LINES_HINT):
            for number, line in enumerate(file, 1):  # noqa: B007 - told where a line is wrong
                if line.strip():
                    record = find_object(json.loads(line))
                    yield make_row(find_name(record), record)


def _read_csv(path: Path) -> Iterator[Row]:
    for name, text in read_pairs(path):
        yield Row(name, text)


def _read_tabs(path: Path) -> Iterator[Row]:
    for name, text in read_pairs(path, "\t"):
        yield Row(name, text)


def _read_paddle(path: Path) -> Iterator[Row]:
    for name, text in read_pairs(path, "\t", may_have_head=False):
        yield Row(name, text)


def _read_json(path: Path) -> Iterator[Row]:
    boxes = array("q")
    names: dict[int, str] = {}
    is_coco = False
    for key, value in read_items(path):
        if key == "data_list":
            found = find_value(value, "instances", list, "an item of data_list")
            text = "".join(find_value(one, "text", str, "an instance") for one in found)
            yield Row(find_value(value, "img_path", str, "an item of data_list"), text)
        elif key == "categories":
            names[find_value(value, "id", int, "a category")] = find_value(
                value, "name", str, "a category"
            )
        elif key == "annotations":
            box = find_value(value, "bbox", list, "an annotation")
            image, category = (
                find_value(value, name, int, "an annotation")
                for name in ("image_id", "category_id")
            )
            boxes.extend((image, category, *flatten_boxes([box])))
        elif key == "images":
            is_coco = True
        elif isinstance(value, str) or key not in _OTHER_KEYS:
            text = value if isinstance(value, str) else find_text(find_object(value))
            yield Row(key, text)
    if is_coco:
        yield from _read_coco(path, names, np.array(boxes, np.int64).reshape(-1, 6))


def _read_coco(path: Path, names: dict[int, str], found: NDArray[np.int64]) -> Iterator[Row]:
    """Read the images of a COCO file, whose boxes are known: image, category, box."""
    found = found[np.lexsort((found[:, 2], found[:, 0]))]  # of each image from left to right
    unknown = set(np.unique(found[:, 1]).tolist()) - names.keys()
    if unknown:
        raise ValueError(f"it has annotations of category {min(unknown)}, and no such category")
    for key, image in read_items(path):
        if key == "images":
            number = find_value(image, "id", int, "an image")
            start, stop = np.searchsorted(found[:, 0], (number, number + 1))
            text = "".join(names[category] for category in found[start:stop, 1].tolist())
            name = find_value(image, "file_name", str, "an image")
            yield Row(name, text, found[start:stop, 2:])


_OTHER_KEYS = ("info", "licenses", "metainfo", "type")
_NOT_LABELS = ("dataset.json", "dataset_info.json", "recipe.toml", "texts.txt")
OWN_LISTINGS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "metadata.jsonl": _read_json_lines,
    "instances.json": _read_json,
    "labels.csv": _read_csv,
    "rec_gt.txt": _read_paddle,
    "easyocr/labels.csv": _read_csv,
    "textrecog.json": _read_json,
    "labels.json": _read_json,
    _YOLO: read_yolo,
}
LISTINGS = OWN_LISTINGS | {
    "*.jsonl": _read_json_lines,
    "*coco.json": _read_json,
    "*.csv": _read_csv,
    "*.tsv": _read_tabs,
    "*.json": _read_json,
}
