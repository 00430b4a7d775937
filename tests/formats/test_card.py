"""What is published with a dataset: its card, Croissant, licence, and what the Hub adds."""

import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistseq_cli.bulk.run import run as make
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.formats import FORMATS
from mnistseq_cli.formats.card import Licence
from tests.formats.readers import need
from tests.helpers.bulk_cases import Case, check_installed, read_tree
from tests.helpers.program import Result

COUNT = 30
CASE = Case(Path("strokes"), {"count": COUNT})


def read_head(folder: Path) -> dict[str, Any]:
    """Read the head of a card as the Hub does."""
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert body.startswith("\n# ")
    values: dict[str, Any] = need("yaml").safe_load(head)
    return values


@pytest.mark.parametrize("splits", [(), ("train=4", "val=1", "test=1")], ids=["whole", "splits"])
@pytest.mark.parametrize("to", FORMATS)
def test_every_dataset_has_a_card(to: str, splits: tuple[str, ...], tmp_path: Path) -> None:
    check_installed(to)
    case = Case(Path("strokes"), {"count": COUNT, "splits": splits}, {"to": to})
    make(case.plan(tmp_path), workers=0)
    head = read_head(tmp_path)
    assert (head["license"], head["size_categories"]) == ("cc0-1.0", ["n<1K"])
    found = {one["split"] for config in head.get("configs", []) for one in config["data_files"]}
    assert found in ({"train"}, {"train", "val", "test"}, set())
    assert (tmp_path / ".mnistseq" / "preview.jpg").stat().st_size > 500
    croissant = json.loads((tmp_path / "croissant.json").read_text(encoding="utf-8"))
    assert "recipe.toml" in [file["@id"] for file in croissant["distribution"]]
    assert verify(tmp_path, workers=0).problems == ()


@pytest.mark.parametrize(
    ("dataset", "spdx", "named"),
    [
        ("strokes", "CC0-1.0", "pen of mnistseq"),
        ("mnist", "CC-BY-SA-3.0", "Yann LeCun"),
        ("mnist=2,strokes=1", "CC-BY-SA-3.0", "LeCun.*; .*pen of mnistseq"),
        ("mnist,qmnist", "CC-BY-SA-3.0 AND BSD-3-Clause", "LeCun.*Yadav"),
        ("emnist-letters", "", "Cohen"),
        ("/home/anna/hand", "", "^the glyphs of hand, by: fill in"),
    ],
)
def test_the_licence_is_that_of_the_glyphs(dataset: str, spdx: str, named: str) -> None:
    licence = Licence.of(dataset)
    assert licence.spdx == spdx
    assert re.search(named, licence.attribution)
    assert bool(licence.to_dict()) == bool(spdx)


def read_licence(folder: Path, to: str) -> Any:
    """Read what a container says of its licence, with the readers of others."""
    if to == "folder":
        values = json.loads((folder / "annotations" / "instances_default.json").read_text())
        return {"license": values["licenses"][0]["name"], "attribution": values["info"]}
    if to == "parquet":
        found = need("pyarrow.parquet").read_schema(folder / "part-00000.parquet").metadata
        return {key.decode(): value.decode() for key, value in found.items()}
    if to == "hdf5":
        with need("h5py").File(folder / "data.h5") as file:
            return dict(file.attrs)
    if to == "npz":
        return {key: array[()] for key, array in np.load(folder / "data.npz").items()}
    with tarfile.open(folder / "data-000000.tar") as tar:
        return json.load(tar.extractfile("000000000.json"))  # type: ignore[arg-type] # not None


@pytest.mark.parametrize("to", ["folder", "parquet", "hdf5", "npz", "webdataset"])
def test_the_licence_stands_in_the_files(to: str, glyph_folder: Path, tmp_path: Path) -> None:
    check_installed(to)
    output = {"to": to, "labels": ("coco",)} if to == "folder" else {"to": to}
    make(Case(Path("strokes"), {"count": 2}, output).plan(tmp_path / "pen"), workers=0)
    found = read_licence(tmp_path / "pen", to)
    assert found["license"] == "CC0-1.0"
    assert "pen of mnistseq" in str(found["attribution"])
    make(Case(glyph_folder, {"count": 2}, output).plan(tmp_path / "own"), workers=0)
    with pytest.raises(KeyError):  # never guessed
        _ = read_licence(tmp_path / "own", to)["license"]
    assert read_head(tmp_path / "own")["license"] == "other"


def test_a_card_that_was_edited_is_kept(tmp_path: Path) -> None:
    assert make(CASE.plan(tmp_path), workers=0).card == "own"
    written = (tmp_path / "README.md").read_bytes()
    for resume in (True, False):
        (tmp_path / "README.md").write_text("Mine")
        found = verify(tmp_path, workers=0)
        assert (found.problems, found.also_there, found.card) == ((), (), "edited")
        again = make(CASE.plan(tmp_path), workers=0, resume=resume, overwrite=not resume)
        assert again.card == "edited"
        assert (tmp_path / "README.md").read_text() == "Mine"
    (tmp_path / "README.md").unlink()
    assert verify(tmp_path, workers=0).card == "missing"
    assert make(CASE.plan(tmp_path), workers=0, resume=True).card == "own"
    assert (tmp_path / "README.md").read_bytes() == written
    more = CASE.plan(tmp_path, count=COUNT + 1)
    assert make(more, workers=0, overwrite=True).card == "own"
    assert "31 handwritten" in (tmp_path / "README.md").read_text()


def test_a_dataset_made_before_gets_its_card_by_resuming(tmp_path: Path) -> None:
    make(CASE.plan(tmp_path), workers=0)
    whole = read_tree(tmp_path)
    values = json.loads(whole["dataset.json"])
    values["files"] = [it for it in values["files"] if it["name"] != "croissant.json"]
    values["n_files"] -= 1
    values["size_bytes"] -= len(whole["croissant.json"])
    del values["card"]
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    for name in ("README.md", "croissant.json", ".mnistseq/preview.jpg"):
        (tmp_path / name).unlink()
    found = verify(tmp_path, workers=0)
    assert (found.problems, found.card) == ((), "missing")
    make(CASE.plan(tmp_path), workers=0, resume=True)
    assert read_tree(tmp_path) == whole


def test_what_is_of_others_is_kept_and_what_is_ours_is_checked(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Theirs")
    assert make(CASE.plan(tmp_path), workers=0).card == "of others"
    assert (tmp_path / "README.md").read_text() == "Theirs"
    found = verify(tmp_path, workers=0)
    assert (found.problems, found.also_there, found.card) == ((), ("README.md",), "of others")
    (tmp_path / "croissant.json").write_text("{}")
    (problem,) = verify(tmp_path, workers=0).problems
    assert (problem.kind, problem.name) == ("short", "croissant.json")
    make(CASE.plan(tmp_path), workers=0, resume=True)
    assert verify(tmp_path, workers=0).problems == ()


def test_what_the_hub_adds_disturbs_nothing(run: Callable[..., Result], tmp_path: Path) -> None:
    words = ("batch", "-n", "30", "--length", "2", "--dataset", "strokes", "--seed", "1")
    made = run(*words, "-o", "out", glyphs=False)
    assert "hf upload USER/NAME out --repo-type dataset" in made.err
    for name in (".gitattributes", ".cache/huggingface/download/README.md.metadata"):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert run("verify", "out", glyphs=False).status == 0
    assert run("inspect", "out", glyphs=False).status == 0
    assert run(*words, "-o", "out", "--resume", glyphs=False).status == 0
