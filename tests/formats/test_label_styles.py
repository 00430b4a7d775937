"""One check for all label styles, each read by the rules of those who read it."""

from __future__ import annotations

import csv
import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import TextError, UsageError
from mnistseq_cli.formats import LABEL_STYLES, Output
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.helpers.shelf import Split, check_read_back, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 13
LAYOUTS = {
    "whole": [Split("", 0, COUNT)],
    "splits": [Split("train/", 0, 7), Split("val/", 7, 10), Split("test/", 10, COUNT)],
}
RECIPES = {
    "digits": Recipe(length=(1, 4), count=COUNT, seed=5),
    "zeros": Recipe(texts=("007", "0", "0420"), count=COUNT, width_px="natural"),
    "overlap": Recipe(texts=("007", "1", "0042"), count=COUNT, spacing_px=(-6, -2), width_px=90),
}
ALL = {"boxes", "gaps", "glyphs"}
HELD = {"jsonl": ALL, "masks": ALL, **{key: {"boxes"} for key in ("coco", "yolo", "voc")}}


class Read(NamedTuple):
    """A line of labels; what a style does not hold is None."""

    path: Path
    text: str | None
    boxes: list[list[float]] | None = None


def read_csv(folder: Path) -> list[Read]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [Read(folder / row["file_name"], row["text"]) for row in csv.DictReader(file)]


def read_jsonl(folder: Path) -> list[Read]:
    """Follow the imagefolder of Hugging Face datasets: a column for each name of a file."""
    found = []
    for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found.append(Read(folder / record["file_name"], record["text"], record["objects"]["bbox"]))
        if "mask_file_name" in record:
            numbers = imageio.imread(folder / record["mask_file_name"])
            assert ((numbers > 0) == (imageio.imread(found[-1].path) < 255)).all()
            assert numbers.max() == len(record["text"])
    return found


def name_split(folder: Path) -> str:
    return folder.name if folder.name in ("train", "val", "test") else "default"


def read_coco(folder: Path) -> list[Read]:
    """Follow the format's description: annotations name their image by its id."""
    path = folder / "annotations" / f"instances_{name_split(folder)}.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in values["categories"]}
    assert len({one["id"] for one in values["annotations"]}) == len(values["annotations"])
    found = []
    for image in values["images"]:
        own = [one for one in values["annotations"] if one["image_id"] == image["id"]]
        text = "".join(names[one["category_id"]] for one in own)
        found.append(Read(place(folder, image["file_name"]), text, [one["bbox"] for one in own]))
        assert imageio.imread(found[-1].path).shape == (image["height"], image["width"])
        assert all(0 < one["area"] <= one["bbox"][2] * one["bbox"][3] for one in own)
        assert all(one["id"] > 0 == one["iscrowd"] for one in own)
    return found


def read_yolo(folder: Path) -> list[Read]:
    """Follow img2label_paths and verify_image_label of ultralytics/data/utils.py."""
    found = []
    for path in sorted((folder / "images").rglob("*.png")):
        before, after = str(path).rsplit(f"{os.sep}images{os.sep}", 1)
        label = Path(f"{before}{os.sep}labels{os.sep}{after}").with_suffix(".txt")
        text = label.read_text(encoding="utf-8")
        rows = [line.split() for line in text.strip().splitlines() if line]
        values = np.array(rows, np.float32)
        shares = values[:, 1:]
        assert values.shape[1] == 5
        assert shares.max() <= 1
        assert values.min() >= 0
        assert values[:, 0].max() < 10
        assert len(np.unique(values, axis=0)) == len(values)  # or some would be left out
        height, width = imageio.imread(path).shape
        boxes = shares * np.tile([width, height], 2)
        boxes[:, :2] -= boxes[:, 2:] / 2
        found.append(Read(path, "".join(row[0] for row in rows), boxes.round(2).tolist()))
    return found


def read_paddleocr(folder: Path) -> list[Read]:
    """Follow SimpleDataSet of ppocr/data/simple_dataset.py."""
    found = []
    for line in (folder / "rec_gt.txt").read_bytes().splitlines():
        name, text = line.decode("utf-8").split("\t")
        assert not name.startswith("[")  # or it would be taken for a list of names
        found.append(Read(folder / name, text))
    return found


