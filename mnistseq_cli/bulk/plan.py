"""What a run will do: parts by index alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import Split, cut, parse_weights, use_all_glyphs
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import Output, open_format
from mnistseq_cli.recipe import COUNT_LIMIT, TEXTS_FILE, Recipe
from mnistseq_cli.validation import check_number

PART_SIZE = 1000
# So many pixels, with every distortion, take at most ten seconds: what a stop can lose.
_PART_PIXELS = 1 << 27
PART_SIZE_LIMIT = 100_000  # a part's names and hashes are in memory while it is made


@dataclass(frozen=True)
class Part:
    """Consecutive samples written together: the unit of commit and of resume."""

    number: int  # counted from 0 in each split
    start: int
    stop: int
    split: str = ""  # the name of its split

    @property
    def name(self) -> str:
        """What its record is called."""
        return f"{self.split}-{self.number:08d}" if self.split else f"{self.number:08d}"

    @property
    def folder(self) -> str:
        """The folder of its split with a ``/`` at its end, or ""."""
        return f"{self.split}/" if self.split else ""

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"part {self.name} (samples {self.start} to {self.stop - 1})"


@dataclass(frozen=True)
class Plan:
    """A recipe, with all glyphs where splits draw from them; where samples go, in which parts."""

    recipe: Recipe
    output: Output
    part_size: int = PART_SIZE  # samples in a part
    start: int = 0  # the first sample; those before it belong to other datasets of the recipe

    def __post_init__(self) -> None:
        if self.recipe.splits:
            object.__setattr__(self, "recipe", use_all_glyphs(self.recipe))
        check_number("start", self.start, 0, COUNT_LIMIT)
        check_number("part_size", self.part_size, 1, PART_SIZE_LIMIT)
        if self.start and self.recipe.splits:
            raise UsageError(
                f"is {self.start}; splits are cut from the first sample on",
                "Leave it out, or make each split as a dataset of its own",
                field="start",
            )
        cut(self.weights, self.recipe.count)
        open_format(self.output).check(self.recipe)

    @property
    def weights(self) -> tuple[tuple[str, int], ...]:
        """Names and weights of the splits; none makes a dataset without splits."""
        return parse_weights(self.recipe.splits)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits; one without a name if there are none."""
        return cut(self.weights, self.recipe.count, self.start)

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return sum(-((split.start - split.stop) // self.part_size) for split in self.splits)

    def parts(self, share: tuple[int, int] = (1, 1)) -> Iterator[Part]:
        """Yield the parts in order: all, or the K-th of N shares, which are next to each other."""
        parts = chain.from_iterable(cut_parts(split, self.part_size) for split in self.splits)
        number, n_shares = share
        first, last = (self.n_parts * k // n_shares for k in (number - 1, number))
        return islice(parts, first, last)

    def to_dict(self) -> dict[str, Any]:
        """Return all that decides the files, as plain values; texts by their hash."""
        values = self.recipe.to_dict().items()
        recipe = {name: list(it) if isinstance(it, tuple) else it for name, it in values}
        if self.recipe.texts is not None:
            recipe["texts"] = describe_texts(self.recipe.texts)
        return {
            "recipe": recipe,
            "output": self.output.to_dict(),
            "part_size": self.part_size,
            "splits": dict(self.weights),
        } | ({"start": self.start} if self.start else {})


def choose_part_size(generator: SequenceGenerator) -> int:
    """Return the size of parts where none is given: smaller where images are large."""
    height_px = generator.recipe.height_px
    width_px = generator.width_px or generator.longest * height_px
    return max(1, min(PART_SIZE, _PART_PIXELS // (height_px * width_px)))


def cut_parts(split: Split, part_size: int) -> Iterator[Part]:
    """Cut the samples of a split into parts."""
    for number, start in enumerate(range(split.start, split.stop, part_size)):
        yield Part(number, start, min(start + part_size, split.stop), split.name)


def describe_texts(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the name and the hash of the file of texts."""
    data = "\n".join(texts) + "\n"
    return {"file": TEXTS_FILE, "sha256": hashlib.sha256(data.encode()).hexdigest()}
