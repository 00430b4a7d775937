"""What is written when all parts are made: the files that span parts, the recipe, the manifest."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.manifest import (
    DATASET_FILE,
    PLAN_FILE,
    PREVIEW_FILE,
    check_card,
    load_manifest,
    sum_up,
)
from mnistseq_cli.bulk.output_folder import JOINED, OF_OLDER_VERSIONS
from mnistseq_cli.bulk.parts import (
    KEPT,
    RECORD,
    STAGING,
    PartRecord,
    Staging,
    check_files,
    describe_bytes,
    dump_record,
    find_versions,
    record_name,
)
from mnistseq_cli.bulk.plan import cut_parts
from mnistseq_cli.compose.splits import cut
from mnistseq_cli.files import write_new
from mnistseq_cli.formats import Output, open_format
from mnistseq_cli.formats.base import Fragments
from mnistseq_cli.formats.card import (
    CARD_FILE,
    CROISSANT_FILE,
    Facts,
    write_card,
    write_croissant,
)
from mnistseq_cli.formats.fields import find_known
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE
from mnistseq_cli.sheet import make_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.bulk.manifest import Manifest
    from mnistseq_cli.bulk.output_folder import OutputFolder
    from mnistseq_cli.bulk.parts import FileEntry, PartSummary
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.bulk.storage import Store
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Format
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

N_SHOWN, _SHOWN_PX = 24, 480  # images on the picture of a card, and the width of their left part


def find_joined(path: Path) -> list[FileEntry] | None:
    """Return the files that span parts of a finished dataset, if they are as they should be."""
    if not (path / DATASET_FILE).exists():
        return None
    own = {RECIPE_FILE, TEXTS_FILE, CROISSANT_FILE}
    entries = [entry for entry in load_manifest(path).files if entry.name not in own]
    return None if check_files(path, entries) else entries


def finish(
    plan: Plan,
    folder: OutputFolder | Store,
    glyphs: GlyphSet,
    parts: list[PartSummary],
    versions: list[dict[str, str]],
    *,
    joined: list[FileEntry] | None,
    first: Block,
) -> Manifest:
    """Write what spans parts, unless that is there, and ``dataset.json``; may be done twice.

    Parameters
    ----------
    plan : Plan
    folder : OutputFolder or Store
    glyphs : GlyphSet
    parts : list of PartSummary
        All parts, in order.
    versions : list of dict
        Of the programs that made them.
    joined : list of FileEntry or None
        What `find_joined` found.
    first : Block
        Some of the first samples, for the card.
    """
    form = open_format(plan.output)
    staging = Staging(folder.stage(JOINED))
    entries = _write_joined(plan, folder, form, staging, joined)
    facts = _gather_facts(sum_up(plan, glyphs, versions, parts, entries), first)
    croissant = write_croissant(facts).encode()
    staging.write(CROISSANT_FILE, croissant)
    entries.append(describe_bytes(croissant, CROISSANT_FILE))
    record = PartRecord(JOINED, 0, plan.recipe.count, find_versions(form), [], entries)
    write_new(str(staging.folder / RECORD), dump_record(record))
    folder.commit(staging.folder, JOINED)
    card, pages = _make_card(folder, facts, first)
    manifest = replace(sum_up(plan, glyphs, versions, parts, entries), card=card)
    folder.write(DATASET_FILE, manifest.to_json())
    for name, data in pages.items():  # last: by its hash there the card is known as ours
        folder.write(name, data)
    folder.remove_own(KEPT, STAGING, record_name(JOINED), PLAN_FILE, *OF_OLDER_VERSIONS)
    return manifest


def _write_joined(
    plan: Plan,
    folder: OutputFolder | Store,
    form: Format,
    staging: Staging,
    joined: list[FileEntry] | None,
) -> list[FileEntry]:
    """Write the recipe, and the files that span parts; return the entries of all."""
    own = [RECIPE_FILE] if plan.recipe.texts is None else [RECIPE_FILE, TEXTS_FILE]
    for name in own:
        staging.path(name)
    plan.recipe.save(staging.files, shlex.join(list_options(plan.output, plan.start)))
    if joined is None:
        form.join(find_fragments(plan, folder.path / KEPT), staging)
    written = {entry.name: entry for entry in staging.entries()}
    entries = [written.pop(name) for name in own]
    return [*entries, *(written.values() if joined is None else joined)]


def _gather_facts(manifest: Manifest, first: Block) -> Facts:
    """Return what a manifest says of a dataset to those who find it."""
    output = Output(folder=Path(), **manifest.plan["output"])
    splits = cut(tuple(manifest.plan["splits"].items()), manifest.n_samples)
    command = ["mnistseq", "batch", "--recipe", RECIPE_FILE]
    command += list_options(output, manifest.plan.get("start", 0))
    return Facts(
        recipe=manifest.plan["recipe"],
        output=manifest.plan["output"],
        splits={split.name: split.stop - split.start for split in splits},
        fields=tuple(find_known(first)),
        n_glyphs=manifest.glyphs["n_glyphs"],
        size_bytes=manifest.size_bytes,
        files=tuple(manifest.files),
        command=shlex.join(command),
    )


def _make_card(
    folder: OutputFolder | Store, facts: Facts, first: Block
) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the hash of the card, {} where another README is there, and what is to be written.

    One that somebody edited is kept, with the hash of what it was.
    """
    data = write_card(facts, PREVIEW_FILE).encode()
    card = {"sha256": hashlib.sha256(data).hexdigest()}
    is_new = check_card(folder.path, card) != "own"
    if is_new and check_card(folder.path, folder.card) not in {"missing", "own"}:
        return folder.card, {}
    pages = {}
    if is_new or not (folder.path / PREVIEW_FILE).exists():
        from PIL import Image  # noqa: PLC0415 - imageio takes three times as long to import

        stream = BytesIO()
        Image.fromarray(make_sheet([sample.image[:, :_SHOWN_PX] for sample in first])).save(
            stream, "jpeg", quality=90
        )
        pages[PREVIEW_FILE] = stream.getvalue()
    if is_new:
        pages[CARD_FILE] = data
    return card, pages


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


def list_options(output: Output, start: int = 0) -> Iterator[str]:
    """Yield the options of a command that writes in the same form, into a folder beside this."""
    default = Output(folder=output.folder)
    if start:
        yield from ("--start", str(start))
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
