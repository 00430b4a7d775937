"""One check for all formats and label styles: what is read is what was made, by others and us."""

import io
import json
import sys
import tarfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import TextError, UsageError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES, Output, find_format
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.conftest import make_set
from tests.formats.readers import READERS, need
from tests.helpers.bulk_cases import check_installed
from tests.helpers.shelf import Split, check_read_back, read_dataset, write_dataset

COUNT = 23
LAYOUTS = {
    "whole": [Split("", 0, COUNT)],
    "splits": [Split("train/", 0, 11), Split("val/", 11, 16), Split("test/", 16, COUNT)],
}
RECIPES = {
    "digits": Recipe(length=(1, 4), count=COUNT, seed=5),
    "zeros": Recipe(texts=("007", "0", "0420"), count=COUNT, width_px=120),
    "edges": Recipe(pattern="0#-##", count=COUNT, seed=5, edges=True),
    "overlap": Recipe(texts=("007", "1", "0042"), count=COUNT, spacing_px=(-6, -2), width_px=90),
    "natural": Recipe(length=(1, 4), count=COUNT, seed=5, width_px="natural"),
    "single": Recipe(length=(1, 1), count=COUNT, seed=5, ink="white"),
}
ARRAYS = ("npz", "npy", "hdf5", "idx")  # formats that need one width
CASES = [*FORMATS, *(f"folder {style}" for style in LABEL_STYLES)]
ALL = {"boxes", "gaps", "glyphs"}
HELD = {
    **dict.fromkeys(("webdataset", "parquet", "folder jsonl", "folder masks"), ALL),
    **{case: {"boxes"} for case in ("npz", "npy", "hdf5")},
    **{f"folder {style}": {"boxes"} for style in ("coco", "yolo", "voc")},
}


def make_output(folder: Path, case: str, **more: Any) -> Output:
    to, _, style = case.partition(" ")
    check_installed(to)
    return Output(folder=folder, to=to, labels=(style,) if style else ("csv",), **more)


@pytest.mark.parametrize(
    ("name", "layout"),
    [*((name, "splits") for name in RECIPES), *((name, "whole") for name in ("digits", "single"))],
)
@pytest.mark.parametrize("case", READERS)
def test_what_is_read_was_made(
    case: str, name: str, layout: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPES[name], glyphs)
    output = make_output(tmp_path, case)
    if name == "natural" and case in ARRAYS:
        with pytest.raises(UsageError, match="wide do not fit into one array"):
            write_dataset(output, generator, LAYOUTS[layout])
        return
    if name == "single" and case == "folder masks":
        pytest.skip("the reader of masks takes what is dark for ink")
    write_dataset(output, generator, LAYOUTS[layout])
    if output.to == "folder":  # what lies beside is no label file
        (tmp_path / "reads.csv").write_text("file_name,text\nx.png,7\n")
        (tmp_path / "survey.json").write_text("{}")
    assert find_format(tmp_path) == output.to
    check_read_back(tmp_path, generator, LAYOUTS[layout], HELD.get(case, set()))
    samples = list(generator)
    for split in LAYOUTS[layout]:
        found = READERS[case](tmp_path / split.folder)
        assert len(found) == split.stop - split.start
        for index, read in enumerate(found, split.start):
            sample = samples[index]
            assert read.text == sample.text
            assert np.array_equal(read.image, sample.image)
            assert read.boxes is None or np.allclose(read.boxes, sample.boxes, atol=0.01)
            assert read.glyphs in (None, sample.glyphs.tolist())
            assert read.gaps in (None, sample.gaps.tolist())
            for x, y, width, height in sample.boxes.tolist():
                assert min(x, y) >= 0 < min(width, height)
                assert y + height <= read.image.shape[0]
                assert x + width <= read.image.shape[1]


ENDS = {
    "folder": ("images/00000/00000000.png", "images/00000/00000022.png"),
    **dict.fromkeys(("webdataset", "parquet"), ("000000000.png", "000000022.png")),
    "lmdb": ("train/image-000000001", "test/image-000000007"),
    **dict.fromkeys(ARRAYS, ("train/0", "test/6")),
}
OF_MARKS = {
    **dict.fromkeys([case for case in HELD if HELD[case] == ALL], ("written", "mark_boxes")),
    **dict.fromkeys(("npz", "npy", "hdf5"), ("mark_boxes", "all")),
    "folder coco": ("mark_boxes",),
}


@pytest.mark.parametrize("case", READERS)
def test_marks_are_told_from_labels(case: str, punctuated: GlyphSet, tmp_path: Path) -> None:
    texts = ("$1,250.00", "3A50", "5,Z")
    recipe = Recipe(texts=texts, unlabelled=".,", count=COUNT, spacing_px=(-4, 4))
    generator = SequenceGenerator(recipe, punctuated)
    output = make_output(tmp_path, case)
    write_dataset(output, generator, LAYOUTS["splits"])
    held, found = OF_MARKS.get(case, ()), read_dataset(tmp_path)
    for seen, name in zip((found[0], found[-1]), ENDS[output.to], strict=True):
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
    if case == "lmdb":
        assert len(read_dataset(tmp_path / "val" / "lmdb")) == 5


