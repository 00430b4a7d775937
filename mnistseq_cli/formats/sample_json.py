"""What is known of each sample, as JSON."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnistseq_cli.compose.samples import Block


def write_records(block: Block) -> list[str]:
    """Write a JSON object for each sample of a block.

    It has ``text``, ``objects`` (``bbox``: x, y, width, height in pixels; ``category``:
    classes), ``glyphs`` (ids) and ``gaps`` (pixels).
    """
    numbers, ends = _flatten(block)
    rows = zip(block.lengths.tolist(), quote(block.texts.tolist()), [0, *ends], ends, strict=False)
    return [
        _template(length, edges=block.edges) % (text, *numbers[start:end])
        for length, text, start, end in rows
    ]


def find_values(block: Block) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which places of a block hold a digit, shape (N, n), and which a gap, (N, n + 1)."""
    places = np.arange(block.classes.shape[1] + 1)
    lengths = block.lengths[:, None]
    is_gap = (places <= lengths) if block.edges else (places > 0) & (places < lengths)
    return places[:-1] < lengths, is_gap


def find_boxes(block: Block) -> NDArray[np.int64]:
    """Return the boxes of all digits of a block, sample by sample, shape (digits, 4)."""
    is_digit, _ = find_values(block)
    boxes: NDArray[np.int64] = block.boxes[is_digit[:, : block.boxes.shape[1]]]
    return boxes


def quote(values: Sequence[str]) -> list[str]:
    """Write each value as a JSON string."""
    # A line feed stands inside no JSON string, so one call quotes all values.
    listed = json.dumps(values, ensure_ascii=False, separators=("\n", ":"))
    return listed[1:-1].split("\n")


def _flatten(block: Block) -> tuple[list[int], list[int]]:
    """Return the numbers of all records, and where those of each record end."""
    is_digit, is_gap = find_values(block)
    boxes = block.boxes.reshape(len(block), -1)
    numbers = np.concatenate([boxes, block.classes, block.glyphs, block.gaps], axis=1)
    is_edge = np.repeat(is_digit[:, : block.boxes.shape[1]], 4, axis=1)
    given = np.concatenate([is_edge, is_digit, is_digit, is_gap], axis=1)
    return numbers[given].tolist(), np.cumsum(given.sum(axis=1)).tolist()


@lru_cache(maxsize=2048)
def _template(length: int, *, edges: bool) -> str:
    """Return the record of a sample of so many digits, with %s for each value."""
    boxes = ", ".join(["[%s, %s, %s, %s]"] * length)
    each = ", ".join(["%s"] * length)
    gaps = ", ".join(["%s"] * (length + 1 if edges else length - 1))
    return (
        f'{{"text": %s, "objects": {{"bbox": [{boxes}], "category": [{each}]}}, '
        f'"glyphs": [{each}], "gaps": [{gaps}]}}'
    )
