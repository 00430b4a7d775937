"""Which sample of its recipe a sample that was read is, by its name alone.

So it does not matter in which order samples are read, nor whether some are missing.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnistseq_cli.bulk.splits import Split
    from mnistseq_cli.formats.reading import Seen

_FILE = re.compile(r"(?P<index>\d+)\.\w+")
_KEY = re.compile(r"(?:.*/)?image-(?P<index>\d+)")
_ROW = re.compile(r"(?:.*/)?(?P<index>\d+)")
_Pattern: TypeAlias = "tuple[re.Pattern[str], int]"
# What names look like where they begin anew in each split, and with which number.
_ANEW: dict[str, _Pattern] = dict.fromkeys(("hdf5", "npz", "npy", "idx"), (_ROW, 0))
_ANEW["lmdb"] = (_KEY, 1)


class Numbering:
    """Finds the index of a sample.

    Parameters
    ----------
    output : dict
        What decides the files, see `Output.to_dict`.
    splits : iterable of Split
    """

    def __init__(self, output: dict[str, Any], splits: Iterable[Split]) -> None:
        self._splits = {split.name: split for split in splits}
        self._is_anew = output["to"] in _ANEW
        self._pattern, self._first = _ANEW.get(output["to"], (_FILE, 0))
        if output["to"] == "folder":
            self._pattern = _read_template(output["name"], output["image_format"])

    def find(self, seen: Seen) -> int | None:
        """Give the index; None where the name is none that the recipe gives to its split."""
        match, split = self._pattern.fullmatch(seen.name), self._splits.get(seen.split)
        if match is None or split is None:
            return None
        index = int(match["index"])
        if self._is_anew:
            index += split.start - self._first
        return index if split.start <= index < split.stop else None


def name_with_split(seen: Seen) -> str:
    """Give the name of a sample after its split and a ``/``, where there are splits."""
    prefix = f"{seen.split}/" if seen.split else ""
    return prefix + seen.name.removeprefix(prefix)


def _read_template(template: str, ending: str) -> re.Pattern[str]:
    """Give what names of a template look like; see `mnistseq_cli.formats.names`.

    Texts hold no ``/``, and two fields stand apart. Label files may put a path before a name.
    """
    pieces = [r"(?:\.\./)*"]
    has_index = False
    for literal, field, _, _ in Formatter().parse(template):
        pieces.append(re.escape(literal))
        if field == "index" and not has_index:
            pieces.append(r"(?P<index>\d+)")
            has_index = True
        elif field is not None:
            pieces.append("[^/]*" if field == "text" else r"\d+")
    return re.compile("".join(pieces) + re.escape(f".{ending}"))
