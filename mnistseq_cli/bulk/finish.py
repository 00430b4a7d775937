"""Put in place what was made: a part, the files that span parts, the dataset."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager, suppress
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.check import PartChecker
from mnistseq_cli.bulk.events import ignore
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
    describe_range,
    dump_record,
    find_shared_folder,
    find_versions,
    load_kept,
    move_into,
    record_name,
    remove,
    split_placed_name,
)
from mnistseq_cli.bulk.plan import cut_parts
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import replace_file
from mnistseq_cli.formats import open_format
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.parts import Made
    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.splits import Split
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

JOINED = "joined"


class KeptFragments:
    """What the parts of a split have kept, compared with their records; see `Fragments`."""

    def __init__(self, plan: Plan, split: Split) -> None:
        self.folder = f"{split.name}/" if split.name else ""
        self._plan = plan
        self._parts = partial(cut_parts, split, plan.part_size)
        self._kept = plan.output.folder / KEPT
        self._shared = find_shared_folder(plan.output.folder)

    def read(self, name: str) -> Iterator[bytes]:
        """Read the fragments of a name, one a part, in the order of parts.

        Raises
        ------
        OutputError
            A fragment is not as the record of its part says.
        """
        for part in self._parts():
            with self._refusing(part):
                data = (self._kept / part.name / name).read_bytes()
                found = FileEntry(name, len(data), hashlib.sha256(data).hexdigest())
                if found not in self._load_kept(part):
                    raise ValueError(name)
            yield data

    def gather(self, name: str, path: Path) -> None:
        """Put a file at a path that holds what the parts have placed under a name.

        Raises
        ------
        OutputError
            It is not what the record of a part says.
        """
        shared = self._shared and self._shared / (self.folder + name)
        if shared and shared.exists():
            _link_or_copy(shared, path)
        path.touch()
        with path.open("r+b") as file:
            for part in self._parts():
                for kept in (self._kept / part.name).glob(f"{name}@*"):
                    file.seek(split_placed_name(kept.name)[1])
                    with kept.open("rb") as fragment:
                        shutil.copyfileobj(fragment, file)
        for part in self._parts():
            with self._refusing(part):
                self._check_placed(part, name, path)

    def _check_placed(self, part: Part, name: str, path: Path) -> None:
        placed = [entry for entry in self._load_kept(part) if entry.name.startswith(f"{name}@")]
        if not placed or any(describe_range(path, entry) != entry for entry in placed):
            raise ValueError(name)

    def _load_kept(self, part: Part) -> list[FileEntry]:
        record = self._plan.output.folder / record_name(part.name)
        return load_kept(record.read_bytes())

    @contextmanager
    def _refusing(self, part: Part) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, ValueError) as error:
            n_others = set_aside(self._plan, part) - 1
            more = f" and {n_others} more have" if n_others else " has"
            raise OutputError(
                f"{part}{more} changed on the disk: what was kept for the files that "
                "span parts is no longer what was made",
                "Run the same command again with --resume: it makes such parts again.",
            ) from error


def set_aside(plan: Plan, damaged: Part) -> int:
    """Take a part, and all others that are damaged, for not made; give how many there are.

    Their records go to where those of parts lie that are half moved: they still say whose the
    files are.
    """
    folder = plan.output.folder
    check = PartChecker(folder, read=True, kept=True)
    parts = [part for part in plan.parts() if part == damaged or check(part, ignore).problems]
    for part in parts:
        staging = folder / STAGING / f"{part.name}.{token_hex(4)}"
        staging.mkdir()
        with suppress(FileNotFoundError):
            (folder / record_name(part.name)).replace(staging / RECORD)
    return len(parts)


def commit(folder: Path, made: Made, strangers: frozenset[str]) -> PartSummary:
    """Give the files of a part their final names, then put its record in place."""
    _move(folder, made.staging, made.part.name, strangers)
    part = made.part
    return PartSummary(part.start, part.stop, made.n_files, made.size_bytes, made.record)


def join(plan: Plan, strangers: frozenset[str]) -> list[FileEntry]:
    """Write the files that span parts; give their entries."""
    folder = plan.output.folder
    staging = Staging(folder / STAGING / f"{JOINED}.{token_hex(4)}")
    fragments = [KeptFragments(plan, split) for split in plan.splits]
    open_format(plan.output).join(fragments, staging)
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


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, which some file systems cannot do."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _move(folder: Path, staging: Path, name: str, strangers: frozenset[str]) -> None:
    kept = folder / KEPT / name
    move_into(staging / "files", folder, strangers)
    remove([kept])
    (staging / "kept").replace(kept)
    (staging / RECORD).replace(folder / record_name(name))
    remove([staging])
