"""Put in place what was made: a part, the files that span parts, the dataset."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.manifest import (
    BOOT_FILE,
    DATASET_FILE,
    PLAN_FILE,
    PartSummary,
    dump_dataset,
)
from mnistseq_cli.bulk.parts import (
    KEPT,
    RECORD,
    STAGING,
    FileEntry,
    PartRecord,
    Staging,
    describe_file,
    dump_record,
    find_versions,
    move_into,
    record_name,
    remove,
)
from mnistseq_cli.bulk.plan import cut_parts
from mnistseq_cli.files import replace_file
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.base import Fragments
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.bulk.parts import Made
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.compose.splits import Split
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

JOINED = "joined"


def find_fragments(plan: Plan, split: Split) -> Fragments:
    """Return what the parts of a split have written of the files that span parts."""
    folder = f"{split.name}/" if split.name else ""
    parts = [part.name for part in cut_parts(split, plan.part_size)]
    return Fragments(folder, plan.output.folder / KEPT, parts)


def commit(folder: Path, made: Made, strangers: frozenset[str]) -> PartSummary:
    """Give the files of a part their final names, then put its record in place."""
    _move(folder, made.staging, made.part.name, strangers)
    part = made.part
    return PartSummary(part.start, part.stop, made.n_files, made.size_bytes, made.record)


def join(plan: Plan, strangers: frozenset[str]) -> list[FileEntry]:
    """Write the files that span parts; give their entries."""
    folder = plan.output.folder
    staging = Staging(folder / STAGING / f"{JOINED}.{token_hex(4)}")
    open_format(plan.output).join([find_fragments(plan, split) for split in plan.splits], staging)
    entries = staging.entries()
    record = PartRecord(JOINED, 0, plan.recipe.count, find_versions(plan.output), [], entries)
    dump_record(record, staging.folder)
    _move(folder, staging.folder, JOINED, strangers)
    return entries


def finish(
    plan: Plan,
    glyphs: GlyphSet,
    versions: list[dict[str, str]],
    parts: list[PartSummary],
    joined: list[FileEntry],
) -> None:
    """Write ``dataset.json``, then remove what only an unfinished dataset needs."""
    folder = plan.output.folder
    own = [RECIPE_FILE] if plan.recipe.texts is None else [RECIPE_FILE, TEXTS_FILE]
    files = [describe_file(folder / name, name) for name in own] + joined
    data = dump_dataset(plan, glyphs, versions, parts, files)
    replace_file(folder / DATASET_FILE, data, folder / STAGING)
    remove(folder / name for name in (KEPT, STAGING))
    for name in (record_name(JOINED), PLAN_FILE, BOOT_FILE):
        (folder / name).unlink(missing_ok=True)


def _move(folder: Path, staging: Path, name: str, strangers: frozenset[str]) -> None:
    kept = folder / KEPT / name
    move_into(staging / "files", folder, strangers)
    remove([kept])
    (staging / "kept").replace(kept)
    (staging / RECORD).replace(folder / record_name(name))
    remove([staging])
