"""What was written: the ``dataset.json`` that sums up the records of parts.

A dataset has ``dataset.json``, written last; each part has a record with the name, size and
SHA-256 of its files in ``.mnistseq/parts``, and ``dataset.json`` lists the records with theirs.
While a run is going on, ``.mnistseq`` also holds its plan, a lock, and what is not finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from mnistseq_cli.bulk.parts import (
    PartSummary,
    read_object,
    take_entries,
    take_number,
)
from mnistseq_cli.bulk.plan import PART_SIZE_LIMIT
from mnistseq_cli.compose.splits import cut, find_shared
from mnistseq_cli.compose.texts import list_classes
from mnistseq_cli.errors import MnistseqError, OutputError, UsageError
from mnistseq_cli.files import describe_damage, is_store, read_regular
from mnistseq_cli.formats.card import CARD_FILE
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.recipe import RECIPE_FILE, Recipe
from mnistseq_cli.validation import check_number, check_texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.parts import FileEntry
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

DATASET_FILE = "dataset.json"
LOCK = f"{OWN_FOLDER}/lock"
PLAN_FILE = f"{OWN_FOLDER}/plan.json"
# `load_dataset` passes over it, and who counts PNG files does not count it.
PREVIEW_FILE = f"{OWN_FOLDER}/preview.jpg"
MANIFEST_VERSION = 1
_PLAN_KEYS = ("recipe", "output", "part_size", "splits", "start")
_RECIPE_KEYS = {"version", *(one.name for one in fields(Recipe))}
_KINDS: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Manifest:
    """What ``dataset.json`` says.

    Parameters
    ----------
    plan : dict
        What decides the files, as plain values; see `Plan.to_dict`.
    glyphs : dict
        Name, split, licence, hash and number of the glyphs.
    shared_texts : str
        Which texts splits share because there are too few; "" if none.
    versions : list of dict
        Of the programs that made the parts: one, unless they changed between two runs.
    n_samples, n_files, size_bytes : int
        Of the whole.
    files : list of FileEntry
        The files that belong to no part.
    parts : list of PartSummary
        In order.
    card : dict
        SHA-256 of the ``README.md`` as it was written; {} where another one was there.
    """

    plan: dict[str, Any]
    glyphs: dict[str, Any]
    shared_texts: str
    versions: list[dict[str, str]]
    n_samples: int
    n_files: int
    size_bytes: int
    files: list[FileEntry]
    parts: list[PartSummary]
    card: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        """Make a manifest of what JSON gave; raise ValueError or UsageError if it is none."""
        check_plan(values)
        files = take_entries(values, "files")
        if not any(entry.name == RECIPE_FILE for entry in files):
            raise ValueError(f"it does not list {RECIPE_FILE}")
        return cls(
            plan={key: values[key] for key in _PLAN_KEYS if key in values},
            glyphs=_take(values, "glyphs", dict),
            shared_texts=_take(values, "shared_texts", str),
            versions=_take(values, "versions", list),
            n_samples=take_number(values, "n_samples"),
            n_files=take_number(values, "n_files"),
            size_bytes=take_number(values, "size_bytes"),
            files=files,
            parts=[PartSummary.from_dict(part) for part in _take(values, "parts", list)],
            card=_take(values, "card", dict) if "card" in values else {},
        )

    def to_json(self) -> bytes:
        """Return the bytes of ``dataset.json``, one line a part."""
        values = {
            "version": MANIFEST_VERSION,
            **self.plan,
            "glyphs": self.glyphs,
            "shared_texts": self.shared_texts,
            "versions": self.versions,
            "n_samples": self.n_samples,
            "n_files": self.n_files,
            "size_bytes": self.size_bytes,
            "card": self.card,
            "files": [file._asdict() for file in self.files],
        }
        head = json.dumps(values, indent=1, ensure_ascii=False).removesuffix("\n}")
        lines = ",\n".join(json.dumps(part.__dict__, ensure_ascii=False) for part in self.parts)
        return f'{head},\n "parts": [\n{lines}\n ]\n}}\n'.encode()


def sum_up(
    plan: Plan,
    glyphs: GlyphSet,
    versions: list[dict[str, str]],
    parts: list[PartSummary],
    files: list[FileEntry],
) -> Manifest:
    """Return the manifest of what was made."""
    return Manifest(
        plan=plan.to_dict(),
        glyphs={
            "name": glyphs.name,
            "split": glyphs.split,
            "licence": glyphs.licence,
            "sha256": glyphs.sha256,
            "n_glyphs": len(glyphs.own),
            "classes": [*list_classes(plan.recipe, glyphs.alphabet)],
        },
        shared_texts=find_shared(plan.recipe, plan.splits, len(glyphs.alphabet)),
        versions=versions,
        n_samples=sum(part.stop - part.start for part in parts),
        n_files=sum(part.n_files for part in parts) + len(files),
        size_bytes=sum(part.size_bytes for part in parts) + sum(file.size_bytes for file in files),
        files=files,
        parts=parts,
    )


def load_manifest(folder: Path) -> Manifest:
    """Read ``dataset.json``; what uses it may trust its kinds and ranges."""
    path = folder / DATASET_FILE
    with _naming_damage(path, suggest_anew(folder)):
        _check_folder(folder)
        try:
            values = read_object(read_regular(path))
        except FileNotFoundError as error:
            raise _explain_missing(folder) from error
        if (version := take_number(values, "version")) != MANIFEST_VERSION:
            raise OutputError(
                f"{path} has version {version}; this program reads {MANIFEST_VERSION}",
                "Update it: pipx upgrade mnistseq",
            )
        return Manifest.from_dict(values)


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
    recipe = _take(values, "recipe", dict)
    recipe = {key: recipe[key] for key in _RECIPE_KEYS & recipe.keys()}
    if isinstance(recipe.get("texts"), dict):  # where they are, and their hash
        recipe["texts"] = ("0",)
    count = Recipe.from_dict(recipe).count
    output = _take(values, "output", dict)
    for key in {"to", "image_format", "name"}.intersection(output):
        _take(output, key, str)
    if "labels" in output and check_texts("labels", output["labels"]) is None:
        raise ValueError("labels is None; expected a list of texts")
    check_number("part_size", values.get("part_size"), 1, PART_SIZE_LIMIT)
    take_number({"start": 0} | values, "start")
    splits = _take(values, "splits", dict)
    cut([(name, take_number(splits, name)) for name in splits], count)


def _take(values: dict[str, Any], key: str, kind: type) -> Any:  # noqa: ANN401 - of that kind
    """Return a value of a kind, or raise ValueError."""
    value = values.get(key)
    if type(value) is not kind:
        raise ValueError(f"{key} is {value!r:.60}; expected {_KINDS[kind]}")
    return value


def _check_folder(folder: Path) -> None:
    if not folder.is_dir() and folder.exists():
        raise OutputError(f"{folder} is a file; expected the folder of a dataset")
    if not is_store(folder) and folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
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
    except MnistseqError:
        raise
    except Exception as error:  # of a store's library
        raise OutputError(f"cannot read {path}: {describe_damage(error)}") from error


def _explain_missing(folder: Path) -> OutputError:
    if (folder / PLAN_FILE).exists():
        return OutputError(
            f"{folder} is unfinished: it has no {DATASET_FILE}",
            "Run the command that began it again, with --resume.",
        )
    return OutputError(
        f"{folder} is not a dataset: it has no {DATASET_FILE}",
        "Make one: mnistseq batch --out DIR",
    )
