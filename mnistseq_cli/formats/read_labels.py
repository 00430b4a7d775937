"""Label files read back: ours, and those of other programs."""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from itertools import chain, product
from pathlib import Path
from reprlib import repr as shorten
from typing import Any, TextIO, TypeVar

import numpy as np

from mnistseq_cli.files import is_store, naming_damage, open_text, read_file
from mnistseq_cli.formats import tables
from mnistseq_cli.formats.base import FIRST_SPLITS, LoadedSample, Wanted, rank_split
from mnistseq_cli.formats.fields import FIELDS, MARK
from mnistseq_cli.formats.images import IMAGE_ENDINGS
from mnistseq_cli.formats.labels import EASYOCR_BLANK
from mnistseq_cli.formats.tables import NAME_KEYS, TEXT_KEYS, check_text
from mnistseq_cli.pixels import Floats, Instances, Ints, Pixels

ValueT = TypeVar("ValueT", str, int, list[Any], dict[str, Any])

BOX_NUMBERS = 4
_NAME_LIMIT = 4096  # characters; longer than any path that a system takes
_NUMBER_LIMIT = 2**31  # so that sums of them are right in 64 bits
_TYPES = {str: "a string", int: "a whole number", list: "a list", dict: "an object"}


@dataclass
class LabelRow:
    """What a label file says of an image."""

    name: str
    text: str
    known: dict[str, Any] = field(default_factory=dict)  # attributes of `LoadedSample`
    # Of each box x and y of the middle, width and height, as shares of the image's.
    shares: Floats | None = None
    mask_name: str = ""  # of the file with its mask

    def __post_init__(self) -> None:
        check_text(self.text)
        check_text(self.name, "name", _NAME_LIMIT)

    def with_image(self, split: str, image: Pixels, mask: Instances | None = None) -> LoadedSample:
        """Return the sample of the row, its image and its mask."""
        known = self.known
        if mask is not None and mask.shape != image.shape:
            raise ValueError(f"its mask has the shape {mask.shape}, its image {image.shape}")
        if self.shares is not None:
            size_px = image.shape[::-1]
            spans = self.shares[:, 2:] * size_px
            corners = self.shares[:, :2] * size_px - spans / 2
            boxes = np.rint(np.concatenate([corners, spans], 1)).astype(np.int64)
            known = known | {"boxes": boxes}
        if "boxes" in known:
            check_boxes(known["boxes"], image.shape)
        return LoadedSample(self.name, split, image, self.text, mask=mask, **known)


def check_boxes(boxes: Ints, shape: tuple[int, ...]) -> None:
    """Raise ValueError for a box of negative size, or outside an image of (height, width)."""
    bottom, right = shape
    for x, y, width, height in boxes.tolist():
        if not (-width <= x <= right and -height <= y <= bottom and width >= 0 <= height):
            raise ValueError(
                f"the box {x}, {y}, {width}, {height} (x, y, width, height) is not in its image "
                f"of {right} x {bottom} px"
            )


# Records: what a line of JSON, a row of Parquet or a file of a shard says of an image.


def row_from_record(record: Any, name: str | None = None) -> LabelRow:  # noqa: ANN401 - whatever a file holds
    """Return the row of a record of `FIELDS`, whatever name and text are called."""
    record = _expect(record, "it", dict)
    known = {}
    for above, key, parse, aspect in _READ:
        inside = record
        if above and not (inside := record.get(above)):
            continue
        value = (inside if inside is record else _expect(inside, above, dict)).get(key)
        if value is not None:
            known[aspect] = parse(value, key)
    name = _first_of(record, NAME_KEYS) if name is None else name
    mask_name = _expect(record.get("mask_file_name") or "", "mask_file_name", str)
    return LabelRow(name, _first_of(record, TEXT_KEYS), known, mask_name=mask_name)


