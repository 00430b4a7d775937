"""Records of parts: what each consists of, in ``.mnistseq/parts``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.disk import write_new
from mnistseq_cli.bulk.staging import RECORD, FileEntry
from mnistseq_cli.formats.names import OWN_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

PARTS = f"{OWN_FOLDER}/parts"


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
    try:
        values = json.loads(data)
        for name in ("kept", "files"):
            values[name] = [check_inside(FileEntry(*entry)) for entry in values[name]]
        return PartRecord(**values)
    except (TypeError, KeyError) as error:
        raise ValueError(f"no record of a part: {error}") from error


def load_kept(data: bytes) -> list[FileEntry]:
    """Read from a record what its part has kept, in a third of the time for all of it.

    Raises
    ------
    ValueError
        The bytes are no record.
    """
    try:
        return [FileEntry(*entry) for entry in json.loads(data)["kept"]]
    except (TypeError, KeyError) as error:
        raise ValueError(f"no record of a part: {error}") from error


def check_inside(entry: FileEntry) -> FileEntry:
    """Refuse a name that leads out of the dataset: what is listed here may be removed."""
    if entry.name.startswith("/") or "\\" in entry.name or ".." in entry.name.split("/"):
        raise ValueError(f"{entry.name!r} is not inside the dataset")
    return entry
