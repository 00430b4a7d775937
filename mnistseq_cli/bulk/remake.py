"""Make parts again and compare them with what is in the dataset."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.check import Problem
from mnistseq_cli.bulk.deal import open_splits
from mnistseq_cli.bulk.make import write_part
from mnistseq_cli.bulk.records import load_record, record_name
from mnistseq_cli.bulk.staging import describe_file, placed_name
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.encoders import decode_image
from mnistseq_cli.formats.reading import check_regular, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.formats import Buffer, Layout

_DIFFERS = "not what the recipe makes"


class PartComparer:
    """Makes parts again and compares; a `Job`.

    Parameters
    ----------
    plan : Plan
        Of the dataset.
    offsets : dict of dict
        Where in a joined file the fragment of a part begins, by name and part.
    data_dir : Path, optional
        Where glyphs are cached.
    """

    def __init__(
        self,
        plan: Plan,
        offsets: Mapping[str, Mapping[int, int]],
        data_dir: Path | None = None,
    ) -> None:
        self._plan = plan
        self._offsets = offsets
        self._generators = open_splits(plan.recipe, plan.splits, data_dir)
        self._format = open_format(plan.output)

    def __call__(self, part: Part, tell: Callable[[Any], None]) -> tuple[Part, list[Problem]]:
        """Compare one part."""
        offsets = {
            name: places[part.number]
            for name, places in self._offsets.items()
            if name.startswith(part.folder) and part.number in places
        }
        with TemporaryDirectory() as name:
            sink = _Comparison(self._plan, part, offsets, Path(name))
            write_part(self._format, self._generators[part.split], part, sink, tell)
            return part, sink.problems() + self._compare_kept(part, sink)

    def _compare_kept(self, part: Part, sink: _Comparison) -> list[Problem]:
        """Compare fragments that stand in no file as they are by the hash in the record."""
        name = record_name(part.name)
        try:
            record = load_record(read_file(self._plan.output.folder / name))
        except (OSError, ValueError):
            return []  # told already
        listed = {entry.name: entry.sha256 for entry in record.kept}
        differ = any(listed.get(key) != sha256 for key, sha256 in sink.kept_hashes().items())
        return [Problem("altered", name, _DIFFERS)] if differ else []


class _Comparison:
    """A sink that writes nothing: it compares."""

    def __init__(self, plan: Plan, part: Part, offsets: dict[str, int], scratch: Path) -> None:
        self._within = part.folder
        self._first = part.number * plan.part_size
        self._folder = plan.output.folder
        self._image_format = plan.output.image_format
        self._offsets = offsets
        self._scratch = scratch
        self._by_path: list[str] = []
        self._problems: list[Problem] = []
        self._hashes: dict[str, hashlib._Hash] = {}

    def write(self, name: str, data: bytes) -> None:
        """Compare a file; where bytes differ, as other versions may write them, its pixels."""
        name = self._within + name
        try:
            check_regular(self._folder / name)
            found = (self._folder / name).read_bytes()
        except (OSError, ValueError):
            return  # told already
        if found != data and not self._show_the_same(found, data):
            self._problems.append(Problem("altered", name, _DIFFERS))

    def path(self, name: str) -> Path:
        """Give a path at which to write a file that is compared in the end."""
        name = self._within + name
        path = self._scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._by_path.append(name)
        return path

    def keep(self, name: str, data: Buffer) -> None:
        """Compare a fragment with its place in the joined file."""
        key, name = name, self._within + name
        offset = self._offsets.get(name)
        path = self._folder / name
        if offset is None:
            self._hashes.setdefault(key, hashlib.sha256()).update(data)
        if offset is None or not _is_readable(path):
            return
        with path.open("rb") as file:
            file.seek(max(0, offset))
            n_bytes = memoryview(data).nbytes
            if file.read(n_bytes) != memoryview(data).cast("B"):
                self._problems.append(Problem("altered", name, _DIFFERS))
        self._offsets[name] = offset + n_bytes

    def place(self, name: str, layout: Layout, data: Buffer) -> None:
        """Take in what belongs in a file that spans parts; its hash is compared in the end."""
        key = placed_name(name, layout.header_bytes + self._first * layout.row_bytes)
        self._hashes.setdefault(key, hashlib.sha256()).update(data)

    def kept_hashes(self) -> dict[str, str]:
        """Give the hashes of fragments that were compared with no file."""
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}

    def problems(self) -> list[Problem]:
        """Give what differs."""
        for name in self._by_path:
            if _is_readable(self._folder / name):
                made = describe_file(self._scratch / name, name)
                if made != describe_file(self._folder / name, name):
                    self._problems.append(Problem("altered", name, _DIFFERS))
        return self._problems

    def _show_the_same(self, found: bytes, made: bytes) -> bool:
        try:
            there = decode_image(found, self._image_format)
        except (OSError, ValueError, SyntaxError):  # as Pillow calls broken files
            return False
        return np.array_equal(there, decode_image(made, self._image_format))


def _is_readable(path: Path) -> bool:
    """Tell whether a file can be compared; what else is there in its place is told already."""
    return path.is_file() and os.access(path, os.R_OK)
