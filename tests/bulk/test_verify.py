from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from mnistseq_cli.bulk.run import run as make
from mnistseq_cli.bulk.verify import VerifyProgress, verify
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES
from tests.helpers import mirror
from tests.helpers.bulk_cases import Case, check_installed, read_tree
from tests.helpers.program import Run

IMAGE = "images/00000/00000042.png"
flip = partial(mirror.flip, position=40, bits=1)


def find_problems(folder: Path, **options: Any) -> list[str]:
    return [str(problem) for problem in verify(folder, **options).problems]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("deep", [0, 1, 50, None])
def test_an_intact_dataset_has_no_problems(dataset: Path, workers: int, deep: int | None) -> None:
    before, told = read_tree(dataset), list[VerifyProgress]()
    report = verify(dataset, deep=deep, workers=workers, report=told.append)
    assert report.problems == ()
    assert (report.n_files, report.n_samples) == (99, 95)
    # Parts of 10, the last one of 5: one, six, all.
    assert report.n_made in ({0: {0}, 1: {10}, 50: {50, 55}, None: {95}}[deep])
    assert (told[-1].n_files, told[-1].n_files_all) == (99, 99)
    assert told[-1].n_made == told[-1].n_made_all == report.n_made
    assert read_tree(dataset) == before


@pytest.mark.parametrize(
    ("name", "spoil", "problem"),
    [
        (IMAGE, os.unlink, "missing"),
        (IMAGE, flip, "altered"),
        (IMAGE, lambda path: os.truncate(path, 20), "short"),
        (IMAGE, lambda path: path.write_bytes(path.read_bytes() + b"x"), "altered"),
        (IMAGE, lambda path: (path.unlink(), path.mkdir()), "unreadable"),
        ("labels.csv", os.unlink, "missing"),
        ("labels.csv", flip, "altered"),
        ("metadata.jsonl", lambda path: os.truncate(path, 20), "short"),
        ("recipe.toml", flip, "altered"),
        (".mnistseq/parts/00000004.json", os.unlink, "missing"),
        (".mnistseq/parts/00000004.json", lambda path: os.truncate(path, 20), "unreadable"),
        ("notes.txt", lambda path: path.write_text("new"), "extra"),
        ("images/00000/notes.txt", lambda path: path.write_text("new"), "extra"),
        ("images/new/notes.txt", lambda path: (path.parent.mkdir(), path.touch()), "extra"),
    ],
)
def test_each_kind_of_damage_is_named(
    dataset: Path, name: str, spoil: Callable[[Path], Any], problem: str
) -> None:
    spoil(dataset / name)
    (found,) = find_problems(dataset, workers=0)
    assert found.startswith(f"{problem}: {name}")
    assert f"{problem}: {name}" in " ".join(find_problems(dataset, workers=0, deep=None))


def test_several_problems_come_in_the_order_of_names(dataset: Path) -> None:
    """A renamed image is missing and extra."""
    (dataset / IMAGE).rename(dataset / "images/00000/other.png")
    (dataset / "aa.txt").touch()
    flip(dataset / "labels.csv")
    flip(dataset / "images/00000/00000094.png")
    assert find_problems(dataset, workers=2) == [
        "extra: aa.txt",
        f"missing: {IMAGE}",
        "altered: images/00000/00000094.png",
        "extra: images/00000/other.png",
        "altered: labels.csv",
    ]


def list_again(folder: Path, name: str) -> None:
    """Enter a file as it is now into record and manifest, as a forger would."""
    manifest = json.loads((folder / "dataset.json").read_bytes())
    data = (folder / name).read_bytes()
    entry = [name, len(data), hashlib.sha256(data).hexdigest()]
    for file in manifest["files"]:
        if file["name"] == name:
            file.update(size_bytes=entry[1], sha256=entry[2])
    for part in manifest["parts"]:
        path = folder / part["record"]
        record = json.loads(path.read_bytes())
        old = sum(file[1] for file in record["files"])
        record["files"] = [entry if file[0] == name else file for file in record["files"]]
        text = json.dumps(record).encode()
        path.write_bytes(text)
        part["size_bytes"] += sum(file[1] for file in record["files"]) - old
        part["record_size_bytes"] = len(text)
        part["record_sha256"] = hashlib.sha256(text).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(manifest))


def test_deep_finds_forged_pixels_and_takes_the_same_ones_in_other_bytes(dataset: Path) -> None:
    """Another version of a library may compress in another way; the pixels are the promise."""
    image, before = imageio.imread(dataset / IMAGE), (dataset / IMAGE).read_bytes()
    for changed in (0, 1):
        image[14, 3] ^= changed
        imageio.imwrite(dataset / IMAGE, image)
        assert (dataset / IMAGE).read_bytes() != before
        list_again(dataset, IMAGE)
        assert find_problems(dataset, workers=0) == []
        problems = [f"altered: {IMAGE} (not what the recipe makes)"] * changed
        assert find_problems(dataset, workers=2, deep=None) == problems


