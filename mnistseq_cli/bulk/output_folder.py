"""The output folder: one run has it at a time; new, resumed or overwritten.

This is the one place that gives files their final names or removes them. Nothing that lies outside
the folder by its real path is removed, replaced or written: what leads out is a link, and links
are refused. Nothing is removed that is not as a record of mnistseq lists it, and nothing is
replaced that is neither listed nor the same already.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any

from mnistseq_cli.bulk.manifest import (
    DATASET_FILE,
    KEPT,
    LOCK,
    PARTS,
    PLAN_FILE,
    PREVIEW_FILE,
    RECORD,
    STAGING,
    FileEntry,
    PartRecord,
    check_card,
    dump_plan,
    dump_record,
    list_recorded,
    load_manifest,
    load_plan,
    record_name,
)
from mnistseq_cli.bulk.parts import WrittenPart, check_files, check_part, describe_file
from mnistseq_cli.bulk.plan import Part, Plan
from mnistseq_cli.bulk.storage import Store, open_store, refuse_altered
from mnistseq_cli.bulk.workers import map_unordered
from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import is_store, write_new
from mnistseq_cli.formats import PARTED
from mnistseq_cli.formats.card import CARD_FILE
from mnistseq_cli.formats.names import OWN_FOLDER
from mnistseq_cli.validation import count, quote

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


JOINED = "joined"  # called like a part: what spans all of them
_UNFINISHED = (PARTS, KEPT, STAGING, PLAN_FILE)
_SHARE = "share-"  # in the names of locks, and of folders where shares stage
_LOOK_EVERY_S = 0.05
_PATIENCE_S = 10.0  # with another share that begins or finishes


class OutputFolder:
    """A folder that is one run's alone, or shared by shares; see `open_output_folder`."""

    is_written_by_workers = False  # whether `commit` is called by those who make parts

    def __init__(self, path: Path, share: str = "") -> None:
        self.path = path  # the real one
        self.staging = path / STAGING / share  # where parts are made
        self._share = share
        self.card: dict[str, str] = {}  # of an earlier dataset; see `Manifest`
        self._listed: set[str] = set()  # files of an earlier run, which may be replaced

    def write(self, name: str, data: bytes, *, is_new: bool = False) -> None:
        """Write a file of ours that is complete or not there."""
        del is_new  # nobody else writes meanwhile
        part = self.staging / f"own.{token_hex(4)}"
        write_new(part.parent, [part.name], [data])
        part.replace(self.path / name)

    def list_names(self, under: str) -> set[str]:
        """Return the names of what lies in a folder."""
        return {path.name for path in (self.path / under).glob("*")}

    def check_parts(
        self, parts: list[Part], n_workers: int, *, with_fragments: bool
    ) -> Generator[WrittenPart]:
        """Compare the files of parts with their records."""
        check = partial(check_part, self.path, with_fragments=with_fragments)
        return map_unordered(partial(partial, check), parts, n_workers)

    def prepare(self) -> None:
        """Make the folders that a run needs, and remove what an earlier one left half made."""
        for path in (self.path / PARTS, self.path / KEPT, self.staging):
            path.mkdir(parents=True, exist_ok=True)
        self.sweep()

    def finishing(self) -> AbstractContextManager[object]:
        """Hold what keeps other shares from finishing meanwhile."""
        return _lock(self.path / LOCK, self.path, _PATIENCE_S) if self._share else nullcontext()

    def list_replaceable(self, entries: Iterable[FileEntry]) -> None:
        """Take note of files that an earlier run wrote, and that are made again."""
        self._listed.update(entry.name for entry in entries)

    def commit(self, staging: Path, name: str) -> None:
        """Move what was written in a folder to its final names; its record comes last."""
        self._move(staging / "files", self.path, "")
        kept = self.path / KEPT / name
        shutil.rmtree(kept, ignore_errors=True)
        (staging / "kept").replace(kept)
        (staging / RECORD).replace(self.path / record_name(name))
        shutil.rmtree(staging, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what is half made, but no record of a part: it alone says whose files are."""
        staged = [*self.staging.iterdir()] if self.staging.is_dir() else []
        for share in [path for path in staged if path.name.startswith(_SHARE)]:
            staged.remove(share)
            staged += share.iterdir()
        for path in staged:
            if not path.is_dir():
                path.unlink()
            elif (path / RECORD).exists():
                for inside in ("files", "kept"):
                    shutil.rmtree(path / inside, ignore_errors=True)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def abandon(self) -> None:
        """Leave nothing behind where nothing was made."""
        if self._share:
            self.staging.rmdir()
        elif not any((self.path / PARTS).iterdir()) and not (self.path / DATASET_FILE).exists():
            self.remove_own(*_UNFINISHED)

    def remove_own(self, *names: str) -> None:
        """Remove files and folders of ``.mnistseq``."""
        for name in names:
            path = self.path / name
            if path.is_dir():  # rmtree would wait for a pipe
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def remove_listed(self, entries: Iterable[FileEntry]) -> None:
        """Remove the files of an earlier dataset, as records list them, and nothing else."""
        own = [entry for entry in entries if self._is_there(entry)]
        for problem in check_files(self.path, own):
            raise refuse_altered(self.path / problem.name)
        # What was being moved when a run was killed: some have their final names already.
        for pattern in (f"*/{RECORD}", f"{_SHARE}*/*/{RECORD}"):
            for path in (self.path / STAGING).glob(pattern):
                staged = [entry for entry in list_recorded(path) if self._is_there(entry)]
                own += [entry for entry in staged if not check_files(self.path, [entry])]
        self._unlink(entry.name for entry in own)

    def _is_there(self, entry: FileEntry) -> bool:
        """Whether there is anything of this name; refuse links on the way to it."""
        path = str(self.path)
        for step in entry.name.split("/"):
            path = f"{path}{os.sep}{step}"
            if os.path.islink(path):  # noqa: PTH114 - of each file of a dataset
                raise _refuse_link(path)
        return os.path.lexists(path)

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
            elif name in self._listed or not check_files(
                target, [describe_file(entry.path, entry.name)]
            ):
                os.replace(entry.path, to)  # noqa: PTH105 - as above
            else:
                raise OutputError(
                    f"cannot write {to}: there is a file of this name that mnistseq did not make",
                    "Move it away, then run it again with --resume.",
                )


@contextmanager
def open_output_folder(
    plan: Plan, *, resume: bool, overwrite: bool, share: tuple[int, int] | None = None
) -> Iterator[OutputFolder | Store]:
    """Take the folder of a plan for one run, or for one of several shares; put the plan into it.

    A share begins while it holds the lock of the folder, and then holds one of its own; a whole
    run holds that of the folder, and makes sure that nobody holds one of a share.
    """
    options = {"resume": resume, "overwrite": overwrite, "joins": share is not None}
    if is_store(plan.output.folder):
        with open_store(plan.output.folder) as store:
            _check_folder(plan, store.path, **options)
            _begin(plan, store, overwrite=overwrite)
            # Once more, now that another run can no longer write a plan of its own.
            _check_folder(plan, store.path, resume=False, overwrite=False, joins=True)
            yield store
        return
    path = Path(os.path.realpath(plan.output.folder))
    _check_folder(plan, path, **options)
    is_new = not path.exists()
    (path / OWN_FOLDER).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, ExitStack() as beginning:
        stack.callback(_remove_empty, path / OWN_FOLDER, *([path] if is_new else []))
        holder, patience_s = (beginning, _PATIENCE_S) if share else (stack, 0)
        holder.enter_context(_lock(path / LOCK, plan.output.folder, patience_s))
        name = f"{_SHARE}{share[0]}-of-{share[1]}" if share else ""
        if share:
            stack.enter_context(_lock(path / f"{LOCK}-{name}", f"{name} of {plan.output.folder}"))
        else:
            for other in [*(path / OWN_FOLDER).glob(f"lock-{_SHARE}*")]:
                with _lock(other, plan.output.folder):
                    pass
        # Once more, now that nobody else can change it.
        _check_folder(plan, path, **options)
        folder = OutputFolder(path, name)
        _begin(plan, folder, overwrite=overwrite)
        beginning.close()
        yield folder


def _remove_empty(*folders: Path) -> None:
    with suppress(OSError):  # there is something in it
        for folder in folders:
            folder.rmdir()


def _begin(plan: Plan, folder: OutputFolder | Store, *, overwrite: bool) -> None:
    """Put a plan into its folder; find out which files in it may be replaced."""
    manifest = load_manifest(folder.path) if (folder.path / DATASET_FILE).exists() else None
    listed = manifest.files if manifest else list_recorded(folder.path / record_name(JOINED))
    is_new = overwrite or (manifest and [*_compare(manifest.plan, plan.to_dict())])
    if overwrite:
        listed = list(listed)
        for name in folder.list_names(PARTS):
            listed += list_recorded(folder.path / PARTS / name)
        folder.remove_listed({entry.name: entry for entry in listed}.values())
    if manifest and is_new and check_card(folder.path, manifest.card) == "own":
        (folder.path / CARD_FILE).unlink()  # while its hash is there to say that it is ours
        folder.remove_own(PREVIEW_FILE)
    if overwrite:
        folder.remove_own(DATASET_FILE, PREVIEW_FILE, *_UNFINISHED)
    folder.prepare()
    folder.list_replaceable(listed)
    folder.card = manifest.card if manifest else {}
    if manifest and not overwrite:
        if not is_new:
            return
        # It grows; until it is finished again, it is unfinished.
        record = PartRecord(JOINED, 0, manifest.n_samples, {}, [], manifest.files)
        folder.write(record_name(JOINED), dump_record(record))
    folder.write(PLAN_FILE, dump_plan(plan), is_new=not (folder.path / PLAN_FILE).exists())
    folder.remove_own(DATASET_FILE)


# What a publisher adds; file managers, archivers, LMDB's readers, trainers that cache labels; and
# folders of tools, some of them at the top of a disk that was formatted or mounted elsewhere.
_LITTER = re.compile(
    r"""readme\.md | \.gitattributes | \.gitignore
    | (.*/)? (\.ds_store | \._[^/]* | (eh)?thumbs\.db | desktop\.ini | \.directory | \.localized
        | icon\r | \.apdisk | \.nfs[^/]* | lock\.mdb | data\.mdb-lock | [^/]*\.cache)
    | (.*/)? (\.cache | \.git | \.ipynb_checkpoints | __macosx | @eadir | lost\+found
        | \$recycle\.bin | system\ volume\ information | \.spotlight-v100 | \.trashes
        | \.fseventsd) /.*""",
    re.IGNORECASE | re.VERBOSE,
)


def is_litter(name: str) -> bool:
    """Whether a file, named relative to its dataset with ``/``, is one that others leave."""
    return bool(_LITTER.fullmatch(name))


def find_files(folder: Path) -> Iterator[str]:
    """Yield the names of all files of a dataset, but not those of `.mnistseq`."""
    if is_store(folder):
        with open_store(folder) as store:
            names = store.list_names("")
        yield from (name for name in names if not name.startswith(f"{OWN_FOLDER}/"))
        return
    for root, folders, files in os.walk(folder):
        within = root.removeprefix(str(folder)).replace(os.sep, "/").lstrip("/")
        if not within:
            folders[:] = [name for name in folders if name != OWN_FOLDER]
        yield from (f"{within}/{name}".lstrip("/") for name in files)


def _check_folder(plan: Plan, path: Path, *, resume: bool, overwrite: bool, joins: bool) -> None:
    """Raise an error for a folder that is not ready for this plan."""
    if not path.exists():
        return
    if not is_store(path):
        _refuse_links(path)
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
    if not (resume or joins):
        state = "a dataset" if (path / DATASET_FILE).exists() else "an unfinished dataset"
        raise OutputError(
            f"{folder} holds {state}",
            "Add --resume to finish it, --overwrite to make it again, or choose another --out.",
        )
    wanted = plan.to_dict()
    if resume and plan.recipe.count > saved["recipe"]["count"]:
        n_there = wanted["recipe"]["count"] = saved["recipe"]["count"]
        if plan.weights or plan.output.to not in PARTED:
            reason = "its splits would change" if plan.weights else f"{plan.output.to} is one file"
            raise OutputError(
                f"{folder} cannot grow from {count(n_there, 'image')} to "
                f"{plan.recipe.count:,}: {reason}",
                "Choose another --out, or --overwrite.",
            )
    if differences := [*_compare(saved, wanted)]:
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


def _refuse_links(path: Path) -> None:
    """Raise an error for a file or folder of ours that is a link, or in which one lies."""
    inside = (Path(at, one) for at, *names in os.walk(path / OWN_FOLDER) for one in chain(*names))
    for one in chain([path / DATASET_FILE, path / OWN_FOLDER], inside):
        if one.is_symlink():
            raise _refuse_link(one)


def _refuse_link(path: Path | str) -> OutputError:
    return OutputError(
        f"{path} is a link, and nothing is written or removed through links",
        f"Remove it: rm {shlex.quote(str(path))}, or choose another --out.",
    )


@contextmanager
def _lock(path: Path, name: Path | str, patience_s: float = 0) -> Iterator[None]:
    """Hold the lock that a file stands for; it ends with the process, however that ends."""
    until_s = time.monotonic() + patience_s
    while (descriptor := _try_file(path)) is None:
        if time.monotonic() > until_s:
            raise OutputError(
                f"another run is writing into {name}",
                "Wait until it ends, or choose another --out.",
            )
        time.sleep(_LOOK_EVERY_S)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            path.unlink()
        os.close(descriptor)


def _try_file(path: Path) -> int | None:
    """Return the descriptor of a file that is locked now; None where another process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _try_lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass  # whoever held the lock has just removed the file
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)
