"""What files do not hold is what the labels of the same recipe say, or it is not said at all."""

from __future__ import annotations

import csv
import json
import shutil
from ast import literal_eval
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.bulk.run import run as make_dataset
from mnistseq_cli.formats import FORMATS, LABEL_STYLES
from mnistseq_cli.glyphs.catalog import STROKES
from mnistseq_cli.inspection.dataset import open_dataset
from mnistseq_cli.inspection.figures import Source, Survey, to_dict
from mnistseq_cli.inspection.predictions import ReaderTally, Share, read_predictions
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case, check_installed
from tests.helpers.program import Run

COUNT = 60
HOLDS_ALL = {"webdataset", "parquet", "masks"}
OUTPUTS: dict[str, dict[str, Any]] = {
    **{to: {"to": to} for to in FORMATS if to != "folder"},
    **{style: {"labels": (style,)} for style in LABEL_STYLES if style != "jsonl"},
}
HOLD_BOXES = HOLDS_ALL | {"hdf5", "npz", "npy", "coco", "yolo", "voc"}
JSONL: dict[str, Any] = {"labels": ("jsonl",)}
Hold = Callable[..., Survey]
SPLITS = {"splits": ("test=20", "train=70", "val=10")}  # read in another order


def make(glyph_folder: Path, folder: Path, output: dict[str, Any], **recipe: Any) -> Path:
    case = Case(glyph_folder, {"count": COUNT} | recipe, output)
    make_dataset(case.plan(folder), workers=0)
    return folder


