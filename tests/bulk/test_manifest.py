"""What is written of files, read back; damaged, it is named without a traceback or a wait."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.bulk.run import run as make
from mnistseq_cli.bulk.verify import Report, verify
from mnistseq_cli.errors import OutputError
from tests.helpers.bulk_cases import Case, check_installed, read_tree
from tests.helpers.program import Result, Run

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")


def test_the_manifest_proves_every_file(glyph_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(Case(glyph_folder).plan(out), workers=0)
    tree = read_tree(out)
    text = tree.pop("dataset.json")
    assert str(out).encode() not in text
    assert os.uname().nodename.encode() not in text
    manifest = json.loads(text)
    assert (manifest["recipe"]["seed"], manifest["n_samples"]) == (5, 95)
    assert manifest["recipe"]["glyphs_sha256"] == manifest["glyphs"]["sha256"]
    card = hashlib.sha256(tree.pop("README.md")).hexdigest()
    assert manifest["card"] == {"sha256": card}
    assert tree.pop(".mnistseq/preview.jpg")
    entries = [(file["name"], file["size_bytes"], file["sha256"]) for file in manifest["files"]]
    for part in manifest["parts"]:
        entries.append((part["record"], part["record_size_bytes"], part["record_sha256"]))
        record = json.loads(tree[part["record"]])
        assert (record["start"], record["stop"]) == (part["start"], part["stop"])
        assert len(record["files"]) == part["n_files"]
        entries += [tuple(file) for file in record["files"]]
    assert {name for name, _, _ in entries} == set(tree)
    assert len(entries) == len(tree)
    for name, size_bytes, sha256 in entries:
        assert (len(tree[name]), hashlib.sha256(tree[name]).hexdigest()) == (size_bytes, sha256)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({}, {"zlib-ng"}),
        ({"image_format": "bmp"}, {"pillow"}),
        ({"to": "webdataset"}, {"zlib-ng"}),
        ({"to": "parquet", "image_format": "jpg"}, {"pyarrow", "pillow"}),
        ({"to": "lmdb"}, {"lmdb", "zlib-ng"}),
        ({"to": "hdf5"}, {"h5py"}),
        ({"to": "npy"}, set()),
    ],
)
def test_libraries_that_decide_bytes_are_noted(
    output: dict[str, str], expected: set[str], glyph_folder: Path, tmp_path: Path
) -> None:
    check_installed(output.get("to", "folder"))
    case = Case(glyph_folder, recipe={"count": 3}, output=output)
    make(case.plan(tmp_path / "out"), workers=0)
    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text())
    (versions,) = manifest["versions"]
    assert set(versions) == {"mnistseq", "numpy", *expected}
    assert "unknown" not in {versions[name] for name in expected}


def test_the_manifest_of_many_texts_stays_small(glyph_folder: Path, tmp_path: Path) -> None:
    texts = tuple(str(number) for number in range(20_000))
    case = Case(glyph_folder, recipe={"length": None, "texts": texts, "count": 30})
    make(case.plan(tmp_path / "out"), workers=0)
    tree = read_tree(tmp_path / "out")
    assert tree["texts.txt"].decode().split() == list(texts)
    assert len(tree["dataset.json"]) < 5000


def test_files_have_the_permissions_of_the_user(glyph_folder: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        make(Case(glyph_folder, recipe={"count": 3}).plan(tmp_path / "out"), workers=0)
    finally:
        os.umask(before)
    for path in (tmp_path / "out").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), path


RECORD = ".mnistseq/parts/train-00000000.json"
IMAGE = "train/images/00000/00000003.png"
GONE = object()
WRONG: tuple[Any, ...] = (*(GONE, None, -1, "x", [], {}, 1e300, 10**18, True, ["x"], {"x": None}),)
OPTIONS = "--dashes gap -n 12 --length 1 4 --seed 5 --part-size 4 --splits train=2 b=1"


@pytest.fixture(scope="module")
def intact(glyph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intact") / "out"
    recipe = {"splits": ("train=2", "b=1"), "count": 12}
    make(Case(glyph_folder, recipe=recipe, part_size=4).plan(folder), workers=0)
    return folder


def find_places(values: Any, *within: str | int) -> Iterator[tuple[str | int, ...]]:
    """Find where a value can be replaced; of a list only the first one."""
    listed = values.items() if isinstance(values, dict) else enumerate(values[:1])
    for key, value in listed:
        yield (*within, key)
        if isinstance(value, dict | list):
            yield from find_places(value, *within, key)


def spoil(intact: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give copies, each with one value removed or replaced, after what was done."""
    for *within, last in find_places(intact):
        for wrong in WRONG:
            values = inner = copy.deepcopy(intact)
            for key in within:
                inner = inner[key]  # type: ignore[index]  # a number goes into a list
            if wrong is GONE:
                del inner[last]  # type: ignore[arg-type]
            else:
                inner[last] = wrong  # type: ignore[index]
            yield f"{[*within, last]}: {'gone' if wrong is GONE else wrong!r}", values


