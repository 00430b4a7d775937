"""What is known of each sample beside its image: one table, from which every container writes.

A new field is an entry of `FIELDS`; for what is read back it names an attribute of `LoadedSample`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from mnistseq_cli.compose.samples import Block, Marks
from mnistseq_cli.pixels import Array, Ints, Pixels

MARK = "mark"  # the class of what is written but not read


class Values(NamedTuple):
    """A field of all samples of a block, one after the other."""

    flat: Array
    counts: Ints  # how many each sample has


@dataclass(frozen=True)
class Field:
    """Something that is known of a sample, of its digits or its gaps."""

    # One string or none, lists of strings or numbers, lists of x, y, width and height in pixels.
    kind: Literal["text", "texts", "numbers", "boxes"]
    find: Callable[[Block], Values | None]  # None where nothing is known
    aspect: str = ""  # the attribute of `LoadedSample` that it is read back into, if any


def _of_digits(name: str) -> Callable[[Block], Values | None]:
    """Return a function that finds what an attribute, shape (N, n, …), has of each digit."""

    def find(block: Block) -> Values | None:
        values = getattr(block, name)
        if values is None:
            return None
        places = np.arange(values.shape[1])
        if block.lengths.min() == len(places):
            return Values(values.reshape(-1, *values.shape[2:]), block.lengths)
        return Values(values[places < block.lengths[:, None]], block.lengths)

    return find


def _of_marks(find: Callable[[Marks], Array]) -> Callable[[Block], Values | None]:
    """Return a function that finds something of each mark, where there can be any."""
    return lambda block: Values(find(block.marks), block.marks.lengths) if block.marks else None


def _find_gaps(block: Block) -> Values:
    places, n_written = np.arange(block.gaps.shape[1]), block.n_written[:, None]
    is_gap = (places <= n_written) if block.edges else (places > 0) & (places < n_written)
    return Values(block.gaps[is_gap], is_gap.sum(axis=1))


def _find_writer(block: Block) -> Values | None:
    if block.writers is None or not block.one_writer:
        return None
    return Values(block.writers[:, 0], np.ones(len(block), np.int64))


def _find_written(block: Block) -> Values | None:
    return Values(block.written, np.ones_like(block.lengths)) if block.marks else None


# By the path in a record: what stands before a dot is an object. ``card.toml`` says what they are.
FIELDS: dict[str, Field] = {
    "text": Field("text", lambda block: Values(block.texts, np.ones_like(block.lengths))),
    "objects.bbox": Field("boxes", _of_digits("boxes"), "boxes"),
    "objects.category": Field("numbers", _of_digits("classes")),
    "glyphs": Field("numbers", _of_digits("glyphs"), "glyphs"),
    "writers": Field("texts", _of_digits("writers"), "writers"),
    "writer": Field("text", _find_writer),
    "gaps": Field("numbers", _find_gaps, "gaps"),
    "written": Field("text", _find_written, "written"),
    "marks.box": Field("boxes", _of_marks(lambda marks: marks.boxes), "mark_boxes"),
    "marks.character": Field("texts", _of_marks(lambda it: np.array([*it.characters], np.str_))),
}


def find_known(block: Block, names: Iterable[str] = FIELDS) -> dict[str, Values]:
    """Return the values of each field that is known; in all blocks of a dataset the same ones."""
    found = {name: FIELDS[name].find(block) for name in names}
    return {name: values for name, values in found.items() if values is not None}


def write_lines(block: Block, **names: Sequence[str]) -> bytes:
    """Write a line of JSON for each sample of a block: names, then the fields that are known.

    All samples are written at once, into a table of bytes in which what is shorter than others is
    filled with zeros; these are taken out at the end.
    """
    once = np.ones(len(block), np.int64)
    known = {name: Values(np.array(own, np.str_), once) for name, own in names.items()}
    known |= find_known(block)
    *literals, end = _lay_out(tuple(known))
    pieces: list[Pixels] = []
    for literal, (name, values) in zip(literals, known.items(), strict=True):
        kind = FIELDS[name].kind if name in FIELDS else "text"
        cells = _quote_all(values.flat) if values.flat.dtype.kind == "U" else _spell(values.flat)
        if kind == "boxes":
            cells = _enlist(cells, np.full(len(values.flat), 4))
        if kind != "text":
            cells = _enlist(cells, values.counts)
        pieces += [literal, cells]
    pieces.append(end)
    stops = np.cumsum([piece.shape[-1] for piece in pieces])
    table = np.empty((len(block), stops[-1]), np.uint8)
    for piece, stop in zip(pieces, stops.tolist(), strict=True):
        table[:, stop - piece.shape[-1] : stop] = piece
    return table.tobytes().translate(None, b"\0")


@lru_cache(maxsize=64)
def _lay_out(names: tuple[str, ...]) -> list[Pixels]:
    """Return what stands before, between and after the fields of a record."""
    record: dict[str, Any] = {}
    for name in names:
        above, _, key = name.rpartition(".")
        (record.setdefault(above, {}) if above else record)[key] = 0
    line = json.dumps(record).encode() + b"\n"
    return [np.frombuffer(one, np.uint8) for one in line.replace(b": 0", b": \0").split(b"\0")]


def _enlist(cells: Pixels, counts: Ints) -> Pixels:
    """Write cells, shape (M, width), as lists of so many."""
    width, longest = cells.shape[1], int(counts.max(initial=0))
    table = np.zeros((len(counts), longest * (width + 2) + 2), np.uint8)
    table[:, 0], table[:, -1] = b"[]"
    inside = table[:, 1:-1].reshape(len(counts), longest, width + 2)
    if len(cells) == len(counts) * longest:  # all as long: several times as fast
        inside[:, :, :width] = cells.reshape(len(counts), longest, width)
        inside[:, :-1, width:] = tuple(b", ")
    else:
        places = np.arange(longest)
        inside[places < counts[:, None], :width] = cells
        inside[places < counts[:, None] - 1, width:] = tuple(b", ")
    return table


def _spell(flat: Ints) -> Pixels:
    """Write whole numbers into cells, shape (M, width), filled with zeros."""
    numbers = flat.ravel().astype(np.int32)
    rest = np.abs(numbers)
    n_digits = len(str(rest.max(initial=0)))
    cells = np.zeros((1 + n_digits, len(rest)), np.uint8)
    cells[0, numbers < 0] = ord("-")
    for place in range(n_digits, 0, -1):
        higher = rest // 10
        cells[place] = ord("0") + rest - 10 * higher
        if place < n_digits:
            cells[place, rest == 0] = 0
        rest = higher
    return cells.T


def _quote_all(texts: Array) -> Pixels:
    """Write texts as JSON strings into cells, shape (M, width), filled with zeros."""
    flat = np.ascontiguousarray(texts).ravel()
    points = flat.view(np.uint32).reshape(len(flat), flat.itemsize // 4)
    is_plain = _IS_PLAIN[np.minimum(points, len(_IS_PLAIN) - 1)]
    if not is_plain.all():
        data = np.array([one.encode() for one in quote(flat.tolist())])
        return data.view(np.uint8).reshape(len(flat), -1)
    cells = np.full((len(flat), points.shape[1] + 2), ord('"'), np.uint8)
    cells[:, 1:-1] = points
    return cells


# Of each code point, whether it stands in JSON and UTF-8 as it is here; 0 fills texts.
_IS_PLAIN = np.array([not i or json.dumps(chr(i)) == f'"{chr(i)}"' for i in range(129)])


def quote(values: Sequence[str]) -> list[str]:
    """Write each value as a JSON string."""
    # A line feed stands inside no JSON string, so one call quotes all values.
    listed = json.dumps(values, ensure_ascii=False, separators=("\n", ":"))
    return listed[1:-1].split("\n")
