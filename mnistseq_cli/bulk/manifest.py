"""What was written: the ``dataset.json`` that sums up the records of parts.

A dataset has ``dataset.json``, written last; each part has a record with the name, size and
SHA-256 of its files in ``.mnistseq/parts``, and ``dataset.json`` lists the records with theirs.
While a run is going on, ``.mnistseq`` also holds its plan, a lock, and what is not finished.
"""

from __future__ import annotations

import json
import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.parts import (
    STAGING,
    FileEntry,
    read_object,
    take_entries,
    take_entry,
    take_number,
)
from mnistseq_cli.bulk.plan import PART_SIZE_LIMIT
from mnistseq_cli.compose.splits import cut, find_shared
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.files import check_regular, replace_file
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.recipe import RECIPE_FILE, Recipe
from mnistseq_cli.validation import check_number, check_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

DATASET_FILE = "dataset.json"
LOCK = f"{OWN_FOLDER}/lock"
PLAN_FILE = f"{OWN_FOLDER}/plan.json"
MANIFEST_VERSION = 1
_PLAN_KINDS: dict[str, type] = {"recipe": dict, "output": dict, "part_size": int, "splits": dict}
_KINDS = _PLAN_KINDS | {
    "glyphs": dict,
    "shared_texts": str,
    "versions": list,
    "n_samples": int,
    "n_files": int,
    "size_bytes": int,
    "files": list,
    "parts": list,
}
_OUTPUT_TEXTS = {"to", "image_format", "name"}
_RECIPE_KEYS = {"version", *(field.name for field in fields(Recipe))}


@dataclass(frozen=True)
class PartSummary:
    """A part as ``dataset.json`` lists it."""

    start: int
    stop: int
    n_files: int
    size_bytes: int
    record: FileEntry