def look(folder: Path, what: str, **options: Any) -> Report | None:
    """Verify; give None where it is refused with the name of a file and what to do."""
    try:
        return verify(folder, workers=0, **options)
    except OutputError as error:
        if not (str(folder) in error.message and error.hint):
            raise AssertionError(what) from error
        return None
    except Exception as error:  # what this file is about
        raise AssertionError(what) from error


def test_no_value_of_the_manifest_is_trusted_unchecked(dataset: Path) -> None:
    path = dataset / "dataset.json"
    values = json.loads(path.read_bytes())
    for what, spoiled in spoil(values):
        path.write_text(json.dumps(spoiled))
        found = look(dataset, what)
        if what.endswith((": gone", ": None", ": 1e+300", ": True")) and what.count(",") == 0:
            assert found is None, what


def test_making_again_trusts_no_value_either(dataset: Path) -> None:
    path = dataset / "dataset.json"
    values = json.loads(path.read_bytes())
    for key in ("output", "splits", "part_size", "files"):
        for what, spoiled in spoil({key: values[key]}):
            path.write_text(json.dumps(values | spoiled | ({key: 3} if not spoiled else {})))
            look(dataset, what, deep=1)


@pytest.mark.parametrize("is_listed", [False, True])
def test_no_value_of_a_record_is_trusted_unchecked(dataset: Path, *, is_listed: bool) -> None:
    """Also of one that the manifest lists as it is."""
    path = dataset / RECORD
    manifest = json.loads((dataset / "dataset.json").read_bytes())
    for what, spoiled in spoil(json.loads(path.read_bytes())):
        data = json.dumps(spoiled).encode()
        path.write_bytes(data)
        if is_listed:
            entry = {"record_size_bytes": len(data), "record_sha256": sha256(data)}
            manifest["parts"][0].update(entry)
            (dataset / "dataset.json").write_text(json.dumps(manifest))
        found = look(dataset, what)
        assert found, what
        assert found.problems or is_listed, what


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


OTHERS = (b"null", b"[]", b"3", b'"x"', b"\xff\xfe", b"[" * 200_000, b'{"part":' * 100_000)


