"""Files that people bring: found in what they have, checked, copied into the cache."""

from __future__ import annotations

import hashlib
import shlex
from io import BytesIO
from itertools import product
from pathlib import Path

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.cache import find_raw_dir, unpack
from mnistseq_cli.glyphs.catalog import DATASETS, SPLITS, DataFile, Dataset
from mnistseq_cli.glyphs.idx import encode_idx, read_idx_stream
from mnistseq_cli.glyphs.local import read_local
from mnistseq_cli.glyphs.sources import Entry, open_source


def adopt(dataset: Dataset, source: Path, data_dir: str | Path | None = None) -> list[Path]:
    """Copy the files of a data set into the cache, each only if its hash is right; return them.

    The source is a folder, zip or tar archive that holds the packed files or the unpacked IDX
    files, under whatever names, or arrays of the same glyphs, such as a Keras `mnist.npz`. Files
    whose hashes are not known, those of EMNIST, are found by their names. Those that say who
    wrote the glyphs come along, or alone, where they are there.
    """
    named = DATASETS.get(dataset.writers_from, dataset)
    with open_source(source) as entries:
        found = _find_files(dataset.files(), entries)
        of_writers = _find_files(named.files(only_labels=True), entries)
        missing = [file for file in dataset.files() if file not in found]
        if missing and (found or not of_writers):
            found |= _encode_arrays(dataset, missing, source, entries)
    placed = []
    for owner, files in ((dataset, found), (named, of_writers)):
        folder = find_raw_dir(owner, data_dir)
        for file, (name, data) in files.items():
            place_file(folder / name, [data])
            if name != file.name and not unpack(file, folder):
                # Its hash is not known: it may be no larger than its header says.
                place_file(folder / file.name, [encode_idx(read_idx_stream(BytesIO(data), name))])
            placed.append(folder / file.name)
    return placed


def _find_files(
    files: tuple[DataFile, ...], entries: list[Entry]
) -> dict[DataFile, tuple[str, bytes]]:
    """Find files: the name of each in the cache, and its bytes; packed files come first."""
    found: dict[DataFile, tuple[str, bytes]] = {}
    for is_packed, file, entry in product((False, True), files, entries):
        name = file.packed_name if is_packed else file.name
        size_bytes = file.size_bytes if is_packed else file.unpacked_size_bytes
        sha256 = file.sha256 if is_packed else file.unpacked_sha256
        # Some programs unpack to names with a dot, such as …-images.idx3-ubyte.
        is_named = Path(entry.name).name.lower().replace(".idx", "-idx") == name
        if sha256 and (entry.size_bytes == size_bytes or (not size_bytes and is_named)):
            data = entry.read()
            if hashlib.sha256(data).hexdigest() == sha256:
                found[file] = (name, data)
        elif is_named and not file.is_known:
            found[file] = (name, entry.read())
    return found


def _encode_arrays(
    dataset: Dataset, missing: list[DataFile], source: Path, entries: list[Entry]
) -> dict[DataFile, tuple[str, bytes]]:
    """Make the files from arrays of the same glyphs, such as those of an npz."""
    first = missing[0]
    if not all(file.unpacked_sha256 for file in missing):
        if not first.sha256:
            raise _not_there(dataset, first, source, entries)
        raise GlyphError(
            f"{source} has no {first.packed_name}, and without the gzip files {dataset.name} "
            "cannot be checked",
            f"Bring the .gz files, or fetch them: mnistseq download {dataset.name}",
        )
    try:
        parts = read_local(source, SPLITS)
    except GlyphError as error:
        raise _not_there(dataset, first, source, entries) from error
    encoded = [encode_idx(array) for part in parts for array in (part.images, part.labels)]
    by_hash = {hashlib.sha256(data).hexdigest(): data for data in encoded}
    if {file.unpacked_sha256 for file in missing} - {*by_hash}:
        raise GlyphError(
            f"{source} holds {sum(len(part.labels) for part in parts):,} glyphs, but not those of "
            f"{dataset.name}: SHA-256 of {first.name} differs",
            f"Use what is there as it is: --dataset {shlex.quote(str(source))}",
        )
    return {file: (file.name, by_hash[file.unpacked_sha256]) for file in missing}


def _not_there(dataset: Dataset, file: DataFile, source: Path, entries: list[Entry]) -> GlyphError:
    for entry in entries:
        if Path(entry.name).name.startswith(file.name):
            return GlyphError(
                f"{entry.title} is not the file that {dataset.name} has: its SHA-256 differs"
            )
    return GlyphError(
        f"{source} has neither {file.packed_name} nor {file.name} of {dataset.name}",
        "Expected a folder, zip or tar archive with "
        + ", ".join(it.packed_name for it in dataset.files()),
    )
