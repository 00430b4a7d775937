"""What is known of each sample beside its image: one table, from which every container writes.

A new field is an entry of `FIELDS`; for what is read back it names an attribute of `LoadedSample`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnistseq_cli.compose.samples import Block, Marks
    from mnistseq_cli.pixels import Array, Ints

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
        is_digit = np.arange(values.shape[1]) < block.lengths[:, None]
        return Values(values[is_digit], block.lengths)

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


def find_known(block: Block) -> dict[str, Values]:
    """Return the values of each field that is known; in all blocks of a dataset the same ones."""
    found = {name: field.find(block) for name, field in FIELDS.items()}
    return {name: values for name, values in found.items() if values is not None}


def write_records(block: Block) -> list[str]:
    """Write a JSON object for each sample of a block, with the fields that are known."""
    known = find_known(block)
    counts = np.stack([values.counts for values in known.values()], axis=1)
    streams = [iter(_spell(values.flat)) for values in known.values()]
    sizes = counts * [int(values.flat[:1].size) or 1 for values in known.values()]
    names = tuple(known)
    return [
        _template(names, tuple(each)) % tuple(chain.from_iterable(map(islice, streams, size)))
        for each, size in zip(counts.tolist(), sizes.tolist(), strict=True)
    ]


def quote(values: Sequence[str]) -> list[str]:
    """Write each value as a JSON string."""
    # A line feed stands inside no JSON string, so one call quotes all values.
    listed = json.dumps(values, ensure_ascii=False, separators=("\n", ":"))
    return listed[1:-1].split("\n")


def _spell(flat: Array) -> Sequence[Any]:
    listed: list[Any] = flat.ravel().tolist()
    return quote(listed) if flat.dtype.kind == "U" else listed


@lru_cache(maxsize=2048)
def _template(names: tuple[str, ...], counts: tuple[int, ...]) -> str:
    """Return the record of a sample with so many values of each field, with %s for each."""
    record: dict[str, Any] = {}
    for name, n in zip(names, counts, strict=True):
        above, _, key = name.rpartition(".")
        kind = FIELDS[name].kind
        value = "%s" if kind == "text" else [["%s"] * 4 if kind == "boxes" else "%s"] * n
        if kind != "text" or n:
            (record.setdefault(above, {}) if above else record)[key] = value
    return json.dumps(record).replace('"%s"', "%s")