@pytest.mark.parametrize("name", ["dataset.json", RECORD])
def test_files_cut_short_or_of_another_kind_are_named(dataset: Path, name: str) -> None:
    whole = (dataset / name).read_bytes()
    ends = (0, 1, 2, 10, len(whole) // 2, len(whole) - 3)
    for data in (*(whole[:n_bytes] for n_bytes in ends), *OTHERS):
        (dataset / name).write_bytes(data)
        found = look(dataset, repr(data[:20]))
        if name == RECORD:
            assert found
            assert [problem.kind for problem in found.problems] == ["unreadable"]
        else:
            assert found is None


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_pipe(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    os.write(os.open(path, os.O_RDWR | os.O_NONBLOCK), data)  # it gives what the file held


def put_link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


REPLACEMENTS: dict[str, Callable[[Path], None]] = {
    "folder": put_folder,
    "pipe": put_pipe,
    "endless device": partial(put_link, to="/dev/zero"),
    "empty device": partial(put_link, to="/dev/null"),
    "link in a circle": lambda path: put_link(path, path.name),
}
NAMES = ("dataset.json", "recipe.toml", RECORD, IMAGE, "b/labels.csv", "train/metadata.jsonl")


@pytest.mark.parametrize("kind", REPLACEMENTS)
@pytest.mark.parametrize("name", NAMES)
def test_what_replaces_a_file_is_named(dataset: Path, name: str, kind: str) -> None:
    REPLACEMENTS[kind](dataset / name)
    for deep in (0, 5):
        found = look(dataset, kind, deep=deep)
        if name == "dataset.json":
            assert found is None
        else:
            assert found
            assert [(it.kind, it.name) for it in found.problems][:1] == [("unreadable", name)]


@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_a_large_file_that_is_replaced_is_named(
    glyph_folder: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    make(Case(glyph_folder, {"count": 40}, {"to": "npy"}).plan(out), workers=0)
    assert (out / "images.npy").stat().st_size > 2**16  # smaller ones are read in another way
    REPLACEMENTS[kind](out / "images.npy")
    found = look(out, kind)
    assert found
    assert [(it.kind, it.name) for it in found.problems] == [("unreadable", "images.npy")]


def test_nothing_is_made_again_from_lost_texts(glyph_folder: Path, tmp_path: Path) -> None:
    recipe = {"length": None, "texts": ("12", "3"), "count": 4}
    make(Case(glyph_folder, recipe=recipe).plan(tmp_path / "out"), workers=0)
    (tmp_path / "out" / "texts.txt").unlink()
    found = verify(tmp_path / "out", deep=None, workers=0)
    assert [str(problem) for problem in found.problems] == ["missing: texts.txt"]


def check_refused(result: Result, name: str) -> None:
    assert result.status == 1
    assert name in result.err.replace("\n", "")
    assert "Traceback" not in result.err


def unfinish(folder: Path) -> None:
    """Make of a dataset what it was before files were joined."""
    (folder / "dataset.json").rename(folder / ".mnistseq/plan.json")
    for path in [*folder.glob("*/labels.csv"), *folder.glob("*/metadata.jsonl")]:
        path.unlink()


SPOILERS: dict[str, Callable[[Path], Any]] = {
    "nothing": lambda path: path.write_bytes(b""),
    "a list": lambda path: path.write_bytes(b"[1]"),
    "an empty object": lambda path: path.write_bytes(b"{}"),
    "a recipe that is none": lambda path: path.write_text('{"version": 1, "recipe": "x"}'),
    "a folder": put_folder,
    "a pipe": put_pipe,
}


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("name", ["dataset.json", ".mnistseq/plan.json"])
def test_commands_name_a_spoilt_manifest(dataset: Path, run: Run, name: str, spoiler: str) -> None:
    if "plan" in name:
        unfinish(dataset)
    SPOILERS[spoiler](dataset / name)
    found = run("verify", dataset, glyphs=False)
    check_refused(found, "dataset.json")
    check_refused(run("inspect", dataset, glyphs=False), name)
    check_refused(run("batch", *OPTIONS.split(), "-o", dataset, "--resume"), name)
    if "plan" in name:
        assert run("batch", *OPTIONS.split(), "-o", dataset, "--overwrite").status == 0
        assert run("verify", dataset, glyphs=False).status == 0
    else:
        before = (dataset / IMAGE).read_bytes()
        check_refused(run("batch", *OPTIONS.split(), "-o", dataset, "--overwrite"), name)
        assert (dataset / IMAGE).read_bytes() == before


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_resume_mends_damaged_parts(intact: Path, dataset: Path, run: Run, spoiler: str) -> None:
    SPOILERS[spoiler](dataset / ".mnistseq/parts/b-00000000.json")
    if spoiler == "a folder":  # it is in the way, and not ours to remove
        check_refused(run("batch", *OPTIONS.split(), "-o", dataset, "--resume"), "s a directory")
        return
    assert run("batch", *OPTIONS.split(), "-o", dataset, "--resume").status == 0
    assert read_tree(dataset) == read_tree(intact)


@pytest.mark.parametrize("option", ["--resume", "--overwrite"])
def test_pipes_among_what_a_run_notes_are_not_waited_for(
    intact: Path, dataset: Path, run: Run, option: str
) -> None:
    unfinish(dataset)
    for name in ("boot_id", "parts/a.json"):
        os.mkfifo(dataset / ".mnistseq" / name)
    assert run("batch", *OPTIONS.split(), "-o", dataset, option).status == 0
    (dataset / ".mnistseq/parts/a.json").unlink(missing_ok=True)
    assert read_tree(dataset) == read_tree(intact)
