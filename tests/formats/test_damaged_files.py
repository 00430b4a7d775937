"""Containers of others, and datasets damaged in any place: read, or refused by name."""

import io
import os
import random
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES, Output, open_format, parquet
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import check_installed
from tests.helpers.mirror import write_idx
from tests.helpers.shelf import Split, refuse, write_dataset
from tests.helpers.shelf import read_dataset as read

COUNT = 9
IMAGE = np.arange(600, dtype=np.uint8).reshape(20, 30)
PNG: bytes = imageio.imwrite("<bytes>", IMAGE, extension=".png")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among files")
@pytest.mark.parametrize("name", ["a.png", "labels.npy", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device"])
def test_what_is_no_file_is_not_waited_for(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.png":
        (tmp_path / "labels.csv").write_text("file_name,text\na.png,7\n")
    elif name == "labels.npy":
        np.save(tmp_path / "images.npy", IMAGE[None])
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


def write_tar(folder: Path, *members: tuple[str, bytes], kind: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(folder / "a.tar", "w", format=kind) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return folder / "a.tar"


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_shards_of_others_are_read(kind: int, tmp_path: Path) -> None:
    keys = ["d/one", "two", "long" * 40]
    labels = [("cls", b"42"), ("txt", b"\xef\xbb\xbf42\n"), ("txt", b"42")]
    members = []
    for key, (ending, label) in zip(keys, labels, strict=True):
        members += [(f"{key}.png", PNG), (f"{key}.{ending}", label)]
    write_tar(tmp_path, *members, kind=kind)
    assert [(seen.name, seen.text) for seen in read(tmp_path)] == [
        (f"{key}.png", "42") for key in keys
    ]


@pytest.mark.parametrize("record", [b"[]", b"{", b"\xff", b"[" * 200_000, b'{"text": 1.5}'])
def test_a_wrong_record_in_a_tar_is_refused(record: bytes, tmp_path: Path) -> None:
    path = write_tar(tmp_path, ("one.png", PNG), ("one.json", record))
    assert f"one in {path} is damaged: " in refuse(tmp_path).message
    write_tar(tmp_path, ("one.txt", b"7"), ("one.txt", b"8"))
    assert "one.txt is there twice" in refuse(tmp_path).message


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\x7f" * 11, b"\xff" * 12])
def test_a_tar_that_claims_too_much_takes_no_memory(size: bytes, tmp_path: Path) -> None:
    path = write_tar(tmp_path, ("one.txt", b"7"))
    data = bytearray(path.read_bytes())
    data[124:136], data[148:156] = size, b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    assert str(path) in refuse(tmp_path).message


def write_parquet(folder: Path, image: Any, count: int = 1, **options: Any) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"image": [image] * count, "label": [*range(count)]})
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "a.parquet", **options)


def test_bare_or_vast_parquet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_VALUE_LIMIT_BYTES", 2**26)  # a quarter, for the time it takes
    for image in (None, b"", {"bytes": None, "path": "a.png"}, "a.png"):
        write_parquet(tmp_path, image)
        message = refuse(tmp_path).message
        assert message.startswith(f"row 1 in {tmp_path / 'a.parquet'} is damaged: it has no image")
    write_parquet(tmp_path, {"bytes": bytes(2**26 + 1), "path": "a.png"}, compression="zstd")
    assert "1 rows of it unpack to 67," in refuse(tmp_path).message


def test_parquet_without_paths_is_read(tmp_path: Path) -> None:
    count = 300  # more than are read at once
    write_parquet(tmp_path, {"bytes": PNG, "path": None}, count)
    found = read(tmp_path)
    assert [seen.text for seen in found] == [str(number) for number in range(count)]
    assert [seen.name for seen in found] == [f"a/{number + 1}" for number in range(count)]


LARGEST = {
    "folder": "images/00000/00000004.png",
    "webdataset": "data-000001.tar",
    "parquet": "part-00001.parquet",
    "lmdb": "lmdb/data.mdb",
    "hdf5": "data.h5",
    "npz": "data.npz",
    "npy": "boxes.npy",
    "idx": "train-labels-idx2-ubyte",
}


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


@pytest.mark.parametrize("case", [*FORMATS, *(f"folder {style}" for style in LABEL_STYLES)])
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
            for seen in open_format(Output(folder=spoilt, to=form)).read(spoilt):
                assert seen.image.ndim == 2, number
                assert seen.text.encode() is not None
        except OutputError:
            n_refused += 1
        shutil.rmtree(spoilt)
    assert n_refused > 10
    path = folder / LARGEST[form]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(OutputError) as caught:
        read(folder)
    assert str(path) in caught.value.message


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
        ({"labels": np.array([b"0350", b"", b"7", "é".encode()])}, ["0350", "", "7", "é"]),
        ({"labels": np.array(["0350", "", "7", "é"])}, ["0350", "", "7", "é"]),
    ],
)
def test_others_arrays(
    arrays: dict[str, Any], texts: str | list[str], form: str, tmp_path: Path
) -> None:
    if form == "hdf5" and "7" in arrays.get("labels", ()):
        return  # it has no strings of one width
    write_arrays(form, tmp_path, **arrays)
    found = read(tmp_path)
    assert [seen.text for seen in found] == [*texts]
    images = arrays.get("images", IMAGES).reshape(IMAGES.shape)
    images = images * np.uint8(255) if images.dtype == bool else images
    assert np.array_equal([seen.image for seen in found], images)
    for seen in found:
        boxes = None if seen.boxes is None else seen.boxes.tolist()
        assert boxes == ([[1, 1, 2, 3]] if "boxes" in arrays else None)


BOXES = np.tile([[[1, 1, 2, 3]]], (4, 1, 1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"boxes": BOXES * [[[91, 1, 1, 1]]]}, "the box 91, 1, 2, 3 (x, y, width, height) is not"),
        ({"boxes": BOXES, "labels": np.tile(LABELS[:, None], 2)}, "boxes of 1 digits, and labels"),
        ({"labels": LABELS[:3]}, "not equally long"),
    ],
)
def test_arrays_at_odds(arrays: dict[str, Any], message: str, form: str, tmp_path: Path) -> None:
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
def test_a_header_claiming_too_much_takes_no_memory(
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
def test_a_strange_hdf5_file_is_refused(
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
