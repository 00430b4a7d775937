"""One check for all label styles, each read by the rules of those who read it."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from imageio import v3 as imageio
from shelf import Split, contents, write_dataset

from mnistseq_cli.compose.render import SequenceGenerator
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import LABEL_STYLES, Output
from mnistseq_cli.glyphs.glyphset import GlyphSet
from mnistseq_cli.recipe import Recipe

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
}


class Read(NamedTuple):
    """A line of labels; what a style does not hold is None."""

    path: Path
    text: str | None
    boxes: list[list[float]] | None = None


def read_csv(folder: Path) -> list[Read]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [Read(folder / row["file_name"], row["label"]) for row in csv.DictReader(file)]


def read_jsonl(folder: Path) -> list[Read]:
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Read(folder / record["file_name"], record["text"], record["objects"]["bbox"])
        for record in map(json.loads, lines)
    ]


def read_coco(folder: Path) -> list[Read]:
    """Follow the format's description: annotations name their image by its id."""
    values = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in values["categories"]}
    assert len({one["id"] for one in values["annotations"]}) == len(values["annotations"])
    found = []
    for image in values["images"]:
        own = [one for one in values["annotations"] if one["image_id"] == image["id"]]
        text = "".join(names[one["category_id"]] for one in own)
        found.append(Read(folder / image["file_name"], text, [one["bbox"] for one in own]))
        height, width = imageio.imread(found[-1].path).shape
        assert (image["height"], image["width"]) == (height, width)
        assert all(one["area"] == one["bbox"][2] * one["bbox"][3] for one in own)
        assert all(one["id"] > 0 == one["iscrowd"] for one in own)
    return found


def read_yolo(folder: Path) -> list[Read]:
    """Follow img2label_paths and verify_image_label of ultralytics.data.utils."""
    found = []
    for path in sorted((folder / "images").rglob("*.png")):
        before, after = str(path).rsplit(f"{os.sep}images{os.sep}", 1)
        label = Path(f"{before}{os.sep}labels{os.sep}{after}").with_suffix(".txt")
        rows = [line.split() for line in label.read_text(encoding="utf-8").splitlines()]
        shares = np.array(rows, np.float32)[:, 1:]
        assert ((shares >= 0) & (shares <= 1)).all()
        height, width = imageio.imread(path).shape
        boxes = shares * np.tile([width, height], 2)
        boxes[:, :2] -= boxes[:, 2:] / 2
        found.append(Read(path, "".join(row[0] for row in rows), boxes.round(2).tolist()))
    return found


def read_paddleocr(folder: Path) -> list[Read]:
    """Follow ppocr.data.simple_dataset: the line without its end, split at the tab."""
    lines = (folder / "rec_gt.txt").read_bytes().splitlines(keepends=True)
    pairs = [line.decode("utf-8").strip("\n").split("\t") for line in lines]
    return [Read(folder / name, text) for name, text in pairs]


def read_easyocr(folder: Path) -> list[Read]:
    """Follow OCRDataset of the trainer: only leaf folders, lines split at the first comma."""
    roots = [path for path, folders, _ in os.walk(folder / "easyocr") if not folders]
    assert roots == [str(folder / "easyocr")]
    head, *lines = (folder / "easyocr" / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert re.split("^([^,]+),", head)[1:] == ["filename", "words"]
    pairs = [re.split("^([^,]+),", line)[1:] for line in lines]
    return [Read(Path(roots[0]) / name, text) for name, text in pairs]


def read_mmocr(folder: Path) -> list[Read]:
    """Follow mmengine's BaseDataset and mmocr's TextRecogDataset."""
    values = json.loads((folder / "textrecog.json").read_text(encoding="utf-8"))
    assert values["metainfo"] == {
        "dataset_type": "TextRecogDataset",
        "task_name": "textrecog",
    }
    return [
        Read(folder / one["img_path"], one["instances"][0]["text"]) for one in values["data_list"]
    ]


def read_doctr(folder: Path) -> list[Read]:
    """Follow doctr.datasets.RecognitionDataset."""
    values = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [Read(folder / name, text) for name, text in values.items()]


READERS: dict[str, Callable[[Path], list[Read]]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "coco": read_coco,
    "yolo": read_yolo,
    "paddleocr": read_paddleocr,
    "easyocr": read_easyocr,
    "mmocr": read_mmocr,
    "doctr": read_doctr,
}


def test_every_label_style_has_a_reader() -> None:
    assert set(READERS) == set(LABEL_STYLES)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("style", LABEL_STYLES)
def test_labels_say_what_was_made(
    style: str, name: str, layout: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES[name], glyphs)
    write_dataset(Output(folder=tmp_path, labels=(style,)), generator, LAYOUTS[layout])
    for split in LAYOUTS[layout]:
        found = READERS[style](tmp_path / split.folder)
        assert len(found) == split.stop - split.start
        for index, read in enumerate(found, split.start):
            sample = generator[index]
            assert np.array_equal(imageio.imread(read.path), sample.image)
            assert read.text == sample.text
            assert read.boxes is None or np.allclose(read.boxes, sample.boxes, atol=0.01)


@pytest.mark.parametrize("style", LABEL_STYLES)
def test_label_files_are_the_same_again_and_the_same_everywhere(
    style: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES["digits"], glyphs)
    written = []
    for number in (1, 2):
        output = Output(folder=tmp_path / str(number), labels=(style,))
        write_dataset(output, generator, LAYOUTS["splits"])
        written.append(contents(output.folder))
    assert written[0] == written[1]
    labels = [data for name, data in written[0].items() if not name.endswith(".png")]
    assert all(b"\\" not in data and b"\r" not in data for data in labels)
    assert all(str(tmp_path).encode() not in data for data in labels)


def test_all_label_styles_go_together(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["digits"], glyphs)
    output = Output(folder=tmp_path, labels=tuple(LABEL_STYLES))
    write_dataset(output, generator, LAYOUTS["splits"])
    for style, read in READERS.items():
        assert len(read(tmp_path / "val")) == 3, style


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("whole", {"train": "images", "val": "images"}),
        ("splits", {"train": "train/images", "val": "val/images", "test": "test/images"}),
    ],
)
def test_yolo_is_told_where_images_are_and_what_classes_are_called(
    layout: str, expected: dict[str, str], glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES["zeros"], glyphs)
    write_dataset(Output(folder=tmp_path, labels=("yolo",)), generator, LAYOUTS[layout])
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: YOLO's file needs it")
    values: dict[str, Any] = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert values.pop("names") == {number: str(number) for number in range(10)}
    assert values == expected
    assert all((tmp_path / folder).is_dir() for folder in values.values())


def test_yolo_needs_images_in_its_own_folder(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["digits"], glyphs)
    output = Output(folder=tmp_path, labels=("yolo",), name="{index}")
    with pytest.raises(UsageError, match="names begin with images/"):
        write_dataset(output, generator, LAYOUTS["whole"])


def test_names_with_quotes_and_other_letters_come_back(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["digits"], glyphs)
    styles = [style for style in LABEL_STYLES if style != "yolo"]
    output = Output(folder=tmp_path, labels=tuple(styles), name="bilder/né 'd' {index}")
    write_dataset(output, generator, LAYOUTS["whole"])
    for style in styles:
        assert all(read.path.exists() for read in READERS[style](tmp_path)), style
