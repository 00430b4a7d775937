"""Read label files that span parts back, and compare them with what the recipe gives."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.check import Problem
from mnistseq_cli.bulk.deal import open_splits
from mnistseq_cli.bulk.make import BLOCK_SIZE
from mnistseq_cli.bulk.staging import Staging
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import open_label_style
from mnistseq_cli.formats.listing import read_listing
from mnistseq_cli.formats.names import NameTemplate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.listing import Row


def has_listings(output: Output) -> bool:
    """Tell whether there are label files that only reading them back can check."""
    return any(_find_styles(output))


class LabelComparer:
    """Compares the rows of label files with those of parts made again, one part at a time.

    Parameters
    ----------
    plan : Plan
        Of the dataset, a folder of images.
    data_dir : Path, optional
        Where glyphs are cached.
    """

    def __init__(self, plan: Plan, data_dir: Path | None = None) -> None:
        self._plan = plan
        self._generators = open_splits(plan.recipe, plan.splits, data_dir)
        self._image_names = NameTemplate(plan.output.name, plan.output.image_format)
        self._styles = list(_find_styles(plan.output))
        self._names: list[str] = [style.file_name for style in self._styles]

    def compare(self, parts: Iterable[Part]) -> list[Problem]:
        """Compare the rows of some parts, given in order; give the first problem of each file."""
        folder = self._plan.output.folder
        files = [(split, name) for split in self._plan.splits for name in self._names]
        rows = {
            f"{split.name}/{name}" if split.name else name: split.start for split, name in files
        }
        streams = {name: _Rows(folder / name, start) for name, start in rows.items()}
        problems: dict[str, Problem] = {}
        for part in parts:
            with TemporaryDirectory() as scratch:
                made = self._write(part, Path(scratch) / "part")
                for name in self._names:
                    file = part.folder + name
                    detail = streams[file].differ(part, read_listing(made / name))
                    if detail:
                        problems.setdefault(file, Problem("altered", file, detail))
        return list(problems.values())

    def _write(self, part: Part, folder: Path) -> Path:
        """Write the label files of a part alone; give where they are."""
        staging = Staging(folder)
        for start in range(part.start, part.stop, BLOCK_SIZE):
            stop = min(start + BLOCK_SIZE, part.stop)
            block = self._generators[part.split].block(start, stop)
            names = self._image_names.fill(block)
            for style in self._styles:
                style.write(names, block, staging)
        for style in self._styles:
            style.join([_Alone(staging.kept)], staging)
        return staging.files


def _find_styles(output: Output) -> Iterator[Any]:
    """Find styles whose file is not fragments of that name, which are compared as they are."""
    if output.to != "folder":
        return
    for name in output.labels:
        style = open_label_style(name)
        file_name = getattr(style, "file_name", None)  # some write a file for each image
        if file_name and file_name != getattr(style, "fragment", None):
            yield style


class _Alone:
    """What one part has kept, as if there were no other; see `Fragments`."""

    folder = ""

    def __init__(self, kept: Path) -> None:
        self._kept = kept

    def read(self, name: str) -> Iterator[bytes]:
        yield (self._kept / name).read_bytes()

    def gather(self, name: str, path: Path) -> None:
        (self._kept / name).replace(path)


class _Rows:
    """The rows of a label file, read once from its beginning to its end."""

    def __init__(self, path: Path, at: int) -> None:
        self._rows = read_listing(path)
        self._at = at

    def differ(self, part: Part, made: Iterable[Row]) -> str:
        """Say what is the first difference of a part; "" if there is none."""
        try:
            skipped = sum(1 for _ in islice(self._rows, part.start - self._at))
            found = list(islice(self._rows, len(part)))
        except OutputError as error:
            return error.message
        self._at += skipped + len(found)
        if self._at != part.stop:
            return f"it ends at sample {self._at}"
        pairs = zip(made, found, strict=True)
        unlike = next((row.name for row, there in pairs if not _are_equal(row, there)), None)
        return "" if unlike is None else f"what it says of {unlike}: not what the recipe makes"


def _are_equal(made: Row, found: Row) -> bool:
    if (made.name, made.text) != (found.name, found.text):
        return False
    return all(
        np.array_equal(getattr(made, name), getattr(found, name))
        for name in ("boxes", "gaps", "glyphs")
        if getattr(made, name) is not None or getattr(found, name) is not None
    )