def _first_of(record: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Return the value of the first key that is there; a whole number is its digits."""
    for key in keys:
        if key in record:
            value = record[key]
            if keys is TEXT_KEYS and type(value) is int and abs(value) < _NUMBER_LIMIT**2:
                return str(value)
            return _expect(value, key, str)
    raise ValueError(f"it has none of {', '.join(keys)}")


def _expect(value: Any, name: str, kind: type[ValueT]) -> ValueT:  # noqa: ANN401 - as above
    if type(value) is not kind:
        raise ValueError(f"{name} is {shorten(value)}; expected {_TYPES[kind]}")
    return value


def _value(record: Any, key: str, kind: type[ValueT], name: str) -> ValueT:  # noqa: ANN401 - as above
    """Return a value of an object, which must be of a type."""
    return _expect(_expect(record, name, dict).get(key), f"{key} of {name}", kind)


def _parse_boxes(boxes: Any, key: str = "bbox") -> Ints:  # noqa: ANN401 - as above
    """Return boxes, rounded to whole pixels."""
    is_shaped = {*map(type, _expect(boxes, key, list))} <= {list}
    is_shaped = is_shaped and {*map(len, boxes)} <= {BOX_NUMBERS}
    numbers = [*chain.from_iterable(boxes)] if is_shaped else []
    if is_shaped and _holds_only(numbers, int):
        return np.array(numbers, np.int64).reshape(-1, BOX_NUMBERS)
    if not is_shaped or not _holds_only(numbers, int, float):
        for place, box in enumerate(boxes, 1):
            if not _holds_only(box, int, float) or len(box) != BOX_NUMBERS:
                raise ValueError(f"box {place} is {shorten(box)}; expected x, y, width and height")
    return np.rint(np.array(numbers, np.float64)).astype(np.int64).reshape(-1, BOX_NUMBERS)


def _parse_list(values: Any, key: str, kind: type, what: str) -> Any:  # noqa: ANN401 - as above
    if not _holds_only(values, kind):
        raise ValueError(f"{key} is {shorten(values)}; expected a list of {what}")
    return np.array(values, np.int64) if kind is int else tuple(values)


def _holds_only(values: Any, *types: type) -> bool:  # noqa: ANN401 - as above
    """Whether it is a list of values of some types, numbers not too large."""
    if type(values) is not list or not (kinds := {*map(type, values)}) <= {*types}:
        return False
    if kinds == {int}:
        return bool(-_NUMBER_LIMIT < min(values) <= max(values) < _NUMBER_LIMIT)
    return float not in kinds or all(abs(it) < _NUMBER_LIMIT for it in values)  # no NaN


_PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "numbers": partial(_parse_list, kind=int, what="whole numbers"),
    "boxes": _parse_boxes,
    "texts": partial(_parse_list, kind=str, what="strings"),
    "text": partial(_expect, kind=str),
}
_READ = [  # what stands before the dot, the key, how it is read, and what it is called
    (*path.rpartition(".")[::2], _PARSERS[field.kind], field.aspect)
    for path, field in FIELDS.items()
    if field.aspect
]


# One function for each syntax.

_OWN_LINES = r'(?:\{"file_name": ".*+\n)*+'
_JSON_LINES_HINT = 'Expected in each line: an object such as {"file_name": "a.png", "text": "7"}.'


def _read_json_lines(path: Path, wanted: Wanted) -> Iterator[LabelRow]:
    with open_text(path) as file:
        number = 0
        with tables.naming_line(path, lambda: number, _JSON_LINES_HINT):
            lines = tables.read_lines(file, _OWN_LINES, wanted)
            for number, line in enumerate(lines, 1):  # noqa: B007 - told where a line is wrong
                if line.strip() and ((name := _peek_name(line)) is None or wanted(name)):
                    row = row_from_record(json.loads(line))
                    if name == row.name or wanted(row.name):  # asked once of each name
                        yield row


def _peek_name(line: str) -> str | None:
    """Return the name in a line as we write it, in a tenth of the time that parsing takes."""
    head = '{"file_name": "'
    name = line[len(head) : line.find('"', len(head))]
    return name if line.startswith(head) and "\\" not in name else None


def _read_table(path: Path, wanted: Wanted) -> Iterator[LabelRow]:
    finder = ImageFinder(path.parent, path)

    def is_image(name: str) -> bool:
        with suppress(ValueError):  # of a name that leads elsewhere
            return finder.find(name) is not None
        return False

    for _, name, text in tables.read_table(path, is_image=is_image, wanted=wanted):
        if name != EASYOCR_BLANK and wanted(name):
            yield LabelRow(name, text)


def _read_json(path: Path, wanted: Wanted) -> Iterator[LabelRow]:
    return (row for row in _read_any_json(path) if wanted(row.name))


def _read_any_json(path: Path) -> Iterator[LabelRow]:
    """Read COCO, MMOCR, or an object of names with their texts."""
    boxes = array("q")
    names: dict[int, str] = {}
    is_coco = False
    for key, value in iterate_json(path):
        if key == "data_list":
            found = _value(value, "instances", list, "an item of data_list")
            text = "".join(_value(one, "text", str, "an instance") for one in found)
            yield LabelRow(_value(value, "img_path", str, "an item of data_list"), text)
        elif key == "categories":
            number = _value(value, "id", int, "a category")
            names[number] = _value(value, "name", str, "a category")
        elif key == "annotations":
            (box,) = _parse_boxes([_value(value, "bbox", list, "an annotation")]).tolist()
            for name in ("image_id", "category_id"):
                boxes.append(_value(value, name, int, "an annotation"))
            boxes.extend(box)
        elif key == "images":
            is_coco = True
        elif isinstance(value, str):
            yield LabelRow(key, value)
        elif key not in ("info", "licenses", "metainfo", "type"):
            yield row_from_record(value, key)
    if is_coco:
        yield from _read_coco(path, names, np.array(boxes, np.int64).reshape(-1, 6))


def _read_coco(path: Path, names: dict[int, str], found: Ints) -> Iterator[LabelRow]:
    """Read the images of a COCO file, whose boxes are known: image, category, box."""
    found = found[np.lexsort((found[:, 2], found[:, 0]))]  # of each image from left to right
    unknown = set(np.unique(found[:, 1]).tolist()) - names.keys()
    if unknown:
        raise ValueError(f"it has annotations of category {min(unknown)}, and no such category")
    for key, image in iterate_json(path):
        if key == "images":
            number = _value(image, "id", int, "an image")
            start, stop = np.searchsorted(found[:, 0], (number, number + 1))
            own = [names[category] for category in found[start:stop, 1].tolist()]
            is_mark = np.array([name == MARK for name in own], np.bool_)
            known = {"boxes": found[start:stop, 2:][~is_mark]}
            if is_mark.any():
                known["mark_boxes"] = found[start:stop, 2:][is_mark]
            text = "".join(name for name in own if name != MARK)
            yield LabelRow(_value(image, "file_name", str, "an image"), text, known)


_CHUNK = 1 << 18  # characters
_VALUE_LIMIT = 1 << 24  # characters; a longer value is a damaged one
_SPACE = re.compile(r"\s*")
_ENDS = tuple(" \t\r\n,:]}")  # what may follow a value


def iterate_json(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each key of a JSON object with its value; of an array with each item in turn."""
    # `json.load` would take 1 GB for the boxes of 200,000 images.
    with open_text(path) as file:
        stream = _JsonStream(file)
        stream.skip("{", is_needed=True)
        while not stream.skip("}"):
            key = stream.take()
            stream.skip(":", is_needed=True)
            if not stream.skip("["):
                yield key, stream.take()
            else:
                while not stream.skip("]"):
                    yield key, stream.take()
                    stream.skip(",")
            stream.skip(",")


class _JsonStream:
    """A JSON text of which only what is not parsed yet is held."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._at = "", 0

    def skip(self, sign: str, *, is_needed: bool = False) -> bool:
        """Go past space and a sign; whether it was the next one."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # matches always
            if self._at < len(self._text) or not self._read_on():
                break
        is_next = self._text.startswith(sign, self._at)
        if is_needed and not is_next:
            raise ValueError(f"{sign!r} is missing")
        self._at += len(sign) * is_next
        return is_next

    def take(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return the next value."""
        self.skip("")
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                if len(self._text) - self._at > _VALUE_LIMIT or not self._read_on():
                    raise
            else:
                # A number may go on.
                if self._text[end : end + 1] in _ENDS or not self._read_on():
                    self._at = end
                    return value

    def _read_on(self) -> bool:
        """Read more, and let go of what is done with; whether there was any."""
        more = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


_ROUNDING = 2e-6  # of shares with six decimals, as datasets of 0.1 have them
_MOST_OVER = 0.01  # that a share may be under 0 or over 1, as other programs round


def _read_yolo(path: Path, wanted: Wanted) -> Iterator[LabelRow]:
    """Read the files in a folder ``labels``; images of the same names lie in ``images``."""
    folder = path.parent
    above = (folder / "data.yaml", folder.parent / "data.yaml")
    names = next((read_class_names(file) for file in above if file.is_file()), {})
    for image in _walk(folder / "images", IMAGE_ENDINGS):
        name = image.relative_to(folder).as_posix()
        if wanted(name):
            label = path / image.relative_to(folder / "images").with_suffix(".txt")
            with naming_damage(label):
                row = _parse_yolo(name, read_file(label).decode("utf-8-sig"), names)
            yield row


def _parse_yolo(name: str, lines: str, names: dict[str, str]) -> LabelRow:
    """Return what the lines of a label file say: class, middle and size of each box."""
    boxes = [line.split() for line in lines.splitlines() if line.strip()]
    for place, (_, *box) in enumerate(boxes, 1):
        is_box = False
        with suppress(ValueError):
            is_box = all(-_MOST_OVER <= float(number) <= 1 + _MOST_OVER for number in box)
        if not is_box or len(box) != BOX_NUMBERS:
            raise ValueError(
                f"box {place} is {shorten(box)}; expected x, y, width and height, "
                "as shares from 0 to 1"
            )
    if names and (unknown := {number for number, *_ in boxes} - names.keys()):
        raise ValueError(f"class {min(unknown)!r:.80} is not among the names in data.yaml")
    boxes = [box for box in boxes if names.get(box[0]) != MARK]
    shares = np.array([box for _, *box in boxes], np.float64).reshape(-1, BOX_NUMBERS)
    left = shares[:, 0] - shares[:, 2] / 2
    order = np.arange(len(left))
    if (np.diff(left) < -_ROUNDING).any():  # digits that overlap may begin in one place
        order = np.argsort(left, kind="stable")
    text = "".join(names.get(boxes[place][0], boxes[place][0]) for place in order)
    return LabelRow(name, text, shares=shares[order])


_CLASS_NAMES = re.compile(
    r"^names:[ \t]*(\[[^]]*\]|\{[^}]*\}|(?:#.*)?(?:\n(?:[ \t#-].*)?)+)", re.MULTILINE
)
_CLASS_NAME = re.compile(r"""\s*(?:-\s+)?(?:['"]?(\d+)['"]?\s*:\s+)?(.*?)\s*""")


def read_class_names(path: Path) -> dict[str, str]:
    """Return names of classes by number, from forms of ``data.yaml`` that are in use; or {}."""
    with naming_damage(path):
        found = _CLASS_NAMES.search(read_file(path).decode("utf-8-sig") + "\n")
        if not found:
            return {}
        if found[1][0] in "[{":
            entries = found[1][1:-1].split(",")
        else:
            entries = [line for line in found[1].splitlines() if line.strip()[:1] not in ("", "#")]
        names: dict[str, str] = {}
        for match in filter(None, map(_CLASS_NAME.fullmatch, entries)):
            name = json.loads(match[2]) if match[2][:1] == '"' else match[2].strip("'")
            names[match[1] or str(len(names))] = name
        if not names:
            raise ValueError("names holds none; expected a list, or a number and a name a line")
    return names


def _read_voc(path: Path, wanted: Wanted) -> Iterator[LabelRow]:
    """Read the files in a folder ``Annotations``; images lie where they say, or as usual."""
    for file in _walk(path, frozenset((".xml",))):
        with naming_damage(file):
            folder, name, text, boxes = _parse_annotation(read_file(file))
            inside = f"{folder}/{name}"
            name = inside if os.path.lexists(path.parent / inside) else name
            row = LabelRow(name, text, {"boxes": _parse_boxes(boxes)})
        if wanted(row.name):
            yield row


def _parse_annotation(data: bytes) -> tuple[str, str, str, list[list[int]]]:
    """Return folder and name of the image, and its text and boxes from left to right."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - few need it

    class Builder(ET.TreeBuilder):
        """Takes no document types, whose entities could unpack to any size."""

        def doctype(self, *document_type: str | None) -> None:
            raise ValueError(f"it has a document type: {document_type!r:.80}")

    def find(inside: ET.Element, key: str) -> str:
        text = inside.findtext(key)
        if text is None:
            raise ValueError(f"{inside.tag} has no {key}")
        return text

    parser = ET.XMLParser(target=Builder())  # noqa: S314 - no entities, see there
    parser.feed(data)
    tree = parser.close()
    found = []
    for one in tree.iter("object"):
        corners = (find(one, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
        left, top, right, bottom = (round(float(corner)) for corner in corners)
        if (character := find(one, "name")) != MARK:
            found.append((character, [left - 1, top - 1, right - left + 1, bottom - top + 1]))
    found.sort(key=lambda pair: pair[1][0])
    text = "".join(character for character, _ in found)
    return tree.findtext("folder", ""), find(tree, "filename"), text, [box for _, box in found]


def _walk(folder: Path, endings: frozenset[str], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the files of a folder and of those in it, in the order of their names."""
    real = folder.resolve()
    if real in above:
        raise ValueError(f"{folder} leads back to {real}")
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name[0] != ".":
            yield from _walk(path, endings, (*above, real))
        elif path.suffix.lower() in endings and path.name[0] != ".":
            yield path


class ImageFinder:
    """Finds the images that a label file names: in its folder, and nowhere else.

    Names may have backslashes, begin with ``./``, leave ``images`` out, or be paths of the
    machine that the file comes from: then their last steps count.
    """

    def __init__(self, folder: Path, label_file: Path) -> None:
        self._folder = folder
        own = label_file.parent.relative_to(folder).as_posix()
        split = f"images/{find_split(label_file)}".rstrip("/")
        self._bases = [*dict.fromkeys((own, split, "images", ".", "JPEGImages"))]
        self._base: Path | None = None
        self._start = ""  # the same as text: a Path for each image would be slow

    def find(self, name: str) -> Path | str | None:
        """Return the path of an image; None if there is none."""
        if self._base is not None and not _IS_UNUSUAL.search(name):  # nearly all
            return self._start + name if self._start else self._base / name
        steps = [step for step in re.split(r"[\\/]", name) if step not in ("", ".")]
        is_absolute = bool(_IS_ABSOLUTE.match(name))
        starts = range(len(steps) if is_absolute else min(1, len(steps)))
        for start, base in product(starts, self._bases):
            inside = os.path.normpath(os.path.join(base, *steps[start:]))  # noqa: PTH118 - text
            path = self._folder / inside
            is_there = path.exists() if is_store(path) else os.path.lexists(path)
            if is_there and not inside.startswith(".."):
                if self._base is None and not is_absolute:
                    self._base = self._folder if base == "." else self._folder / base
                    self._start = "" if is_store(path) else f"{self._base}{os.sep}"
                return path
        if is_absolute or ".." in steps:
            raise ValueError(f"the image {name!r:.200} is not in {self._folder}")
        return None


_IS_ABSOLUTE = re.compile(r"[\\/]|[A-Za-z]:")
_IS_UNUSUAL = re.compile(r"\\|^\.|^/|^[A-Za-z]:|/\.")


# Which file of a folder is its label file.

_YOLO, _VOC = "labels", "Annotations"  # folders
OWN_LABEL_FILES: dict[str, Callable[[Path, Wanted], Iterator[LabelRow]]] = {
    "metadata.jsonl": _read_json_lines,
    "annotations/instances_*.json": _read_json,
    "instances.json": _read_json,  # of version 0.1
    "labels.csv": _read_table,
    "rec_gt.txt": _read_table,
    "easyocr/labels.csv": _read_table,
    "textrecog.json": _read_json,
    "labels.json": _read_json,
    _YOLO: _read_yolo,
    _VOC: _read_voc,
}
# What else is in use: the first that is there is read.
LABEL_FILES = OWN_LABEL_FILES | {
    "*.jsonl": _read_json_lines,
    "*coco.json": _read_json,
    "*.csv": _read_table,
    "*.tsv": _read_table,
    "*gt*.txt": _read_table,
    "*label*.txt": _read_table,
    "*annotation*.txt": _read_table,
    "*.json": _read_json,
}
_BY_SPLIT = ("annotations/instances_*.json", "*gt*.txt", "*label*.txt", "*annotation*.txt")
_NOT_LABELS = ("dataset.json", "dataset_info.json", "croissant.json", "recipe.toml", "texts.txt")


def find_label_file(folder: Path, *, own: bool = False) -> Path | None:
    """Return the label file of a folder of images, if any; `own` is for names given here only."""
    return next(iter(find_label_files(folder, own=own)), None)


def find_label_files(folder: Path, *, own: bool = False) -> list[Path]:
    """Return the label files of a folder of images; most have one, some one for each split."""
    names = sorted(path.name for path in folder.iterdir())
    for pattern in OWN_LABEL_FILES if own else LABEL_FILES:
        if "/" in pattern:
            paths = sorted(folder.glob(pattern))
        else:
            paths = [folder / name for name in names if fnmatch(name.lower(), pattern.lower())]
        is_folder = (pattern == _YOLO and (folder / "images").is_dir()) or pattern == _VOC
        found = [
            path
            for path in paths
            if path.name not in _NOT_LABELS and (path.is_dir() if is_folder else path.is_file())
        ]
        if found:
            by_split = sorted(found, key=lambda path: rank_split(find_split(path)))
            return by_split if pattern in _BY_SPLIT else found[:1]
    return []


def find_split(label_file: Path) -> str:
    """Return the split in the name of a label file, as of rec_gt_train.txt; "" without one."""
    words = re.findall(r"[a-z]+", label_file.stem.lower())
    return next((word for word in words if word in FIRST_SPLITS), "")


def read_labels(path: Path, wanted: Wanted | None = None) -> Iterator[LabelRow]:
    """Read a label file that `find_label_file` found, without rows of names not wanted."""
    name = path.name.lower()
    readers = {pattern.rpartition("/")[2].lower(): read for pattern, read in LABEL_FILES.items()}
    with naming_damage(path):
        read = next(read for pattern, read in readers.items() if fnmatch(name, pattern))
        yield from read(path, wanted or (lambda _: True))