@pytest.fixture(scope="module")
def hold(glyph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Hold:
    """Give a function that surveys a dataset with all labels."""

    @cache
    def survey_all(recipe: str) -> Survey:
        folder = tmp_path_factory.mktemp("held") / "out"
        return survey(make(glyph_folder, folder, JSONL, **literal_eval(recipe)))

    return lambda **recipe: survey_all(repr(recipe))


def check_same(found: Survey, held: Survey) -> None:
    """Check that a survey has the gaps, glyphs and boxes of the one of all labels."""
    assert found.why_not_recalled == ""
    assert found.gaps == held.gaps
    assert found.glyphs == held.glyphs
    assert len(found.samples) == len(held.samples) == COUNT
    for seen, other in zip(found.samples, held.samples, strict=True):
        assert seen.text == other.text
        for aspect in ("boxes", "gaps", "glyphs"):
            np.testing.assert_array_equal(getattr(seen, aspect), getattr(other, aspect))


@pytest.mark.slow
@pytest.mark.parametrize("splits", [{}, SPLITS], ids=["whole", "split"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_container_gives_what_all_labels_give(
    name: str, splits: dict[str, Any], glyph_folder: Path, tmp_path: Path, hold: Hold
) -> None:
    check_installed(OUTPUTS[name].get("to", "folder"))
    held = hold(**splits)
    found = survey(make(glyph_folder, tmp_path / "out", OUTPUTS[name], **splits))
    check_same(found, held)
    values = json.loads(json.dumps(to_dict(found)))
    assert values["sources"]["gaps"] == asdict(found.sources["gaps"])
    assert values["why_not_recalled"] == ""
    labels, recipe = Source(COUNT, 0), Source(0, COUNT)
    assert set(held.sources.values()) == {labels}
    assert found.sources == {
        "boxes": labels if name in HOLD_BOXES else recipe,
        "gaps": labels if name in HOLDS_ALL else recipe,
        "glyphs": labels if name in HOLDS_ALL else recipe,
    }
    assert found.has_boxes


RECIPES: dict[str, dict[str, Any]] = {
    "narrow": {"width_px": 90, "length": (3, 4)},
    "edges": {"edges": True, "align": "random", "width_px": 160},
    "overlap": {"spacing_px": (-9, 4), "width_px": 80},
    "equal gaps": {"spacing_mode": "fixed", "measure": "cell"},
    "shrunk": {"fit": "shrink", "width_px": 60, "spacing_px": (2, 30)},
    "shrunk and turned": {"fit": "shrink", "width_px": 60, "augment": ("rotate=10",)},
    "stretched": {"fit": "stretch", "width_px": 150},
    "one hand": {"hand": "alike"},
    "phone": {"length": None, "pattern": "0##-##"},
    "texts": {"length": None, "texts": ("12", "007", "5")},
    "white": {"ink": "white"},
    "turned": {"augment": ("rotate=10", "shift=2")},
    "turned and narrow": {"augment": ("rotate=10", "grain=0.1"), "width_px": 100},
    "turned overlap": {"augment": ("shear=10", "thickness=0.3"), "spacing_px": (-6, 3)},
    "bent": {"augment": ("baseline=2",), "width_px": 130},
    "grainy": {"augment": ("grain=0.1", "contrast=0.2")},
    "blurred": {"augment": ("blur=1",), "width_px": 140},
    "heavy": {"augment": ("heavy",), "augment_prob": 0.6},
    "heavy cells": {"augment": ("heavy",), "measure": "cell", "width_px": 190},
    "split, turned": {"augment": ("rotate=10", "blur=1")} | SPLITS,
    "split, one hand": {"hand": "alike"} | SPLITS,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_gives_all(name: str, glyph_folder: Path, tmp_path: Path, hold: Hold) -> None:
    for other in ("idx", "csv"):
        folder = make(glyph_folder, tmp_path / other, OUTPUTS[other], **RECIPES[name])
        check_same(survey(folder), hold(**RECIPES[name]))


OTHER_IMAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "natural": ({"width_px": "natural"}, {}),
    "jpg": ({}, {"image_format": "jpg"}),
    "tiff": ({}, {"image_format": "tiff"}),
    "named by text": ({}, {"name": "images/{text}/{index:4d}-of {shard:3d}"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("style", ["csv", "easyocr", "yolo"])
@pytest.mark.parametrize("name", OTHER_IMAGES)
def test_images_of_every_kind_and_name(
    name: str, style: str, glyph_folder: Path, tmp_path: Path, hold: Hold
) -> None:
    recipe, output = OTHER_IMAGES[name]
    recipe = recipe | SPLITS
    held = hold(**recipe)
    found = survey(make(glyph_folder, tmp_path / "out", output | {"labels": (style,)}, **recipe))
    if style == "yolo" and name == "named by text":  # which is read by the order of names
        assert (found.gaps, found.glyphs) == (held.gaps, held.glyphs)
        assert len({seen.name for seen in found.samples}) == COUNT
    else:
        check_same(found, held)


def test_arrays_take_their_alphabet_from_the_manifest(tmp_path: Path) -> None:
    for number, name in enumerate("XYZ"):
        (tmp_path / "letters" / name).mkdir(parents=True)
        for width in (5, 9):
            image = np.zeros((28, 28), np.uint8)
            image[4:20, 3 : 3 + width + number] = 200
            imageio.imwrite(tmp_path / "letters" / name / f"{width}.png", image)
    folders = [
        make(tmp_path / "letters", tmp_path / name, OUTPUTS[name], count=150)
        for name in ("idx", "coco", "npz")
    ]
    found = [survey(folder) for folder in folders]
    assert {one.why_not_recalled for one in found} == {""}
    assert found[0].gaps == found[1].gaps == found[2].gaps
    assert found[0].glyphs == found[1].glyphs == found[2].glyphs
    assert ["".join(one.digits) for one in found] == ["XYZ", "XYZ", "XYZ"]


def test_distorted_boxes_are_made_for_samples_to_keep(glyph_folder: Path, tmp_path: Path) -> None:
    folder = make(glyph_folder, tmp_path / "out", {"to": "idx"}, augment=("rotate=10",))
    found = survey(folder, n_kept=7)
    assert found.sources["boxes"] == Source(0, 7)
    assert found.sources["gaps"] == Source(0, COUNT)
    assert all(seen.boxes is not None for seen in found.samples)
    none = survey(folder, n_kept=0)
    assert (none.samples, none.choose(4), none.gaps) == ((), [], found.gaps)


def check_nothing_filled_in(found: Survey, why: str) -> None:
    assert (found.gaps, found.glyphs) == (None, None)
    assert found.sources["gaps"] == found.sources["glyphs"] == Source(0, 0)
    assert why in found.why_not_recalled


def change_manifest(folder: Path, **recipe: Any) -> None:
    path = folder / "dataset.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["recipe"] |= recipe
    path.write_text(json.dumps(values), encoding="utf-8")


def add_sample(folder: Path) -> None:
    first = next((folder / "images").rglob("*.png"))
    shutil.copy(first, first.with_name("00000099.png"))
    text = next(csv.reader((folder / "labels.csv").read_text().splitlines()[1:]))[1]
    with (folder / "labels.csv").open("a", encoding="utf-8") as file:
        file.write(f"images/00000/00000099.png,{text}\n")


def change_label(folder: Path) -> None:
    path = folder / "train" / "labels.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[301] = lines[301].rpartition(",")[0] + ",x"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rename_key(folder: Path) -> None:
    path = folder / "dataset.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"name": "images', '"nome": "images'))


OTHER_SEED = partial(change_manifest, seed=6)
IDX: dict[str, Any] = {"to": "idx"}
CSV: dict[str, Any] = {"labels": ("csv",)}
COCO: dict[str, Any] = {"labels": ("coco",), "image_format": "jpg"}
ONE_TEXT: dict[str, Any] = {"length": None, "digits": "350"}  # told by pictures or boxes alone
TEXTS: dict[str, Any] = {"length": None, "texts": ("12", "007")}
SPOILT: list[tuple[dict[str, Any], dict[str, Any], Callable[[Path], object], str]] = [
    (IDX, {}, OTHER_SEED, "the text of 0 is not what the recipe makes"),
    ({"to": "npz"}, {}, OTHER_SEED, "the text of 0 is not what the recipe makes"),
    ({"to": "npy"}, ONE_TEXT, OTHER_SEED, "the image of 0 is"),
    (CSV, ONE_TEXT, OTHER_SEED, "the image of images/00000/00000000.png is"),
    (COCO, ONE_TEXT, OTHER_SEED, "the boxes of 00000/00000000.jpg"),
    (CSV, {}, add_sample, "makes no sample called images/00000/00000099.png"),
    (IDX, TEXTS, lambda out: (out / "texts.txt").write_text("12\n8\n"), "does not hold the texts"),
    (IDX, TEXTS, lambda out: (out / "texts.txt").unlink(), "is missing"),
    (IDX, {}, partial(change_manifest, glyphs_sha256=""), "does not say which glyphs"),
    (CSV, {}, rename_key, "says of itself is damaged"),
    (CSV, {"count": 600, **SPLITS}, change_label, "the text of train/images/00000/00000"),
]


@pytest.mark.parametrize(("output", "recipe", "spoil", "why"), SPOILT)
def test_a_recipe_of_other_files_is_not_believed(
    output: dict[str, Any],
    recipe: dict[str, Any],
    spoil: Callable[[Path], object],
    why: str,
    glyph_folder: Path,
    tmp_path: Path,
) -> None:
    folder = make(glyph_folder, tmp_path / "out", output, **recipe)
    spoil(folder)
    check_nothing_filled_in(survey(folder), why)


def test_missing_samples_shift_no_other(glyph_folder: Path, tmp_path: Path, hold: Hold) -> None:
    """Texts are all the same and pictures say nothing: only names tell samples apart."""
    output = {"image_format": "jpg", "labels": ("csv",)}
    folder = make(glyph_folder, tmp_path / "out", output, **ONE_TEXT, **SPLITS)
    path = folder / "train" / "labels.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:3] + lines[9:]) + "\n", encoding="utf-8")
    unfinished = make(glyph_folder, tmp_path / "unfinished", {"labels": ("yolo",)}, **ONE_TEXT)
    (unfinished / "dataset.json").rename(unfinished / ".mnistseq" / "plan.json")
    for number in range(10, 30):
        (unfinished / f"images/00000/{number:08d}.png").unlink()
        (unfinished / f"labels/00000/{number:08d}.txt").unlink()
    for found, all_samples, n_missing in (
        (survey(folder), hold(**ONE_TEXT, **SPLITS), 6),
        (survey(unfinished), hold(**ONE_TEXT), 20),
    ):
        assert (found.n_samples, found.why_not_recalled) == (COUNT - n_missing, "")
        expected = {Path(seen.name).stem: seen for seen in all_samples.samples}
        for seen in found.samples:
            other = expected[Path(seen.name).stem]
            np.testing.assert_array_equal(seen.glyphs, other.glyphs)
            np.testing.assert_array_equal(seen.gaps, other.gaps)


def test_glyphs_not_at_hand_are_not_fetched(run: Run, glyph_folder: Path, tmp_path: Path) -> None:
    folder = make(glyph_folder, tmp_path / "out", {"to": "idx"})
    for name in ("mnist", STROKES.name):
        change_manifest(folder, dataset=name)
        shown = run("inspect", "out", glyphs=False)
        assert (shown.status, shown.err) == (0, "")
        words = " ".join(shown.out.split())
        assert "gaps and glyphs: this dataset does not hold them" in words
        assert f"glyphs of {name} are not at hand. Get them: mnistseq download {name}" in words
        assert not (tmp_path / "cache").exists()


def test_glyphs_are_at_hand_where_the_option_says(run: Run, tmp_path: Path) -> None:
    cached = ["--data-dir", tmp_path / "here"]
    words = ["--digits", "350", "--to", "idx", "-o", "out", "--dataset", "strokes"]
    assert run("batch", *words, "--glyphs", "test", *cached, glyphs=False).status == 0
    for options, n_recipe in ((cached, 10), ([], 0)):
        result = run("inspect", "out", "--json", *options, glyphs=False)
        sources = json.loads(result.out)["sources"]
        assert sources["gaps"] == {"n_labels": 0, "n_recipe": n_recipe}


def test_other_glyphs_of_the_same_name_are_not_taken(glyph_folder: Path, tmp_path: Path) -> None:
    glyphs = tmp_path / "glyphs"
    shutil.copytree(glyph_folder, glyphs)
    folder = make(glyphs, tmp_path / "out", {"to": "idx"})
    path = glyphs / "train-images-idx3-ubyte"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    check_nothing_filled_in(survey(folder), "is not what the recipe was made with")
    shutil.rmtree(glyphs)
    check_nothing_filled_in(survey(folder), "there is no file or folder")


@pytest.mark.parametrize("to", ["idx", "lmdb", "npz"])
def test_a_reader_is_judged_by_gaps(to: str, glyph_folder: Path, tmp_path: Path) -> None:
    check_installed(to)
    by_gap: list[dict[int, Share]] = []
    for output in (JSONL, {"to": to}):
        folder = make(glyph_folder, tmp_path / str(len(by_gap)), output, **SPLITS)
        path = tmp_path / "reads.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file_name", "text"])
            for number, seen in enumerate(open_dataset(folder).read()):
                rows.writerow([seen.name, seen.text if number % 3 else "x"])
        tally = ReaderTally(read_predictions(path))
        survey(folder, reader=tally)
        by_gap.append(tally.figures().by_gap)
    assert len(by_gap[0]) > 5
    assert by_gap[0] == by_gap[1]
