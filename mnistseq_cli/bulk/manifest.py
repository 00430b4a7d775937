"""What is written of files: records of parts, ``dataset.json`` that sums them up, plans.

Each part has a record with the name, size and SHA-256 of its files in ``.mnistseq/parts``, and
``dataset.json``, written last, lists the records with theirs. While a run is going on,
``.mnistseq`` also holds its plan, a lock, and what is not finished. Nothing that is read here is
trusted before its kind and range are checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mnistseq_cli.bulk.plan import PART_SIZE_LIMIT, Plan
from mnistseq_cli.compose.splits import cut, find_shared
from mnistseq_cli.compose.texts import list_classes
from mnistseq_cli.errors import MnistseqError, OutputError, UsageError
from mnistseq_cli.files import describe_damage, explain_damage, is_store, read_regular
from mnistseq_cli.formats.card import CARD_FILE
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import RECIPE_FILE, Recipe
from mnistseq_cli.validation import check_number, check_texts

DATASET_FILE = "dataset.json"
PARTS = f"{OWN_FOLDER}/parts"
KEPT = f"{OWN_FOLDER}/kept"
STAGING = f"{OWN_FOLDER}/staging"
PLAN_FILE = f"{OWN_FOLDER}/plan.json"
LOCK = f"{OWN_FOLDER}/lock"
# `load_dataset` passes over it, and who counts PNG files does not count it.
PREVIEW_FILE = f"{OWN_FOLDER}/preview.jpg"
RECORD = "record.json"  # of a part that has no final name yet
MANIFEST_VERSION = 1
_NUMBER_LIMIT = 2**63  # of samples, files, bytes
_LEADS_OUT = re.compile(r"^/|[\\\0]|(^|/)\.\.(/|$)")
_KINDS = {str: "a text", int: "a whole number from 0", list: "a list", dict: "an object"}
_PLAN_KEYS = ("recipe", "output", "part_size", "splits", "start")
_RECIPE_KEYS = {"version", *(one.name for one in fields(Recipe))}


def read_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object; raise ValueError if the bytes are none."""
    try:
        values = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - what is damaged is a ValueError
    return values


def take(values: Mapping[str, Any], /, **kinds: type) -> dict[str, Any]:
    """Return the values of some keys, or raise ValueError for one that is not of its kind."""
    for key, kind in kinds.items():
        value = values.get(key)
        is_number = kind is not int or (type(value) is int and 0 <= value < _NUMBER_LIMIT)
        if type(value) is not kind or not is_number:  # true is no number
            raise ValueError(f"{key} is {value!r:.60}; expected {_KINDS[kind]}")
    return {key: values[key] for key in kinds}


class FileEntry(NamedTuple):
    """A file of a dataset: its name relative to the dataset, its size, its hash."""

    name: str
    size_bytes: int
    sha256: str

    @classmethod
    def read(cls, entry: object) -> FileEntry:
        """Check an entry, or raise ValueError; what is listed may be removed: it lies inside."""
        values = [*map(entry.get, cls._fields)] if isinstance(entry, dict) else entry
        if not isinstance(values, list) or [*map(type, values)] != [str, int, str]:
            raise ValueError(f"{entry!r:.60} is no name, size and SHA-256")
        name, size_bytes, sha256 = values
        if not 0 <= size_bytes < _NUMBER_LIMIT:
            raise ValueError(f"the size of {name!r:.60} is {size_bytes!r:.60}")
        if _LEADS_OUT.search(name):
            raise ValueError(f"{name!r} is not inside the dataset")
        return cls(name, size_bytes, sha256)

    @classmethod
    def read_all(cls, entries: list[Any]) -> list[FileEntry]:
        """Check entries as `read` does, of which there may be millions."""
        return [*map(cls._make if _are_plain(entries) else cls.read, entries)]


def _are_plain(entries: list[Any]) -> bool:
    """Whether all are lists of a name inside, a size and a hash; looked at all at once."""
    if {*map(type, entries)} != {list} or {*map(len, entries)} != {len(FileEntry._fields)}:
        return False
    names, sizes, hashes = zip(*entries, strict=True)
    if [{*map(type, column)} for column in (names, sizes, hashes)] != [{str}, {int}, {str}]:
        return False
    text = "\n" + "\n".join(names)
    leads_out = any(sign in text for sign in ("..", "\\", "\0", "\n/"))
    return not leads_out and 0 <= min(sizes) <= max(sizes) < _NUMBER_LIMIT


@dataclass(frozen=True)
class PartRecord:
    """What a part consists of."""

    part: str  # its name
    start: int
    stop: int
    versions: dict[str, str]  # of the programs that made it
    kept: list[FileEntry]  # fragments of files that span parts, with a CRC-32; removed in the end
    files: list[FileEntry]
    md5: list[str] = field(default_factory=list)  # of kept and files, in stores, which list that


