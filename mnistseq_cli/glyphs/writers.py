"""Who wrote which glyph."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.errors import GlyphError

WRITER_LIMIT_BYTES = 64  # of a name, in UTF-8
UNKNOWN = -1  # the number of nobody, who has no name


@dataclass(frozen=True, eq=False)
class Writers:
    """Who wrote some glyphs: a number each, and the names that numbers stand for."""

    numbers: NDArray[np.integer]  # of any shape; -1 where nobody is known
    names: str | tuple[str, ...]  # of each number, or "nist" for nist/2154 and the like

    def __getitem__(self, places: Any) -> Writers:  # noqa: ANN401 - what indexes an array
        """Return the writers of some of the glyphs."""
        return replace(self, numbers=self.numbers[places])

    def spell(self) -> NDArray[np.str_]:
        """Return the names, in the shape of the numbers; "" for nobody."""
        names = _name_all(self.names, 1 << int(self.numbers.max(initial=0)).bit_length())
        return np.asarray(names[self.numbers])

    @cached_property
    def sha256(self) -> str:
        """Hash of the names of all glyphs."""
        return hashlib.sha256("\n".join(self.spell().ravel().tolist()).encode()).hexdigest()


@lru_cache(maxsize=4)
def _name_all(names: str | tuple[str, ...], n_common: int) -> NDArray[np.str_]:
    """Return the name of each number, and last "", which -1 stands for."""
    known = [f"{names}/{n}" for n in range(n_common)] if isinstance(names, str) else names
    return np.array([*known, ""], np.str_)


def name_writers(names: Sequence[str]) -> Writers:
    """Return writers by their names, "" being nobody."""
    known = sorted({*names} - {""})
    number = {name: place for place, name in enumerate(known)} | {"": UNKNOWN}
    return Writers(np.array([number[name] for name in names], np.int64), tuple(known))


def join_writers(parts: Iterable[tuple[Writers | None, int]]) -> Writers | None:
    """Return the writers of several sets of so many glyphs; None where those of none are known."""
    parts = list(parts)
    known = [writers for writers, _ in parts if writers]
    if not known:
        return None
    if len(known) == len(parts) and {one.names for one in known} == {str(known[0].names)}:
        return Writers(np.concatenate([one.numbers for one in known]), known[0].names)
    spelt = [writers.spell().tolist() if writers else [""] * n for writers, n in parts]
    return name_writers([name for names in spelt for name in names])


def unknown_writers(name: str) -> GlyphError:
    """Return the error for writers that are needed, but not known."""
    from mnistseq_cli.glyphs.catalog import DATASETS  # noqa: PLC0415 - only for an error

    known = DATASETS.get(name)
    return GlyphError(
        f"who wrote the glyphs of {name} is not known, and the recipe needs it",
        f"Get it: mnistseq download {name}" if known and known.writers_from else "",
    )
