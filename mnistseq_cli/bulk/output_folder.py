"""The output folder: taken by one run at a time; new, resumed or overwritten."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.manifest import (
    BOOT_FILE,
    DATASET_FILE,
    LOCK,
    PLAN_FILE,
    load_dataset,
    load_plan,
    save_plan,
)
from mnistseq_cli.bulk.parts import (
    KEPT,
    PARTS,
    RECORD,
    STAGING,
    load_record,
    move_into,
    remove,
    sweep,
)
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import read_regular, replace_file
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnistseq_cli.bulk.plan import Plan

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def lock(path: Path) -> Iterator[int]:
    """Hold the lock that a file stands for; it ends with the process, however that ends.

    Gives the descriptor of the file: a forked child must close its copy, or it would go on
    holding the lock.

    Raises
    ------
    OutputError
        Another process holds it.
    OSError
        The file cannot be made.
    """
    descriptor = _acquire(path)
    try:
        yield descriptor
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise OutputError(
                f"another run is writing into {path.parent.parent}",
                "Wait until it ends, or choose another --out.",
            ) from error
        if _is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # whoever held the lock has just removed the file


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


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
    replace_file(folder / BOOT_FILE, _read_boot_id().encode(), folder / STAGING)


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
    keys = dict.fromkeys([*wanted, *(saved if within else ())])
    if within == "recipe." and saved.get("glyphs_sha256") == wanted.get("glyphs_sha256"):
        keys.pop("dataset", None)  # the same glyphs, which may lie elsewhere now
    for key in keys:
        there, here = saved.get(key), wanted.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _compare(there, here, f"{within}{key}.")
        elif there != here:
            yield f"{key} is {there!r:.60} there, {here!r:.60} here"


def _save_recipe(plan: Plan, strangers: frozenset[str]) -> None:
    staging = plan.output.folder / STAGING / "recipe"
    staging.mkdir()
    plan.recipe.save(staging, shlex.join(_list_options(plan.output)))
    move_into(staging, plan.output.folder, strangers)
    staging.rmdir()


def _list_options(output: Output) -> Iterator[str]:
    """Give the options of a command that writes in the same form, into a folder beside this."""
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


def _clear(folder: Path) -> None:
    """Remove what records list and the records, and nothing else.

    A part that was being moved when its run was killed has its record still in staging.
    """
    dataset = _load_finished(folder)
    strangers = _load_strangers(folder)
    staged = (folder / STAGING).glob(f"*/{RECORD}")
    for path in [*staged, *(folder / PARTS).glob("*.json")]:
        with suppress(OSError, ValueError):
            files = load_record(read_regular(path)).files
            _remove_files(folder, {entry.name for entry in files}.difference(strangers))
    if dataset:
        _remove_files(folder, [*(entry.name for entry in dataset["files"]), DATASET_FILE])
    if (folder / PLAN_FILE).exists():
        _remove_files(folder, {RECIPE_FILE, TEXTS_FILE}.difference(strangers))
    # The last two are files; folders of their names would stay in the way. A pipe is replaced.
    own = [folder / name for name in (PARTS, KEPT, STAGING, PLAN_FILE, BOOT_FILE)]
    remove(path for path in own if path.is_dir())


def _load_finished(folder: Path) -> dict[str, Any] | None:
    """Read ``dataset.json`` if there is one; only without parts of ours may it be another's.

    Raises
    ------
    OutputError
        It is ours and damaged: nothing else says which files are ours.
    """
    try:
        return load_dataset(folder) if (folder / DATASET_FILE).exists() else None
    except OutputError:
        if not (folder / PLAN_FILE).exists() and any((folder / PARTS).glob("*.json")):
            raise
        return None


def _load_strangers(folder: Path) -> list[str]:
    with suppress(OutputError):  # damaged
        return [*(load_plan(folder) or {}).get("strangers", [])]
    return []


def _remove_files(folder: Path, names: Iterable[str]) -> None:
    parents: set[str] = set()
    for name in names:
        with suppress(ValueError, IsADirectoryError, NotADirectoryError):  # none of ours
            (folder / name).unlink(missing_ok=True)
        parents.update(name.rsplit("/", depth)[0] for depth in range(1, name.count("/") + 1))
    for parent in sorted(parents, key=len, reverse=True):
        with suppress(OSError):  # something else is in it
            (folder / parent).rmdir()


def _is_same_boot(folder: Path) -> bool:
    here = _read_boot_id()
    try:
        return here != "" and read_regular(folder / BOOT_FILE) == here.encode()
    except FileNotFoundError:
        return (folder / DATASET_FILE).exists()
    except (OSError, ValueError):
        return False


def _read_boot_id() -> str:
    """Give what Linux calls the time since it was started; "" elsewhere."""
    try:
        return _BOOT_ID.read_text(encoding="ascii")
    except OSError:
        return ""
