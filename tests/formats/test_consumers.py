"""Containers and labels, loaded by the libraries that they are made for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.formats import Output
from mnistseq_cli.recipe import Recipe
from tests.formats.readers import need

COUNT = 23
pytestmark = [
    pytest.mark.consumers,
    pytest.mark.filterwarnings("ignore"),  # how other libraries go about it
]


class Made:
    """A finished dataset, and what should be in it."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.folder = folder
        self.samples = list(SequenceGenerator(recipe))

    def write(self, to: str, *labels: str) -> Path:
        output = Output(folder=self.folder, to=to, labels=labels)
        run(Plan(self.recipe, output, part_size=5), workers=0)
        return self.folder


@pytest.fixture
def made(glyph_folder: Path, tmp_path: Path) -> Made:
    recipe = Recipe(length=(1, 4), count=COUNT, seed=5, dataset=str(glyph_folder))
    return Made(recipe, tmp_path / "made")


@pytest.fixture
def load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the function of Hugging Face datasets, without network and with an empty cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = need("datasets")
    datasets.disable_progress_bars()

    def load(*given: Any, **named: Any) -> list[dict[str, Any]]:
        loaded = datasets.load_dataset(
            *given, **named, split="train", cache_dir=str(tmp_path / "cache")
        )
        return list(loaded)

    return load


def check_rows(
    rows: Iterable[dict[str, Any]], samples: list[Sample], image: str, record: str = ""
) -> None:
    """Check images, and what a row or a record in it says of them."""
    for row, sample in zip(rows, samples, strict=True):
        assert np.array_equal(np.asarray(row[image]), sample.image)
        told = row[record] if record else row
        assert told["text"] == sample.text
        assert told["objects"]["bbox"] == sample.boxes.tolist()
        assert told["objects"]["category"] == [int(digit) for digit in sample.text]
        assert told["glyphs"] == sample.glyphs.tolist()
        assert told["gaps"] == sample.gaps.tolist()


def test_datasets_reads_the_folder_and_masks(made: Made, load_dataset: Any) -> None:
    folder = str(made.write("folder", "masks"))
    for rows in (load_dataset("imagefolder", data_dir=folder), load_dataset(folder)):
        check_rows(rows, made.samples, "image")
        for row, sample in zip(rows, made.samples, strict=True):
            assert row["image"].mode == "L"
            assert np.array_equal(np.asarray(row["mask"]) > 0, sample.image < 255)


@pytest.mark.parametrize("by_pattern", [True, False])
def test_datasets_reads_parquet(by_pattern: bool, made: Made, load_dataset: Any) -> None:
    need("pyarrow")
    folder = made.write("parquet")
    named = {"data_files": str(folder / "*.parquet")}
    rows = load_dataset("parquet", **named) if by_pattern else load_dataset(str(folder))
    check_rows(rows, made.samples, "image")


def test_tars_are_read(made: Made, load_dataset: Any) -> None:
    webdataset = need("webdataset")
    folder = made.write("webdataset")
    urls = sorted(str(path) for path in folder.glob("*.tar"))
    for rows in (
        load_dataset("webdataset", data_files=urls),
        list(webdataset.WebDataset(urls, shardshuffle=False).decode("l8")),
    ):
        check_rows(rows, made.samples, "png", "json")
        assert [row["txt"] for row in rows] == [sample.text for sample in made.samples]


def test_pycocotools_reads_coco(made: Made) -> None:
    need("pycocotools")
    from pycocotools.coco import COCO  # noqa: PLC0415 - it may not be installed
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415 - as above

    truth = COCO(str(made.write("folder", "coco") / "annotations" / "instances_default.json"))
    for index, sample in enumerate(made.samples):
        found = truth.loadAnns(truth.getAnnIds(imgIds=index))
        assert [one["bbox"] for one in found] == sample.boxes.tolist()
        assert "".join(truth.cats[one["category_id"]]["name"] for one in found) == sample.text
        (image,) = truth.loadImgs([index])
        assert (made.folder / "images" / image["file_name"]).exists()
    results = truth.loadRes([one | {"score": 1.0} for one in truth.dataset["annotations"]])
    evaluation = COCOeval(truth, results, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)
