"""Make samples again and compare them with a dataset."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.check import Problem
from mnistseq_cli.bulk.parts import (
    BLOCK_SIZE,
    Staging,
    describe_file,
    load_record,
    record_name,
    write_part,
)
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import check_regular, read_regular
from mnistseq_cli.formats import open_format, open_label_style
from mnistseq_cli.formats.arrays import Column, Columnar, read_columns
from mnistseq_cli.formats.base import Fragments, LoadedSample
from mnistseq_cli.formats.images import decode_grey, open_encoder
from mnistseq_cli.formats.lmdb import Lmdb
from mnistseq_cli.formats.names import NameTemplate
from mnistseq_cli.formats.read_labels import read_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from mnistseq_cli.bulk.check import Kind
    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.compose.splits import Split
    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.base import Buffer
    from mnistseq_cli.formats.read_labels import LabelRow

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
            record = load_record(read_regular(self._plan.output.folder / name))
        except (OSError, ValueError):
            return []  # told already
        listed = {entry.name: entry.sha256 for entry in record.kept}
        differ = any(listed.get(key) != sha256 for key, sha256 in sink.kept_hashes().items())
        return [Problem("altered", name, _DIFFERS)] if differ else []


class _Comparison:
    """A `PartWriter` that writes nothing: it compares."""

    def __init__(self, plan: Plan, part: Part, offsets: dict[str, int], scratch: Path) -> None:
        self._within = part.folder
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

    def append(self, name: str, data: Buffer) -> None:
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
            there = decode_grey(found)
        except (OSError, ValueError, SyntaxError):  # as Pillow calls broken files
            return False
        return np.array_equal(there, decode_grey(made))


def _is_readable(path: Path) -> bool:
    """Tell whether a file can be compared; what else is there in its place is told already."""
    return path.is_file() and os.access(path, os.R_OK)


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
        self,
        split: Split,
        parts: list[Part],
        samples: Iterator[LoadedSample],
        tell: Callable[[int], None],
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

    def _expect(self, block: Block) -> Iterator[LoadedSample]:
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
            yield LoadedSample("", "", decode_grey(data), text)

    def _compare_sample(self, split: Split, made: LoadedSample, found: LoadedSample) -> None:
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


def _skip(samples: Iterator[LoadedSample], n_samples: int | None) -> int:
    """Go past so many samples, or all that are left; give how many there were."""
    return sum(1 for _ in islice(samples, n_samples))


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
                    detail = streams[file].differ(part, read_labels(made / name))
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
            style.join([Fragments("", staging.folder, ["kept"])], staging)
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


class _Rows:
    """The rows of a label file, read once from its beginning to its end."""

    def __init__(self, path: Path, at: int) -> None:
        self._rows = read_labels(path)
        self._at = at

    def differ(self, part: Part, made: Iterable[LabelRow]) -> str:
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


def _are_equal(made: LabelRow, found: LabelRow) -> bool:
    if (made.name, made.text) != (found.name, found.text):
        return False
    return all(
        np.array_equal(getattr(made, name), getattr(found, name))
        for name in ("boxes", "gaps", "glyphs")
        if getattr(made, name) is not None or getattr(found, name) is not None
    )
