"""Take possession of an output folder: new, to be resumed, or to be made again."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.lock import lock
from mnistseq_cli.bulk.manifest import (
    BOOT_FILE,
    DATASET_FILE,
    KEPT,
    LOCK,
    PLAN_FILE,
    STAGING,
    load_dataset,
    load_plan,
    save_plan,
)
from mnistseq_cli.bulk.records import PARTS, load_record
from mnistseq_cli.bulk.staging import RECORD, move_into, remove, sweep
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnistseq_cli.bulk.plan import Plan

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Claim:
    """A folder that is ours alone until the run ends.

    Parameters
    ----------
    strangers : frozenset of str
        Files in it that mnistseq did not make; they are not replaced.
    rebooted : bool
        Whether the machine was started again since the earlier run: then what that run wrote
        last may never have reached the disk.
    descriptor : int
        Of the lock.
    """

    strangers: frozenset[str]
    rebooted: bool
    descriptor: int


@contextmanager
def claim(plan: Plan, *, resume: bool, overwrite: bool) -> Iterator[Claim]:
    """Claim the folder of a plan, and put the plan and its recipe into it.

    Raises
    ------
    OutputError
        Another run is in the folder; it holds something and neither `resume` nor `overwrite` is
        set; or what is to be resumed is not the same.
    OSError
        The folder cannot be written.
    """
    folder = plan.output.folder
    _check_folder(plan, resume=resume, overwrite=overwrite)
    (folder / OWN_FOLDER).mkdir(parents=True, exist_ok=True)
    with lock(folder / LOCK) as descriptor:
        # Once more, now that nobody else can change it.
        saved = _check_folder(plan, resume=resume, overwrite=overwrite)
        strangers = frozenset((saved or {}).get("strangers", ()))
        if overwrite:
            _clear(folder)
            strangers = frozenset(find_files(folder))
        sweep(folder / STAGING)
        for name in (PARTS, KEPT, STAGING):
            (folder / name).mkdir(exist_ok=True)
        rebooted = resume and not _is_same_boot(folder)
        if not (folder / DATASET_FILE).exists():
            save_plan(plan, strangers)
        _save_recipe(plan, strangers)
        if not rebooted:
            note_boot(folder)
        yield Claim(strangers, rebooted, descriptor)


def note_boot(folder: Path) -> None:
    """Note that what is in the folder was written, or read, since the machine was started."""
    (folder / BOOT_FILE).write_text(_read_boot_id(), encoding="ascii")


def find_files(folder: Path) -> Iterator[str]:
    """Give the names of all files of a dataset, but not those of `.mnistseq`."""
    for root, folders, files in os.walk(folder):
        within = os.path.relpath(root, folder).replace(os.sep, "/")
        if within == ".":
            folders[:] = [name for name in folders if name != OWN_FOLDER]
        yield from (name if within == "." else f"{within}/{name}" for name in files)


def _check_folder(plan: Plan, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Refuse a folder that is not ready for this plan; give what an earlier run saved in it."""
    folder = plan.output.folder
    if overwrite or not folder.exists():
        return None
    saved = load_plan(folder)
    others = {entry.name for entry in folder.iterdir()} - {OWN_FOLDER}
    if saved is None and not others:
        return None
    if saved is None:
        raise OutputError(
            f"{folder} holds files that mnistseq did not make, such as {min(others)}",
            "Choose another --out, or add --overwrite, which leaves them where they are.",
        )
    if not resume:
        state = "a dataset" if (folder / DATASET_FILE).exists() else "an unfinished dataset"
        raise OutputError(
            f"{folder} holds {state}",
            "Add --resume to finish it, --overwrite to make it again, or choose another --out.",
        )
    differences = [*_compare(saved, plan.to_dict())]
    if differences:
        raise OutputError(
            f"{folder} holds another dataset: " + "; ".join(differences),
            "Resume with the same options, use --overwrite, or choose another --out.",
        )
    return saved


def _compare(saved: dict[str, Any], wanted: dict[str, Any], within: str = "") -> Iterator[str]:
    for key in dict.fromkeys([*wanted, *(saved if within else ())]):
        there, here = saved.get(key), wanted.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _compare(there, here, f"{within}{key}.")
        elif there != here:
            yield f"{key} is {there!r:.60} there, {here!r:.60} here"


def _save_recipe(plan: Plan, strangers: frozenset[str]) -> None:
    staging = plan.output.folder / STAGING / "recipe"
    staging.mkdir()
    plan.recipe.save(staging)
    move_into(staging, plan.output.folder, strangers)
    staging.rmdir()


def _clear(folder: Path) -> None:
    """Remove what records list and the records, and nothing else.

    A part that was being moved when its run was killed has its record still in staging.
    """
    strangers = _load_strangers(folder)
    staged = (folder / STAGING).glob(f"*/{RECORD}")
    for path in [*staged, *(folder / PARTS).glob("*.json")]:
        with suppress(ValueError):
            files = load_record(path.read_bytes()).files
            _remove_files(folder, {entry.name for entry in files}.difference(strangers))
    with suppress(OutputError):  # missing; or damaged, then it stays, as a stranger's
        _remove_files(folder, (entry.name for entry in load_dataset(folder)["files"]))
        _remove_files(folder, [DATASET_FILE])
    if (folder / PLAN_FILE).exists():
        _remove_files(folder, {RECIPE_FILE, TEXTS_FILE}.difference(strangers))
    remove(folder / name for name in (PARTS, KEPT, STAGING))


def _load_strangers(folder: Path) -> list[str]:
    with suppress(OutputError):  # damaged
        return [*(load_plan(folder) or {}).get("strangers", [])]
    return []


def _remove_files(folder: Path, names: Iterable[str]) -> None:
    parents: set[str] = set()
    for name in names:
        (folder / name).unlink(missing_ok=True)
        parents.update(name.rsplit("/", depth)[0] for depth in range(1, name.count("/") + 1))
    for parent in sorted(parents, key=len, reverse=True):
        with suppress(OSError):  # something else is in it
            (folder / parent).rmdir()


def _is_same_boot(folder: Path) -> bool:
    here = _read_boot_id()
    try:
        return here != "" and (folder / BOOT_FILE).read_text(encoding="ascii") == here
    except FileNotFoundError:
        return (folder / DATASET_FILE).exists()


def _read_boot_id() -> str:
    """Give what Linux calls the time since it was started; "" elsewhere."""
    try:
        return _BOOT_ID.read_text(encoding="ascii")
    except OSError:
        return ""
