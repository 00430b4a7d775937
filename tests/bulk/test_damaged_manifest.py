"""Manifests, plans and records that are damaged: named, without a traceback and without a wait."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.bulk.run import run as make
from mnistseq_cli.bulk.verify import Report, verify
from mnistseq_cli.errors import OutputError
from tests.helpers.bulk_cases import Case, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers.program import Result

RECORD = ".mnistseq/parts/train-00000000.json"
IMAGE = "train/images/00000/00000003.png"
GONE = object()
WRONG: tuple[Any, ...] = (
    *(GONE, None, -1, "x", [], {}, 1e300, 10**9, 10**18, True, ["x"], {"x": None}),
)
OPTIONS = "--dashes gap -n 12 --length 1 4 --seed 5 --part-size 4 --splits train=2 b=1"


@pytest.fixture(scope="module")
def intact(glyph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intact") / "out"
    recipe = {"splits": ("train=2", "b=1"), "count": 12}
    make(Case(glyph_folder, recipe=recipe, part_size=4).plan(folder), workers=0)
    return folder


@pytest.fixture
def dataset(intact: Path, tmp_path: Path) -> Path:
    return shutil.copytree(intact, tmp_path / "out")


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


def test_no_value_of_the_manifest_is_trusted_before_it_is_checked(dataset: Path) -> None:
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
def test_no_value_of_a_record_is_trusted_before_it_is_checked(
    dataset: Path, *, is_listed: bool
) -> None:
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
def test_files_that_end_too_soon_or_are_of_another_kind_are_named(
    dataset: Path, name: str
) -> None:
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


# Something else in the place of a file -----------------------------------------------------------


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
REPLACEMENTS: dict[str, Callable[[Path], None]] = {
    "folder": put_folder,
    "pipe": put_pipe,
    "endless device": partial(put_link, to="/dev/zero"),
    "empty device": partial(put_link, to="/dev/null"),
    "link in a circle": partial(put_link, to="out"),
}
NAMES = ("dataset.json", "recipe.toml", RECORD, IMAGE, "b/labels.csv", "train/metadata.jsonl")


def replace(name: str, folder: Path, kind: str) -> None:
    path = folder / name
    if kind == "link in a circle":
        put_link(path, path.name)
    else:
        REPLACEMENTS[kind](path)


@needs_pipes
@pytest.mark.parametrize("kind", REPLACEMENTS)
@pytest.mark.parametrize("name", NAMES)
def test_what_replaces_a_file_is_named(dataset: Path, name: str, kind: str) -> None:
    replace(name, dataset, kind)
    for deep in (0, 5):
        found = look(dataset, kind, deep=deep)
        if name == "dataset.json":
            assert found is None
        else:
            assert found
            assert [(it.kind, it.name) for it in found.problems][:1] == [("unreadable", name)]


@needs_pipes
def test_a_large_file_that_is_replaced_is_named(glyph_folder: Path, tmp_path: Path) -> None:
    case = Case(glyph_folder, recipe={"count": 40}, output={"to": "npy"})
    make(case.plan(tmp_path / "out"), workers=0)
    size_bytes = (tmp_path / "out" / "images.npy").stat().st_size
    assert size_bytes > 2**16  # smaller ones are read in another way
    for kind in REPLACEMENTS:
        replace("images.npy", tmp_path / "out", kind)
        found = look(tmp_path / "out", kind)
        assert found
        assert [str(problem)[:22] for problem in found.problems] == ["unreadable: images.npy"]
        path = tmp_path / "out" / "images.npy"
        path.rmdir() if kind == "folder" else path.unlink()
        path.touch()


def test_nothing_is_made_again_from_texts_that_are_lost(
    glyph_folder: Path, tmp_path: Path
) -> None:
    recipe = {"length": None, "texts": ("12", "3"), "count": 4}
    make(Case(glyph_folder, recipe=recipe).plan(tmp_path / "out"), workers=0)
    (tmp_path / "out" / "texts.txt").unlink()
    found = verify(tmp_path / "out", deep=None, workers=0)
    assert [str(problem) for problem in found.problems] == ["missing: texts.txt"]


# Commands ----------------------------------------------------------------------------------------


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


@needs_pipes
@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("name", ["dataset.json", ".mnistseq/plan.json"])
def test_commands_refuse_a_damaged_manifest(
    dataset: Path, run: Callable[..., Result], name: str, spoiler: str
) -> None:
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


@needs_pipes
@pytest.mark.parametrize("spoiler", SPOILERS)
def test_resuming_makes_a_damaged_part_again(
    intact: Path, dataset: Path, run: Callable[..., Result], spoiler: str
) -> None:
    SPOILERS[spoiler](dataset / ".mnistseq/parts/b-00000000.json")
    if spoiler == "a folder":  # it is in the way, and not ours to remove
        check_refused(run("batch", *OPTIONS.split(), "-o", dataset, "--resume"), "s a directory")
        return
    assert run("batch", *OPTIONS.split(), "-o", dataset, "--resume").status == 0
    assert read_tree(dataset) == read_tree(intact)


@needs_pipes
@pytest.mark.parametrize("option", ["--resume", "--overwrite"])
def test_pipes_among_what_a_run_notes_are_not_waited_for(
    intact: Path, dataset: Path, run: Callable[..., Result], option: str
) -> None:
    unfinish(dataset)
    for name in ("boot_id", "parts/a.json"):
        os.mkfifo(dataset / ".mnistseq" / name)
    assert run("batch", *OPTIONS.split(), "-o", dataset, option).status == 0
    (dataset / ".mnistseq/parts/a.json").unlink(missing_ok=True)
    assert read_tree(dataset) == read_tree(intact)


def test_a_file_is_no_folder_of_a_dataset(dataset: Path, run: Callable[..., Result]) -> None:
    for command in ("verify", "inspect"):
        result = run(command, dataset / "recipe.toml", glyphs=False)
        check_refused(result, "is a file; expected the folder of a dataset")


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_told_in_the_same_words(
    dataset: Path, run: Callable[..., Result]
) -> None:
    dataset.chmod(0)
    try:
        errors = [run(command, dataset, glyphs=False) for command in ("verify", "inspect")]
    finally:
        dataset.chmod(0o755)
    assert [error.status for error in errors] == [1, 1]
    assert errors[0].err == errors[1].err
    assert "permission denied" in errors[0].err
