"""Where a dataset lies: a folder of this machine, or one of an object store, through fsspec.

A store knows no renaming, no locks and no folders. An object is there whole or not at all; so the
processes that make parts write them at once, each part's record last. Two runs of one plan write
the same bytes, and the plan itself is written only where there is none.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from mnistseq_cli.bulk.manifest import KEPT, RECORD, FileEntry, record_name
from mnistseq_cli.bulk.parts import Problem, WrittenPart, read_part
from mnistseq_cli.bulk.plan import Part
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.extras import suggest_install
from mnistseq_cli.files import describe_damage, is_store
from mnistseq_cli.validation import is_url

_BATCH_BYTES = 1 << 25  # of objects that are in memory at once
IN_MEMORY = "memory"  # the store that only this process sees


def open_folder(name: str | Path) -> Path:
    """Return the folder of a name: a `Path`, or for a URL a `UPath`, which has its methods."""
    # A URL may have been a `Path` in between, which makes one slash of two.
    text = name if isinstance(name, str) else name.as_posix()
    if not is_url(text):
        return Path(name)
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        return Path(rest)
    rest = rest.strip("/")
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise UsageError(
            f"the address {scheme}://…@{rest.rpartition('@')[2]} holds a password",
            "Leave it out; stores take it from the environment or from files of their own",
        )
    try:
        return cast("Path", import_module("upath").UPath(f"{scheme}://{rest}"))
    except (ImportError, ValueError) as error:  # of a scheme that nothing is installed for
        raise UsageError(
            f"{scheme}:// needs libraries that are not installed: {error}",
            f"Install them: {suggest_install('cloud')}",
        ) from error


def is_shared(folder: Path) -> bool:
    """Whether other processes see a folder."""
    return not is_store(folder) or cast("Any", folder).protocol != IN_MEMORY


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open the folder of a dataset in a store."""
    with TemporaryDirectory(prefix="mnistseq-") as staging, naming_store_errors(path):
        yield Store(path, Path(staging))


class Store:
    """A folder in a store, staged on this machine; has the methods of `OutputFolder`."""

    is_written_by_workers = True

    def __init__(self, path: Path, staging: Path) -> None:
        self.path = path
        self.staging = staging
        self.card: dict[str, str] = {}
        self._fs: Any = cast("Any", path).fs
        self._root: str = cast("Any", path).path

    def commit(self, staging: Path, name: str) -> None:
        """Write what lies in a folder of this machine, its record last; then remove that."""
        batch: dict[str, bytes] = {}
        for within, prefix in (("files", ""), ("kept", f"{KEPT}/{name}/")):
            for path in sorted((staging / within).rglob("*")):
                if path.is_file():
                    to = path.relative_to(staging / within).as_posix()
                    batch[prefix + to] = path.read_bytes()
                if sum(map(len, batch.values())) >= _BATCH_BYTES:
                    self._put(batch)
                    batch = {}
        self._put(batch)
        self._put({record_name(name): (staging / RECORD).read_bytes()})
        shutil.rmtree(staging, ignore_errors=True)

    def write(self, name: str, data: bytes, *, is_new: bool = False) -> None:
        """Write an object; where it is to be new, only if there is none."""
        mode = "create" if is_new else "overwrite"
        with suppress(FileExistsError), naming_store_errors(self.path / name):
            self._fs.pipe_file(f"{self._root}/{name}", data, mode=mode)

    def check_parts(
        self, parts: list[Part], n_workers: int, *, with_fragments: bool
    ) -> Generator[WrittenPart]:
        """Compare parts with what the store lists: sizes, and checksums where it has them."""
        del n_workers
        listed = self._list()
        for part in parts:
            written, record = read_part(self.path, part)
            if record:
                kept = [it._replace(name=f"{KEPT}/{part.name}/{it.name}") for it in record.kept]
                wanted = [*zip(kept + record.files, record.md5, strict=False)]
                for entry, md5 in wanted[0 if with_fragments else len(kept) :]:
                    size_bytes, checksum = listed.get(entry.name, (-1, ""))
                    is_other = len(checksum) == len(md5) and checksum != md5
                    if size_bytes != entry.size_bytes or is_other:
                        written.problems.append(Problem("altered", entry.name))
            yield written

    def list_names(self, under: str) -> set[str]:
        """Return the names of what lies under a folder, without that."""
        return {name.removeprefix(f"{under}/") for name in self._list(under)}

    def finishing(self) -> AbstractContextManager[object]:
        """Hold nothing: two that finish at once write the same."""
        return nullcontext()

    def _do_nothing(self, *_: object) -> None:
        """Leave all as it is: what is half made is on this machine, a begun plan is for others."""

    prepare = sweep = abandon = list_replaceable = _do_nothing

    def remove_own(self, *names: str) -> None:
        """Remove objects, and all that lie under them."""
        for name in names:
            self._remove([*self._list(name)])

    def remove_listed(self, entries: Iterable[FileEntry]) -> None:
        """Remove the objects of an earlier dataset; those of another size are not ours."""
        found = self._list()
        own = [entry for entry in entries if entry.name in found]
        for entry in own:
            if found[entry.name][0] != entry.size_bytes:
                raise refuse_altered(self.path / entry.name)
        self._remove([entry.name for entry in own])

    def _list(self, under: str = "") -> dict[str, tuple[int, str]]:
        """Return the size and the checksum of each object, by its name."""
        with naming_store_errors(self.path / under):
            self._fs.invalidate_cache()
            found = self._fs.find(f"{self._root}/{under}".rstrip("/"), detail=True)
        return {
            path[len(self._root) + 1 :]: (info["size"], str(info.get("ETag", "")).strip('"'))
            for path, info in found.items()
        }

    def _put(self, objects: dict[str, bytes]) -> None:
        """Write objects, several at once; the library tries again, a few times."""
        if len(objects) > 1:
            with suppress(Exception):  # one by one shows which cannot be written
                self._fs.pipe({f"{self._root}/{name}": it for name, it in objects.items()})
                return
        for name, data in objects.items():
            self.write(name, data)

    def _remove(self, names: list[str]) -> None:
        with naming_store_errors(self.path):
            if names:
                self._fs.rm([f"{self._root}/{name}" for name in names])


def refuse_altered(path: Path | str) -> OutputError:
    """Return the error for a file that is to be removed and is not as it was written."""
    return OutputError(
        f"{path} is not as mnistseq wrote it, so it is not removed",
        "Move it away, or choose another --out.",
    )


@contextmanager
def naming_store_errors(path: Path) -> Iterator[None]:
    """Turn whatever a store's library raises into an OutputError with the name of the object."""
    try:
        yield
    except FileExistsError:
        raise
    except Exception as error:
        # Errors of botocore, for one, are no OSError; those of this program are not the store's.
        library = type(error).__module__.partition(".")[0]
        if library in {"mnistseq_cli", "builtins"} and not isinstance(error, OSError):
            raise
        raise OutputError(
            f"cannot reach {path}: {describe_damage(error)}",
            "Are bucket, credentials and network as they should be? Then add --resume.",
        ) from error
