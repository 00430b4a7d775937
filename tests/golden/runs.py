"""Runs of the program, and what they leave behind."""

from __future__ import annotations

import io
import os
import shlex
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from imageio import v3 as imageio

from mnistseq_cli.cli import main
from tests.golden.digests import Digests, Missing, hash_arrays, hash_bytes, hash_json, of_deflate

OUT = "out"
ALWAYS = "--dataset strokes --seed 1"
BULK = f"{ALWAYS} --workers 0 -o {OUT}"
NUMBERS = f"batch -n 40 --length 2 4 --part-size 16 {BULK}"
SPLITS = "--splits train=70 val=10 test=20"
STYLES = ("csv", "jsonl", "coco", "yolo", "paddleocr", "easyocr", "mmocr", "doctr")
ALL_STYLES = " ".join(f"--labels {style}" for style in STYLES)
TEXTS_FILE, TEXTS = "numbers.txt", "007\n42\n\n31415\n42\n0\n8675309\n"

RUNS = {
    "batch": NUMBERS,
    "batch-digits": f"batch --digits 350 {BULK}",
    "batch-texts": f"batch --texts {TEXTS_FILE} {BULK}",
    "batch-texts-splits": f"batch -n 30 --texts {TEXTS_FILE} {SPLITS} {BULK}",
    "batch-white-natural": f"{NUMBERS} --ink white --width natural --edges",
    "batch-medium": f"{NUMBERS} --augment medium --augment-prob 0.7",
    "batch-named": f"{NUMBERS} --name images/{{shard:02d}}/{{text}}-{{index}} {ALL_STYLES}",
    "batch-pgm": f"{NUMBERS} --image-format pgm",
    "batch-sheet": f"{NUMBERS} --sheet {OUT}.png",
    "batch-splits": f"{NUMBERS} {SPLITS}",
    "phone": f"phone -n 20 --part-size 7 {BULK} {ALL_STYLES}",
    "phone-us-splits": f"phone -n 30 --pattern us {SPLITS} {BULK} --labels coco",
    "sequence": f"sequence 350 -n 3 --json {ALWAYS}",
    "sequence-wide": f"sequence 3 5 0 -w 100 --spacing 0 4 --one-hand -o 0.png --json {ALWAYS}",
    "sequence-sheet": f"sequence 0123 -n 7 --augment light --sheet sheet.png {ALWAYS}",
}
for style in STYLES:
    RUNS[f"labels-{style}"] = f"{NUMBERS} --labels {style}"
    RUNS[f"labels-{style}-splits"] = f"{NUMBERS} --labels {style} {SPLITS}"
for form in ("webdataset", "parquet", "lmdb", "hdf5", "npz", "npy", "idx"):
    RUNS[f"to-{form}"] = f"{NUMBERS} --to {form}"
    RUNS[f"to-{form}-splits"] = f"{NUMBERS} --to {form} {SPLITS}"
    RUNS[f"to-{form}-phone"] = f"phone -n 20 --pattern uk-mobile {BULK} --to {form}"
RUNS["to-idx-digits"] = f"batch -n 40 --length 1 1 --width 28 --ink white {BULK} --to idx"

LIBRARIES = {"parquet": "pyarrow", "lmdb": "lmdb", "hdf5": "h5py"}
# What names the versions of libraries or is made by them, and the recipe, which gains fields.
NOT_HASHED = ("dataset.json", "recipe.toml", "croissant.json", "README.md", ".mnistseq")
ENCODED_ELSEWHERE = (".pgm", ".parquet", ".mdb", ".h5", ".npz")
DEFLATED = (".png", ".tar")
ONE_EACH = (".png", ".pgm", ".txt")  # of files that there is one of for each sample


