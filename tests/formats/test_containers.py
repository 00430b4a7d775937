"""One check for all containers: what is read is what was made, by readers of others and ours."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import FORMATS, Output, find_format
from mnistseq_cli.formats.columns import NO_CLASS
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.idx import read_idx
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import check_installed
from tests.helpers.shelf import Split, check_read_back, read_dataset, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

COUNT = 23
LAYOUTS = {
    "whole": [Split("", 0, COUNT)],
    "splits": [Split("train/", 0, 11), Split("val/", 11, 16), Split("test/", 16, COUNT)],
}
RECIPES = {
    "digits": Recipe(length=(1, 4), count=COUNT, seed=5),
    "edges": Recipe(pattern="0#-##", count=COUNT, seed=5, edges=True),
    "overlap": Recipe(texts=("007", "1", "0042"), count=COUNT, spacing_px=(-6, -2), width_px=90),
    "natural": Recipe(length=(1, 4), count=COUNT, seed=5, width_px="natural", ink="white"),
    "single": Recipe(length=(1, 1), count=COUNT, seed=5),
}
ARRAYS = ("npz", "npy", "hdf5", "idx")  # formats that need one width
HELD = {  # of boxes, gaps and glyphs
    **{form: {"boxes", "gaps", "glyphs"} for form in ("folder", "webdataset", "parquet")},
    **{form: {"boxes"} for form in ("npz", "npy", "hdf5")},
}


class Read(NamedTuple):
    """A sample as a container has it; what it does not hold is None."""

    text: str
    image: NDArray[np.uint8]
    boxes: list[list[int]] | None = None
    glyphs: list[int] | None = None
    gaps: list[int] | None = None


def need(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: this test reads with it")


def read_folder(folder: Path) -> list[Read]:
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        read_record(record, imageio.imread(folder / record["file_name"]))
        for record in map(json.loads, lines)
    ]


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


READERS: dict[str, Callable[[Path], list[Read]]] = {
    "folder": read_folder,
    "webdataset": read_tars,
    "parquet": read_parquet,
    "lmdb": read_lmdb,
    "npz": read_npz,
    "npy": read_npy,
    "hdf5": read_hdf5,
    "idx": read_idx_files,
}


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> str:
    check_installed(request.param)
    return str(request.param)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RECIPES)
def test_what_is_read_is_what_was_made(
    form: str, name: str, layout: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES[name], glyphs)
    output = Output(folder=tmp_path, to=form)
    if name == "natural" and form in ARRAYS:
        with pytest.raises(UsageError, match="wide do not fit into one array"):
            write_dataset(output, generator, LAYOUTS[layout])
        return
    write_dataset(output, generator, LAYOUTS[layout])
    assert find_format(tmp_path) == form
    check_read_back(tmp_path, generator, LAYOUTS[layout], HELD.get(form, set()))
    for split in LAYOUTS[layout]:
        found = READERS[form](tmp_path / split.folder)
        assert len(found) == split.stop - split.start
        for index, read in enumerate(found, split.start):
            sample = generator[index]
            assert read.text == sample.text
            assert np.array_equal(read.image, sample.image)
            for key in ("boxes", "glyphs", "gaps"):
                assert getattr(read, key) in (None, getattr(sample, key).tolist())
            for x, y, width, height in read.boxes or []:
                assert min(x, y) >= 0 < min(width, height)
                assert y + height <= read.image.shape[0]
                assert x + width <= read.image.shape[1]


ENDS = {
    "folder": ("images/00000/00000000.png", "images/00000/00000022.png"),
    **dict.fromkeys(("webdataset", "parquet"), ("000000000.png", "000000022.png")),
    "lmdb": ("train/image-000000001", "test/image-000000007"),
    **dict.fromkeys(ARRAYS, ("train/0", "test/6")),
}
LABELLED = [f"folder {style}" for style in ("jsonl", "coco", "yolo", "csv", "easyocr")]
OF_MARKS = {
    **dict.fromkeys(("folder jsonl", "webdataset", "parquet"), ("written", "mark_boxes")),
    **dict.fromkeys(("npz", "npy", "hdf5"), ("mark_boxes", "all")),
    "folder coco": ("mark_boxes",),
}


@pytest.mark.parametrize("case", [*LABELLED, *(name for name in FORMATS if name != "folder")])
def test_marks_are_told_from_labels(case: str, punctuated: GlyphSet, tmp_path: Path) -> None:
    to, _, style = case.partition(" ")
    check_installed(to)
    texts = ("$1,250.00", "3A50", "5,Z")
    recipe = Recipe(texts=texts, unlabelled=".,", count=COUNT, spacing_px=(-4, 4))
    generator = SequenceGenerator(recipe, punctuated)
    output = Output(folder=tmp_path, to=to, labels=(style or "csv",))
    write_dataset(output, generator, LAYOUTS["splits"])
    held, found = OF_MARKS.get(case, ()), read_dataset(tmp_path)
    for seen, name in zip((found[0], found[-1]), ENDS[to], strict=True):
        assert name.endswith(seen.name.removeprefix("../"))
    for seen, sample in zip(found, generator, strict=True):
        assert seen.text == sample.text
        if seen.boxes is not None:
            assert np.array_equal(np.sort(seen.boxes), np.sort(sample.boxes))
        assert seen.written == (sample.written if "written" in held else None)
        boxes = np.array([mark.box for mark in sample.marks]).reshape(-1, 4).tolist()
        is_held = "mark_boxes" in held and (boxes or len(held) > 1)
        of_marks = None if seen.mark_boxes is None else seen.mark_boxes.tolist()
        assert of_marks == (boxes if is_held else None)
    if to == "lmdb":
        assert len(read_dataset(tmp_path / "val" / "lmdb")) == 5


def test_idx_refuses_more_images_than_its_header_counts(tmp_path: Path) -> None:
    recipe = Recipe(length=(3, 3), count=2**32, width_px=100)
    with pytest.raises(UsageError, match="at most 4294967295 images"):
        Plan(recipe, Output(folder=tmp_path, to="idx"))
    Plan(recipe, Output(folder=tmp_path, to="webdataset"))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_refuse_natural_widths_before_any_work(name: str, tmp_path: Path) -> None:
    check_installed(name)
    output = Output(folder=tmp_path / "out", to=name)
    with pytest.raises(UsageError, match="natural width do not fit into one array"):
        Plan(RECIPES["natural"], output)
    assert not output.folder.exists()
    Plan(RECIPES["natural"], Output(folder=tmp_path))


def test_a_tar_is_as_pythons_own(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["natural"], glyphs)
    write_dataset(Output(folder=tmp_path, to="webdataset"), generator, LAYOUTS["whole"])
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"data-{number:06d}.tar" for number in range(5)]
    for path in paths:
        again = io.BytesIO()
        with (
            tarfile.open(path) as tar,
            tarfile.open(fileobj=again, mode="w", format=tarfile.USTAR_FORMAT) as copy,
        ):
            for member in tar:
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
                copy.addfile(member, tar.extractfile(member))
        assert path.read_bytes() == again.getvalue()


def read_as_torchvision_does(data: bytes) -> NDArray[Any]:
    """Follow read_sn3_pascalvincent_tensor of torchvision.datasets.mnist."""
    magic = int.from_bytes(data[:4], "big")
    n_axes, kind = magic % 256, magic // 256
    assert 1 <= n_axes <= 3
    assert kind == 8
    shape = [int.from_bytes(data[4 * at : 4 * at + 4], "big") for at in range(1, n_axes + 1)]
    parsed = np.frombuffer(data, np.uint8, offset=4 * (n_axes + 1))
    assert parsed.shape[0] == np.prod(shape)
    return parsed.reshape(shape)


@pytest.mark.parametrize("to", ["parquet-pyarrow", "lmdb-lmdb", "hdf5-h5py"])
def test_what_is_not_installed_is_named(
    to: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, library = to.split("-")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"pip install 'mnistseq\[{name}\]'"):
        Output(folder=tmp_path, to=name)


def test_pytorch_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mnistseq_cli.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mnistseq\[torch\]'"):
        import_module("mnistseq_cli.torch")


def test_single_digits_with_splits_lie_as_readers_of_mnist_and_keras_expect(
    glyphs: GlyphSet, tmp_path: Path
) -> None:
    recipe = Recipe(length=(1, 1), count=COUNT, seed=5, width_px=28, ink="white")
    generator = SequenceGenerator(recipe, glyphs)
    layout = [Split("train/", 0, 16), Split("test/", 16, COUNT)]
    block = generator.block(0, COUNT)
    raw = tmp_path / "MNIST" / "raw"
    write_dataset(Output(folder=raw, to="idx"), generator, layout)
    for prefix, part in (("train", slice(16)), ("t10k", slice(16, None))):
        images, labels = (
            read_as_torchvision_does((raw / f"{prefix}-{name}").read_bytes())
            for name in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        assert np.array_equal(images, block.images[part])
        assert [str(label) for label in labels.tolist()] == block.texts[part].tolist()
    write_dataset(Output(folder=tmp_path, to="npz"), generator, layout)
    with np.load(tmp_path / "data.npz") as archive:
        assert archive["y_train"].shape == (16,)
        assert archive["x_test"].shape == (COUNT - 16, 28, 28)
