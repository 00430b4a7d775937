"""Label files read back: ours, and those of other programs."""

from __future__ import annotations

import csv
import json
import reprlib
from array import array
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from mnistseq_cli.files import naming_damage, read_file
from mnistseq_cli.formats.base import LoadedSample, name_line
from mnistseq_cli.formats.labels import EASYOCR_BLANK
from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

ValueT = TypeVar("ValueT", str, int, list[Any])

NAMES = (
    "file_name",
    "filename",
    "file",
    "image_path",
    "img_path",
    "image",
    "img",
    "path",
    "name",
)
TEXTS = ("text", "label", "labels", "words", "word", "transcription", "digits", "number", "value")
BOX_NUMBERS = 4
_NAME_LIMIT = 4096
_NUMBER_LIMIT = 2**31  # so that sums of them are right in 64 bits
_KINDS = {str: "a string", int: "a whole number", list: "a list"}


def find_object(record: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a file holds
    """Give what must be a JSON object.

    Raises
    ------
    ValueError
        It is none.
    """
    if not isinstance(record, dict):
        raise ValueError(f"it is no JSON object, but {reprlib.repr(record)}")  # noqa: TRY004 - of a file, not of a call
    return record


def find_name(record: dict[str, Any]) -> str:
    """Find the name of the image of a record, whatever it is called.

    Raises
    ------
    ValueError
        It has none.
    """
    for key in NAMES:
        if key in record:
            value = record[key]
            return value if type(value) is str else find_value(record, key, str, "it")
    raise ValueError(f"it has none of {', '.join(NAMES)}")


def find_text(record: dict[str, Any]) -> str:
    """Find the text of a record, whatever it is called; a whole number is its digits.

    Raises
    ------
    ValueError
        It has none.
    """
    for key in TEXTS:
        if key in record:
            value = record[key]
            if type(value) is str:  # a short way for most
                return value
            if type(value) is int and abs(value) < _NUMBER_LIMIT**2:
                return str(value)
            return find_value(record, key, str, "it")
    raise ValueError(f"it has none of {', '.join(TEXTS)}")


def find_value(record: Any, key: str, kind: type[ValueT], what: str) -> ValueT:  # noqa: ANN401 - whatever a file holds
    """Give a value of an object that must be of a type.

    Parameters
    ----------
    record : Any
    key : str
    kind : str, int or list
    what : str
        What the record is called in messages.

    Raises
    ------
    ValueError
        The record is no object, or lacks the value, or it is of another type.
    """
    if not isinstance(record, dict):
        raise ValueError(f"{what} is {reprlib.repr(record)}; needed is an object with {key}")  # noqa: TRY004 - as above
    value = record.get(key)
    if type(value) is not kind:
        found = f"is {reprlib.repr(value)}" if key in record else "is missing"
        raise ValueError(f"{key} of {what} {found}; needed is {_KINDS[kind]}")
    return value


def flatten_boxes(boxes: Any) -> list[int]:  # noqa: ANN401 - whatever a file holds
    """Give the numbers of boxes one after the other, rounded to whole pixels.

    Raises
    ------
    ValueError
        It is no list of boxes: lists of four numbers each.
    """
    if type(boxes) is not list:
        raise ValueError(f"bbox is {reprlib.repr(boxes)}; needed is a list of boxes")
    if {*map(type, boxes)} <= {list} and {*map(len, boxes)} <= {BOX_NUMBERS}:
        numbers = [*chain.from_iterable(boxes)]
        if _are_whole(numbers):
            return numbers
    for place, box in enumerate(boxes, 1):
        if not _is_box(box):
            raise ValueError(
                f"box {place} is {reprlib.repr(box)}; needed are x, y, width and height"
            )
    return [round(number) for box in boxes for number in box]


def check_boxes(boxes: NDArray[np.int64], shape: tuple[int, ...]) -> None:
    """Refuse boxes of less than no size, and those that lie outside of their image.

    Parameters
    ----------
    boxes : ndarray of int64, shape (digits, 4)
    shape : tuple of int
        Height and width of the image.

    Raises
    ------
    ValueError
        A box is wrong.
    """
    bottom, right = shape
    for x, y, width, height in boxes.tolist():
        if not (-width <= x <= right and -height <= y <= bottom and width >= 0 <= height):
            raise ValueError(
                f"the box {x}, {y}, {width}, {height} (x, y, width, height) is not in its image "
                f"of {right} x {bottom} px"
            )


def check_text(text: str) -> None:
    """Refuse a text that is no Unicode, or longer than any that this program writes.

    Raises
    ------
    ValueError
        It is.
    """
    if len(text) > LENGTH_LIMIT:
        raise ValueError(f"a text has {len(text):,} characters; allowed are {LENGTH_LIMIT:,}")
    if not text.isascii():
        text.encode()


def check_name(name: str) -> None:
    """Refuse a name that is no Unicode, or longer than any that is kept.

    Raises
    ------
    ValueError
        It is.
    """
    if len(name) > _NAME_LIMIT:
        raise ValueError(f"a name has {len(name):,} characters; allowed are {_NAME_LIMIT:,}")
    if not name.isascii():
        name.encode()


def find_numbers(record: dict[str, Any], key: str) -> NDArray[np.int64] | None:
    """Find whole numbers; None where there are none.

    Raises
    ------
    ValueError
        It is no list of whole numbers.
    """
    numbers = record.get(key)
    if numbers is None:
        return None
    if type(numbers) is list and _are_whole(numbers):
        return np.array(numbers, np.int64)
    raise ValueError(f"{key} is {reprlib.repr(numbers)}; needed is a list of whole numbers")


def _are_whole(numbers: list[Any]) -> bool:
    return {*map(type, numbers)} <= {int} and (
        not numbers or -_NUMBER_LIMIT < min(numbers) <= max(numbers) < _NUMBER_LIMIT
    )


def _is_box(box: Any) -> bool:  # noqa: ANN401 - whatever a file holds
    return (
        type(box) is list
        and len(box) == BOX_NUMBERS
        and {*map(type, box)} <= {int, float}
        and all(abs(number) < _NUMBER_LIMIT for number in box)  # NaN is not
    )


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

    Raises
    ------
    ValueError
        Name or text are no Unicode, or too long.
    """

    name: str
    text: str
    boxes: NDArray[np.int64] | None = None
    shares: NDArray[np.float64] | None = None
    gaps: NDArray[np.int64] | None = None
    glyphs: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        check_text(self.text)
        check_name(self.name)

    def see(self, split: str, image: NDArray[np.uint8]) -> LoadedSample:
        """Make a sample of the row and its image.

        Raises
        ------
        ValueError
            A box is not in the image.
        """
        boxes = self.boxes
        if boxes is None and self.shares is not None:
            boxes = _to_px(self.shares, image.shape[1], image.shape[0])
        if boxes is not None:
            check_boxes(boxes, image.shape)
        return LoadedSample(self.name, split, image, self.text, boxes, self.gaps, self.glyphs)


def make_row(name: str, record: Any) -> Row:  # noqa: ANN401 - whatever a file holds
    """Make a row of a record as `formats.records` writes it; all but the text may be missing.

    Raises
    ------
    ValueError
        It is no object, or something in it is of another type.
    """
    objects = find_object(record).get("objects") or {}
    if not isinstance(objects, dict):
        raise ValueError(f"objects is {reprlib.repr(objects)}; allowed is an object with bbox")  # noqa: TRY004 - of a file, not of a call
    boxes = objects.get("bbox")
    return Row(
        name=name,
        text=find_text(record),
        boxes=None
        if boxes is None
        else np.array(flatten_boxes(boxes), np.int64).reshape(-1, BOX_NUMBERS),
        gaps=find_numbers(record, "gaps"),
        glyphs=find_numbers(record, "glyphs"),
    )


def _to_px(shares: NDArray[np.float64], width_px: int, height_px: int) -> NDArray[np.int64]:
    """Turn shares of the image (middle and size) into boxes in pixels."""
    spans = shares[:, 2:] * (width_px, height_px)
    corners = shares[:, :2] * (width_px, height_px) - spans / 2
    boxes: NDArray[np.int64] = np.rint(np.concatenate([corners, spans], 1)).astype(np.int64)
    return boxes


_PAIR = 2


def read_pairs(
    path: Path, delimiter: str = ",", *, may_have_head: bool = True
) -> Iterator[tuple[str, str]]:
    """Read the name and the text of each image; a header is not needed.

    Parameters
    ----------
    path : Path
    delimiter : str
        What stands between columns.
    may_have_head : bool
        Whether the first line may be a header; if not, nothing is quoted either.

    Raises
    ------
    OutputError
        A line does not have both. The message gives its number.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(
            file,
            strict=True,
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if may_have_head else csv.QUOTE_NONE,
        )
        with name_line(path, lambda: rows.line_num, _describe(delimiter)):
            head = next(filter(None, rows), [])
            name_at, text_at, is_header = _find_columns(head, path, may_have_head=may_have_head)
            if not is_header:
                yield head[name_at], head[text_at]
            for row in rows:
                if row and len(row) <= max(name_at, text_at):
                    n_needed = max(name_at, text_at) + 1
                    raise ValueError(f"the row has {len(row)} of the {n_needed} values it needs")
                if row and row[name_at] != EASYOCR_BLANK:
                    yield row[name_at], row[text_at]


def _find_columns(head: list[str], path: Path, *, may_have_head: bool) -> tuple[int, int, bool]:
    """Find the columns of name and text by the first row, and whether that is a header."""
    columns = [column.strip().lower() for column in head]
    names = [columns.index(name) for name in NAMES if name in columns]
    texts = [columns.index(text) for text in TEXTS if text in columns]
    if names and texts and may_have_head:
        return names[0], texts[0], True
    line = ",".join(head)
    if len(head) < _PAIR:
        raise ValueError(f"{line!r:.80} is one value, not two" if head else "it is empty")
    if not may_have_head or _has_image(path.parent, head[0]):
        return 0, 1, False
    if names or (texts and "." not in head[0]):  # an image may be called a.png, its text "word"
        missing = "text" if names else "image"
        raise ValueError(f"the header {line!r:.80} has no column that is known for the {missing}")
    raise ValueError(
        f"{line!r:.80} is no header that is known, and there is no image {head[0]!r:.80}"
    )


def _has_image(folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder / "images" / name).is_file()


def _describe(delimiter: str) -> str:
    sign = "tab" if delimiter == "\t" else "comma"
    return (
        f"Needed are a column for the image ({', '.join(NAMES)}) and one for its text "
        f"({', '.join(TEXTS)}), with a {sign} between them."
    )


_CHUNK = 1 << 18  # characters
_VALUE_LIMIT = 1 << 24  # characters; a longer value is a damaged one
_SPACE = " \t\r\n"
_ENDS = _SPACE + ",:]}"


def read_items(path: Path) -> Iterator[tuple[str, Any]]:
    """Give each key of an object with its value; of an array with each item in turn.

    Raises
    ------
    ValueError
        The file is no JSON object.
    """
    with path.open(encoding="utf-8-sig") as file:
        stream = _Stream(file)
        stream.expect("{")
        while not stream.skip("}"):
            key = stream.take()
            stream.expect(":")
            if not stream.skip("["):
                yield key, stream.take()
            else:
                while not stream.skip("]"):
                    yield key, stream.take()
                    stream.skip(",")
            stream.skip(",")


class _Stream:
    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._at = "", 0

    def expect(self, sign: str) -> None:
        if not self.skip(sign):
            raise ValueError(f"{sign!r} is missing")

    def skip(self, sign: str) -> bool:
        """Go past a sign, if it is the next one."""
        self._skip_space()
        is_next = self._text.startswith(sign, self._at)
        self._at += is_next
        return is_next

    def take(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Give the next value."""
        self._skip_space()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                if len(self._text) - self._at > _VALUE_LIMIT or not self._read():
                    raise
            else:
                follows = self._text[end : end + 1]  # a number may go on
                if (follows and follows in _ENDS) or not self._read():
                    self._at = end
                    return value

    def _skip_space(self) -> None:
        while True:
            rest = self._text[self._at : self._at + 1]
            if rest and rest in _SPACE:
                self._at += 1
            elif rest or not self._read():
                return

    def _read(self) -> bool:
        """Read on; what is done with is let go."""
        more = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


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
        with naming_damage(label):
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
    with naming_damage(path):
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
    with naming_damage(path):
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