def make_run(name: str) -> Digests:
    """Run the program in an empty folder; hash the files, what they hold and what it prints."""
    library = LIBRARIES.get(name.split("-")[1]) if name.startswith("to-") else None
    if library and find_spec(library) is None:
        raise Missing(f"{library} is not installed")
    with TemporaryDirectory() as folder, chdir(folder):
        Path(TEXTS_FILE).write_text(TEXTS, encoding="utf-8")
        printed = run_program(shlex.split(RUNS[name]))
        Path(TEXTS_FILE).unlink()
        return {"stdout": hash_bytes(printed.encode())} | hash_files(Path())


def run_program(words: list[str]) -> str:
    """Run a command in this process; give what it prints."""
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    with (
        patch.object(sys, "argv", ["mnistseq", *words]),
        patch.dict(os.environ, {"MNISTSEQ_OFFLINE": "1"}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    if status:
        raise RuntimeError(f"{shlex.join(words)} fails: {err.getvalue()}")
    return out.getvalue()


def hash_files(folder: Path) -> Digests:
    """Hash bytes and contents of the files of a folder, those of one kind together."""
    found: Digests = {}
    for kind, paths in sorted(group_files(folder).items()):
        if not kind.endswith(ENCODED_ELSEWHERE):
            of = of_deflate if kind.endswith(DEFLATED) else str
            found[of(kind)] = hash_each(paths, lambda path: hash_bytes(path.read_bytes()))
        if kind.endswith(tuple(READERS)):
            found[f"what is in {kind}"] = hash_each(paths, READERS[paths[0].suffix])
    return found


def hash_each(paths: list[Path], read: Callable[[Path], Any]) -> str:
    return hash_json([[path.as_posix(), read(path)] for path in paths])


def group_files(folder: Path) -> dict[str, list[Path]]:
    """Give files by what they are called: those of samples as ``folder/*.png``."""
    groups = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not set(NOT_HASHED).intersection(path.parts):
            is_one_each = path.suffix in ONE_EACH and path.parent.name.isdecimal()
            name = path.with_name(f"*{path.suffix}") if is_one_each else path
            groups[name.as_posix()].append(path)
    return groups


# What is in a file, read with the libraries that others read it with; arrays are their hashes.


def decode(data: bytes) -> str:
    """Hash the pixels of an encoded image."""
    return hash_arrays(imageio.imread(io.BytesIO(data), plugin="pillow"))


def read_tar(path: Path) -> Any:
    with tarfile.open(path) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar]
        data = [(name, file.read() if file else b"") for name, file in members]
    return [[name, decode(it) if name.endswith(".png") else hash_bytes(it)] for name, it in data]


def read_parquet(path: Path) -> Any:
    file = import_module("pyarrow.parquet").ParquetFile(path)
    rows: list[dict[str, Any]] = file.read().to_pylist()
    for row in rows:
        row["image"]["bytes"] = decode(row["image"]["bytes"])
    schema = file.schema_arrow
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    columns = [[field.name, str(field.type)] for field in schema]
    return [columns, metadata, file.num_row_groups, rows]


def read_lmdb(path: Path) -> Any:
    with (
        import_module("lmdb").open(str(path.parent), readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        pairs = [(bytes(key).decode(), bytes(value)) for key, value in transaction.cursor()]
    return [
        [key, decode(value) if key.startswith("image-") else value.decode()]
        for key, value in pairs
    ]


def read_hdf5(path: Path) -> Any:
    with import_module("h5py").File(path) as file:
        names = sorted(file)
        return [
            [name, hash_arrays(file[name][:]), file[name].chunks, file[name].compression]
            for name in names
        ]


def read_npz(path: Path) -> Any:
    with np.load(path) as arrays:
        return [[name, hash_arrays(arrays[name])] for name in arrays]


READERS = {
    ".png": lambda path: decode(path.read_bytes()),
    ".pgm": lambda path: decode(path.read_bytes()),
    ".tar": read_tar,
    ".parquet": read_parquet,
    ".mdb": read_lmdb,
    ".h5": read_hdf5,
    ".npz": read_npz,
}
