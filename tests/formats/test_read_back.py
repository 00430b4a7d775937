"""What a format wrote is read back: images, labels and all that its container holds."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imageio import v3 as imageio
from PIL import Image

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES, Output
from mnistseq_cli.formats import read_labels as json_reading
from mnistseq_cli.formats.images import decode_grey
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import check_installed
from tests.helpers.mirror import write_idx
from tests.helpers.shelf import PART_SIZE, Split, write_dataset
from tests.helpers.shelf import read_dataset as read

if TYPE_CHECKING:
    pass

COUNT = 3 * PART_SIZE + 2  # the last part is odd
LAYOUTS = {
    "whole": [Split("", 0, COUNT)],
    "splits": [Split("train/", 0, 9), Split("val/", 9, 11), Split("test/", 11, COUNT)],
}
RECIPE = Recipe(length=(1, 4), count=COUNT, seed=5)
ARRAYS = ("npz", "npy", "hdf5", "idx")


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> str:
    check_installed(request.param)
    return str(request.param)


@pytest.mark.parametrize(
    ("form", "first", "last_of_test"),
    [
        ("folder", "images/00000/00000000.png", "images/00000/00000016.png"),
        ("webdataset", "000000000.png", "000000016.png"),
        ("parquet", "000000000.png", "000000016.png"),
        ("lmdb", "train/image-000000001", "test/image-000000006"),
        *[(form, "train/0", "test/5") for form in ARRAYS],
    ],
)
def test_names_are_those_of_the_container(
    form: str, first: str, last_of_test: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    check_installed(form)
    generator = SequenceGenerator(RECIPE, glyphs)
    write_dataset(Output(folder=tmp_path, to=form), generator, LAYOUTS["splits"])
    found = read(tmp_path)
    assert (found[0].name, found[-1].name) == (first, last_of_test)


@pytest.mark.parametrize(
    ("to", "labels", "holds"),
    [
        ("folder", "jsonl", {"written", "mark_boxes"}),
        ("folder", "coco", {"mark_boxes"}),
        ("folder", "yolo", set()),
        ("folder", "csv", set()),
        ("folder", "easyocr", set()),
        ("webdataset", "csv", {"written", "mark_boxes"}),
        ("parquet", "csv", {"written", "mark_boxes"}),
        ("lmdb", "csv", set()),
        ("npz", "csv", {"mark_boxes", "all"}),
        ("npy", "csv", {"mark_boxes", "all"}),
        ("hdf5", "csv", {"mark_boxes", "all"}),
        ("idx", "csv", set()),
    ],
)
def test_marks_are_told_from_labels(
    to: str, labels: str, holds: set[str], punctuated: GlyphSet, tmp_path: Path
) -> None:
    check_installed(to)
    texts = ("$1,250.00", "3A50", "5,Z")
    recipe = Recipe(texts=texts, unlabelled=".,", count=COUNT, spacing_px=(-4, 4))
    generator = SequenceGenerator(recipe, punctuated)
    output = Output(folder=tmp_path, to=to, labels=(labels,))
    write_dataset(output, generator, LAYOUTS["splits"])
    for seen, sample in zip(read(tmp_path), generator, strict=True):
        assert seen.text == sample.text
        if seen.boxes is not None:
            assert np.array_equal(np.sort(seen.boxes), np.sort(sample.boxes))
        assert seen.written == (sample.written if "written" in holds else None)
        boxes = np.array([mark.box for mark in sample.marks]).reshape(-1, 4).tolist()
        if "mark_boxes" in holds and (boxes or holds & {"written", "all"}):
            assert seen.mark_boxes is not None
            assert seen.mark_boxes.tolist() == boxes
        else:
            assert seen.mark_boxes is None


@pytest.mark.parametrize("image_format", ["jpg", "bmp", "tiff"])
def test_other_image_formats_are_read(image_format: str, glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPE, glyphs)
    output = Output(folder=tmp_path, to="webdataset", image_format=image_format)
    write_dataset(output, generator, LAYOUTS["whole"])
    for seen, sample in zip(read(tmp_path), generator, strict=True):
        error = np.abs(seen.image.astype(int) - sample.image)
        assert error.mean() <= (4 if image_format == "jpg" else 0)


def write_images(folder: Path, names: list[str]) -> list[np.ndarray[Any, Any]]:
    images = []
    for number, name in enumerate(names):
        image = np.full((20, 30 + number), 255, np.uint8)
        image[5:9, 3 + number] = 10 * number
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        imageio.imwrite(folder / name, image)
        images.append(image)
    return images


NAMES = ["a.png", "b.png", "c.png"]
TEXTS = ["350", "0,7", "12"]
LISTINGS = {
    "labels.csv": 'file_name,label\na.png,350\nb.png,"0,7"\nc.png,12\n',
    "train.csv": 'id,Words,FileName\n0,350,a.png\n1,"0,7",b.png\n2,12,c.png\n',
    "gt.csv": 'a.png,350\nb.png,"0,7"\nc.png,12\n',
    "rec_gt.txt": "a.png\t350\nb.png\t0,7\nc.png\t12\n",
    "metadata.jsonl": '{"file_name": "a.png", "caption": 1, "text": "350"}\n'
    '{"name": "b.png", "text": "0,7"}\n{"image": "c.png", "label": 12}\n',
    "gt.json": '{"a.png": "350", "b.png": "0,7", "c.png": "12"}',
}


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("images", ["", "images"])
def test_folders_of_others_are_read(listing: str, images: str, tmp_path: Path) -> None:
    made = write_images(tmp_path / images, NAMES)
    (tmp_path / listing).write_text(LISTINGS[listing])
    found = read(tmp_path)
    assert [(seen.name, seen.text, seen.split) for seen in found] == [
        (name, text, "") for name, text in zip(NAMES, TEXTS, strict=True)
    ]
    for seen, image in zip(found, made, strict=True):
        assert np.array_equal(seen.image, image)
        assert seen.boxes is seen.gaps is seen.glyphs is None


def test_splits_of_others_come_in_the_order_of_use(tmp_path: Path) -> None:
    for split in ("b", "test", "train", "a", "valid", ".hidden"):
        write_images(tmp_path / split, NAMES)
        (tmp_path / split / "labels.csv").write_text(LISTINGS["labels.csv"])
    assert [seen.split for seen in read(tmp_path)][::3] == ["train", "valid", "test", "a", "b"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("style", LABEL_STYLES)
def test_what_lies_beside_is_no_label_file(
    style: str, layout: str, glyphs: GlyphSet, tmp_path: Path
) -> None:
    generator = SequenceGenerator(RECIPE, glyphs)
    write_dataset(Output(folder=tmp_path, labels=(style,)), generator, LAYOUTS[layout])
    (tmp_path / "reads.csv").write_text("file_name,text\nx.png,7\n")
    (tmp_path / "survey.json").write_text("{}")
    assert [seen.text for seen in read(tmp_path)] == [sample.text for sample in generator]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
@given(
    values=st.dictionaries(
        st.text(), st.lists(st.integers() | st.floats(allow_nan=False) | st.text()) | st.none()
    ),
    indent=st.none() | st.integers(0, 2),
)
def test_json_is_read_item_by_item(chunk: int, values: dict[str, Any], indent: int | None) -> None:
    expected = [
        (key, item)
        for key, value in values.items()
        for item in ([None] if value is None else value)
    ]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reading, "_CHUNK", chunk)
        path = Path(folder) / "x.json"
        path.write_text(json.dumps(values, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert list(json_reading.iterate_json(path)) == expected


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"a" 1}', '{"a": [1', '{"a": [1}', '{"a": tru}']
)
def test_what_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - of the decoder or ours
        list(json_reading.iterate_json(tmp_path / "x.json"))


def test_coco_of_others_is_read_from_left_to_right(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    boxes = {"3": [1.2, 2, 4, 5.6], "5": [10, 2, 4, 6], "0": [15.5, 1, 3, 9]}
    annotations = [
        {"image_id": 7, "category_id": 40 + int(digit), "bbox": boxes[digit]} for digit in "053"
    ]
    values = {
        "categories": [{"id": 40 + digit, "name": str(digit)} for digit in range(10)],
        "images": [{"id": 9, "file_name": "b.png"}, {"id": 7, "file_name": "a.png"}],
        "annotations": annotations,
    }
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(values))
    blank, number = read(tmp_path)
    assert (blank.name, blank.text, number.text) == ("b.png", "", "350")
    assert blank.boxes is not None
    assert blank.boxes.shape == (0, 4)
    assert number.boxes is not None
    assert number.boxes.tolist() == [[1, 2, 4, 6], [10, 2, 4, 6], [16, 1, 3, 9]]


def test_yolo_of_others_is_read_from_left_to_right(tmp_path: Path) -> None:
    write_images(tmp_path / "images", ["a.png"])  # 30 x 20 pixels
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("5 0.5 0.5 0.2 0.5\n3 0.2 0.5 0.2 0.5\n")
    (seen,) = read(tmp_path)
    assert seen.text == "35"
    assert seen.boxes is not None
    assert seen.boxes.tolist() == [[3, 5, 6, 10], [12, 5, 6, 10]]


def test_the_files_of_mnist_and_keras_are_read(glyphs: GlyphSet, tmp_path: Path) -> None:
    idx, keras = tmp_path / "idx", tmp_path / "keras"
    parts = {"train": slice(0, 7), "test": slice(7, 10)}
    for folder in (idx, keras):
        folder.mkdir()
    for split, part in parts.items():
        prefix = idx / split.replace("test", "t10k")
        write_idx(Path(f"{prefix}-images-idx3-ubyte"), glyphs.images[part])
        write_idx(Path(f"{prefix}-labels-idx1-ubyte"), glyphs.labels[part])
    arrays: dict[str, Any] = {}
    for split, part in parts.items():
        arrays |= {f"x_{split}": glyphs.images[part], f"y_{split}": glyphs.labels[part]}
    np.savez(keras / "mnist.npz", **arrays)
    for folder in (idx, keras):
        found = read(folder)
        assert [seen.split for seen in found] == ["train"] * 7 + ["test"] * 3
        assert [seen.text for seen in found] == [str(label) for label in glyphs.labels[:10]]
        assert all(map(np.array_equal, [seen.image for seen in found], glyphs.images))


def test_classes_beyond_nine_are_letters(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 2, 2), np.uint8))
    np.save(tmp_path / "labels.npy", np.array([[9, 10], [35, 36], [61, 62], [7, -1]], np.int16))
    assert [seen.text for seen in read(tmp_path)] == ["9A", "Za", "z?", "7"]


def test_an_lmdb_is_read_from_its_own_folder(glyphs: GlyphSet, tmp_path: Path) -> None:
    check_installed("lmdb")
    generator = SequenceGenerator(RECIPE, glyphs)
    write_dataset(Output(folder=tmp_path, to="lmdb"), generator, LAYOUTS["whole"])
    assert len(read(tmp_path / "lmdb")) == COUNT


def test_shards_of_others_are_read(tmp_path: Path) -> None:
    image = np.arange(600, dtype=np.uint8).reshape(20, 30)
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        for key, ending, label in (("d/one", "cls", "7"), ("two", "txt", "42")):
            members = {"png": imageio.imwrite("<bytes>", image, extension=".png")}
            for name, data in (members | {ending: label.encode()}).items():
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    assert [(seen.name, seen.text) for seen in read(tmp_path)] == [
        ("d/one.png", "7"),
        ("two.png", "42"),
    ]


DAMAGED = {
    "folder": "images/00000/00000004.png",
    "webdataset": "data-000001.tar",
    "parquet": "part-00001.parquet",
    "lmdb": "lmdb/data.mdb",
    "hdf5": "data.h5",
    "npz": "data.npz",
    "npy": "boxes.npy",
    "idx": "train-labels-idx2-ubyte",
}


def test_a_file_that_ends_too_early_is_named(form: str, glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(RECIPE, glyphs)
    write_dataset(Output(folder=tmp_path, to=form), generator, LAYOUTS["whole"])
    path = tmp_path / DAMAGED[form]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(OutputError) as caught:
        read(tmp_path)
    assert str(path) in caught.value.message


WRONG_LINES: dict[str, tuple[str, str, str]] = {
    "one column": ("labels.csv", "file_name|text\nx.png|1\n", "line 1: 'file_name|text' is one"),
    "nothing": ("labels.csv", "", "line 1: it is empty"),
    "a short row": ("labels.csv", "file_name,text\nx.png,1\nx.png\n", "line 3: the row has 1 of"),
    "no text": ("labels.csv", "name,foo\nx.png,1\n", "line 1: the header 'name,foo' has no"),
    "no image": ("labels.csv", "foo,label\nx.png,1\n", "line 1: the header 'foo,label' has no"),
    "no last quote": (
        "labels.csv",
        'file_name,text\nx.png,"1\n',
        "line 2: unexpected end of data",
    ),
    "a short box": (
        "metadata.jsonl",
        '\n{"file_name": "x.png", "text": "1", "objects": {"bbox": [[1, 2, 3]]}}\n',
        "line 2: box 1 is [1, 2, 3]; expected x, y, width and height",
    ),
    "a number for a box": (
        "metadata.jsonl",
        '{"file_name": "x.png", "text": "1", "objects": {"bbox": [3]}}',
        "line 1: box 1 is 3; expected",
    ),
    "a number for objects": (
        "metadata.jsonl",
        '{"file_name": "x.png", "text": "1", "objects": 3}',
        "line 1: objects is 3; expected",
    ),
    "no object": ("metadata.jsonl", "3\n", "line 1: it is 3; expected an object"),
    "no JSON": ("metadata.jsonl", '{"file_name": "x.png", "text": "1"\n', "line 1: "),
    "a record without text": ("metadata.jsonl", '{"file_name": "x.png"}\n', "line 1: it has none"),
    "a record without name": ("metadata.jsonl", '{"text": "1"}\n', "line 1: it has none of"),
}


@pytest.mark.parametrize("case", WRONG_LINES)
def test_a_wrong_line_is_named_with_what_is_needed(case: str, tmp_path: Path) -> None:
    name, text, message = WRONG_LINES[case]
    write_images(tmp_path, ["x.png"])
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        read(tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / name}, {message}")
    assert caught.value.hint.startswith("Expected")
    assert "file_name" in caught.value.hint
    assert "text" in caught.value.hint
    (tmp_path / "dataset.json").touch()
    with pytest.raises(OutputError) as caught:
        read(tmp_path)
    assert caught.value.hint.startswith("mnistseq verify names every file")


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, ["x.png"])
    (tmp_path / "labels.csv").write_text("file_name,label\na.png,1\n")
    with pytest.raises(OutputError) as caught:
        read(tmp_path)
    assert caught.value.message.startswith(str(tmp_path / "a.png"))
    assert "verify" not in caught.value.hint


@pytest.mark.parametrize("text", ["x.png,word\n", "X.png,1\n", '"x.png","3;5"\n'])
def test_a_first_line_may_be_an_image(text: str, tmp_path: Path) -> None:
    write_images(tmp_path, ["x.png", "X.png"])
    (tmp_path / "labels.csv").write_text(text)
    (seen,) = read(tmp_path)
    assert f"{seen.name},{seen.text}" == text.strip().replace('"', "")


@pytest.mark.parametrize("data", [b"garbage", b"", b"\x89PNG\r\n\x1a\n" + bytes(60)])
def test_what_is_no_image_is_said_to_be_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "labels.csv").write_text("a.png,1\n")
    with pytest.raises(
        OutputError, match=r"a\.png is damaged: it is no image of a format"
    ) as caught:
        read(tmp_path)
    assert caught.value.hint == ""


def test_arrays_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(OutputError, match=r"labels\.npy is missing"):
        read(tmp_path)
    np.save(tmp_path / "labels.npy", np.zeros((3, 1), np.int16))
    with pytest.raises(OutputError, match="not equally long"):
        read(tmp_path)


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(OutputError, match="Python objects"):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "P", "1", "LA"])
def test_images_of_all_kinds_become_grey(kind: str) -> None:
    rows = np.zeros((6, 8), np.uint8)
    rows[2:4, 3] = 255
    stream = io.BytesIO()
    Image.fromarray(rows).convert(kind).save(stream, "png")
    assert np.array_equal(decode_grey(stream.getvalue()), rows)


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_grey_of_16_bits_is_scaled(ending: str) -> None:
    deep = np.array([[0, 128, 129, 257, 32_767], [32_768, 65_000, 65_406, 65_407, 65_535]])
    stream = io.BytesIO()
    Image.fromarray(deep.astype(np.uint16)).save(stream, ending)
    assert decode_grey(stream.getvalue()).tolist() == np.rint(deep / 257).astype(int).tolist()
    assert decode_grey(stream.getvalue()).dtype == np.uint8


@pytest.mark.parametrize(
    "values", [np.array([[0.5, 1]], np.float32), np.array([[7, 65_536]], np.int32)]
)
def test_numbers_that_are_no_greys_are_refused(values: np.ndarray[Any, Any]) -> None:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "tiff")
    with pytest.raises(ValueError, match=r"its pixels are (float|int)32; expected 8 or 16"):
        decode_grey(stream.getvalue())


def test_of_several_frames_the_first_is_read() -> None:
    stream = io.BytesIO()
    frames = [Image.fromarray(np.full((5, 6), grey, np.uint8)) for grey in (255, 0)]
    frames[0].save(stream, "gif", save_all=True, append_images=frames[1:])
    assert decode_grey(stream.getvalue()).tolist() == [[255] * 6] * 5


def test_a_png_with_several_chunks_is_read() -> None:
    image = np.arange(28 * 40, dtype=np.uint8).reshape(1, 28, 40)
    data = encode_pngs(image, np.array([40]))[0]
    text = b"\0\0\0\5tEXta\0bcd" + b"\0\0\0\0"
    assert np.array_equal(decode_grey(data[:33] + text + data[33:]), image[0])


@pytest.mark.parametrize("cut", [10, 30, 40, 60, -20, -13])
def test_a_png_that_ends_too_early_is_refused(cut: int) -> None:
    image = np.arange(28 * 40, dtype=np.uint8).reshape(1, 28, 40)
    data = encode_pngs(image, np.array([40]))[0][:cut]
    with pytest.raises((ValueError, OSError, SyntaxError)):
        decode_grey(data)
