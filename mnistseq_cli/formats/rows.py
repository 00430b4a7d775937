"""What a label file, or a record beside an image, says of an image."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.formats.reading import Seen
from mnistseq_cli.formats.values import (
    BOX_NUMBERS,
    check_boxes,
    check_name,
    check_text,
    find_numbers,
    find_object,
    find_text,
    flatten_boxes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


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

    def see(self, split: str, image: NDArray[np.uint8]) -> Seen:
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
        return Seen(self.name, split, image, self.text, boxes, self.gaps, self.glyphs)


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
