"""Parts: consecutive samples written together, each with a record of its files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnistseq_cli.bulk.proof import Proof, check_proof
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.splits import open_splits
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import write_new
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.glyphs.glyph_set import SIDE_PX
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from io import FileIO

    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Format, Output
    from mnistseq_cli.formats.base import Buffer, PartWriter
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

KEPT = f"{OWN_FOLDER}/kept"
STAGING = f"{OWN_FOLDER}/staging"
RECORD = "record.json"
_BLOCK_BYTES = 1 << 20


class FileEntry(NamedTuple):
    """A file of a dataset: its name relative to the dataset, its size, its hash."""

    name: str
    size_bytes: int
    sha256: str


class Staging:
    """Takes the files of one part; a `PartWriter`.

    Parameters
    ----------
    folder : Path
        Does not exist yet; afterwards it holds ``files``, ``kept`` and whatever is added.
    within : str
        Goes before the names of files: the folder of a split with a ``/`` at its end, or "".
    """

    def __init__(self, folder: Path, within: str = "") -> None:
        self.folder = folder
        self._sizes_bytes: dict[str, int] = {}
        self._within = within
        self.files = folder / "files"
        self.kept = folder / "kept"
        for path in (folder, self.files, self.kept):
            path.mkdir()
        self._prefix = f"{self.files}{os.sep}"
        self._entries: list[FileEntry] = []
        self._by_path: list[str] = []
        self._hashes: dict[str, hashlib._Hash] = {}

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        name = self._within + name
        path = self._prefix + name
        try:
            write_new(path, data)
        except FileNotFoundError:
            self._make_parents(name)
            write_new(path, data)
        self._entries.append(FileEntry(name, len(data), hashlib.sha256(data).hexdigest()))

    def path(self, name: str) -> Path:
        """Give a path to write a file at."""
        name = self._within + name
        self._make_parents(name)
        self._by_path.append(name)
        return self.files / name

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to a fragment of this part."""
        with (self.kept / fragment).open("ab", buffering=0) as file:
            _write_all(file, data)
        size_bytes = self._sizes_bytes.get(fragment, 0)
        self._sizes_bytes[fragment] = size_bytes + memoryview(data).nbytes
        self._hashes.setdefault(fragment, hashlib.sha256()).update(data)

    def _make_parents(self, name: str) -> None:
        # Never those above: where they are gone, another run has taken the folder over.
        folder = self.files
        for step in name.split("/")[:-1]:
            folder /= step
            folder.mkdir(exist_ok=True)

    def entries(self) -> list[FileEntry]:
        """Give the files, in the order they were written."""
        by_path = [describe_file(self.files / name, name) for name in self._by_path]
        return self._entries + by_path

    def kept_entries(self) -> list[FileEntry]:
        """Give the fragments, by name."""
        return [
            FileEntry(name, self._sizes_bytes[name], digest.hexdigest())
            for name, digest in sorted(self._hashes.items())
        ]