def record_name(part: str) -> str:
    """Return the name of the record of a part, relative to the dataset."""
    return f"{PARTS}/{part}.json"


def dump_record(record: PartRecord) -> bytes:
    """Return the bytes of a record."""
    values = {key: value for key, value in record.__dict__.items() if key != "md5" or value}
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def load_record(data: bytes) -> PartRecord:
    """Read a record; raise ValueError if the bytes are none."""
    kinds = {"part": str, "start": int, "stop": int, "versions": dict}
    kinds |= dict.fromkeys(("kept", "files", "md5"), list)
    values = take({"md5": []} | read_object(data), **kinds)
    for key in ("kept", "files"):
        values[key] = FileEntry.read_all(values[key])
    return PartRecord(**values)


def list_recorded(record: Path) -> list[FileEntry]:
    """Return the files that a record lists; none where it cannot be used."""
    try:
        return load_record(read_regular(record)).files
    except (OSError, ValueError):
        return []


@dataclass(frozen=True)
class PartSummary:
    """A part as ``dataset.json`` lists it: its record, its samples, its files."""

    record: str
    start: int
    stop: int
    n_files: int
    size_bytes: int
    record_size_bytes: int
    record_sha256: str

    @classmethod
    def from_dict(cls, values: object) -> PartSummary:
        """Make a summary of what JSON gave; raise ValueError if it is none."""
        if not isinstance(values, dict):
            raise ValueError(f"a part is {values!r:.60}; expected an object")  # noqa: TRY004 - as above
        FileEntry.read([values.get("record"), 0, ""])
        kinds = {one.name: {"str": str, "int": int}[str(one.type)] for one in fields(cls)}
        return cls(**take(values, **kinds))

    @classmethod
    def of(cls, record: PartRecord, data: bytes) -> PartSummary:
        """Return the summary of a part, from its record and the bytes of that."""
        files = (len(record.files), sum(file.size_bytes for file in record.files))
        own = (len(data), hashlib.sha256(data).hexdigest())
        return cls(record_name(record.part), record.start, record.stop, *files, *own)


@dataclass(frozen=True)
class Manifest:
    """What ``dataset.json`` says."""

    plan: dict[str, Any]  # what decides the files; see `Plan.to_dict`
    glyphs: dict[str, Any]  # their name, split, licence, hash and number
    shared_texts: str  # which texts splits share because there are too few
    versions: list[dict[str, str]]  # of what made the parts: one, unless that changed meanwhile
    files: list[FileEntry]  # that belong to no part
    parts: list[PartSummary]  # in order
    # SHA-256 of the ``README.md`` as it was written; {} where another one was there.
    card: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: Plan,
        glyphs: GlyphSet,
        versions: list[dict[str, str]],
        files: list[FileEntry],
        parts: list[PartSummary],
    ) -> Manifest:
        """Return the manifest of what was made."""
        about = {
            "name": glyphs.name,
            "split": glyphs.split,
            "licence": glyphs.licence,
            "sha256": glyphs.sha256,
            "n_glyphs": len(glyphs.own),
            "classes": [*list_classes(plan.recipe, glyphs.alphabet)],
        }
        shared_texts = find_shared(plan.recipe, plan.splits, len(glyphs.alphabet))
        return cls(plan.to_dict(), about, shared_texts, versions, files, parts)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        """Make a manifest of what JSON gave; raise ValueError or UsageError if it is none."""
        check_plan(values)
        values = {"card": {}} | values
        kinds = {"glyphs": dict, "shared_texts": str, "versions": list, "files": list}
        taken = take(values, **kinds, parts=list, card=dict)
        taken["files"] = FileEntry.read_all(taken["files"])
        taken["parts"] = [PartSummary.from_dict(part) for part in taken["parts"]]
        manifest = cls({key: values[key] for key in _PLAN_KEYS if key in values}, **taken)
        if not any(entry.name == RECIPE_FILE for entry in manifest.files):
            raise ValueError(f"it does not list {RECIPE_FILE}")
        totals = take(values, n_samples=int, n_files=int, size_bytes=int)
        if (totals["n_samples"], totals["n_files"]) != (manifest.n_samples, manifest.n_files):
            raise ValueError("its parts are not the whole")
        return manifest

    @property
    def n_samples(self) -> int:
        """Samples of all parts."""
        return sum(part.stop - part.start for part in self.parts)

    @property
    def n_files(self) -> int:
        """Files, but for the manifest itself, its records and its card."""
        return sum(part.n_files for part in self.parts) + len(self.files)

    @property
    def size_bytes(self) -> int:
        """Size of these files."""
        of_parts = sum(part.size_bytes for part in self.parts)
        return of_parts + sum(file.size_bytes for file in self.files)

    def to_json(self) -> bytes:
        """Return the bytes of ``dataset.json``, one line a part."""
        values = {"version": MANIFEST_VERSION, **self.plan}
        for name in ("glyphs", "shared_texts", "versions", "n_samples", "n_files", "size_bytes"):
            values[name] = getattr(self, name)
        values["card"] = self.card
        values["files"] = [file._asdict() for file in self.files]
        head = json.dumps(values, indent=1, ensure_ascii=False).removesuffix("\n}")
        lines = ",\n".join(json.dumps(part.__dict__, ensure_ascii=False) for part in self.parts)
        return f'{head},\n "parts": [\n{lines}\n ]\n}}\n'.encode()


