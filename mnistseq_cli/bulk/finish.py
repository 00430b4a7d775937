"""What is written when all parts are made: the files that span parts, the recipe, the manifest."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.manifest import (
    DATASET_FILE,
    KEPT,
    PLAN_FILE,
    PREVIEW_FILE,
    RECORD,
    STAGING,
    FileEntry,
    Manifest,
    PartRecord,
    check_card,
    dump_record,
    load_manifest,
    record_name,
)
from mnistseq_cli.bulk.output_folder import JOINED
from mnistseq_cli.bulk.parts import Staging, check_files, find_versions
from mnistseq_cli.bulk.plan import cut_parts
from mnistseq_cli.compose.splits import open_splits
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
    from pathlib import Path

    from mnistseq_cli.bulk.output_folder import OutputFolder
    from mnistseq_cli.bulk.parts import WrittenPart
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.bulk.storage import Store
    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.compose.samples import Block

_N_SHOWN, _SHOWN_PX = 24, 480  # images on the picture of a card, and the width of their left part


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
    generator: SequenceGenerator,
    data_dir: Path | None,
    *,
    parts: list[WrittenPart],
    joined: list[FileEntry] | None,
) -> Manifest:
    """Write what spans parts, unless `find_joined` found it, and ``dataset.json``.

    The parts are all, in order. It may be done twice.
    """
    form = open_format(plan.output)
    staging = Staging(folder.stage(JOINED))
    recipe_files = [RECIPE_FILE] if plan.recipe.texts is None else [RECIPE_FILE, TEXTS_FILE]
    for name in recipe_files:
        staging.path(name)
    options = shlex.join(_list_options(plan))
    plan.recipe.save(staging.files, options)
    if joined is None:
        fragments = []
        for split in plan.splits:
            own = [*cut_parts(split, plan.part_size)]
            names = [part.name for part in own]
            fragments.append(Fragments(own[0].folder, folder.path / KEPT, names))
        form.join(fragments, staging)
    written = {entry.name: entry for entry in staging.entries()}
    files = [written.pop(name) for name in recipe_files]
    files += written.values() if joined is None else joined
    versions = [*{repr(part.versions): part.versions for part in parts}.values()]
    summaries = [part.summary for part in parts]
    manifest = Manifest.of(plan, generator.glyphs, versions, files, summaries)
    first = _make_first(plan, generator, data_dir)
    facts = Facts(
        recipe=manifest.plan["recipe"],
        output=manifest.plan["output"],
        splits={split.name: split.stop - split.start for split in plan.splits},
        fields=tuple(find_known(first)),
        n_glyphs=manifest.glyphs["n_glyphs"],
        size_bytes=manifest.size_bytes,
        files=tuple(files),
        command=f"mnistseq batch --recipe {RECIPE_FILE} {options}",
    )
    croissant = write_croissant(facts).encode()
    staging.write(CROISSANT_FILE, croissant)
    files = [*files, FileEntry.of(croissant, CROISSANT_FILE)]
    record = PartRecord(JOINED, 0, plan.recipe.count, find_versions(form), [], files)
    write_new(str(staging.folder / RECORD), dump_record(record))
    folder.commit(staging.folder, JOINED)
    card, pages = _make_card(folder, facts, first)
    manifest = replace(manifest, files=files, card=card)
    folder.write(DATASET_FILE, manifest.to_json())
    for name, data in pages.items():  # last: by its hash there the card is known as ours
        folder.write(name, data)
    folder.remove_own(KEPT, STAGING, record_name(JOINED), PLAN_FILE)
    return manifest


def _make_first(plan: Plan, generator: SequenceGenerator, data_dir: Path | None) -> Block:
    """Make the first samples, for the card."""
    first = plan.splits[0]
    if plan.weights:
        splits = open_splits(plan.recipe, plan.splits, data_dir, generator.width_px)
        generator = splits[first.name]
    return generator.block(first.start, min(first.start + _N_SHOWN, first.stop))


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
        sheet = make_sheet([sample.image[:, :_SHOWN_PX] for sample in first])
        Image.fromarray(sheet).save(stream, "jpeg", quality=90)
        pages[PREVIEW_FILE] = stream.getvalue()
    if is_new:
        pages[CARD_FILE] = data
    return card, pages


def _list_options(plan: Plan) -> list[str]:
    """Return the options of a command that writes in the same form, into a folder beside this."""
    options = ["--start", str(plan.start)] if plan.start else []
    default = Output(folder=plan.output.folder)
    for name in ("to", "labels", "image_format", "name"):
        value = getattr(plan.output, name)
        if value != getattr(default, name):
            for one in value if isinstance(value, tuple) else (value,):
                options += [f"--{name.replace('_', '-')}", one]
    return [*options, "-o", "../again"]
