"""Containers and labels, loaded by the libraries that they are made for."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.formats import FORMATS, Output
from mnistseq_cli.recipe import Recipe
from tests.formats.readers import need
from tests.helpers.bulk_cases import check_installed
from tests.helpers.shelf import read_dataset

SPLITS = ("train=4", "val=1", "test=1")
COUNT = 30
RECIPE = Recipe(length=(1, 4), count=COUNT, seed=5, dataset="strokes")
pytestmark = [
    pytest.mark.consumers,
    pytest.mark.filterwarnings("ignore"),  # how other libraries go about it
]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(SequenceGenerator(RECIPE))


def write(folder: Path, to: str, *labels: str, splits: tuple[str, ...] = ()) -> Path:
    check_installed(to)
    output = Output(folder=folder, to=to, labels=labels or ("csv", "jsonl"))
    run(Plan(replace(RECIPE, splits=splits), output, part_size=5), workers=0)
    return folder


@pytest.fixture
def load_dataset(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the function of Hugging Face datasets, without network and with an empty cache."""
    home = str(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", home)
    datasets = need("datasets")
    datasets.disable_progress_bars()
    return partial(datasets.load_dataset, cache_dir=home)


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


FILES = {"folder": "", "parquet": "*.parquet", "webdataset": "*.tar"}


@pytest.mark.parametrize("to", FILES)
def test_datasets_reads_what_was_made(
    to: str, samples: list[Sample], load_dataset: Any, tmp_path: Path
) -> None:
    folder = write(tmp_path, to, *(["masks"] if to == "folder" else []))
    files = sorted(map(str, folder.glob(FILES[to]))) if FILES[to] else []
    named: dict[str, Any] = {"data_files": files} if files else {"data_dir": str(folder)}
    kind = to if files else "imagefolder"
    read = [load_dataset(kind, **named)["train"], load_dataset(str(folder))["train"]]
    if to == "webdataset":
        read.append(need("webdataset").WebDataset(files, shardshuffle=False).decode("l8"))
    for rows in map(list, read):
        check_rows(rows, samples, *(("png", "json") if to == "webdataset" else ("image",)))
        for row, sample in zip(rows, samples, strict=True):
            assert row.get("txt", sample.text) == sample.text
            if to == "folder":
                assert row["image"].mode == "L"
                assert np.array_equal(np.asarray(row["mask"]) > 0, sample.image < 255)


@pytest.mark.parametrize("to", FILES)
def test_datasets_finds_splits_by_the_card(to: str, load_dataset: Any, tmp_path: Path) -> None:
    loaded = load_dataset(str(write(tmp_path, to, splits=SPLITS)))
    sizes = {name: len(rows) for name, rows in loaded.items()}
    assert sizes == {"train": 20, "val": 5, "test": 5}
    row, (sample, *_) = loaded["train"][0], read_dataset(tmp_path)
    assert (row["txt"] if to == "webdataset" else row["text"]) == sample.text


@pytest.mark.parametrize("splits", [(), SPLITS], ids=["whole", "splits"])
@pytest.mark.parametrize("to", FORMATS)
def test_mlcroissant_takes_it_and_loads_records(
    to: str, splits: tuple[str, ...], tmp_path: Path
) -> None:
    dataset = need("mlcroissant").Dataset(write(tmp_path, to, splits=splits) / "croissant.json")
    loaded = [
        {key.partition("/")[2]: value for key, value in record.items()}
        for records in dataset.metadata.record_sets
        for record in dataset.records(records.uuid)
    ]
    assert len(loaded) == (COUNT if to in ("folder", "parquet") else 0)
    for record, sample in zip(loaded, read_dataset(tmp_path), strict=bool(loaded)):
        assert np.array_equal(np.asarray(record["image"].convert("L")), sample.image)
        # The text itself is a column that pandas, by which it reads, takes for numbers.
        assert "".join(map(str, record["objects.category"])) == sample.text
        assert int(record["text"]) == int(sample.text)
        assert np.array_equal(record["objects.bbox"], sample.boxes)  # type: ignore[arg-type]
        assert np.array_equal(record["gaps"], sample.gaps)  # type: ignore[arg-type]


def test_pycocotools_reads_coco(samples: list[Sample], tmp_path: Path) -> None:
    need("pycocotools")
    from pycocotools.coco import COCO  # noqa: PLC0415 - it may not be installed
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415 - as above

    truth = COCO(str(write(tmp_path, "folder", "coco") / "annotations" / "instances_default.json"))
    for index, sample in enumerate(samples):
        found = truth.loadAnns(truth.getAnnIds(imgIds=index))
        assert [one["bbox"] for one in found] == sample.boxes.tolist()
        assert "".join(truth.cats[one["category_id"]]["name"] for one in found) == sample.text
        (image,) = truth.loadImgs([index])
        assert (tmp_path / "images" / image["file_name"]).exists()
    results = truth.loadRes([one | {"score": 1.0} for one in truth.dataset["annotations"]])
    evaluation = COCOeval(truth, results, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)
