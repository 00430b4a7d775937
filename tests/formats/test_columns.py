"""Arrays of others and damaged ones: read as they are meant, or refused with a name."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mnistseq_cli.errors import OutputError
from tests.helpers.bulk_cases import check_installed
from tests.helpers.mirror import write_idx
from tests.helpers.shelf import read_dataset as read
from tests.helpers.shelf import refuse

if TYPE_CHECKING:
    from mnistseq_cli.glyphs.glyph_set import GlyphSet

HUGE = 10**12
IMAGES = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
LABELS = np.array([3, 5, 0, 7])
FILES = {"npy": "images.npy", "npz": "data.npz", "hdf5": "data.h5"}


def write_arrays(form: str, folder: Path, **arrays: np.ndarray[Any, Any]) -> None:
    """Write arrays as others do."""
    arrays = {"images": IMAGES, "labels": LABELS} | arrays
    if form == "npy":
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
    elif form == "npz":
        np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    else:
        with pytest.importorskip("h5py").File(folder / "data.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array


@pytest.fixture(params=FILES)
def form(request: pytest.FixtureRequest) -> str:
    check_installed(request.param)
    return str(request.param)


WRONG_COLUMNS: dict[str, list[np.ndarray[Any, Any]]] = {
    "images": [
        (IMAGES / 255).astype(np.float32),
        IMAGES.astype(np.float64),
        IMAGES.astype(np.int64),
        IMAGES.astype(np.int8),
        IMAGES.astype(complex),
        IMAGES[..., None].repeat(3, axis=-1),
        IMAGES[:, 0],
        IMAGES[:, :0],
        IMAGES[0, 0, 0],
    ],
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
def test_columns_of_another_kind_are_refused(name: str, form: str, tmp_path: Path) -> None:
    for column in WRONG_COLUMNS[name]:
        write_arrays(form, tmp_path, **{name: column})
        message = refuse(tmp_path).message
        assert str(tmp_path / FILES[form].replace("images", name)) in message
        assert f"its {name} are {column.dtype} of shape {column.shape}; expected" in message
    if name == "images":
        assert "uint8 or bool of shape (N, height, width)" in message


@pytest.mark.parametrize(
    ("arrays", "texts"),
    [
        ({"images": IMAGES > 50}, "3507"),  # what is true is white
        ({"labels": LABELS.astype(">i2")}, "3507"),
        ({"labels": LABELS[:, None], "images": IMAGES[..., None]}, "3507"),
        ({"labels": LABELS.astype("S3")}, "3507"),
        ({"labels": np.array([[9, 10], [35, 36], [61, 62], [7, -1]])}, ["9A", "Za", "z?", "7"]),
        ({"boxes": np.tile([1, 1, 2, 3], (4, 1, 1))}, "3507"),
    ],
)
def test_arrays_of_others_are_read(
    arrays: dict[str, Any], texts: str | list[str], form: str, tmp_path: Path
) -> None:
    write_arrays(form, tmp_path, **arrays)
    found = read(tmp_path)
    assert [seen.text for seen in found] == [*texts]
    images = arrays.get("images", IMAGES).reshape(IMAGES.shape)
    images = images * np.uint8(255) if images.dtype == bool else images
    assert np.array_equal([seen.image for seen in found], images)
    for seen in found:
        boxes = None if seen.boxes is None else seen.boxes.tolist()
        assert boxes == ([[1, 1, 2, 3]] if "boxes" in arrays else None)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_labels_may_be_strings(form: str, tmp_path: Path) -> None:
    texts = ["0350", "", "7", "é"]
    for labels in (texts, [text.encode() for text in texts]):
        write_arrays(form, tmp_path, labels=np.array(labels))
        assert [seen.text for seen in read(tmp_path)] == texts


BOXES = np.tile([[[1, 1, 2, 3]]], (4, 1, 1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"boxes": BOXES * [[[91, 1, 1, 1]]]}, "the box 91, 1, 2, 3 (x, y, width, height) is not"),
        ({"boxes": BOXES, "labels": np.tile(LABELS[:, None], 2)}, "boxes of 1 digits, and labels"),
        ({"labels": LABELS[:3]}, "not equally long"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(
    arrays: dict[str, Any], message: str, form: str, tmp_path: Path
) -> None:
    write_arrays(form, tmp_path, **arrays)
    assert message in refuse(tmp_path).message


def test_missing_labels_are_named_and_objects_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    with pytest.raises(OutputError, match=r"it has no labels"):
        read(tmp_path)
    np.save(tmp_path / "images.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(OutputError, match="Python objects"):
        read(tmp_path)


def make_npy(shape: str, descr: str = "|u1", data: bytes = bytes(100)) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def zip_images(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("images.npy", data)
    return stream.getvalue()


SHAPES = [f"({HUGE}, 28, 28)", f"(4, {HUGE}, 28)", f"({10**30}, {10**30}, {10**30})"]
SHAPES += ["(-4, 28, 28)", f"({HUGE}, 0, 28)", "(None, 28, 28)", "(" * 3000]
DTYPES = ["<U0", "<U999999999", "|V8", "|O", "<M8[s]", "<i2, <i4", "x"]
IDX = [
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
]
CLAIMS = [
    *(("images.npy", make_npy(shape)) for shape in SHAPES),
    *(("data.npz", zip_images(make_npy(shape))) for shape in SHAPES),
    *(("labels.npy", make_npy("(4,)", descr)) for descr in DTYPES),
    ("labels.npy", make_npy("(4,)", "<U1", b"\xff" * 16)),  # no Unicode
    *(("train-images-idx3-ubyte", data) for data in IDX),
]


@pytest.mark.parametrize(("name", "data"), CLAIMS, ids=range(len(CLAIMS)))
def test_a_header_that_claims_too_much_takes_no_memory(
    name: str, data: bytes, tmp_path: Path
) -> None:
    if name.endswith("npy"):
        write_arrays("npy", tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\1\7")
    (tmp_path / name).write_bytes(data)
    assert str(tmp_path if name.endswith("npy") else tmp_path / name) in refuse(tmp_path).message


def spoil_hdf5(file: Any, kind: str) -> None:
    h5py, folder = pytest.importorskip("h5py"), Path(file.filename).parent
    if kind in ("rows", "pixels"):
        shape = (HUGE, 28, 28) if kind == "rows" else (4, 5000, 5000)
        file.create_dataset("images", shape, np.uint8, chunks=(1, 28, 28))
        file.create_dataset("labels", shape[:1], np.uint8, chunks=(1,))
        return
    if kind == "texts":
        file["labels"] = ["3", "5", "0", "7"]  # h5py makes room for whatever length they claim
    elif kind == "group":
        file.create_group("labels")
    elif kind != "nothing":
        file["labels"] = LABELS
    if kind == "external storage":
        storage = [(str(folder / "secret"), 0, 120)]
        file.create_dataset("images", IMAGES.shape, "u1", external=storage)
    elif kind == "external link":
        file["images"] = h5py.ExternalLink("secret.h5", "images")
    elif kind == "virtual":
        layout = h5py.VirtualLayout(IMAGES.shape, "u1")
        layout[:] = h5py.VirtualSource(folder / "secret.h5", "images", IMAGES.shape)
        file.create_virtual_dataset("images", layout)
    else:
        file["images"] = IMAGES


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (("rows", "pixels"), "it ends too early"),
        (("texts", "group", "nothing"), "labels"),
        (("external storage", "external link", "virtual"), "in the file itself"),
    ],
)
def test_an_hdf5_file_of_another_kind_is_refused_and_not_followed(
    kinds: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(range(120)))
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images"] = IMAGES
    for kind in kinds:
        with h5py.File(tmp_path / "data.h5", "w") as file:
            spoil_hdf5(file, kind)
        error = refuse(tmp_path)
        assert str(tmp_path / "data.h5") in error.message
        assert message in error.message


def test_the_files_of_mnist_and_keras_are_read(glyphs: GlyphSet, tmp_path: Path) -> None:
    idx, keras = tmp_path / "idx", tmp_path / "keras"
    idx.mkdir()
    keras.mkdir()
    arrays: dict[str, Any] = {}
    for split, part in (("train", slice(0, 7)), ("test", slice(7, 10))):
        arrays |= {f"x_{split}": glyphs.images[part], f"y_{split}": glyphs.labels[part]}
        prefix = split.replace("test", "t10k")
        write_idx(idx / f"{prefix}-images-idx3-ubyte", glyphs.images[part])
        write_idx(idx / f"{prefix}-labels-idx1-ubyte", glyphs.labels[part])
    np.savez(keras / "mnist.npz", **arrays)
    for folder in (idx, keras):
        found = read(folder)
        assert [seen.split for seen in found] == ["train"] * 7 + ["test"] * 3
        assert [seen.text for seen in found] == [str(label) for label in glyphs.labels[:10]]
        assert all(map(np.array_equal, [seen.image for seen in found], glyphs.images))
