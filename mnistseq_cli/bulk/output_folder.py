"""The output folder: one run has it at a time; new, resumed or overwritten.

This is the one place that gives files their final names or removes them. Nothing that lies outside
the folder by its real path is removed, replaced or written: what leads out is a link, and links
are refused. Nothing is removed that is not as a record of mnistseq lists it, and nothing is
replaced that is neither listed nor the same already.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.litter import is_litter
from mnistseq_cli.bulk.manifest import (
    DATASET_FILE,
    LOCK,
    PLAN_FILE,
    PREVIEW_FILE,
    load_manifest,
    load_plan,
    save_plan,
)
from mnistseq_cli.bulk.parts import (
    KEPT,
    PARTS,
    RECORD,
    STAGING,
    FileEntry,
    describe_file,
    load_record,
    record_name,
)
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import read_regular
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.validation import quote

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


JOINED = "joined"  # called like a part: what spans all of them
OF_OLDER_VERSIONS = (f"{OWN_FOLDER}/boot_id",)


class OutputFolder:
    """A folder that is one run's alone; see `open_output_folder`.

    Attributes
    ----------
    path : Path
        Its real path.
    descriptor : int
        Of the lock.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.card: dict[str, str] = {}  # of an earlier dataset; see `Manifest`
        self._listed: set[str] = set()  # files of an earlier run, which may be replaced

    def list_replaceable(self, entries: Iterable[FileEntry]) -> None:
        """Take note of files that an earlier run wrote, and that are made again."""
        self._listed.update(entry.name for entry in entries)

    def stage(self, name: str) -> Path:
        """Return a folder that does not exist yet, to write something in."""
        return self.path / STAGING / f"{name}.{token_hex(4)}"

    def commit(self, staging: Path, name: str) -> None:
        """Move what was written in a folder to its final names; its record comes last."""
        self._move(staging / "files", self.path, "")
        kept = self.path / KEPT / name
        shutil.rmtree(kept, ignore_errors=True)
        (staging / "kept").replace(kept)
        (staging / RECORD).replace(self.path / record_name(name))
        shutil.rmtree(staging, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what is half made, but not the records of parts.

        The files of a part with a record may have their final names already: the record is all
        that says whose they are.
        """
        staging = self.path / STAGING
        for path in [*staging.iterdir()] if staging.is_dir() else ():
            if not path.is_dir():
                path.unlink()
            elif (path / RECORD).exists():
                for inside in ("files", "kept"):
                    shutil.rmtree(path / inside, ignore_errors=True)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def abandon(self) -> None:
        """Leave nothing behind where nothing was made."""
        if not any((self.path / PARTS).iterdir()) and not (self.path / DATASET_FILE).exists():
            self.remove_own(PARTS, KEPT, STAGING, PLAN_FILE)

    def remove_own(self, *names: str) -> None:
        """Remove files and folders of ``.mnistseq``."""
        for name in names:
            path = self.path / name
            if path.is_dir():  # rmtree would wait for a pipe
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove an earlier dataset: what records list, as they list it, and nothing else."""
        listed: dict[str, FileEntry] = {}
        for path in (self.path / PARTS).glob("*.json"):
            listed |= {entry.name: entry for entry in _read_entries(path)}
        finished = (self.path / DATASET_FILE).exists()
        if finished:
            listed |= {entry.name: entry for entry in load_manifest(self.path).files}
        own = [entry for entry in listed.values() if self._is_there(entry)]
        for entry in own:
            if not self._is_as_written(entry):
                raise OutputError(
                    f"{self.path / entry.name} is not as mnistseq wrote it, so it is not removed",
                    "Move it away, or choose another --out.",
                )
        # What was being moved when a run was killed: some have their final names already.
        for path in (self.path / STAGING).glob(f"*/{RECORD}"):
            staged = (entry for entry in _read_entries(path) if self._is_there(entry))
            own += [entry for entry in staged if self._is_as_written(entry)]
        self._unlink(entry.name for entry in own)
        if finished:
            (self.path / DATASET_FILE).unlink()
        self.remove_own(PARTS, KEPT, STAGING, PLAN_FILE, PREVIEW_FILE, *OF_OLDER_VERSIONS)

    def _is_there(self, entry: FileEntry) -> bool:
        """Whether there is anything of this name; refuse links on the way to it."""
        path = str(self.path)
        for step in entry.name.split("/"):
            path = f"{path}{os.sep}{step}"
            if os.path.islink(path):  # noqa: PTH114 - of each file of a dataset
                raise _refuse_link(path)
        return os.path.lexists(path)

    def _is_as_written(self, entry: FileEntry) -> bool:
        path = self.path / entry.name
        # Another size tells at once; only a regular file is read.
        is_own_size = path.is_file() and path.stat().st_size == entry.size_bytes
        return is_own_size and describe_file(path, entry.name) == entry

    def _unlink(self, names: Iterable[str]) -> None:
        parents: set[str] = set()
        for name in names:
            (self.path / name).unlink(missing_ok=True)
            parents.update(name.rsplit("/", depth)[0] for depth in range(1, name.count("/") + 1))
        for parent in sorted(parents, key=len, reverse=True):
            with suppress(OSError):  # something else is in it
                (self.path / parent).rmdir()

    def _move(self, source: Path, target: Path, within: str) -> None:
        """Move everything in a folder into another one, file by file only where it must be."""
        with os.scandir(source) as found:
            entries = [*found]
        for entry in entries:
            to, name = f"{target}{os.sep}{entry.name}", within + entry.name
            if not os.path.lexists(to):
                os.replace(entry.path, to)  # noqa: PTH105 - a million Path objects take seconds
            elif os.path.islink(to):  # noqa: PTH114 - as above
                raise _refuse_link(to)
            elif entry.is_dir():
                self._move(Path(entry.path), Path(to), f"{name}/")
            elif name in self._listed or _are_same(entry.path, to):
                os.replace(entry.path, to)  # noqa: PTH105 - as above
            else:
                raise OutputError(
                    f"cannot write {to}: there is a file of this name that mnistseq did not make",
                    "Move it away, then run it again with --resume.",
                )


@contextmanager
def open_output_folder(plan: Plan, *, resume: bool, overwrite: bool) -> Iterator[OutputFolder]:
    """Take the folder of a plan for one run, and put the plan into it."""
    path = Path(os.path.realpath(plan.output.folder))
    _check_folder(plan, path, resume=resume, overwrite=overwrite)
    is_new = not path.exists()
    (path / OWN_FOLDER).mkdir(parents=True, exist_ok=True)
    with _removing_empty(path, is_new), _lock(path / LOCK, plan.output.folder) as descriptor:
        # Once more, now that nobody else can change it.
        _check_folder(plan, path, resume=resume, overwrite=overwrite)
        folder = OutputFolder(path, descriptor)
        if (path / DATASET_FILE).exists():
            folder.card = load_manifest(path).card
        if overwrite:
            folder.clear()
        for name in (PARTS, KEPT, STAGING):
            (path / name).mkdir(exist_ok=True)
        folder.sweep()
        if (path / DATASET_FILE).exists():
            folder.list_replaceable(load_manifest(path).files)
        else:
            save_plan(plan, path)
        yield folder


@contextmanager
def _removing_empty(path: Path, is_new: bool) -> Iterator[None]:  # noqa: FBT001 - private
    try:
        yield
    finally:
        with suppress(OSError):  # there is something in it
            (path / OWN_FOLDER).rmdir()
            if is_new:
                path.rmdir()


def find_files(folder: Path) -> Iterator[str]:
    """Yield the names of all files of a dataset, but not those of `.mnistseq`."""
    for root, folders, files in os.walk(folder):
        within = os.path.relpath(root, folder).replace(os.sep, "/")
        if within == ".":
            folders[:] = [name for name in folders if name != OWN_FOLDER]
        yield from (name if within == "." else f"{within}/{name}" for name in files)


def _check_folder(plan: Plan, path: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise an error for a folder that is not ready for this plan."""
    if not path.exists():
        return
    _refuse_links_inside(path / OWN_FOLDER)
    if (path / DATASET_FILE).is_symlink():
        raise _refuse_link(path / DATASET_FILE)
    if overwrite:
        return
    folder = plan.output.folder
    saved = load_plan(path)
    others = [entry.name for entry in path.iterdir() if entry.name != OWN_FOLDER]
    others = [name for name in others if not is_litter(name) and not is_litter(f"{name}/")]
    if saved is None:
        if others:
            raise OutputError(
                f"{folder} holds files that mnistseq did not make, such as {min(others)}",
                "Choose another --out, or add --overwrite, which leaves them where they are.",
            )
        return
    if not resume:
        state = "a dataset" if (path / DATASET_FILE).exists() else "an unfinished dataset"
        raise OutputError(
            f"{folder} holds {state}",
            "Add --resume to finish it, --overwrite to make it again, or choose another --out.",
        )
    if differences := [*_compare(saved, plan.to_dict())]:
        raise OutputError(
            f"{folder} holds another dataset: " + "; ".join(differences),
            "Resume with the same options, use --overwrite, or choose another --out.",
        )


def _compare(saved: dict[str, Any], wanted: dict[str, Any], within: str = "") -> Iterator[str]:
    keys = dict.fromkeys([*wanted, *(saved if within else ())])
    if within == "recipe.":
        are_same = saved.get("glyphs_sha256") == wanted.get("glyphs_sha256")
        if are_same or saved.get("dataset") != wanted.get("dataset"):
            # The same glyphs may lie elsewhere now; of others the name says enough.
            keys.pop("dataset" if are_same else "glyphs_sha256", None)
    for key in keys:
        there, here = saved.get(key), wanted.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _compare(there, here, f"{within}{key}.")
        elif there != here:
            yield f"{key} is {quote(there)} there, {quote(here)} here"


def _refuse_links_inside(folder: Path) -> None:
    """Raise an error for a folder of ours that is a link, or in which one lies."""
    if folder.is_symlink():
        raise _refuse_link(folder)
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (path := Path(root, name)).is_symlink():
                raise _refuse_link(path)


def _refuse_link(path: Path | str) -> OutputError:
    return OutputError(
        f"{path} is a link, and nothing is written or removed through links",
        f"Remove it: rm {shlex.quote(str(path))}, or choose another --out.",
    )


def _read_entries(record: Path) -> list[FileEntry]:
    with suppress(OSError, ValueError):
        return load_record(read_regular(record)).files
    return []


def _are_same(one: str, other: str) -> bool:
    """Whether two files hold the same."""
    new, old = Path(one), Path(other)
    if not old.is_file() or old.stat().st_size != new.stat().st_size:
        return False
    return describe_file(new, "") == describe_file(old, "")


@contextmanager
def _lock(path: Path, folder: Path) -> Iterator[int]:
    """Hold the lock that a file stands for; it ends with the process, however that ends.

    Yields the descriptor of the file: a forked child must close its copy, or it would go on
    holding the lock.
    """
    descriptor = _acquire(path, folder)
    try:
        yield descriptor
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path, folder: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise OutputError(
                f"another run is writing into {folder}",
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
