"""What is written when all parts are made: the files that span parts, the recipe, the manifest."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.manifest import DATASET_FILE, PLAN_FILE, load_manifest, sum_up
from mnistseq_cli.bulk.output_folder import JOINED, OF_OLDER_VERSIONS
from mnistseq_cli.bulk.parts import (
    KEPT,
    STAGING,
    PartRecord,
    Staging,
    check_files,
    dump_record,
    find_versions,
    record_name,
)
from mnistseq_cli.bulk.plan import cut_parts
from mnistseq_cli.files import replace_file
from mnistseq_cli.formats import Output, open_format
from mnistseq_cli.formats.base import Fragments
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.manifest import Manifest
    from mnistseq_cli.bulk.output_folder import OutputFolder
    from mnistseq_cli.bulk.parts import FileEntry, PartSummary
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.glyphs.glyph_set import GlyphSet


def find_joined(path: Path) -> list[FileEntry] | None:
    """Return the files that span parts of a finished dataset, if they are as they should be."""
    if not (path / DATASET_FILE).exists():
        return None
    own = {RECIPE_FILE, TEXTS_FILE}
    entries = [entry for entry in load_manifest(path).files if entry.name not in own]
    return None if check_files(path, entries) else entries


def finish(
    plan: Plan,
    folder: OutputFolder,
    glyphs: GlyphSet,
    parts: list[PartSummary],
    versions: list[dict[str, str]],
    *,
    joined: list[FileEntry] | None,
) -> Manifest:
    """Write what spans parts, unless that is there, and ``dataset.json``; may be done twice.

    Parameters
    ----------
    plan : Plan
    folder : OutputFolder
    glyphs : GlyphSet
    parts : list of PartSummary
        All parts, in order.
    versions : list of dict
        Of the programs that made them.
    joined : list of FileEntry or None
        What `find_joined` found.
    """
    files = _write_joined(plan, folder, joined)
    manifest = sum_up(plan, glyphs, versions, parts, files)
    replace_file(folder.path / DATASET_FILE, manifest.to_json(), folder.path / STAGING)
    folder.remove_own(KEPT, STAGING, record_name(JOINED), PLAN_FILE, *OF_OLDER_VERSIONS)
    return manifest


def _write_joined(
    plan: Plan, folder: OutputFolder, joined: list[FileEntry] | None
) -> list[FileEntry]:
    """Write the recipe, and the files that span parts; return the entries of all."""
    form = open_format(plan.output)
    staging = Staging(folder.stage(JOINED))
    own = [RECIPE_FILE] if plan.recipe.texts is None else [RECIPE_FILE, TEXTS_FILE]
    for name in own:
        staging.path(name)
    plan.recipe.save(staging.files, shlex.join(_list_options(plan.output)))
    if joined is None:
        form.join(find_fragments(plan, folder.path / KEPT), staging)
    written = {entry.name: entry for entry in staging.entries()}
    entries = [written.pop(name) for name in own]
    entries += written.values() if joined is None else joined
    record = PartRecord(JOINED, 0, plan.recipe.count, find_versions(form), [], entries)
    dump_record(record, staging.folder)
    folder.commit(staging.folder, JOINED)
    return entries


def find_fragments(plan: Plan, root: Path) -> list[Fragments]:
    """Return what the parts of each split have written of the files that span parts."""
    return [
        Fragments(
            f"{split.name}/" if split.name else "",
            root,
            [part.name for part in cut_parts(split, plan.part_size)],
        )
        for split in plan.splits
    ]


def _list_options(output: Output) -> Iterator[str]:
    """Yield the options of a command that writes in the same form, into a folder beside this."""
    default = Output(folder=output.folder)
    if output.to != default.to:
        yield from ("--to", output.to)
    if output.labels != default.labels:
        for style in output.labels:
            yield from ("--labels", style)
    if output.image_format != default.image_format:
        yield from ("--image-format", output.image_format)
    if output.name != default.name:
        yield from ("--name", output.name)
    yield from ("-o", "../again")
