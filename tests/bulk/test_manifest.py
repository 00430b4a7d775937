from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.bulk.manifest import FileEntry, PartRecord, dump_record, load_record
from mnistseq_cli.bulk.parts import Staging
from mnistseq_cli.bulk.run import run
from tests.helpers.bulk_cases import Case, check_installed, read_tree

if TYPE_CHECKING:
    from pathlib import Path

Entries = st.lists(
    st.builds(
        FileEntry,
        st.text(
            st.characters(blacklist_categories=["Cs"], blacklist_characters="/\\.\0"), min_size=1
        ),
        st.integers(0, 2**40),
        st.text("0123456789abcdef", min_size=64, max_size=64),
    )
)


@given(Entries, Entries)
def test_a_record_is_read_as_it_was_written(kept: list[FileEntry], files: list[FileEntry]) -> None:
    record = PartRecord("00000007", 70, 80, {"numpy": "2"}, kept, files)
    assert load_record(dump_record(record)) == record


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\\..\\x"])
def test_names_that_lead_out_of_the_dataset_are_refused(name: str) -> None:
    data = dump_record(PartRecord("0", 0, 1, {}, [], [FileEntry(name, 1, "")]))
    with pytest.raises(ValueError, match="not inside the dataset"):
        load_record(data)


def test_the_manifest_proves_every_file(glyph_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(Case(glyph_folder).plan(out), workers=0)
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
    run(case.plan(tmp_path / "out"), workers=0)
    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text())
    (versions,) = manifest["versions"]
    assert set(versions) == {"mnistseq", "numpy", *expected}
    assert "unknown" not in {versions[name] for name in expected}


def test_the_manifest_of_many_texts_stays_small(glyph_folder: Path, tmp_path: Path) -> None:
    texts = tuple(str(number) for number in range(20_000))
    case = Case(glyph_folder, recipe={"length": None, "texts": texts, "count": 30})
    run(case.plan(tmp_path / "out"), workers=0)
    tree = read_tree(tmp_path / "out")
    assert tree["texts.txt"].decode().split() == list(texts)
    assert len(tree["dataset.json"]) < 5000


def test_files_have_the_permissions_of_the_user(glyph_folder: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run(Case(glyph_folder, recipe={"count": 3}).plan(tmp_path / "out"), workers=0)
    finally:
        os.umask(before)
    for path in (tmp_path / "out").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), path


def test_two_images_of_one_name_are_an_error_and_not_one_image(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "part")
    staging.write("a/b.png", b"one")
    with pytest.raises(FileExistsError):
        staging.write("a/b.png", b"two")
