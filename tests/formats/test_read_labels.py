"""Label files as people have them: names, signs, encodings, and paths of other machines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import Output, find_format, open_format

NAMES, TEXTS = ("a.png", "b.png"), ("47922", "00635")


def read(folder: Path) -> list[tuple[str, str]]:
    form = find_format(folder)
    assert form == "folder"
    return [(seen.split, seen.text) for seen in open_format(Output(folder=folder)).read(folder)]


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30), 255, np.uint8)).save(path)


def write_rows(path: Path, sign: str, pattern: str = "images/{}", encoding: str = "utf-8") -> None:
    rows = (
        f"{pattern.format(name)}{sign}{text}\n" for name, text in zip(NAMES, TEXTS, strict=True)
    )
    path.write_text("".join(rows), encoding=encoding)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        draw(tmp_path / "images" / name)
    return tmp_path


@pytest.mark.parametrize("sign", ["\t", ",", ", ", " ", ";"])
@pytest.mark.parametrize("name", ["gt.txt", "labels.txt", "rec_gt_train.txt", "GT.TXT", "gt.csv"])
def test_a_text_file_of_names_and_texts_is_read(name: str, sign: str, folder: Path) -> None:
    if name == "gt.csv" and " " in sign:
        pytest.skip("a csv file has no spaces between columns")
    write_rows(folder / name, sign)
    assert read(folder) == [("", text) for text in TEXTS]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    "pattern",
    [
        "{}",
        "./images/{}",
        "images\\{}",
        ".\\images\\{}",
        "/home/somebody/data/images/{}",
        "C:\\data\\images\\{}",
        "//server/share/{}",
    ],
)
def test_images_are_found_by_paths_of_another_machine(
    pattern: str, encoding: str, folder: Path
) -> None:
    write_rows(folder / "labels.csv", ",", pattern, encoding)
    assert read(folder) == [("", text) for text in TEXTS]


def test_a_file_for_each_split_is_read_as_that_split(folder: Path) -> None:
    write_rows(folder / "rec_gt_train.txt", "\t")
    write_rows(folder / "rec_gt_test.txt", "\t")
    assert [split for split, _ in read(folder)] == ["train", "train", "test", "test"]


def test_coco_is_read_as_others_lay_it_out(folder: Path) -> None:
    (folder / "annotations").mkdir()
    for number, split in enumerate(("train", "val")):
        draw(folder / "images" / f"{split}2017" / "c.png")
        (folder / "images" / f"{split}2017").rename(folder / "images" / split)
        values = {
            "categories": [{"id": 1, "name": str(number)}],
            "images": [{"id": 1, "file_name": "c.png"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        }
        path = folder / "annotations" / f"instances_{split}2017.json"
        path.write_text(json.dumps(values))
    assert read(folder) == [("train", "0"), ("val", "1")]


@pytest.mark.parametrize(
    "name", ["../secret.png", "images/../../secret.png", "{}", "..\\secret.png"]
)
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    draw(secret)
    inside = tmp_path / "set"
    draw(inside / "a.png")
    rows = [{"file_name": "a.png", "text": "7"}, {"file_name": name.format(secret), "text": "8"}]
    (inside / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(OutputError, match=r"secret\.png' is not in"):
        read(inside)


@pytest.mark.parametrize(
    "head", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"%PDF-1.4\n"]
)
def test_a_picture_is_opened_only_as_a_format_of_the_list(head: bytes, folder: Path) -> None:
    (folder / "images" / "a.png").write_bytes(head + bytes(99))
    write_rows(folder / "gt.txt", "\t")
    with pytest.raises(OutputError, match=r"a\.png is damaged: it is no image of a format"):
        read(folder)
