"""Files of others, and files that are damaged: read as they are meant, or refused with a name."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from imageio import v3 as imageio
from PIL import Image

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES, Output, open_format
from mnistseq_cli.formats.images import decode_grey
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import check_installed
from tests.helpers.shelf import Split, write_dataset
from tests.helpers.shelf import read_dataset as read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

COUNT = 9
HUGE = 10**12
IMAGES = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
LABELS = np.array([3, 5, 0, 7])


def refuse(folder: Path) -> MnistseqError:
    """Give the error that reading ends with; it takes no memory to find it."""
    tracemalloc.start()
    try:
        with pytest.raises(OutputError) as caught:
            read(folder)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    return caught.value


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, np.full((20, 30), 255, np.uint8))


def write_yolo(folder: Path, lines: str) -> Path:
    write_image(folder / "images" / "a.png")
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(lines, encoding="utf-8")
    return folder / "labels" / "a.txt"


def write_arrays(form: str, folder: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    """Write arrays as others do; give the file of images."""
    if form == "npy":
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        return folder / "images.npy"
    if form == "npz":
        np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
        return folder / "data.npz"
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "data.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return folder / "data.h5"


@pytest.fixture(params=["npy", "npz", "hdf5"])
def arrays_form(request: pytest.FixtureRequest) -> str:
    check_installed(request.param)
    return str(request.param)


@pytest.mark.parametrize(
    "images",
    [
        (IMAGES / 255).astype(np.float32),
        IMAGES.astype(np.float32),
        IMAGES.astype(np.float64),
        IMAGES.astype(np.int64),
        IMAGES.astype(np.int8),
        IMAGES.astype(complex),
        IMAGES[..., None].repeat(3, axis=-1),
        IMAGES[:, 0],
        IMAGES[:, :0],
        IMAGES[0, 0, 0],
    ],
    ids=lambda images: f"{images.dtype}-{images.ndim}-{images.size}",
)
def test_images_that_are_no_greys_are_refused(
    images: np.ndarray[Any, Any], arrays_form: str, tmp_path: Path
) -> None:
    path = write_arrays(arrays_form, tmp_path, images=images, labels=LABELS)
    error = refuse(tmp_path)
    assert str(path) in error.message
    assert f"its images are {images.dtype} of shape {images.shape}; expected" in error.message
    assert "uint8 or bool of shape (N, height, width)" in error.message


def test_true_and_false_are_white_and_black(arrays_form: str, tmp_path: Path) -> None:
    write_arrays(arrays_form, tmp_path, images=IMAGES > 50, labels=LABELS)
    assert np.array_equal([seen.image for seen in read(tmp_path)], (IMAGES > 50) * np.uint8(255))


@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS.astype(">i2"), LABELS[:, None], LABELS.astype("S3")],
    ids=lambda labels: f"{labels.dtype}-{labels.ndim}",
)
def test_channels_and_labels_of_others_are_read(
    labels: np.ndarray[Any, Any], arrays_form: str, tmp_path: Path
) -> None:
    write_arrays(arrays_form, tmp_path, images=IMAGES[..., None], labels=labels)
    found = read(tmp_path)
    assert [seen.text for seen in found] == ["3", "5", "0", "7"]
    assert np.array_equal([seen.image for seen in found], IMAGES)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_labels_may_be_strings(form: str, tmp_path: Path) -> None:
    texts = ["0350", "", "7", "é"]
    write_arrays(form, tmp_path, images=IMAGES, labels=np.array(texts))
    assert [seen.text for seen in read(tmp_path)] == texts
    write_arrays(form, tmp_path, images=IMAGES, labels=np.array([t.encode() for t in texts]))
    assert [seen.text for seen in read(tmp_path)] == texts


WRONG_COLUMNS = {
    "labels": [
        LABELS / 1,
        LABELS > 3,
        LABELS.reshape(4, 1, 1, 1),
        np.zeros((4, 2, 2), int),
        np.array([["3", "5"]] * 4).astype("S1"),
    ],
    "lengths": [np.ones(4), np.ones((4, 2), int)],
    "boxes": [np.zeros((4, 1, 4)), np.zeros((4, 4), int), np.zeros((4, 1, 5), int)],
}


@pytest.mark.parametrize("name", WRONG_COLUMNS)
def test_columns_of_another_kind_are_refused(name: str, arrays_form: str, tmp_path: Path) -> None:
    for column in WRONG_COLUMNS[name]:
        write_arrays(arrays_form, tmp_path, **{"images": IMAGES, "labels": LABELS, name: column})
        message = refuse(tmp_path).message
        assert f"its {name} are {column.dtype} of shape {column.shape}; expected" in message


def test_boxes_go_with_images_and_labels(arrays_form: str, tmp_path: Path) -> None:
    boxes = np.tile([1, 1, 2, 3], (4, 1, 1))
    write_arrays(arrays_form, tmp_path, images=IMAGES, labels=LABELS, boxes=boxes)
    assert [seen.boxes.tolist() for seen in read(tmp_path) if seen.boxes is not None] == (
        boxes.tolist()
    )
    boxes[2, 0] = 90, 1, 2, 3
    write_arrays(arrays_form, tmp_path, images=IMAGES, labels=LABELS, boxes=boxes)
    assert "the box 90, 1, 2, 3 (x, y, width, height) is not in its image" in str(refuse(tmp_path))
    many = np.tile(LABELS[:, None], 2)
    write_arrays(arrays_form, tmp_path, images=IMAGES, labels=many, boxes=boxes)
    assert "boxes of 1 digits, and labels of 2" in str(refuse(tmp_path))


def write_header(shape: str, descr: str = "|u1") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


SHAPES = {
    "rows": f"({HUGE}, 28, 28)",
    "pixels": f"(4, {HUGE}, 28)",
    "all": f"({10**30}, {10**30}, {10**30})",
    "below 0": "(-4, 28, 28)",
    "no pixels": f"({HUGE}, 0, 28)",
    "no number": "(None, 28, 28)",
    "deep": "(" * 3000,
}


@pytest.mark.parametrize("form", ["npy", "npz"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_header_that_claims_too_much_takes_no_memory(
    form: str, shape: str, tmp_path: Path
) -> None:
    header = write_header(SHAPES[shape])
    if form == "npy":
        (tmp_path / "images.npy").write_bytes(header + bytes(100))
        np.save(tmp_path / "labels.npy", LABELS)
    else:
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("images.npy", header + bytes(100))
    assert str(tmp_path / ("" if form == "npy" else "x.npz")) in refuse(tmp_path).message


@pytest.mark.parametrize("descr", ["<U0", "<U999999999", "|V8", "|O", "<M8[s]", "<i2, <i4", "x"])
def test_labels_of_no_text_are_refused(descr: str, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    (tmp_path / "labels.npy").write_bytes(write_header("(4,)", descr) + bytes(100))
    assert str(tmp_path / "labels.npy") in refuse(tmp_path).message


def test_labels_of_no_unicode_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    (tmp_path / "labels.npy").write_bytes(write_header("(4,)", "<U1") + b"\xff" * 16)
    assert str(tmp_path) in refuse(tmp_path).message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x03\0\0\0\4",
        b"\1\0\x08\x03" + b"\xff" * 12,
        b"\0\0\x08\x03" + b"\xff" * 12,
        b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 28, 28) + bytes(1000),
        b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 0, 28),
        b"\0\0\x0d\x03" + struct.pack(">3I", 1, 2, 2) + bytes(16),
        b"\0\0\x0c\x03" + struct.pack(">3I", 1, 2, 2) + bytes(16),
        b"\0\0\x08\xff" + b"\xff" * 1020,
    ],
)
def test_an_idx_file_that_claims_too_much_takes_no_memory(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(data)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\1\7")
    assert str(path) in refuse(tmp_path).message


@pytest.mark.parametrize("axis", [0, 1])
def test_an_hdf5_file_that_claims_too_much_takes_no_memory(axis: int, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    shape = (HUGE, 28, 28) if axis == 0 else (4, 5000, 5000)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("images", shape, np.uint8, chunks=(1, 28, 28))
        file.create_dataset("labels", shape[:1], np.uint8, chunks=(1,))
    assert f"{tmp_path / 'data.h5'} is damaged: it ends too early" in refuse(tmp_path).message


@pytest.mark.parametrize("kind", ["a group", "nothing", "texts of any length"])
def test_an_hdf5_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = IMAGES
        if kind == "a group":
            file.create_group("labels")
        if kind == "texts of any length":  # h5py makes room for whatever length they claim
            file["labels"] = ["3", "5", "0", "7"]
    assert str(tmp_path / "data.h5") in refuse(tmp_path).message


@pytest.mark.parametrize("kind", ["external storage", "external link", "virtual"])
def test_an_hdf5_file_is_not_followed_to_another_file(kind: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(range(120)))
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images"] = IMAGES
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["labels"] = LABELS
        if kind == "external storage":
            storage = [(str(tmp_path / "secret"), 0, 120)]
            file.create_dataset("images", IMAGES.shape, "u1", external=storage)
        elif kind == "external link":
            file["images"] = h5py.ExternalLink("secret.h5", "images")
        else:
            layout = h5py.VirtualLayout(IMAGES.shape, "u1")
            layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "images", IMAGES.shape)
            file.create_virtual_dataset("images", layout)
    assert "images are no array that lies in the file itself" in refuse(tmp_path).message


def make_png(width: int, height: int, data: bytes) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data)]
    chunks.append((b"IEND", b""))
    packed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    "size",
    [(2**31, 2**31), (2**32 - 1, 2**32 - 1), (100_000, 100_000), (9000, 9000), (0, 0), (3, 0)],
)
def test_a_png_that_claims_too_much_takes_no_memory(size: tuple[int, int], tmp_path: Path) -> None:
    data = make_png(*size, zlib.compress(bytes(100)))
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "labels.csv").write_text("a.png,1\n")
    assert refuse(tmp_path).message.startswith(f"{tmp_path / 'a.png'} is damaged: it ")


@pytest.mark.parametrize("side", [8200, 10_000, 14_000])
def test_an_image_of_too_many_pixels_is_refused(side: int) -> None:
    stream = io.BytesIO()
    Image.new("1", (side, side)).save(stream, "tiff", compression="group4")
    with pytest.raises(ValueError, match=r"expected at most|more than"):
        decode_grey(stream.getvalue())


BOM = "\ufeff"
MARKED = {
    "labels.csv": "file_name,label\r\na.png,350\r\n",
    "gt.csv": "a.png,350\n",
    "metadata.jsonl": '{"file_name": "a.png", "text": "350"}\n',
    "labels.json": '{"a.png": "350"}',
    "rec_gt.txt": "a.png\t350\n",
    "x.tsv": "a.png\t350\n",
}


def test_a_byte_order_mark_is_no_class(tmp_path: Path) -> None:
    write_yolo(tmp_path, f"{BOM}7 0.5 0.5 0.2 0.5\n\n")
    assert [seen.text for seen in read(tmp_path)] == ["7"]


@pytest.mark.parametrize("name", MARKED)
def test_marked_utf_8_and_utf_16_are_read_and_another_encoding_is_named_with_its_line(
    name: str, tmp_path: Path
) -> None:
    write_image(tmp_path / "a.png")
    path = tmp_path / name
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes(MARKED[name].encode(encoding))
        assert [(seen.name, seen.text) for seen in read(tmp_path)] == [("a.png", "350")]
    path.write_bytes("\n\n\xe9.png,350\n".encode("latin-1"))
    assert refuse(tmp_path).message.startswith(f"{path}, line 3: the byte 0xe9 is not UTF-8")


@pytest.mark.parametrize("head", ["file_name\ttext", "Label\tid\tFileName", ""])
def test_a_tsv_file_may_have_a_header(head: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    row = "350\t1\ta.png" if head.startswith("Label") else "a.png\t350"
    (tmp_path / "x.tsv").write_text(f"{head}\n{row}\n")
    (seen,) = read(tmp_path)
    assert (seen.name, seen.text) == ("a.png", "350")


@pytest.mark.parametrize("sign", [",", "\t"])
def test_a_header_that_is_not_known_is_refused_with_those_that_are(
    sign: str, tmp_path: Path
) -> None:
    write_image(tmp_path / "a.png")
    path = tmp_path / ("x.csv" if sign == "," else "x.tsv")
    path.write_text(f"foo{sign}bar\na.png{sign}350\n")
    error = refuse(tmp_path)
    assert error.message == (
        f"{path}, line 1: 'foo,bar' is no header that is known, and there is no image 'foo'"
    )
    assert "file_name, filename, file" in error.hint
    assert "text, label, labels" in error.hint


@pytest.mark.parametrize("folder", ["", "images"])
def test_a_first_row_that_names_an_image_is_no_header(folder: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "a.png").rename(tmp_path / folder / "path")
    (tmp_path / "x.csv").write_text("path,350\n")
    assert [seen.text for seen in read(tmp_path)] == ["350"]


@pytest.mark.parametrize("row", ["{},1\n", "file_name,text\n{},1\n"])
def test_a_name_that_no_file_can_have_is_told_in_short(row: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(row.format("a" * 3000))
    assert len(refuse(tmp_path).message) < 600


def test_a_row_that_ends_too_early_is_told(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "rec_gt.txt").write_text("a.png\t350\na.pn")
    assert f"{tmp_path / 'rec_gt.txt'}, line 2: the row has 1 of" in refuse(tmp_path).message


DEEP = "[" * 200_000
RECORDS = {
    "no name": ('{"file_name": 3, "text": "1"}', "file_name is 3; expected a string"),
    "no text": ('{"file_name": "a.png", "text": null}', "text is None; expected a string"),
    "list": ('{"file_name": "a.png", "text": [3]}', "text is [3]; expected a string"),
    "share": ('{"file_name": "a.png", "text": 3.5}', "text is 3.5; expected a string"),
    "half": ('{"file_name": "a.png", "text": "\\ud800"}', "it is no UTF-8 text: surrogates not"),
    "long": (f'{{"file_name": "a.png", "text": "{"9" * 2000}"}}', "a text has 2,000 characters"),
    "long name": (f'{{"file_name": "{"a" * 5000}", "text": ""}}', "a name has 5,000 characters"),
    "deep": (DEEP, "it is nested too deep"),
}
BOXES = {
    "no numbers": '[["1", "2", "3", "4"]]',
    "no number": "[[NaN, 1, 2, 3]]",
    "endless": "[[1, 1, Infinity, 3]]",
    "huge": f"[[{10**30}, 1, 2, 3]]",
    "nothing": "[null]",
    "an object": '[{"x": 1, "y": 2, "w": 3, "h": 4}]',
    "too many": "[[1, 2, 3, 4, 5]]",
    "lists": "[[[1], [2], [3], [4]]]",
    "below 0": "[[3, 3, -2, 2]]",
    "beside": "[[31, 3, 2, 2]]",
    "above": "[[3, -9, 2, 2]]",
    "one": "7",
}
for _case, _boxes in BOXES.items():
    RECORDS[f"box {_case}"] = (
        f'{{"file_name": "a.png", "text": "1", "objects": {{"bbox": {_boxes}}}}}',
        "",
    )
for _numbers in ('"12"', "[[1]]", "[1.5]", "[true]", "{}", f"[{10**30}]"):
    RECORDS[f"gaps {_numbers[:9]}"] = (
        f'{{"file_name": "a.png", "text": "12", "gaps": {_numbers}}}',
        "gaps is ",
    )


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_of_another_kind_is_refused(case: str, tmp_path: Path) -> None:
    record, message = RECORDS[case]
    write_image(tmp_path / "a.png")
    path = tmp_path / "metadata.jsonl"
    path.write_text(f'{{"file_name": "a.png", "text": "7"}}\n{record}\n')
    error = refuse(tmp_path)
    outside = case in {"box below 0", "box beside", "box above"}
    start = f"a.png in {path} is damaged: the box" if outside else f"{path}, line 2: {message}"
    assert error.message.startswith(start)
    assert len(error.message) < len(str(path)) + 400


def test_boxes_of_fractions_are_rounded(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    boxes = [[1.6, 2.4, 3, 4.0], [5, -0.2, 24.9, 7]]
    record = {"file_name": "a.png", "text": "12", "objects": {"bbox": boxes}}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(record))
    (seen,) = read(tmp_path)
    assert seen.boxes is not None
    assert seen.boxes.tolist() == [[2, 2, 3, 4], [5, 0, 25, 7]]


COCO: dict[str, Any] = {
    "categories": [{"id": 1, "name": "7"}],
    "images": [{"id": 5, "file_name": "a.png"}],
    "annotations": [{"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4]}],
}
JUNK: list[Any] = [None, True, 3, -1.5, float("nan"), 10**30, "x", [], {}, [[]], [{}], {"a": [1]}]


def spoil(value: Any) -> Iterator[Any]:
    """Give copies of a JSON value, each with something of another type in one place."""
    yield from JUNK
    for key in value if isinstance(value, dict) else ():
        yield {name: value[name] for name in value if name != key}
        yield from (value | {key: spoilt} for spoilt in spoil(value[key]))
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from ([*value[:place], spoilt, *value[place + 1 :]] for spoilt in spoil(item))


LISTED = {
    "instances.json": COCO,
    "textrecog.json": {"data_list": [{"img_path": "a.png", "instances": [{"text": "7"}]}]},
    "labels.json": {"a.png": {"text": "7"}},
    "metadata.jsonl": {
        "file_name": "a.png",
        "text": "7",
        "objects": {"bbox": [[1, 2, 3, 4]]},
        "gaps": [1],
    },
}


@pytest.mark.parametrize("name", LISTED)
def test_json_of_another_type_in_any_place_is_no_crash(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    refused = []
    for values in spoil(LISTED[name]):
        (tmp_path / name).write_text(json.dumps(values))
        try:
            found = read(tmp_path)
        except OutputError as error:
            refused.append(error.message)
        else:
            assert all(isinstance(seen.text, str) for seen in found)
    assert len(refused) > len(JUNK)
    assert all(str(tmp_path) in message for message in refused)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("names:\n  0: 'a'\n  1: b\n", "b"),
        ("names: ['a', \"b\"]\nnc: 2\n", "b"),
        ("path: .\nnames:\n- a\n- b\nnc: 2\n", "b"),
        ("names: {0: a, 1: b}\n", "b"),
        ("nc: 2\n", "1"),
    ],
)
def test_names_of_yolo_classes_are_read_in_all_their_forms(
    names: str, text: str, tmp_path: Path
) -> None:
    write_yolo(tmp_path, "1 0.5 0.5 0.2 0.5\n")
    (tmp_path / "data.yaml").write_text(names)
    assert [seen.text for seen in read(tmp_path)] == [text]


@pytest.mark.parametrize(
    "line", ["2 0.5 0.5 0.2 0.5", "1 nan 0.5 0.2 0.5", "1 3 0.5 0.2 0.5", "1"]
)
def test_a_wrong_yolo_label_is_refused(line: str, tmp_path: Path) -> None:
    path = write_yolo(tmp_path, line)
    (tmp_path / "data.yaml").write_text("names: [a, b]")
    assert str(path) in refuse(tmp_path).message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among files")
def test_a_folder_that_leads_back_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, "")
    (tmp_path / "images" / "b").symlink_to(tmp_path / "images")
    assert "leads back to" in refuse(tmp_path).message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among files")
@pytest.mark.parametrize("name", ["a.png", "labels.npy", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device"])
def test_what_is_no_file_is_not_waited_for(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.png":
        (tmp_path / "labels.csv").write_text("file_name,text\na.png,7\n")
    elif name == "labels.npy":
        np.save(tmp_path / "images.npy", IMAGES)
    else:
        (tmp_path / "train-images-idx3-ubyte").write_bytes(
            b"\0\0\x08\3" + bytes([0, 0, 0, 1] * 3 + [9])
        )
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    assert str(path) in refuse(tmp_path).message


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_a_tar_are_read(kind: int, tmp_path: Path) -> None:
    image = imageio.imwrite("<bytes>", IMAGES[0], extension=".png")
    names = [f"{'long' * 40}{number}" for number in range(3)]
    with tarfile.open(tmp_path / "a.tar", "w", format=kind) as tar:
        for name in names:
            add(tar, f"{name}.png", image)
            add(tar, f"{name}.txt", f"{BOM}42\n".encode())
    assert [(seen.name, seen.text) for seen in read(tmp_path)] == [
        (f"{name}.png", "42") for name in names
    ]


@pytest.mark.parametrize("record", [b"[]", b"{", b"\xff", DEEP.encode(), b'{"text": 1.5}'])
def test_a_wrong_record_in_a_tar_is_refused(record: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "one.png", imageio.imwrite("<bytes>", IMAGES[0], extension=".png"))
        add(tar, "one.json", record)
    assert f"one in {tmp_path / 'a.tar'} is damaged: " in refuse(tmp_path).message


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\x7f" * 11, b"\xff" * 12])
def test_a_tar_that_claims_too_much_takes_no_memory(size: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "one.txt", b"7")
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[124:136], data[148:156] = size, b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "a.tar").write_bytes(data)
    assert str(tmp_path / "a.tar") in refuse(tmp_path).message


def test_a_file_that_is_twice_in_a_sample_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "one.txt", b"7")
        add(tar, "one.txt", b"8")
    assert "one.txt is there twice" in refuse(tmp_path).message


@pytest.mark.parametrize("image", [None, b"", {"bytes": None, "path": "a.png"}, "a.png"])
def test_parquet_without_images_is_refused(image: Any, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"image": [image], "text": ["7"]}), tmp_path / "a.parquet")
    message = refuse(tmp_path).message
    assert message.startswith(f"row 1 in {tmp_path / 'a.parquet'} is damaged: it has no image")


def test_parquet_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    image = {"bytes": bytes(2**28 + 1), "path": "a.png"}
    table = arrow.table({"image": [image], "text": ["7"]})
    parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    del table, image
    assert "1 rows of it unpack to 268," in refuse(tmp_path).message


def test_parquet_without_paths_is_read(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    image = {"bytes": imageio.imwrite("<bytes>", IMAGES[0], extension=".png"), "path": None}
    count = 300  # more than are read at once
    table = arrow.table({"image": [image] * count, "label": [*range(count)]})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = read(tmp_path)
    assert [seen.text for seen in found] == [str(number) for number in range(count)]
    assert [seen.name for seen in found] == [f"a/{number + 1}" for number in range(count)]


CASES = [*FORMATS, *(f"folder {style}" for style in LABEL_STYLES)]


def damage(data: bytes, dice: random.Random) -> bytes:
    """Spoil some bytes, early ones more often: there are the headers."""
    spoilt = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5])):
        at = int(len(spoilt) * dice.random() ** dice.choice([1, 6]))
        kind = dice.randrange(5)
        if kind == 0:
            del spoilt[at:]
        elif kind == 1:
            spoilt[at : at + 8] = dice.choice([b"\xff" * 8, bytes(8), b"\xff\xff\xff\x7f"])
        elif kind == 2:
            spoilt[at:at] = dice.choice([b"[" * 5000, b"\xff", b"\0", b'"', b"\n", b"-1", b"NaN"])
        elif kind == 3:
            del spoilt[at : at + dice.randrange(1, 60)]
        elif at < len(spoilt):
            spoilt[at] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


@pytest.mark.parametrize("case", CASES)
def test_no_damage_is_a_crash(case: str, glyphs: GlyphSet, tmp_path: Path) -> None:
    form, _, style = case.partition(" ")
    check_installed(form)
    folder, dice = tmp_path / "whole", random.Random(case)  # noqa: S311 - the same each time
    output = Output(folder=folder, to=form, labels=(style or "jsonl",))
    generator = SequenceGenerator(Recipe(length=(1, 3), count=COUNT, seed=5), glyphs)
    write_dataset(output, generator, [Split("", 0, COUNT)])
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    n_refused = 0
    for number in range(60):
        spoilt = tmp_path / "spoilt"
        shutil.copytree(folder, spoilt)
        name = dice.choice([files[-1], dice.choice(files)])
        (spoilt / name).write_bytes(damage((folder / name).read_bytes(), dice))
        try:
            open_it = open_format(Output(folder=spoilt, to=form))
            for seen in open_it.read(spoilt):
                assert seen.image.ndim == 2, number
                assert seen.text.encode() is not None
        except OutputError:
            n_refused += 1
        shutil.rmtree(spoilt)
    assert n_refused > 10