@pytest.mark.parametrize("name", ARRAYS)
def test_what_arrays_cannot_hold_is_refused_before_work(name: str, tmp_path: Path) -> None:
    check_installed(name)
    output, other = Output(folder=tmp_path / "out", to=name), Output(folder=tmp_path)
    with pytest.raises(UsageError, match="natural width do not fit into one array"):
        Plan(RECIPES["natural"], output)
    Plan(RECIPES["natural"], other)
    many = Recipe(length=(3, 3), count=2**32, width_px=100)
    if name == "idx":
        with pytest.raises(UsageError, match="at most 4294967295 images"):
            Plan(many, output)
        Plan(many, other)
    assert not output.folder.exists()


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
    n_axes, kind = int.from_bytes(data[:4], "big") % 256, int.from_bytes(data[:4], "big") // 256
    assert (1 <= n_axes <= 3, kind) == (True, 8)
    shape = np.frombuffer(data, ">i4", count=n_axes, offset=4)
    parsed = np.frombuffer(data, np.uint8, offset=4 * (n_axes + 1))
    assert len(parsed) == np.prod(shape)
    return parsed.reshape(shape)


@pytest.mark.parametrize("to", ["parquet-pyarrow", "lmdb-lmdb", "hdf5-h5py", "torch-torch"])
def test_missing_libraries_are_named(to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, library = to.split("-")
    monkeypatch.setitem(sys.modules, library, None)
    for module in [one for one in sys.modules if one.startswith("mnistseq_cli.torch")]:
        monkeypatch.delitem(sys.modules, module)
    kind = ModuleNotFoundError if name == "torch" else UsageError
    with pytest.raises(kind, match=rf"pip install 'mnistseq\[{name}\]'"):
        import_module("mnistseq_cli.torch") if name == "torch" else Output(folder=Path(), to=name)


def test_single_digits_lie_as_readers_of_mnist_expect(glyphs: GlyphSet, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_yolo_is_told_of_images_and_classes(layout: str, glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["zeros"], glyphs)
    write_dataset(make_output(tmp_path, "folder yolo"), generator, LAYOUTS[layout])
    values = need("yaml").safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert values.pop("names") == {number: str(number) for number in range(10)}
    names = ("train", "val", "test") if layout == "splits" else ("",)
    assert values == {name or "train": f"{name}/images".lstrip("/") for name in names}


def test_names_with_quotes_and_other_letters_come_back(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPES["digits"], glyphs)
    others = [style for style in LABEL_STYLES if style not in ("yolo", "easyocr")]
    for sign, styles in ((",", others), ("", [*others, "easyocr"])):
        folder, name = tmp_path / f"with {sign}", f"bilder/né{sign} 'd' {{index}}"
        output = Output(folder=folder, labels=tuple(styles), name=name)
        write_dataset(output, generator, LAYOUTS["whole"])
        assert {len(READERS[f"folder {style}"](folder)) for style in styles} == {COUNT}


def test_classes_of_letters_are_called_by_them(glyphs: GlyphSet, tmp_path: Path) -> None:
    letters = make_set(glyphs.labels, glyphs.images, alphabet="ABCDEFGHab")
    with pytest.raises(TextError):
        SequenceGenerator(Recipe(texts=("Bad", "Had", "aGE"), count=6), letters).block(0, 6)
    generator = SequenceGenerator(Recipe(texts=("Bab", "HaG", "aGE"), count=6), letters)
    output = Output(folder=tmp_path, labels=("coco", "yolo", "doctr"))
    write_dataset(output, generator, [Split("train/", 0, 5), Split("test/", 5, 6)])
    for split in ("train", "test"):
        path = tmp_path / split / "annotations" / f"instances_{split}.json"
        classes = json.loads(path.read_text())["categories"]
        assert [(one["id"], one["name"]) for one in classes] == list(enumerate("ABCDEFGHab", 1))
        texts = [read.text for read in READERS["folder coco"](tmp_path / split)]
        assert texts == [read.text for read in READERS["folder doctr"](tmp_path / split)]
    lines = (tmp_path / "data.yaml").read_text().partition("names:\n")[2].splitlines()
    assert lines == [f'  {number}: "{name}"' for number, name in enumerate("ABCDEFGHab")]


@pytest.mark.parametrize("to", ["folder", "webdataset", "parquet", "hdf5"])
def test_writers_are_written_and_read_back(to: str, tmp_path: Path) -> None:
    recipe = Recipe(length=(2, 4), count=40, seed=1, dataset="strokes", hand="writer")
    generator = SequenceGenerator(recipe)
    check_installed(to)
    output = Output(folder=tmp_path, to=to, labels=("jsonl", "coco"))
    write_dataset(output, generator, [Split("train/", 0, 20), Split("val/", 20, 40)])
    made = list(generator)
    assert [one.writers for one in read_dataset(tmp_path)] == [sample.writers for sample in made]
    assert {len({*sample.writers}) for sample in made} == {1}
    if to == "folder":
        lines = (tmp_path / "train/metadata.jsonl").read_text().splitlines()
        assert [json.loads(line)["writer"] for line in lines] == [one.writer for one in made[:20]]
        coco = json.loads((tmp_path / "val/annotations/instances_val.json").read_text())
        found = [one["attributes"]["writer"] for one in coco["annotations"]]
        assert found == [name for sample in made[20:] for name in sample.writers]