def read_easyocr(folder: Path) -> list[Read]:
    """Follow trainer/dataset.py: only leaf folders, lines split at the first comma."""
    roots = [path for path, folders, _ in os.walk(folder / "easyocr") if not folders]
    assert roots == [str(folder / "easyocr")]
    head, *lines = (folder / "easyocr" / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert re.split("^([^,]+),", head)[1:] == ["filename", "words"]
    pairs = [re.split("^([^,]+),", line)[1:] for line in lines]
    return [Read(Path(roots[0]) / name, text) for name, text in pairs if is_taken(text)]


def is_taken(text: str) -> bool:
    """Follow the filter of the trainer, with batch_max_length of its configuration files."""
    return len(text) <= 34


def read_mmocr(folder: Path) -> list[Read]:
    """Follow load_data_list of mmengine/dataset/base_dataset.py, and OCRDataset of MMOCR 1.x."""
    values = json.loads((folder / "textrecog.json").read_text(encoding="utf-8"))
    assert values["metainfo"] == {"dataset_type": "TextRecogDataset", "task_name": "textrecog"}
    return [
        Read(folder / one["img_path"], instance["text"])
        for one in values["data_list"]
        for instance in one["instances"]
    ]


def read_doctr(folder: Path) -> list[Read]:
    """Follow RecognitionDataset of doctr/datasets/recognition.py."""
    values = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [Read(place(folder, name), text) for name, text in values.items()]


def read_voc(folder: Path) -> list[Read]:
    """Follow VOCDetection of torchvision and pascal_voc.py of Detectron2: corners count from 1."""
    found = []
    names = folder / "ImageSets" / "Main" / f"{name_split(folder)}.txt"
    for name in names.read_text().splitlines():
        tree = ET.parse(folder / "Annotations" / f"{name}.xml")  # noqa: S314 - ours
        path = folder / f"{tree.findtext('folder')}" / f"{tree.findtext('filename')}"
        size = [tree.findtext(f"size/{key}") for key in ("height", "width")]
        assert [*map(str, imageio.imread(path).shape)] == size
        boxes, text = [], ""
        for one in tree.iter("object"):
            corners = ("xmin", "ymin", "xmax", "ymax")
            x, y, right, bottom = (int(one.findtext(f"bndbox/{key}") or 0) for key in corners)
            boxes.append([x - 1.0, y - 1.0, right - x + 1.0, bottom - y + 1.0])
            text += one.findtext("name") or ""
        found.append(Read(path, text, boxes))
    return found


def place(folder: Path, name: str) -> Path:
    """Look for an image where train_pytorch.py of docTR, Datumaro and CVAT look."""
    return folder / "images" / name if (folder / "images").is_dir() else folder / name


READERS: dict[str, Callable[[Path], list[Read]]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "coco": read_coco,
    "yolo": read_yolo,
    "paddleocr": read_paddleocr,
    "easyocr": read_easyocr,
    "mmocr": read_mmocr,
    "doctr": read_doctr,
    "voc": read_voc,
    "masks": read_jsonl,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("style", LABEL_STYLES)
def test_labels_say_what_was_made(
    style: str, name: str, layout: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES[name], glyphs)
    write_dataset(Output(folder=tmp_path, labels=(style,)), generator, LAYOUTS[layout])
    check_read_back(tmp_path, generator, LAYOUTS[layout], HELD.get(style, set()))
    for split in LAYOUTS[layout]:
        found = READERS[style](tmp_path / split.folder)
        assert len(found) == split.stop - split.start
        for index, read in enumerate(found, split.start):
            sample = generator[index]
            assert np.array_equal(imageio.imread(read.path), sample.image)
            assert read.text == sample.text
            assert read.boxes is None or np.allclose(read.boxes, sample.boxes, atol=0.01)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_yolo_is_told_where_images_are_and_what_classes_are_called(
    layout: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES["zeros"], glyphs)
    write_dataset(Output(folder=tmp_path, labels=("yolo",)), generator, LAYOUTS[layout])
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: YOLO's file needs it")
    values: dict[str, Any] = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert values.pop("names") == {number: str(number) for number in range(10)}
    names = ("train", "val", "test") if layout == "splits" else ("",)
    assert values == {name or "train": f"{name}/images".lstrip("/") for name in names}
    assert all((tmp_path / folder).is_dir() for folder in values.values())


@pytest.mark.parametrize("name", ["{index}", "images/more/images/{index}"])
def test_yolo_needs_images_in_its_own_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names begin with images/"):
        Output(folder=tmp_path, labels=("yolo",), name=name)


def test_names_with_quotes_and_other_letters_come_back(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["digits"], glyphs)
    others = [style for style in LABEL_STYLES if style not in ("yolo", "easyocr")]
    for sign, styles in ((",", others), ("", [*others, "easyocr"])):
        folder = tmp_path / f"with {sign}"
        output = Output(folder=folder, labels=tuple(styles), name=f"bilder/né{sign} 'd' {{index}}")
        write_dataset(output, generator, LAYOUTS["whole"])
        for style in styles:
            assert all(read.path.exists() for read in READERS[style](folder)), style


def test_the_trainer_of_easyocr_reads_digits_as_text(glyphs: GlyphSet, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: EasyOCR reads with it")
    generator = SequenceGenerator(RECIPES["zeros"], glyphs)
    write_dataset(Output(folder=tmp_path, labels=("easyocr",)), generator, LAYOUTS["whole"])
    path = tmp_path / "easyocr" / "labels.csv"
    table = pandas.read_csv(
        path,
        sep="^([^,]+),",
        engine="python",
        usecols=["filename", "words"],
        keep_default_na=False,
    )
    taken = [place for place, text in enumerate(table["words"]) if is_taken(text)]
    assert [table.at[place, "words"] for place in taken] == [one.text for one in generator]
    assert all((path.parent / table.at[place, "filename"]).exists() for place in taken)


def test_classes_of_letters_are_called_by_them(glyphs: GlyphSet, tmp_path: Path) -> None:
    about: dict[str, Any] = {"name": "letters", "split": "train", "licence": "none", "sha256": ""}
    letters = GlyphSet(glyphs.images, glyphs.labels, alphabet="ABCDEFGHab", **about)
    recipe = Recipe(texts=("Bad", "Had", "aGE"), count=6)
    with pytest.raises(TextError):
        SequenceGenerator(recipe, letters).block(0, 6)
    generator = SequenceGenerator(Recipe(texts=("Bab", "HaG", "aGE"), count=6), letters)
    output = Output(folder=tmp_path, labels=("coco", "yolo", "doctr"))
    write_dataset(output, generator, [Split("train/", 0, 5), Split("test/", 5, 6)])
    for split in ("train", "test"):
        coco = json.loads(
            (tmp_path / split / "annotations" / f"instances_{split}.json").read_text()
        )
        names = [(category["id"], category["name"]) for category in coco["categories"]]
        assert names == list(enumerate("ABCDEFGHab", 1))
        texts = [read.text for read in read_coco(tmp_path / split)]
        assert texts == [read.text for read in read_doctr(tmp_path / split)]
    lines = (tmp_path / "data.yaml").read_text().partition("names:\n")[2].splitlines()
    assert lines == [f'  {number}: "{name}"' for number, name in enumerate("ABCDEFGHab")]


def test_no_box_of_yolo_leaves_its_image_by_rounding(glyphs: GlyphSet, tmp_path: Path) -> None:
    recipe = Recipe(length=(1, 6), count=200, seed=5, width_px="natural")
    generator = SequenceGenerator(recipe, glyphs)
    write_dataset(Output(folder=tmp_path, labels=("yolo",)), generator, [Split("", 0, 200)])
    for path in (tmp_path / "labels").rglob("*.txt"):
        for line in path.read_text().splitlines():
            x, y, width, height = map(Fraction, line.split()[1:])
            assert 0 <= x - width / 2 < x + width / 2 <= 1
            assert 0 <= y - height / 2 < y + height / 2 <= 1