def describe_file(path: Path, name: str) -> FileEntry:
    """Read a file and return its entry."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size_bytes += len(block)
    return FileEntry(name, size_bytes, digest.hexdigest())


def _write_all(file: FileIO, data: Buffer) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def move_into(source: Path, target: Path, strangers: AbstractSet[str] = frozenset()) -> None:
    """Move everything in a folder into another one, file by file only where it must be.

    Parameters
    ----------
    source, target : Path
        Folders on one file system.
    strangers : set of str
        Paths, relative to `target`, that must not be replaced.

    Raises
    ------
    OutputError
        A file has the name of a stranger.
    """
    _move(source, target, "", strangers)


def _move(source: Path, target: Path, within: str, strangers: AbstractSet[str]) -> None:
    with os.scandir(source) as found:
        entries = list(found)
    for entry in entries:
        name, to = within + entry.name, target / entry.name
        if name in strangers:
            raise OutputError(
                f"cannot write {to}: a file of this name, which mnistseq did not make, is there",
                "Move it away, then run it again with --resume.",
            )
        if entry.is_dir() and to.is_dir():
            _move(Path(entry.path), to, name + "/", strangers)
        else:
            Path(entry.path).replace(to)


def sweep(staging: Path) -> None:
    """Remove what is half made, but not the records of parts.

    The files of a part with a record may have their final names already: the record is all that
    says whose they are.
    """
    for path in staging.iterdir() if staging.is_dir() else ():
        if not path.is_dir():
            path.unlink()
        else:
            remove([path / "files", path / "kept"] if (path / RECORD).exists() else [path])


def remove(folders: Iterable[Path]) -> None:
    """Remove folders with all that is in them, as far as that works."""
    for folder in folders:
        if folder.is_dir():  # rmtree would wait for a pipe
            shutil.rmtree(folder, ignore_errors=True)


PARTS = f"{OWN_FOLDER}/parts"
NUMBER_LIMIT = 2**63  # of samples, files, bytes
_KINDS: dict[str, type] = {
    "part": str,
    "start": int,
    "stop": int,
    "versions": dict,
    "kept": list,
    "files": list,
}
_WORDS = {int: "a whole number from 0", str: "a text", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class PartRecord:
    """What a part consists of.

    Parameters
    ----------
    part : str
        Its name.
    start, stop : int
        First sample, and the one after the last.
    versions : dict
        Of the programs that made it.
    kept : list of FileEntry
        Fragments for files that span parts; removed when those are written.
    files : list of FileEntry
    proof : dict
        Glyphs and texts in use, where there are splits; see `Proof`.
    """

    part: str
    start: int
    stop: int
    versions: dict[str, str]
    kept: list[FileEntry]
    files: list[FileEntry]
    proof: dict[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size_bytes for entry in self.files)


def record_name(part: str) -> str:
    """Give the name of the record of a part, relative to the dataset."""
    return f"{PARTS}/{part}.json"


def dump_record(record: PartRecord, folder: Path) -> FileEntry:
    """Write a record beside the files of its part; give its entry under its final name."""
    data = json.dumps(record.__dict__, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    write_new(str(folder / RECORD), data)
    return FileEntry(record_name(record.part), len(data), hashlib.sha256(data).hexdigest())


def load_record(data: bytes) -> PartRecord:
    """Read a record.

    Raises
    ------
    ValueError
        The bytes are no record.
    """
    values = read_object(data)
    check_kinds(values, _KINDS)
    try:
        for name in ("kept", "files"):
            values[name] = [check_entry(FileEntry(*entry)) for entry in values[name]]
        record = PartRecord(**values)
    except TypeError as error:
        raise ValueError(f"no record of a part: {error}") from error
    check_proof(record.proof)
    return record


def load_kept(data: bytes) -> list[FileEntry]:
    """Read from a record what its part has kept, in a third of the time for all of it.

    Raises
    ------
    ValueError
        The bytes are no record.
    """
    values = read_object(data)
    check_kinds(values, {"kept": list})
    try:
        return [check_entry(FileEntry(*entry)) for entry in values["kept"]]
    except TypeError as error:
        raise ValueError(f"no record of a part: {error}") from error


def read_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ValueError
        The bytes are none.
    """
    try:
        values = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - what is damaged is a ValueError
    return values


def check_kinds(values: dict[str, Any], kinds: dict[str, type]) -> None:
    """Refuse values that lack a key, or have one of another kind than listed.

    Raises
    ------
    ValueError
        The first that is not as it should be.
    """
    for key, kind in kinds.items():
        if key not in values:
            raise ValueError(f"it does not say {key}")
        value = values[key]
        is_kind = type(value) is kind  # true and false are no numbers
        if not is_kind or (kind is int and not 0 <= value < NUMBER_LIMIT):
            raise ValueError(f"{key} is {value!r:.60}; allowed is {_WORDS[kind]}")


def check_entry(entry: FileEntry) -> FileEntry:
    """Refuse what is no entry, or leads out of the dataset: what is listed may be removed.

    Raises
    ------
    ValueError
        It is none, or does.
    """
    fields: tuple[Any, ...] = entry  # as read: of any kind
    name, size_bytes, sha256 = fields
    if not (isinstance(name, str) and type(size_bytes) is int and isinstance(sha256, str)):
        raise ValueError(f"{[*entry]!r:.60} is no name, size and SHA-256")
    if not 0 <= size_bytes < NUMBER_LIMIT:
        raise ValueError(f"the size of {name!r:.60} is {size_bytes!r:.60}")
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise ValueError(f"{name!r} is not inside the dataset")
    return entry