@pytest.mark.parametrize("image_format", ["png", "jpg"])
@pytest.mark.parametrize("to", FORMATS)
def test_deep_finds_that_a_recipe_makes_something_else(
    glyph_folder: Path, tmp_path: Path, to: str, image_format: str
) -> None:
    check_installed(to)
    out = tmp_path / "out"
    output = {"to": to, "image_format": image_format}
    make(Case(glyph_folder, output=output).plan(out), workers=0)
    assert find_problems(out, workers=0, deep=None) == []
    recipe = out / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 5", "seed = 6"))
    list_again(out, "recipe.toml")
    assert find_problems(out, workers=0) == []
    assert find_problems(out, workers=0, deep=None)


JOINED = ("lmdb", "hdf5", "npz", "npy", "idx")
LAYOUTS: dict[str, tuple[str, ...]] = {"whole": (), "splits": ("train=6", "images=1", "test=1")}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("to", JOINED)
def test_deep_reads_joined_files(glyph_folder: Path, tmp_path: Path, to: str, layout: str) -> None:
    """Each is exchanged for that of another seed; images of a split may be called images."""
    check_installed(to)
    out, other = tmp_path / "out", tmp_path / "other"
    for folder, seed in ((out, 5), (other, 6)):
        recipe = {"splits": LAYOUTS[layout], "seed": seed}
        make(Case(glyph_folder, recipe=recipe, output={"to": to}).plan(folder), workers=0)
    manifest = json.loads((out / "dataset.json").read_bytes())
    names = {file["name"] for file in manifest["files"]} - {"recipe.toml", "croissant.json"}
    assert find_problems(out, workers=2, deep=None) == []
    for name in sorted(names):
        before = (out / name).read_bytes()
        if (other / name).read_bytes() == before:  # such as the alphabet
            continue
        (out / name).write_bytes((other / name).read_bytes())
        list_again(out, name)
        assert find_problems(out, workers=0) == []
        found = find_problems(out, workers=0, deep=None)
        assert found
        if "lengths" not in name:  # a text that ends elsewhere is one of the labels
            assert any(problem.startswith(f"altered: {name} (the ") for problem in found)
        (out / name).write_bytes(before)
        list_again(out, name)


# Files of a dataset that list no labels of many images.
NO_LABELS = r"labels/|ImageSets/|\.mnistseq|croissant\.json|dataset\.json|texts\.txt"


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_deep_reads_every_style_of_labels(glyph_folder: Path, tmp_path: Path, layout: str) -> None:
    """In each, one digit is altered: of a text, or of a box where it holds boxes."""
    out = tmp_path / "out"
    recipe: dict[str, Any] = {"splits": LAYOUTS[layout], "texts": ("12", "3", "45")}
    recipe |= {"length": None, "spacing_px": (-28, -20)}  # boxes come in another order, too
    output = {"labels": tuple(LABEL_STYLES)}
    make(Case(glyph_folder, recipe=recipe, output=output).plan(out), workers=0)
    assert find_problems(out, workers=0, deep=None) == []
    assert find_problems(out, workers=0, deep=30) == []
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        is_listing = path.suffix in {".json", ".jsonl", ".csv", ".txt"}
        if not is_listing or re.search(NO_LABELS, name):
            continue
        before = path.read_bytes()
        start = before.rindex(b'"bbox": [') if b'"bbox"' in before else before.rindex(b"45")
        at = next(at for at in range(start, len(before)) if before[at : at + 1].isdigit())
        path.write_bytes(before[:at] + b"%d" % (int(before[at : at + 1]) ^ 1) + before[at + 1 :])
        list_again(out, name)
        assert find_problems(out, workers=0) == []
        (found,) = find_problems(out, workers=0, deep=None)
        assert f": {name} (" in found
        path.write_bytes(before)
        list_again(out, name)


@pytest.mark.parametrize(
    ("name", "aspect"), [("images", "image"), ("labels", "text"), ("boxes", "boxes")]
)
def test_deep_names_the_sample(glyph_folder: Path, tmp_path: Path, name: str, aspect: str) -> None:
    recipe = {"splits": ("train=6", "val=2")}
    out = tmp_path / "out"
    make(Case(glyph_folder, recipe=recipe, output={"to": "npy"}).plan(out), workers=0)
    file = f"val/{name}.npy"
    array = np.load(out / file)
    array[-1].flat[0] ^= 1
    np.save(out / file, array)
    list_again(out, file)
    last = f"val/{len(array) - 1}"
    verb = "are" if aspect == "boxes" else "is"
    assert find_problems(out, workers=0, deep=None) == [
        f"altered: {file} (the {aspect} of {last} {verb} not what the recipe makes)"
    ]


