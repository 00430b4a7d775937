"""Read samples back from files that span parts, and compare them with what the recipe gives.

Such files were put together after parts were made, and the records of parts say nothing of them.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.check import Problem
from mnistseq_cli.bulk.deal import open_splits
from mnistseq_cli.bulk.make import BLOCK_SIZE
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.column_reading import Column, read_columns
from mnistseq_cli.formats.columns import Columnar
from mnistseq_cli.formats.decoding import decode_grey
from mnistseq_cli.formats.encoders import open_encoder
from mnistseq_cli.formats.lmdb import Lmdb
from mnistseq_cli.formats.reading import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.bulk.check import Kind
    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.bulk.splits import Split
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Output

_ASPECTS = {"images": "image", "labels": "text", "boxes": "boxes"}  # by the name of a file


def spans_parts(output: Output) -> bool:
    """Tell whether a format puts the images of all parts into one file."""
    return isinstance(open_format(output), (Columnar, Lmdb))


class JoinedComparer:
    """Compares samples that are read back with those made again; memory stays flat.

    Parameters
    ----------
    plan : Plan
        Of the dataset; its format `spans_parts`.
    names : iterable of str
        Of the files that span parts.
    data_dir : Path, optional
        Where glyphs are cached.
    """

    def __init__(self, plan: Plan, names: Iterable[str], data_dir: Path | None = None) -> None:
        self._plan = plan
        self._names = tuple(names)
        self._generators = open_splits(plan.recipe, plan.splits, data_dir)
        self._format = open_format(plan.output)
        self._problems: dict[str, Problem] = {}

    def compare(self, parts: Iterable[Part], tell: Callable[[int], None]) -> list[Problem]:
        """Compare the samples of some parts, given in order; give the first problem of each file.

        Parameters
        ----------
        parts : iterable of Part
        tell : callable
            Takes how many samples more are compared.
        """
        chosen = list(parts)
        counts: Counter[str] = Counter()
        seen = self._format.read(self._plan.output.folder)
        try:
            for name, samples in groupby(seen, key=attrgetter("split")):
                split = next((split for split in self._plan.splits if split.name == name), None)
                if split is not None:  # else it is a stranger's, which is told elsewhere
                    own = [part for part in chosen if part.split == name]
                    counts[name] += self._compare_split(split, own, samples, tell)
        except OutputError as error:
            self._note_damage(error)
        else:
            self._check_counts(counts)
        return list(self._problems.values())

    def _compare_split(
        self, split: Split, parts: list[Part], samples: Iterator[Seen], tell: Callable[[int], None]
    ) -> int:
        """Compare the samples of a split; give how many there are."""
        at = split.start
        for part in parts:
            at += _skip(samples, part.start - at)
            for start in range(part.start, part.stop, BLOCK_SIZE):
                block = self._generators[part.split].block(
                    start, min(start + BLOCK_SIZE, part.stop)
                )
                there = list(islice(samples, len(block)))
                for made, found in zip(self._expect(block), there, strict=False):
                    self._compare_sample(split, made, found)
                at += len(there)
                tell(len(block))
        return at - split.start + _skip(samples, None)

    def _expect(self, block: Block) -> Iterator[Seen]:
        """Give the samples of a block as they are read back."""
        if isinstance(self._format, Columnar):
            names = {"images": "images", "labels": "classes", "lengths": "lengths"}
            names |= {"boxes": "boxes"}
            arrays = {name: getattr(block, field) for name, field in names.items()}
            yield from read_columns("", {name: _open(array) for name, array in arrays.items()})
            return
        encode = open_encoder(self._plan.output.image_format)
        images = encode(block.images, block.widths_px)
        for data, text in zip(images, block.texts.tolist(), strict=True):
            yield Seen("", "", decode_grey(data), text)

    def _compare_sample(self, split: Split, made: Seen, found: Seen) -> None:
        for kind, aspect in _ASPECTS.items():
            there = getattr(found, aspect)
            if there is not None and not np.array_equal(there, getattr(made, aspect)):
                name = self._find_name(split, kind)
                self._note(name, f"the {aspect} of {found.name}: not what the recipe makes")

    def _check_counts(self, counts: Counter[str]) -> None:
        for split in self._plan.splits:
            n_samples = split.stop - split.start
            if counts[split.name] != n_samples:
                detail = f"{counts[split.name]} samples instead of {n_samples}"
                self._note(self._find_name(split, "images"), detail)

    def _find_name(self, split: Split, kind: str) -> str:
        """Find the file of a split that holds its images, labels or boxes."""
        inside = [name for name in self._names if name.startswith(f"{split.name}/")]
        own = inside if split.name and inside else list(self._names)
        stems = {name: name.rpartition("/")[2].removeprefix(f"{split.name}-") for name in own}
        return next((name for name, stem in stems.items() if kind in stem), own[0])

    def _note_damage(self, error: OutputError) -> None:
        folder = self._plan.output.folder
        named = (name for name in self._names if str(folder / name) in error.message)
        self._note(next(named, self._names[0]), error.message, "unreadable")

    def _note(self, name: str, detail: str, kind: Kind = "altered") -> None:
        self._problems.setdefault(name, Problem(kind, name, detail))


def _open(array: NDArray[Any]) -> Column:
    """Make a column of an array that is taken as a whole: a block is."""
    return Column(array.shape, lambda n_rows: array[:n_rows])


def _skip(samples: Iterator[Seen], n_samples: int | None) -> int:
    """Go past so many samples, or all that are left; give how many there were."""
    return sum(1 for _ in islice(samples, n_samples))
