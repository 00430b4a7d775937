"""Records of parts: what each consists of, in ``.mnistseq/parts``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.disk import write_new
from mnistseq_cli.bulk.proof import check_proof
from mnistseq_cli.bulk.staging import RECORD, FileEntry
from mnistseq_cli.formats.names import OWN_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

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