def test_deep_compares_as_many_samples_as_asked_for(glyph_folder: Path, tmp_path: Path) -> None:
    """Parts of 10, the last one of 5: fifteen samples are the first part and the last."""
    out = tmp_path / "out"
    make(Case(glyph_folder, output={"to": "npy"}).plan(out), workers=0)
    for place, is_found in ((94, True), (42, False), (9, True)):
        images = np.load(out / "images.npy")
        images[place, 0, 0] ^= 1
        np.save(out / "images.npy", images)
        list_again(out, "images.npy")
        assert bool(find_problems(out, workers=0, deep=15)) is is_found
        images[place, 0, 0] ^= 1
        np.save(out / "images.npy", images)
    list_again(out, "images.npy")
    recipe = {"splits": ("train=61", "val=11", "test=23")}  # with small parts at their ends
    make(Case(glyph_folder, recipe=recipe, output={"to": "npy"}).plan(tmp_path / "s"), workers=0)
    for deep in (1, 55, 95, 1000, None):
        report = verify(tmp_path / "s", deep=deep, workers=0)
        assert report.problems == ()
        assert report.n_made >= min(deep or 95, 95)
    for name in ("images", "labels", "lengths", "boxes"):
        np.save(out / f"{name}.npy", np.load(out / f"{name}.npy")[:-1])
        list_again(out, f"{name}.npy")
    words = "altered: images.npy (94 samples instead of 95)"
    assert find_problems(out, workers=0, deep=10) == [words]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\\..\\x"])
def test_records_that_lead_out_of_the_dataset_are_refused(dataset: Path, name: str) -> None:
    path = dataset / ".mnistseq/parts/00000000.json"
    inside, outside = json.dumps("images/00000/00000003.png"), json.dumps(name)
    path.write_text(path.read_text().replace(inside, outside))
    assert "is not inside the dataset" in find_problems(dataset, workers=0)[0]


def test_keys_of_the_manifest_may_come_in_any_order(dataset: Path) -> None:
    path = dataset / "dataset.json"
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps(manifest, sort_keys=True))
    assert not find_problems(dataset, workers=0)


def test_what_is_no_whole_dataset_is_told(dataset: Path, tmp_path: Path) -> None:
    path = dataset / "dataset.json"
    manifest = json.loads(path.read_bytes())
    del manifest["parts"][3]
    path.write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match="its parts are not the whole"):
        verify(dataset, workers=0)
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(OutputError, match="is not a dataset"):
            verify(folder)
    path.unlink()
    (dataset / ".mnistseq/plan.json").write_text("{}")
    with pytest.raises(OutputError, match="is unfinished") as caught:
        verify(dataset)
    assert "--resume" in caught.value.hint


def test_the_command_names_files_on_stdout(dataset: Path, run: Run) -> None:
    for words in ([], ["--deep"], ["--deep", "all"], ["--deep", "30", "--workers", "0"]):
        result = run("verify", dataset, *words, glyphs=False)
        assert (result.status, result.out) == (0, "")
        assert "is complete: 99 files, 95 samples" in " ".join(result.err.split())
        assert ("re-rendered" in result.err) == bool(words)
    (dataset / IMAGE).unlink()
    result = run("verify", dataset, glyphs=False)
    assert (result.status, result.out) == (1, f"missing: {IMAGE}\n")
    assert ": 1 file" in result.err


LITTER = (
    *(".DS_Store", "images/Thumbs.db", "images/desktop.ini", "README.md", ".gitattributes"),
    *("labels.cache", ".cache/huggingface/lock", "images/lock.mdb"),
)


def test_what_other_programs_leave_is_named_and_no_problem(dataset: Path, run: Run) -> None:
    for name in LITTER:
        path = dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    found = verify(dataset, workers=0)
    assert (found.problems, found.card) == ((), "edited")
    assert set(found.also_there) == set(LITTER) - {"README.md"}
    result = run("verify", dataset, glyphs=False)
    assert (result.status, result.out) == (0, "")
    assert ".DS_Store" in result.err
    (dataset / "more.bin").touch()
    result = run("verify", dataset, glyphs=False)
    assert (result.status, result.out) == (1, "extra: more.bin\n")


@pytest.mark.parametrize("to", ["folder", "idx"])
def test_what_splits_share_is_said(to: str, glyph_folder: Path, tmp_path: Path, run: Run) -> None:
    recipe = {"splits": ("train=6", "val=2"), "length": (4, 5)}
    make(Case(glyph_folder, recipe=recipe, output={"to": to}).plan(tmp_path / "out"), workers=0)
    words = "no glyph and no text is in two of the splits"
    for command in ("verify", "inspect"):
        result = run(command, "out", glyphs=False)
        assert result.status == 0
        assert words in " ".join((result.out + result.err).lower().split())
    shared = {"length": None, "texts": ("12",), "splits": ("train=6", "val=2")}
    make(Case(glyph_folder, recipe=shared).plan(tmp_path / "one"), workers=0)
    result = run("inspect", "one", glyphs=False)
    assert "train and val share 1 text" in " ".join(result.out.split())


def test_a_dataset_of_the_first_release_is_read(tmp_path: Path, run: Run) -> None:
    with tarfile.open(Path(__file__).with_name("dataset-0.1.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    result = run("verify", "old", glyphs=False)
    assert (result.status, result.out) == (0, "")
    assert "18 files, 6 samples" in result.err
    result = run("inspect", "old", "--json", glyphs=False)
    assert result.status == 0
    assert json.loads(result.out)["splits"] == {"train": 4, "val": 2}
    (tmp_path / "old/train/labels.csv").unlink()
    result = run("verify", "old", glyphs=False)
    assert (result.status, result.out) == (1, "missing: train/labels.csv\n")