def load_manifest(folder: Path) -> Manifest:
    """Read ``dataset.json``; what uses it may trust its kinds and ranges."""
    path = folder / DATASET_FILE
    with _naming_damage(path, suggest_anew(folder)):
        check_folder(folder)
        try:
            values = read_object(read_regular(path))
        except FileNotFoundError as error:
            state, hint = "is not a dataset", "Make one: mnistseq batch --out DIR"
            if (folder / PLAN_FILE).exists():
                state, hint = "is unfinished", "Run what began it again, with --resume."
            raise OutputError(f"{folder} {state}: it has no {DATASET_FILE}", hint) from error
        if (version := take(values, version=int)["version"]) != MANIFEST_VERSION:
            raise OutputError(
                f"{path} has version {version}; this program reads {MANIFEST_VERSION}",
                "Update it: pipx upgrade mnistseq",
            )
        return Manifest.from_dict(values)


def check_folder(folder: Path) -> None:
    """Raise OutputError for a folder that is a file, or that may not be read."""
    if not folder.is_dir() and folder.exists():
        raise OutputError(f"{folder} is a file; expected the folder of a dataset")
    if not is_store(folder) and folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise OutputError(f"cannot read the folder {folder}: permission denied")


def check_card(
    folder: Path, card: dict[str, str]
) -> Literal["missing", "own", "edited", "of others"]:
    """Return whose the ``README.md`` of a dataset is, whose manifest says this of its card."""
    try:
        data = read_regular(folder / CARD_FILE)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "of others"
    if card.get("sha256") == hashlib.sha256(data).hexdigest():
        return "own"
    return "edited" if card else "of others"


def dump_plan(plan: Plan) -> bytes:
    """Return the bytes that say what a run is about to do."""
    return json.dumps(plan.to_dict(), indent=1, ensure_ascii=False).encode() + b"\n"


def load_plan(folder: Path) -> dict[str, Any] | None:
    """Read what a run was about to do here, finished or not; None if there was no run."""
    path = folder / PLAN_FILE
    with _naming_damage(path, "Use --overwrite."):
        try:
            values = read_object(read_regular(path))
        except (FileNotFoundError, NotADirectoryError):
            return load_manifest(folder).plan if (folder / DATASET_FILE).exists() else None
        check_plan(values)
    return values


def suggest_anew(folder: Path) -> str:
    """Return what helps when ``dataset.json`` is lost: nothing else says what belongs here."""
    recipe = shlex.quote(str(folder / RECIPE_FILE))
    return f"Make it again elsewhere: mnistseq batch --recipe {recipe} --out DIR"


def check_plan(values: dict[str, Any]) -> None:
    """Raise for a plan that holds what no plan does; keys of later programs are passed over."""
    values = {"start": 0} | values
    take(values, recipe=dict, output=dict, splits=dict, start=int)
    recipe = {key: values["recipe"][key] for key in _RECIPE_KEYS & values["recipe"].keys()}
    if isinstance(recipe.get("texts"), dict):  # where they are, and their hash
        recipe["texts"] = ("0",)
    count = Recipe.from_dict(recipe).count
    output = values["output"]
    take(output, **dict.fromkeys({"to", "image_format", "name"}.intersection(output), str))
    if "labels" in output and check_texts("labels", output["labels"]) is None:
        raise ValueError("labels is None; expected a list of texts")
    check_number("part_size", values.get("part_size"), 1, PART_SIZE_LIMIT)
    cut(take(values["splits"], **dict.fromkeys(values["splits"], int)).items(), count)


@contextmanager
def _naming_damage(path: Path, hint: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an OutputError that names it."""
    try:
        yield
    except UsageError as error:
        raise OutputError(f"{path} is damaged: {error.message}", error.hint or hint) from error
    except MnistseqError:
        raise
    except (OSError, ValueError, TypeError, MemoryError) as error:
        if isinstance(error, PermissionError):
            hint = f"Make it readable: chmod u+r {shlex.quote(str(path))}"
        raise OutputError(explain_damage(error, path).message, hint) from error
    except Exception as error:  # of a store's library
        raise OutputError(f"cannot read {path}: {describe_damage(error)}") from error