def dump_dataset(
    plan: Plan,
    glyphs: GlyphSet,
    versions: list[dict[str, str]],
    parts: Iterable[PartSummary],
    files: list[FileEntry],
) -> bytes:
    """Give the bytes of ``dataset.json``, one line a part.

    Parameters
    ----------
    plan : Plan
    glyphs : GlyphSet
    versions : list of dict
        Of the programs that made the parts: one, unless they changed between two runs.
    parts : iterable of PartSummary
        In order.
    files : list of FileEntry
        The files that belong to no part.
    """
    parts = list(parts)
    values = {
        "version": MANIFEST_VERSION,
        **plan.to_dict(),
        "glyphs": {
            "name": glyphs.name,
            "split": glyphs.split,
            "licence": glyphs.licence,
            "sha256": glyphs.sha256,
            "n_glyphs": len(glyphs),
        },
        "shared_texts": find_shared(plan.recipe, plan.splits, len(glyphs.alphabet)),
        "versions": versions,
        "n_samples": sum(part.stop - part.start for part in parts),
        "n_files": sum(part.n_files for part in parts) + len(files),
        "size_bytes": sum(part.size_bytes for part in parts)
        + sum(file.size_bytes for file in files),
        "files": [file._asdict() for file in files],
    }
    head = json.dumps(values, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join(json.dumps(_flatten(part), ensure_ascii=False) for part in parts)
    return f'{head},\n "parts": [\n{lines}\n ]\n}}\n'.encode()


def load_dataset(folder: Path) -> dict[str, Any]:
    """Read ``dataset.json``; what uses it may trust its kinds and ranges.

    Raises
    ------
    OutputError
        There is none, or it cannot be read.
    """
    path = folder / DATASET_FILE
    with _naming_damage(path, suggest_anew(folder)):
        _check_folder(folder)
        try:
            values = _read(path)
        except FileNotFoundError as error:
            raise _explain_missing(folder) from error
        check_kinds(values, {"version": int})
        if values["version"] != MANIFEST_VERSION:
            raise OutputError(
                f"{path} has version {values['version']}; this program reads {MANIFEST_VERSION}",
                "Update it: pipx upgrade mnistseq",
            )
        check_kinds(values, _KINDS)
        _check_plan(values)
        values["parts"] = [_take_part(part) for part in values["parts"]]
        values["files"] = take_entries(values, "files")
        if not any(entry.name == RECIPE_FILE for entry in values["files"]):
            raise ValueError(f"it does not list {RECIPE_FILE}")
    return values


def suggest_anew(folder: Path) -> str:
    """Say what helps when ``dataset.json`` is lost: nothing else says what belongs here."""
    recipe = shlex.quote(str(folder / RECIPE_FILE))
    return f"Make it again elsewhere: mnistseq batch --recipe {recipe} --out DIR"


def _read(path: Path) -> dict[str, Any]:
    check_regular(path)
    return read_object(path.read_bytes())


def _check_folder(folder: Path) -> None:
    if not folder.is_dir() and folder.exists():
        raise OutputError(f"{folder} is no folder, but a file; allowed is the folder of a dataset")
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise OutputError(f"cannot read the folder {folder}: permission denied")


@contextmanager
def _naming_damage(path: Path, hint: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an OutputError that names it."""
    try:
        yield
    except OSError as error:
        if isinstance(error, PermissionError):
            hint = f"Make it readable: chmod u+r {shlex.quote(str(path))}"
        raise OutputError(f"cannot read {path}: {error.strerror}", hint) from error
    except UsageError as error:
        raise OutputError(f"{path} is damaged: {error.message}", error.hint or hint) from error
    except (ValueError, TypeError, MemoryError) as error:
        raise OutputError(f"{path} is damaged: {str(error) or 'it is too large'}", hint) from error


def _check_plan(values: dict[str, Any]) -> None:
    """Refuse a plan that holds what no plan does; keys of later programs are passed over."""
    check_kinds(values, _PLAN_KINDS)
    recipe = {key: values["recipe"][key] for key in _RECIPE_KEYS & values["recipe"].keys()}
    if isinstance(recipe.get("texts"), dict):  # where they are, and their hash
        recipe["texts"] = ("0",)
    count = Recipe.from_dict(recipe).count
    output = values["output"]
    check_kinds(output, dict.fromkeys(_OUTPUT_TEXTS.intersection(output), str))
    _check_list("labels", output)
    check_number("part_size", values["part_size"], 1, PART_SIZE_LIMIT)
    check_kinds(values["splits"], dict.fromkeys(values["splits"], int))
    cut(values["splits"].items(), count)


def save_plan(plan: Plan, folder: Path) -> None:
    """Write down what a run is about to do."""
    data = json.dumps(plan.to_dict(), indent=1, ensure_ascii=False).encode() + b"\n"
    replace_file(folder / PLAN_FILE, data, folder / STAGING)


def load_plan(folder: Path) -> dict[str, Any] | None:
    """Read what a run was about to do here, finished or not; None if there was no run.

    Raises
    ------
    OutputError
        It cannot be read.
    """
    path = folder / PLAN_FILE
    with _naming_damage(path, "Use --overwrite."):
        try:
            values = _read(path)
        except (FileNotFoundError, NotADirectoryError):
            return load_dataset(folder) if (folder / DATASET_FILE).exists() else None
        _check_plan(values)
    return values


def _check_list(name: str, values: dict[str, Any]) -> None:
    if name in values and check_texts(name, values[name]) is None:
        raise ValueError(f"{name} is None; allowed is a list of texts")


def _flatten(part: PartSummary) -> dict[str, Any]:
    record = part.record
    return {
        "record": record.name,
        "start": part.start,
        "stop": part.stop,
        "n_files": part.n_files,
        "size_bytes": part.size_bytes,
        "record_size_bytes": record.size_bytes,
        "record_sha256": record.sha256,
    }


def _take_part(values: object) -> PartSummary:
    if not isinstance(values, dict):
        raise ValueError(f"a part is {values!r:.60}; expected an object")  # noqa: TRY004 - what is damaged is a ValueError
    numbers = [take_number(values, name) for name in ("start", "stop", "n_files", "size_bytes")]
    record = [values.get(name) for name in ("record", "record_size_bytes", "record_sha256")]
    start, stop, n_files, size_bytes = numbers
    return PartSummary(start, stop, n_files, size_bytes, take_entry(record))


_WORDS = {"str": "a text", "list": "a list", "dict": "an object"}


def check_kinds(values: dict[str, Any], kinds: dict[str, type]) -> None:
    """Raise ValueError for values that lack a key, or have one of another kind than listed."""
    for key, kind in kinds.items():
        value = values.get(key)
        if kind is int:
            take_number(values, key)
        elif type(value) is not kind:
            raise ValueError(f"{key} is {value!r:.60}; expected {_WORDS[kind.__name__]}")


def _explain_missing(folder: Path) -> OutputError:
    if (folder / PLAN_FILE).exists():
        return OutputError(
            f"{folder} is unfinished: it has no {DATASET_FILE}",
            "Run the command that began it again, with --resume.",
        )
    return OutputError(
        f"{folder} is no dataset: it has no {DATASET_FILE}", "Make one: mnistseq batch --out DIR"
    )
