"""Values in files that others wrote: taken as they are meant, or refused."""

from __future__ import annotations

import reprlib
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mnistseq_cli.recipe import LENGTH_LIMIT

if TYPE_CHECKING:
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
