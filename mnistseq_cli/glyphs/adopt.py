"""Files that people bring: found in what they have, checked, copied into the cache."""

from __future__ import annotations

import gzip
import hashlib
import shlex
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.cache import find_raw_dir
from mnistseq_cli.glyphs.catalog import SPLITS
from mnistseq_cli.glyphs.idx import encode_idx, read_idx_stream
from mnistseq_cli.glyphs.local import read_local
from mnistseq_cli.glyphs.sources import open_source

if TYPE_CHECKING:
    from mnistseq_cli.glyphs.catalog import DataFile, Dataset
    from mnistseq_cli.glyphs.sources import Entry


def adopt(dataset: Dataset, source: Path, data_dir: Path | None = None) -> Path:
    """Copy the files of a data set into the cache, each only if its hash is right.

    The source is a folder, zip or tar archive that holds the gzip files or the unpacked IDX
    files, under whatever names, or arrays of the same glyphs, such as a Keras `mnist.npz`. Files
    whose hashes are not known, those of EMNIST, are found by their names.
    """
    folder = find_raw_dir(dataset, data_dir)
    with open_source(source) as entries:
        found = _find_files(dataset, entries)
        if missing := [file for file in dataset.files() if file not in found]:
            found |= _encode_arrays(dataset, missing, source, entries)
    for file, (name, data) in found.items():
        place_file(folder / name, [data])
        if name != file.name:
            place_file(folder / file.name, [_decompress(file, data)])
    return folder


def _find_files(dataset: Dataset, entries: list[Entry]) -> dict[DataFile, tuple[str, bytes]]:
    """Find files: the name of each in the cache, and its bytes; gzip files come first."""
    found: dict[DataFile, tuple[str, bytes]] = {}
    for entry in entries:
        for file in dataset.files():
            for name, size_bytes, sha256 in (
                (file.gzip_name, file.size_bytes, file.sha256),
                (file.name, file.unpacked_size_bytes, file.unpacked_sha256),
            ):
                if sha256 and entry.size_bytes == size_bytes and not _is_packed(found.get(file)):
                    data = _read_entry(entry)
                    if hashlib.sha256(data).hexdigest() == sha256:
                        found[file] = (name, data)
            # Some programs unpack to names with a dot, such as …-images.idx3-ubyte.
            name = Path(entry.name).name.lower().replace(".idx", "-idx")
            if not file.is_known and name in {file.name, file.gzip_name}:
                found[file] = (name, _read_entry(entry))
    return found


def _is_packed(found: tuple[str, bytes] | None) -> bool:
    return found is not None and found[0].endswith(".gz")


def _encode_arrays(
    dataset: Dataset, missing: list[DataFile], source: Path, entries: list[Entry]
) -> dict[DataFile, tuple[str, bytes]]:
    """Make the files from arrays of the same glyphs, such as those of an npz."""
    if not all(file.unpacked_sha256 for file in missing):
        if not missing[0].sha256:
            raise _not_there(dataset, missing[0], source, entries)
        raise GlyphError(
            f"{source} has no {missing[0].gzip_name}, and without the gzip files {dataset.name} "
            "cannot be checked",
            f"Bring the .gz files, or fetch them: mnistseq download {dataset.name}",
        )
    try:
        parts = read_local(source, SPLITS)
    except GlyphError as error:
        raise _not_there(dataset, missing[0], source, entries) from error
    encoded = [encode_idx(array) for part in parts for array in (part.images, part.labels)]
    found = {
        file: (file.name, data)
        for file in missing
        for data in encoded
        if hashlib.sha256(data).hexdigest() == file.unpacked_sha256
    }
    if len(found) < len(missing):
        n_glyphs = sum(len(part.labels) for part in parts)
        raise GlyphError(
            f"{source} holds {n_glyphs:,} glyphs, but not those of {dataset.name}: SHA-256 of "
            f"{missing[0].name} differs",
            f"Use what is there as it is: --dataset {shlex.quote(str(source))}",
        )
    return found


def _not_there(
    dataset: Dataset, missing: DataFile, source: Path, entries: list[Entry]
) -> GlyphError:
    for entry in entries:
        if Path(entry.name).name.startswith(missing.name):
            return GlyphError(
                f"{entry.title} is not the file that {dataset.name} has: its SHA-256 differs"
            )
    return GlyphError(
        f"{source} has neither {missing.gzip_name} nor {missing.name} of {dataset.name}",
        "Expected a folder, zip or tar archive with "
        + ", ".join(file.gzip_name for file in dataset.files()),
    )


def _read_entry(entry: Entry) -> bytes:
    with entry.open() as stream:
        return stream.read(entry.size_bytes)


def _decompress(file: DataFile, data: bytes) -> bytes:
    """Unpack a gzip file: one whose hash is right, or that is no larger than its header says."""
    if file.is_known:
        return gzip.decompress(data)
    return encode_idx(read_idx_stream(BytesIO(data), file.gzip_name))
