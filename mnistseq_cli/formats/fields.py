"""What is known of each sample beside its image: one table, from which every container writes.

A new field is an entry of `FIELDS`; for what is read back it names an attribute of `LoadedSample`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from mnistseq_cli.compose.samples import Block, Marks
from mnistseq_cli.pixels import Array, Ints, Pixels, Words

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


# By the path in a record: what stands before a dot is an object. ``card.toml`` says what they are.
FIELDS: dict[str, Field] = {
    "text": Field("text", lambda block: Values(block.texts, np.ones_like(block.lengths))),
    "objects.bbox": Field("boxes", _of_digits("boxes"), "boxes"),
    "objects.category": Field("numbers", _of_digits("classes")),
    "glyphs": Field("numbers", _of_digits("glyphs"), "glyphs"),
    "writers": Field("texts", _of_digits("writers"), "writers"),
    "writer": Field("text", _find_writer),
    "gaps": Field("numbers", _find_gaps, "gaps"),
    "written": Field(
        "text", lambda it: Values(it.written, it.lengths**0) if it.marks else None, "written"
    ),
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
    pieces: list[Array] = []
    for literal, values in zip(literals, known.values(), strict=True):
        is_text, is_nested = values.flat.dtype.kind == "U", values.flat.ndim > 1
        cells = _quote_all(values.flat) if is_text else _spell(values.flat.ravel())
        if is_nested:  # boxes
            cells = cells.reshape(len(values.flat), values.flat.shape[1] * cells.shape[1])
            cells[:, 0] |= _BRACKETS
        ends = np.minimum(values.counts, is_nested)[:, None] * ord("]")
        pieces += [literal, _enlist(cells, values.counts), ends]
    pieces.append(end)
    stops = np.cumsum([piece.shape[-1] for piece in pieces])
    table = np.empty((len(block), stops[-1]), np.uint8)
    for piece, stop in zip(pieces, stops.tolist(), strict=True):
        table[:, stop - piece.shape[-1] : stop] = piece
    return table.tobytes().translate(None, b"\0")


@lru_cache(maxsize=64)
def _lay_out(names: tuple[str, ...]) -> list[Pixels]:
    """Return what stands before, between and after the values of a record."""
    record: dict[str, Any] = {}
    for name in names:
        above, _, key = name.rpartition(".")
        is_list = name in FIELDS and FIELDS[name].kind != "text"
        (record.setdefault(above, {}) if above else record)[key] = [0] if is_list else 0
    line = json.dumps(record).encode() + b"\n"
    line = line.replace(b": 0", b": \0").replace(b": [0]", b": [\0]")
    return [np.frombuffer(one, np.uint8) for one in line.split(b"\0")]


# A cell is words of eight bytes, filled with zeros: four are for what stands before the value, and
# the first one of a list lacks its comma.
_N_BEFORE, _GROUP = 4, 1000
_COMMA, _QUOTE, _BRACKETS, _BEFORE = np.array(
    [b"\0, \0", b'\0, "', b"]\0\0[", b"\xff\xff\xff"], "S8"
).view(np.uint64)


def _enlist(cells: Words, counts: Ints) -> Pixels:
    """Lay out cells, shape (M, words), in a row for each list of so many."""
    longest, n_words = int(counts.max(initial=0)), cells.shape[1]
    if len(cells) != len(counts) * longest:
        table = np.zeros((len(counts), longest, n_words), np.uint64)
        table[np.arange(longest) < counts[:, None]] = cells
        cells = table
    rows = cells.reshape(len(counts), longest * n_words)
    rows[:, :1] &= ~_BEFORE
    return rows.view(np.uint8)


def _spell(numbers: Ints) -> Words:
    """Write whole numbers into cells, three digits a word."""
    if numbers.min(initial=0) > -_GROUP and numbers.max(initial=0) < _GROUP:
        return _spell_all().take(numbers)[:, None]
    sizes = np.abs(numbers.astype(np.int64))
    higher = sizes // _GROUP
    lowest = np.where(higher > 0, sizes - _GROUP * (higher - 1), numbers)
    above = _spell(np.sign(numbers) * higher)
    above[higher == 0] = 0
    above[:, :1] |= _COMMA
    return np.hstack([above, (_spell_all().take(lowest) & ~_COMMA)[:, None]])


@cache
def _spell_all() -> Words:
    """Return the words of 0 to 999, 000 to 999, and -1000 to -1, which count from the end."""
    first, below = range(_GROUP), range(-_GROUP, 0)
    spelt = [*map(str, first), *map("{:03}".format, first), *map(str, below)]
    return np.array([f"\0, \0{one}" for one in spelt], "S8").view(np.uint64)


def _quote_all(texts: Array) -> Words:
    """Write texts as JSON strings into cells."""
    flat = np.ascontiguousarray(texts).ravel()
    points = flat.view(np.uint32).reshape(len(flat), flat.itemsize // 4)
    inside = points.astype(np.uint8)
    plain = inside.tobytes().translate(None, _ESCAPED)
    if points.max(initial=0) > ord("~") or len(plain) < inside.size:
        data = [one.encode()[1:-1] for one in quote(flat.tolist())]
        inside = np.array(data).view(np.uint8).reshape(len(flat), -1)
    end = _N_BEFORE + inside.shape[1]
    cells = np.zeros((len(flat), end // 8 + 1), np.uint64)
    cells[:, 0] = _QUOTE
    characters = cells.view(np.uint8)
    characters[:, _N_BEFORE:end] = inside
    characters[:, end] = ord('"')
    return cells


_ESCAPED = bytes([*range(1, ord(" ")), *b'"\\'])  # in JSON; 0 fills texts


def quote(values: Sequence[str]) -> list[str]:
    """Write each value as a JSON string."""
    # A line feed stands inside no JSON string, so one call quotes all values.
    listed = json.dumps(values, ensure_ascii=False, separators=("\n", ":"))
    return listed[1:-1].split("\n")