ODD_ENCODER = 70  # exit status
_SAMPLE_WIDTH_PX = 200
_PAPER_SHARE = 200  # of 256
BLOCK_SIZE = 128  # the fastest: its arrays stay in the processor's cache


@dataclass(frozen=True)
class Making:
    """How far a part is."""

    part: Part
    n_samples: int


@dataclass(frozen=True)
class Made:
    """A part that is complete but has not yet its final names.

    Parameters
    ----------
    part : Part
    staging : Path
        Where its files are.
    n_files, size_bytes : int
    record : FileEntry
        Of its record.
    """

    part: Part
    staging: Path
    n_files: int
    size_bytes: int
    record: FileEntry


class PartMaker:
    """Makes parts; a `Job`.

    Parameters
    ----------
    plan : Plan
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand in this process.
    staging : Path, optional
        Folder to write in, instead of that of the dataset.
    sample : bytes, optional
        What `encode_sample` gave in the process that started this one. An encoder that gives
        other bytes for the same pixels would spoil the dataset: this process ends, and another
        takes its place.
    widest_px : int, optional
        Width of the images, if it is known: to find it takes as long as a thousand of them.
    """

    def __init__(
        self,
        plan: Plan,
        data_dir: Path | None = None,
        glyphs: GlyphSet | None = None,
        staging: Path | None = None,
        *,
        sample: bytes | None = None,
        widest_px: int | None = None,
    ) -> None:
        if sample not in (None, encode_sample()):
            sys.exit(ODD_ENCODER)
        self._generators = (
            open_splits(plan.recipe, plan.splits, data_dir, widest_px)
            if plan.weights or glyphs is None
            else {"": SequenceGenerator(plan.recipe, glyphs, widest_px=widest_px)}
        )
        self._format = open_format(plan.output)
        self._staging = staging or plan.output.folder / STAGING
        self._versions = find_versions(plan.output)

    def __call__(self, part: Part, tell: Callable[[Making], None]) -> Made:
        """Write a part into a folder of its own."""
        folder = self._staging / f"{part.name}.{os.getpid()}.{token_hex(4)}"
        staging = Staging(folder, part.folder)
        proof = write_part(self._format, self._generators[part.split], part, staging, tell)
        record = PartRecord(
            part.name,
            part.start,
            part.stop,
            self._versions,
            staging.kept_entries(),
            staging.entries(),
            proof.to_dict() if part.split else {},
        )
        entry = dump_record(record, staging.folder)
        return Made(part, staging.folder, len(record.files), record.size_bytes, entry)


def prepare_makers(
    plan: Plan, data_dir: Path | None, glyphs: GlyphSet | None, widest_px: int | None
) -> Callable[[], PartMaker]:
    """Give what makes a `PartMaker` in a process of this machine; see there."""
    return partial(
        PartMaker,
        plan,
        data_dir,
        glyphs,
        sample=encode_sample(),
        widest_px=widest_px,
    )


def encode_sample() -> bytes:
    """Encode an image of noise on paper that is always the same."""
    noise = (draw_words(0, 0, 0, SIDE_PX, _SAMPLE_WIDTH_PX) >> np.uint64(56)).astype(np.uint8)
    noise[noise < _PAPER_SHARE] = 0
    return encode_pngs(noise[None], np.array([_SAMPLE_WIDTH_PX]))[0]


def write_part(
    form: Format,
    generator: SequenceGenerator,
    part: Part,
    writer: PartWriter,
    tell: Callable[[Making], None],
) -> Proof:
    """Make the samples of a part and give them to a format; give what they use, with splits."""
    proof = Proof()

    def blocks() -> Iterator[Block]:
        for start in range(part.start, part.stop, BLOCK_SIZE):
            stop = min(start + BLOCK_SIZE, part.stop)
            block = generator.block(start, stop)
            if part.split:
                proof.add(block)
            yield block
            tell(Making(part, stop - part.start))

    form.write(part.number, blocks(), writer)
    return proof


def find_versions(output: Output) -> dict[str, str]:
    """Give the versions of all that decides bytes."""
    names = ("mnistseq", "numpy", *open_format(output).libraries)
    return {name: _find_version(name) for name in names}


@cache  # reading it takes as long as ten images
def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
