"""JSON files that are larger than memory: an object whose arrays are read item by item."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
