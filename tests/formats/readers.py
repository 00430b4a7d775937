"""Readers of all formats and label styles, by the rules of the programs that read them."""

import csv
import json
import os
import tarfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from imageio import v3 as imageio
from numpy.typing import NDArray

from mnistseq_cli.formats.columns import NO_CLASS
from mnistseq_cli.glyphs.idx import read_idx


class Read(NamedTuple):
    """A sample as a dataset has it; what it does not hold is None."""

    text: str
    image: NDArray[np.uint8]
    boxes: list[list[float]] | None = None
    glyphs: list[int] | None = None
    gaps: list[int] | None = None


def need(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: this test reads with it")


def read_jsonl(folder: Path) -> list[Read]:
    """Follow the imagefolder of Hugging Face datasets: a column for each name of a file."""
    found = []
    for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found.append(read_record(record, imageio.imread(folder / record["file_name"])))
        if "mask_file_name" in record:
            numbers = imageio.imread(folder / record["mask_file_name"])
            assert ((numbers > 0) == (found[-1].image < 255)).all()
            assert numbers.max() == len(record["text"])
    return found


def read_record(record: dict[str, Any], image: NDArray[np.uint8]) -> Read:
    objects = record["objects"]
    assert [str(category) for category in objects["category"]] == list(record["text"])
    return Read(record["text"], image, objects["bbox"], record["glyphs"], record["gaps"])


def read_tars(folder: Path) -> list[Read]:
    found = []
    for path in sorted(folder.glob("data-*.tar")):
        with tarfile.open(path) as tar:
            files = [(one.name, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr] # all are files
        for image, text, record in zip(files[::3], files[1::3], files[2::3], strict=True):
            assert [name[9:] for name, _ in (image, text, record)] == [".png", ".txt", ".json"]
            assert image[0][:9] == text[0][:9] == record[0][:9]
            found.append(read_record(json.loads(record[1]), imageio.imread(image[1])))
            assert found[-1].text == text[1].decode()
    return found


def read_parquet(folder: Path) -> list[Read]:
    parquet = need("pyarrow.parquet")
    rows = []
    for path in sorted(folder.glob("part-*.parquet")):
        rows += parquet.read_table(path).to_pylist()
    return [read_record(row, imageio.imread(row["image"]["bytes"])) for row in rows]


def read_lmdb(folder: Path) -> list[Read]:
    """Follow LmdbDataset of deep-text-recognition-benchmark."""
    environment = need("lmdb").open(str(folder / "lmdb"), readonly=True, lock=False)
    found = []
    with environment.begin(write=False) as transaction:
        assert transaction.stat()["entries"] == 2 * int(transaction.get(b"num-samples")) + 1
        for index in range(int(transaction.get(b"num-samples"))):
            label = transaction.get(f"label-{index + 1:09d}".encode()).decode("utf-8")
            image = transaction.get(f"image-{index + 1:09d}".encode())
            found.append(Read(label, imageio.imread(image)))
    environment.close()
    return found


def read_arrays(images: Any, labels: Any, lengths: Any, boxes: Any) -> list[Read]:
    found = []
    for image, digits, length, own in zip(images, labels, lengths, boxes, strict=True):
        label = np.atleast_1d(digits)  # single ones are so many numbers
        assert (label[length:] == NO_CLASS).all()
        assert not own[length:].any()
        text = "".join(map(str, label[:length].tolist()))
        found.append(Read(text, image, own[:length].tolist()))
    return found


NAMES = ["images", "labels", "lengths", "boxes"]


def read_npy(folder: Path) -> list[Read]:
    return read_arrays(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES))


def read_npz(folder: Path) -> list[Read]:
    names, path = NAMES, folder / "data.npz"
    if not path.exists():
        names = [f"{key}_{folder.name}" for key in ("x", "y", "lengths", "boxes")]
        path = folder.parent / "data.npz"
    with np.load(path) as archive:
        return read_arrays(*(archive[name] for name in names))


def read_hdf5(folder: Path) -> list[Read]:
    with need("h5py").File(folder / "data.h5") as file:
        assert all(file[name].chunks for name in file)
        return read_arrays(*(file[name][:] for name in NAMES))


def read_idx_files(folder: Path) -> list[Read]:
    prefix = {"test": "t10k", "val": "val"}.get(folder.name, "train")
    images, labels, lengths = (
        read_idx(next(folder.glob(f"{prefix}-{name}")))
        for name in ("images-idx3-ubyte", "labels-idx[12]-ubyte", "lengths-idx1-int")
    )
    return [
        Read("".join(map(str, np.atleast_1d(label)[:length])), image.astype(np.uint8))
        for image, label, length in zip(images, labels, lengths.tolist(), strict=True)
    ]


def see(path: Path, text: str, boxes: list[list[float]] | None = None) -> Read:
    return Read(text, imageio.imread(path), boxes)


def read_csv(folder: Path) -> list[Read]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [see(folder / row["file_name"], row["text"]) for row in csv.DictReader(file)]


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
        boxes = [one["bbox"] for one in own]
        found.append(see(place(folder, image["file_name"]), text, boxes))
        assert found[-1].image.shape == (image["height"], image["width"])
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
        for x, y, width, height in (map(Fraction, row[1:]) for row in rows):
            assert width / 2 <= x <= 1 - width / 2  # nor does it leave the image by rounding
            assert height / 2 <= y <= 1 - height / 2
        values = np.array(rows, np.float32)
        shares = values[:, 1:]
        assert values.shape[1] == 5
        assert values[:, 0].max() < 10
        assert len(np.unique(values, axis=0)) == len(values)  # or some would be left out
        height, width = imageio.imread(path).shape
        boxes = shares * np.tile([width, height], 2)
        boxes[:, :2] -= boxes[:, 2:] / 2
        found.append(see(path, "".join(row[0] for row in rows), boxes.round(2).tolist()))
    return found


def read_paddleocr(folder: Path) -> list[Read]:
    """Follow SimpleDataSet of ppocr/data/simple_dataset.py."""
    found = []
    for line in (folder / "rec_gt.txt").read_bytes().splitlines():
        name, text = line.decode("utf-8").split("\t")
        assert not name.startswith("[")  # or it would be taken for a list of names
        found.append(see(folder / name, text))
    return found


def read_easyocr(folder: Path) -> list[Read]:
    """Follow trainer/dataset.py: only leaf folders, read by pandas, split at the first comma."""
    roots = [path for path, folders, _ in os.walk(folder / "easyocr") if not folders]
    assert roots == [str(folder / "easyocr")]
    table = need("pandas").read_csv(
        folder / "easyocr" / "labels.csv",
        sep="^([^,]+),",
        engine="python",
        usecols=["filename", "words"],
        keep_default_na=False,
    )
    pairs = zip(table["filename"], table["words"], strict=True)
    # The filter of the trainer, with batch_max_length of its configuration files.
    return [see(Path(roots[0]) / name, text) for name, text in pairs if len(text) <= 34]


def read_mmocr(folder: Path) -> list[Read]:
    """Follow load_data_list of mmengine/dataset/base_dataset.py, and OCRDataset of MMOCR 1.x."""
    values = json.loads((folder / "textrecog.json").read_text(encoding="utf-8"))
    assert values["metainfo"] == {"dataset_type": "TextRecogDataset", "task_name": "textrecog"}
    return [
        see(folder / one["img_path"], instance["text"])
        for one in values["data_list"]
        for instance in one["instances"]
    ]


def read_doctr(folder: Path) -> list[Read]:
    """Follow RecognitionDataset of doctr/datasets/recognition.py."""
    values = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [see(place(folder, name), text) for name, text in values.items()]


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
        found.append(see(path, text, boxes))
    return found


def place(folder: Path, name: str) -> Path:
    """Look for an image where train_pytorch.py of docTR, Datumaro and CVAT look."""
    return folder / "images" / name if (folder / "images").is_dir() else folder / name


READERS: dict[str, Callable[[Path], list[Read]]] = {
    "webdataset": read_tars,
    "parquet": read_parquet,
    "lmdb": read_lmdb,
    "npz": read_npz,
    "npy": read_npy,
    "hdf5": read_hdf5,
    "idx": read_idx_files,
    "folder csv": read_csv,
    "folder jsonl": read_jsonl,
    "folder coco": read_coco,
    "folder yolo": read_yolo,
    "folder paddleocr": read_paddleocr,
    "folder easyocr": read_easyocr,
    "folder mmocr": read_mmocr,
    "folder doctr": read_doctr,
    "folder voc": read_voc,
    "folder masks": read_jsonl,
}
