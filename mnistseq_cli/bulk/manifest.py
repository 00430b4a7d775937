"""What was written: the ``dataset.json`` that sums up the records of parts.

A dataset has ``dataset.json``, written last; each part has a record with the name, size and
SHA-256 of its files in ``.mnistseq/parts``, and ``dataset.json`` lists the records with theirs.
While a run is going on, ``.mnistseq`` also holds its plan, a lock, and what is not finished.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.deal import find_shared
from mnistseq_cli.bulk.disk import replace_file
from mnistseq_cli.bulk.records import check_inside
from mnistseq_cli.bulk.staging import FileEntry
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats.names import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyphset import GlyphSet

DATASET_FILE = "dataset.json"
KEPT = f"{OWN_FOLDER}/kept"
SHARED = "shared-"  # in KEPT; the rest of the name says of which plan
STAGING = f"{OWN_FOLDER}/staging"
LOCK = f"{OWN_FOLDER}/lock"
PLAN_FILE = f"{OWN_FOLDER}/plan.json"
BOOT_FILE = f"{OWN_FOLDER}/boot_id"
MANIFEST_VERSION = 1
_KEYS = {"version", "recipe", "output", "part_size", "splits", "shared_texts", "n_samples"}


@dataclass(frozen=True)
class PartSummary:
    """A part as ``dataset.json`` lists it."""

    start: int
    stop: int
    n_files: int
    size_bytes: int
    record: FileEntry


def find_shared_folder(folder: Path) -> Path | None:
    """Find the folder of files that parts write together."""
    return next((folder / KEPT).glob(f"{SHARED}*"), None)


def open_shared_folder(plan: Plan) -> Path:
    """Give the folder of files that parts write together; other plans call it otherwise."""
    digest = hashlib.sha256(json.dumps(plan.to_dict()).encode()).hexdigest()
    folder = plan.output.folder
    shared = find_shared_folder(folder) or folder / KEPT / f"{SHARED}{digest[:16]}"
    shared.mkdir(exist_ok=True)
    return shared


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
    """Read ``dataset.json``.

    Raises
    ------
    OutputError
        There is none, or it cannot be read.
    """
    path = folder / DATASET_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
        _check_keys(values)
        if values["version"] != MANIFEST_VERSION:
            raise OutputError(
                f"{path} has version {values['version']}; this program reads {MANIFEST_VERSION}",
                "Update it: pipx upgrade mnistseq-cli",
            )
        values["parts"] = [_gather(**part) for part in values["parts"]]
        values["files"] = [check_inside(FileEntry(**file)) for file in values["files"]]
    except FileNotFoundError as error:
        raise _explain_missing(folder) from error
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(f"{path} is damaged: {error}", "Make it again with --resume.") from error
    return values


def _check_keys(values: dict[str, Any]) -> None:
    missing = _KEYS - values.keys()
    if missing:
        raise ValueError(f"it does not say {min(missing)}")


def save_plan(plan: Plan, strangers: Iterable[str]) -> None:
    """Write down what a run is about to do, and which files in its folder are not its own."""
    values = plan.to_dict() | {"strangers": sorted(strangers)}
    data = json.dumps(values, indent=1, ensure_ascii=False).encode() + b"\n"
    folder = plan.output.folder
    replace_file(folder / PLAN_FILE, data, folder / STAGING)


def load_plan(folder: Path) -> dict[str, Any] | None:
    """Read what a run was about to do here, finished or not; None if there was no run.

    Raises
    ------
    OutputError
        ``dataset.json`` cannot be read.
    """
    try:
        values: dict[str, Any] = json.loads((folder / PLAN_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return load_dataset(folder) if (folder / DATASET_FILE).exists() else None
    except ValueError as error:
        raise OutputError(
            f"{folder / PLAN_FILE} is damaged: {error}", "Use --overwrite."
        ) from error
    return values


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


def _gather(
    *,
    record: str,
    start: int,
    stop: int,
    n_files: int,
    size_bytes: int,
    record_size_bytes: int,
    record_sha256: str,
) -> PartSummary:
    entry = FileEntry(record, record_size_bytes, record_sha256)
    return PartSummary(start, stop, n_files, size_bytes, entry)


def _explain_missing(folder: Path) -> OutputError:
    if (folder / PLAN_FILE).exists():
        return OutputError(
            f"{folder} is unfinished: it has no {DATASET_FILE}",
            "Run the command that began it again, with --resume.",
        )
    return OutputError(
        f"{folder} is no dataset: it has no {DATASET_FILE}", "Make one: mnistseq batch --out DIR"
    )
