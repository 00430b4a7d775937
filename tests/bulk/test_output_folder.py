"""Nothing outside the output folder is touched, nor what mnistseq did not write inside."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.bulk.run import run
from mnistseq_cli.errors import MnistseqError, OutputError, UsageError
from tests.helpers.bulk_cases import Case, read_tree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
MODES: list[dict[str, Any]] = [{}, {"resume": True}, {"overwrite": True}]
LINKED = (
    *(".mnistseq", *(f".mnistseq/{name}" for name in ("staging", "kept", "parts", "lock"))),
    *(".mnistseq/kept/00000000", ".mnistseq/parts/00000000.json", ".mnistseq/parts/joined.json"),
    *(".mnistseq/staging/joined", ".mnistseq/plan.json"),
    *("dataset.json", "recipe.toml", "labels.csv"),
    *("images", "images/00000", "images/00000/00000000.png"),
)


@pytest.fixture
def case(glyph_folder: Path) -> Case:
    return Case(glyph_folder, recipe={"count": 25})


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Make a folder of somebody else, with names that a run uses."""
    folder = tmp_path / "outside"
    names = ("x", "00000/00000000.png", "00000000.json", "00000000/labels.csv", "staging/x/y")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    return folder


def try_run(case: Case, folder: Path, **options: Any) -> None:
    try:
        run(case.plan(folder), workers=0, check_space=True, **options)
    except MnistseqError:
        return


@pytest.mark.parametrize("options", MODES, ids=["new", "resume", "overwrite"])
@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("state", ["empty", "stopped", "finished"])
def test_links_are_not_followed(
    case: Case, tmp_path: Path, outside: Path, name: str, state: str, options: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    if state == "stopped":
        case.stop(out, 2)
    elif state == "finished":
        run(case.plan(out), workers=0)
    link = out / name
    if link.exists():
        link.rename(tmp_path / "moved")
    link.parent.mkdir(parents=True, exist_ok=True)
    is_file = Path(name).suffix or name.endswith("lock")
    link.symlink_to(outside / "x" if is_file else outside)
    before = read_tree(outside)
    try_run(case, out, **options)
    assert read_tree(outside) == before


@pytest.mark.parametrize(
    "entry",
    [
        ["notes.txt", 4, "0" * 64],
        ["../outside/x", 8, "0" * 64],
        ["/etc/hostname", 1, ""],
        ["images/x", 8, hashlib.sha256(b"precious").hexdigest()],
    ],
)
@pytest.mark.parametrize("options", MODES, ids=["new", "resume", "overwrite"])
def test_a_record_names_no_file_for_removal_that_was_not_written(
    case: Case, tmp_path: Path, outside: Path, entry: list[Any], options: dict[str, Any]
) -> None:
    """One is as the record says, but lies in the folder of somebody else."""
    out, record = tmp_path / "out", ".mnistseq/parts/00000000.json"
    values = {"part": "00000000", "start": 0, "stop": 10, "versions": {}, "kept": []}
    (out / record).parent.mkdir(parents=True)
    (out / record).write_text(json.dumps(values | {"files": [entry]}))
    (out / "notes.txt").write_text("mine")
    if entry[0] == "images/x":
        (out / "images").symlink_to(outside)
    before = read_tree(outside)
    try_run(case, out, **options)
    assert (out / "notes.txt").read_text() == "mine"
    assert read_tree(outside) == before


def test_the_output_folder_itself_may_be_a_link(case: Case, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    run(case.plan(tmp_path / "out"), workers=0)
    run(case.plan(tmp_path / "out"), workers=0, overwrite=True)
    run(case.plan(tmp_path / "plain"), workers=0)
    assert read_tree(tmp_path / "real") == read_tree(tmp_path / "plain")


def test_files_that_share_an_inode_are_replaced_not_written(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(case.plan(out), workers=0)
    for name in ("labels.csv", "recipe.toml", "dataset.json", "images/00000/00000003.png"):
        data = (out / name).read_bytes()
        (tmp_path / "other").write_bytes(b"precious")
        (out / name).unlink()
        os.link(tmp_path / "other", out / name)
        try_run(case, out, resume=True)
        assert (tmp_path / "other").read_bytes() == b"precious"
        (out / name).unlink()
        (out / name).write_bytes(data)


def test_a_changed_file_is_not_removed_nor_anything_else(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(case.plan(out), workers=0)
    (out / "labels.csv").write_text("with corrections")
    before = read_tree(out)
    with pytest.raises(OutputError, match=r"labels\.csv is not as mnistseq wrote it"):
        run(case.plan(out), workers=0, overwrite=True)
    assert read_tree(out) == before


def test_a_folder_with_litter_alone_is_empty(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = (
        *(".DS_Store", "Thumbs.db", "desktop.ini", "README.md", ".gitattributes"),
        *(".cache/x", "lost+found/x"),
    )
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("litter")
    run(case.plan(out), workers=0)
    run(case.plan(out), workers=0, overwrite=True)
    assert {(out / name).read_text() for name in names} == {"litter"}
    assert (out / "dataset.json").exists()


@pytest.mark.parametrize("url", ["s3://bucket/x", "gs://bucket", "file:///tmp/x", "memory://x"])
def test_the_text_of_a_url_is_no_folder(case: Case, url: str) -> None:
    for folder in (Path(url), url):
        with pytest.raises(UsageError, match="object stores are not supported"):
            case.plan(folder)  # type: ignore[arg-type]  # as a user of the library may
