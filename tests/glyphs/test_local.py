"""Glyphs of the user come out as light ink on clean paper, or are refused."""

import gzip
import io
import lzma
import os
import pickle
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from PIL import Image

from mnistseq_cli.errors import GlyphError, UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet, measure_ink
from mnistseq_cli.glyphs.idx import encode_idx, read_idx
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.strokes import draw_glyphs
from tests.helpers.mirror import draw_tiny, flip, write_idx, write_pair, write_picture

IMAGES, LABELS = draw_tiny(20, 1)
OTHER_IMAGES, OTHER_LABELS = draw_tiny(30, 2)


def read(path: Path, split: str = "train") -> GlyphSet:
    return load_glyphs(str(path), split)


def has_splits(path: Path) -> bool:
    return len(read(path, "all")) > len(read(path, "test"))


def refuse(path: Path, message: str) -> None:
    with pytest.raises(GlyphError, match=message):
        read(path)


def pack(folder: Path, archive: str) -> Path:
    """Pack a folder, if it is to be packed."""
    if not archive:
        return folder
    return Path(shutil.make_archive(str(folder.with_name("packed")), archive, folder))


def write_npz(path: Path, **arrays: NDArray[Any]) -> Path:
    train, test = {"x_train": OTHER_IMAGES, "y_train": OTHER_LABELS}, {"x_test": IMAGES}
    standard = train | test | {"y_test": LABELS}
    np.savez_compressed(path, allow_pickle=True, **(standard | arrays))
    return path


def is_right(path: Path, *, other: bool = False, split: str = "train") -> bool:
    found = read(path, split)
    assert found.images.dtype == found.labels.dtype == np.uint8
    assert found.alphabet == "0123456789"
    images, labels = (OTHER_IMAGES, OTHER_LABELS) if other else (IMAGES, LABELS)
    order = np.argsort(labels, kind="stable")
    return np.array_equal(found.images[found.ids], images[order]) and np.array_equal(
        found.labels[found.ids], labels[order]
    )


def add_litter(folder: Path) -> None:
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX/._train-images-idx3-ubyte").write_bytes(b"\0\5\x16\7" + bytes(60))
    (folder / ".DS_Store").write_bytes(b"x")


def check_both(path: Path) -> None:
    assert is_right(path, split="train", other=True)
    assert is_right(path, split="test")
    assert has_splits(path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize("packed", ["images-idx3", "images-idx3 labels-idx1"])
def test_a_pair_by_its_file_and_its_folder(packed: str, suffix: str, tmp_path: Path) -> None:
    write_pair(tmp_path, IMAGES, LABELS, "my-")
    for kind in packed.split():
        path = tmp_path / f"my-{kind}-ubyte"
        data = path.read_bytes()
        path.unlink()
        packed_data = {"": data, ".gz": gzip.compress(data), ".xz": lzma.compress(data)}[suffix]
        path.with_name(f"{path.name}{suffix}").write_bytes(packed_data)
    for path in (tmp_path, next(tmp_path.glob("*images*"))):
        assert is_right(path, split="train")
        assert is_right(path, split="test")
        assert not has_splits(path)
    assert suffix or isinstance(read(tmp_path).images.base, np.memmap)


@pytest.mark.parametrize(
    "place",
    [
        str,
        lambda name: name.replace("-idx", ".idx"),
        lambda name: f"{name}/{name}",
        lambda name: name.replace("train-", "training/").replace("t10k-", "testing/"),
        lambda name: f"in/{name}",
    ],
)
@pytest.mark.parametrize("archive", ["", "zip", "tar", "gztar", "xztar"])
def test_two_pairs_wherever(place: Callable[[str], str], archive: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for prefix, kind, array in (
        *(("train", "images-idx3", OTHER_IMAGES), ("train", "labels-idx1", OTHER_LABELS)),
        *(("t10k", "images-idx3", IMAGES), ("t10k", "labels-idx1", LABELS)),
    ):
        write_idx(source / place(f"{prefix}-{kind}-ubyte"), array)
    add_litter(source)
    check_both(pack(source, archive))


def test_several_pairs_without_a_split_are_refused(tmp_path: Path) -> None:
    for prefix in ("a-", "b-"):
        write_pair(tmp_path, IMAGES, LABELS, prefix)
    with pytest.raises(GlyphError, match="2 sets of glyphs") as caught:
        read(tmp_path)
    assert "a-images-idx3-ubyte, b-images-idx3-ubyte" in caught.value.message
    assert is_right(tmp_path / "a-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, :2, :3], LABELS, r"shape \(20, 2, 3\)"),
        (IMAGES.astype(np.int32) * 9, LABELS, "levels from 0 to"),
        (IMAGES / 127.5 - 1, LABELS, "levels from -1.0 to"),
        (IMAGES * np.nan, LABELS, "levels from nan"),
        (IMAGES[:-1], LABELS, "19 images, but .* 20 labels"),
        (IMAGES[:0], LABELS, "holds 0 images"),
        (IMAGES.astype("U3"), LABELS, "expected numbers"),
        (IMAGES, LABELS + np.uint8(1), "labels from 1 to 10; expected whole numbers from 0 to 9"),
        (IMAGES, LABELS.astype(np.int32) - 1, "labels from -1 to 8"),
    ],
)
def test_wrong_arrays(
    images: NDArray[Any], labels: NDArray[Any], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", images=images, labels=labels, allow_pickle=True)
    refuse(tmp_path / "x.npz", message)
    if images.size and images.dtype in {np.dtype(np.uint8), np.dtype(np.int32)}:
        refuse(write_pair(tmp_path, images, labels), message)


def test_what_is_no_set_of_glyphs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    refuse(tmp_path / "notes.txt", "expected an IDX pair")
    np.savez(tmp_path / "x.npz", x_train=IMAGES)
    refuse(tmp_path / "x.npz", "has x_train, but no y_train")
    (tmp_path / "x.npz").unlink()
    (tmp_path / "7").mkdir()
    refuse(tmp_path, "one sub-folder of pictures per class")
    write_picture(tmp_path / "seven/x.png", IMAGES[0])
    refuse(tmp_path, "named by one character")
    write_idx(tmp_path / "images-idx3-ubyte", IMAGES)
    refuse(tmp_path, "labels")


def write_table(path: Path, columns: NDArray[Any], header: str = "") -> Path:
    lines = (",".join(map(str, row)) + "\n" for row in columns.tolist())
    path.write_text(header + "".join(lines))
    return path


@pytest.mark.parametrize(
    ("name", "alphabet", "first"),
    [
        ("emnist-digits-train-", "0123456789", 0),
        ("EMNIST-Letters-Train-", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
        ("gzip/emnist-balanced-", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt", 0),
        ("emnist-letters-train.csv", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
    ],
)
def test_emnist_is_turned_upright(name: str, alphabet: str, first: int, tmp_path: Path) -> None:
    images = IMAGES.transpose(0, 2, 1)
    labels = (np.arange(20) % len(alphabet) + first).astype(np.uint8)
    (tmp_path / "gzip").mkdir()
    if name.endswith(".csv"):
        write_table(tmp_path / name, np.column_stack([labels, images.reshape(-1, 784)]))
    else:
        write_pair(tmp_path, images, labels, name)
    found = read(tmp_path)
    assert np.array_equal(found.images, IMAGES)
    assert found.alphabet == alphabet
    assert np.array_equal(found.labels, labels - first)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"y_test": LABELS.astype(np.int64), "y_train": OTHER_LABELS[:, None]},
        {"x_train": np.asfortranarray(OTHER_IMAGES), "x_test": IMAGES.astype(np.int64)},
        {"x_train": (OTHER_IMAGES / 255).astype(np.float32), "x_test": IMAGES / 255},
        {"x_train": OTHER_IMAGES[..., None], "x_test": IMAGES[:, None]},
        {"x_train": OTHER_IMAGES.reshape(-1, 784)},
        {"y_train": np.eye(10, dtype=np.float32)[OTHER_LABELS], "y_test": np.eye(10)[LABELS] > 0},
    ],
)
def test_an_npz(arrays: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    path = write_npz(tmp_path / "mnist.npz", **arrays)
    check_both(path)
    check_both(tmp_path)
    np.savez(path, images=IMAGES, labels=LABELS)
    assert is_right(path, split="test")
    assert not has_splits(path)


@pytest.mark.parametrize("paper", [0, 255])
def test_single_digits_that_are_narrower_than_glyphs(paper: int, tmp_path: Path) -> None:
    ink = np.zeros((10, 28, 20), np.uint8)
    ink[:, 5:20, 2:] = np.arange(60, 255, 20, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    ink[:, 9, 9] = 255
    np.savez(tmp_path / "x.npz", images=255 - ink if paper else ink, labels=np.arange(10))
    assert (read(tmp_path / "x.npz").images == np.pad(ink, ((0, 0), (0, 0), (4, 4)))).all()
    larger = np.pad(ink, ((0, 0), (2, 2), (6, 6)))
    np.savez(tmp_path / "x.npz", images=larger, labels=np.arange(10))
    assert np.array_equal(read(tmp_path / "x.npz").images, larger)


class Bomb:
    """What a pickle that does something looks like."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "bomb.npz", x_train=np.array([Bomb()]))
    refuse(path, "pickles")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(Bomb()))
        archive.writestr("y_train.npy", pickle.dumps(Bomb()))
    refuse(path, "damaged")
    (tmp_path / "mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps(Bomb())))
    refuse(tmp_path / "mnist.pkl.gz", "savez")


@pytest.mark.parametrize(
    "shape", [(10**13 // 784, 28, 28), (21, 28, 28), (2**62, 2**62), (0, 28, 28), (1,) * 71]
)
def test_a_header_claiming_too_much_takes_no_memory(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train.npy", "y_train.npy"):
            archive.writestr(name, header.getvalue() + IMAGES.tobytes())
    tracemalloc.start()
    try:
        refuse(path, r"x_train.* is damaged")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"no zip file", b"PK\x03\x04" + bytes(40)])
@pytest.mark.parametrize("name", ["x.npz", "x.zip", "x.tar.gz", "x.parquet", "x.csv"])
def test_a_file_that_is_not_what_its_name_says(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    refuse(tmp_path / name, "x")


PIXEL_NAMES = ",".join(f"pixel{number}" for number in range(784)) + "\n"


@pytest.mark.parametrize("header", [f"label,{PIXEL_NAMES}", ""])
@pytest.mark.parametrize("label_last", [True, False])
def test_a_table(*, header: str, label_last: bool, tmp_path: Path) -> None:
    pixels = IMAGES.reshape(-1, 784).copy()
    pixels[:, 0] = 0
    columns = [pixels, LABELS] if label_last else [LABELS, pixels]
    write_table(tmp_path / "train.csv", np.column_stack(columns), header)
    write_table(tmp_path / "test.csv", pixels, PIXEL_NAMES)  # as Kaggle's, without labels
    for path in (tmp_path / "train.csv", tmp_path):
        assert np.array_equal(read(path).images.reshape(-1, 784), pixels)
        assert np.array_equal(read(path).labels, LABELS)
    refuse(tmp_path / "test.csv", r"784 columns(.|\n)*take train\.csv")


def test_a_parquet_file_of_hugging_face(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "mnist").mkdir()
    for name, images, labels in (("train", OTHER_IMAGES, OTHER_LABELS), ("test", IMAGES, LABELS)):
        packed = [io.BytesIO() for _ in images]
        for file, image in zip(packed, images, strict=True):
            Image.fromarray(image).save(file, "PNG")
        rows = [{"bytes": file.getvalue(), "path": None} for file in packed]
        table = pyarrow.table({"image": rows, "label": labels.astype(np.int64)})
        parquet.write_table(table, tmp_path / f"mnist/{name}-00000-of-00001.parquet")
    check_both(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_a_folder_of_class_folders(suffix: str, tmp_path: Path) -> None:
    for i in (3, 0, 2, 1):
        write_picture(tmp_path / f"{'ba'[i % 2]}/{i}.{suffix}", IMAGES[i])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a/notes.txt").touch()
    add_litter(tmp_path)
    found = read(tmp_path)
    assert found.alphabet == "ab"
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(found.images, IMAGES[[1, 3, 0, 2]])
    assert not has_splits(tmp_path)


@pytest.mark.parametrize("archive", ["", "zip", "gztar"])
@pytest.mark.parametrize("names", [("train", "test"), ("training", "testing")])
def test_class_folders_with_splits(names: tuple[str, str], archive: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, *glyphs in zip(names, (OTHER_IMAGES, IMAGES), (OTHER_LABELS, LABELS), strict=True):
        for number, (image, label) in enumerate(zip(*glyphs, strict=True)):
            write_picture(source / f"{name}/{label}/{number:03d}.png", image)
    check_both(pack(source, archive))


def test_pictures_in_colour_and_with_transparency(tmp_path: Path) -> None:
    grey = 255 - IMAGES[0]
    full = np.full_like(grey, 255)
    write_picture(tmp_path / "0/a.png", np.stack([grey, grey, grey], axis=-1))
    write_picture(tmp_path / "0/b.png", np.stack([grey, grey, grey, full], axis=-1))
    write_picture(tmp_path / "0/c.png", np.stack([0 * grey] * 3 + [IMAGES[0]], axis=-1))
    for image in read(tmp_path).images:
        assert np.array_equal(image, IMAGES[0])
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = IMAGES[0] // 2 * 2
    write_picture(tmp_path / "red/0/d.png", red)
    expected = (red[..., 0].astype(int) * 299 + 500) // 1000
    assert np.array_equal(read(tmp_path / "red").images[0], expected)


@pytest.mark.parametrize("paper", [0, 255])
def test_pictures_of_any_size_keep_their_proportions(paper: int, tmp_path: Path) -> None:
    # The ink is a rectangle in the middle, a quarter of the height and an eighth of it wide.
    for number, (height, width) in enumerate(((40, 20), (64, 64), (160, 90), (900, 300))):
        ink = np.zeros((height, width), np.uint8)
        top, left = height * 3 // 8, (width - height // 8) // 2
        ink[top : top + height // 4, left : left + height // 8] = 255
        write_picture(tmp_path / f"{number}/a.png", 255 - ink if paper else ink)
    glyphs = read(tmp_path)
    assert glyphs.images.shape == (4, 256, 256)
    for height in (28, 64, 256):
        left, top, width, high = glyphs.at_height(height).measure(np.arange(4)).T
        assert np.abs(high - height / 4).max() <= 2
        assert np.abs(width - height / 8).max() <= 2
        assert np.abs(2 * left + width - height).max() <= 7


def test_a_picture_that_cannot_be_a_glyph(tmp_path: Path) -> None:
    path = tmp_path / "1/x.png"
    for pixels, message in (
        (np.zeros((2, 3), np.uint8), "3 by 2 pixels; expected 4 to 4096"),
        (np.zeros((28, 28), np.uint16), "more than 8 bits"),
    ):
        write_picture(path, pixels)
        refuse(tmp_path, message)
    write_picture(path, IMAGES[0])
    data = path.read_bytes()
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\nshowpage\n%%EOF\n"
    for damaged in (b"", b"text", data[:60], data[:20] + bytes(60), eps):
        path.write_bytes(damaged)
        refuse(tmp_path, r"1.x\.png")
    path.unlink()
    os.mkfifo(path)
    refuse(tmp_path, r"1.x\.png")


GOOD = b"\0\0\x08\x03" + b"\0\0\0\x02" + b"\0\0\0\x1c" * 2 + bytes(2 * 784)
PAIRS = b"\0\0\x0c\x02\0\0\0\x02\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff"
SHAPES = npst.array_shapes(min_dims=1, max_dims=3, max_side=5)


@given(npst.arrays(np.uint8, SHAPES) | npst.arrays(np.int32, SHAPES))
def test_idx(tmp_path_factory: pytest.TempPathFactory, array: NDArray[np.integer[Any]]) -> None:
    path = tmp_path_factory.mktemp("idx") / "a-ubyte"
    write_idx(path, array)
    assert path.read_bytes() == encode_idx(array)
    packed = path.with_name("a-ubyte.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for again in (read_idx(path), read_idx(packed)):
        assert again.shape == array.shape
        assert np.array_equal(again, array)


def test_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    assert encode_idx(np.zeros((2, 28, 28), np.uint8)) == GOOD
    (tmp_path / "pairs").write_bytes(PAIRS)
    assert read_idx(tmp_path / "pairs").tolist() == [[7], [-1]]
    assert encode_idx(np.array([[7], [-1]], np.int32)) == PAIRS
    (tmp_path / "good").write_bytes(GOOD)
    mapped = read_idx(tmp_path / "good")
    assert type(mapped) is np.ndarray
    assert isinstance(mapped.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 1


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no IDX file"),
        (b"\0\0", "no IDX file"),
        (b"\x89PNG\r\n", "no IDX file"),
        (b"\0\0\x0d\x03" + GOOD[4:], "type 0x0d"),
        (b"\0\0\x08\x00" + GOOD[4:], "0 axes"),
        (b"\0\0\x08\xff" + GOOD[4:], "255 axes"),
        (GOOD[:9], "ends within"),
        (GOOD[:-1], "its header says 1,584"),
        (GOOD + b"\0", "its header says 1,584"),
        (GOOD[:7] + b"\0" + GOOD[8:], "no items"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "too many"),
        (GOOD[:4] + b"\0\x30\0\0" + GOOD[8:], "would take|its header says 2,466,250,768"),
    ],
)
def test_a_bad_file_is_refused(data: bytes, message: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    with pytest.raises(GlyphError, match=message):
        read_idx(path)


def test_a_damaged_file_is_refused_or_gives_what_was_in_it(tmp_path: Path) -> None:
    items = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28)
    packed, archive = tmp_path / "bad.gz", write_npz(tmp_path / "x.npz")
    packed.write_bytes(gzip.compress(encode_idx(items), mtime=0))
    for path, step in ((packed, 1), (archive, 3)):
        refused = 0
        for position in range(0, path.stat().st_size, step):
            flip(path, position)
            try:
                if path == archive:
                    assert is_right(path, other=True)
                else:
                    assert np.array_equal(read_idx(path), items)
            except GlyphError:
                refused += 1
            flip(path, position)
        assert refused > 100


def test_a_gzip_file_is_read_up_to_what_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "bad.gz"
    bomb = gzip.compress(GOOD + bytes(50_000_000))
    for data, message in (
        *(
            (data, r"bad\.gz")
            for data in (GOOD, b"", gzip.compress(GOOD)[:-20], b"\x1f\x8b" + GOOD)
        ),
        (bomb, "or more, its header says 1,584"),
    ):
        path.write_bytes(data)
        with pytest.raises(GlyphError, match=message):
            read_idx(path)
    with pytest.raises(GlyphError, match="missing"):
        read_idx(tmp_path / "absent")


INK, CLASSES = draw_glyphs("train", np.arange(40))
EXTENTS = measure_ink(np.where(INK > 32, INK, 0).astype(np.uint8))


def write_classes(folder: Path, images: NDArray[np.uint8], suffix: str, **options: int) -> str:
    for number, image in enumerate(images):
        write_picture(folder / f"{CLASSES[number]}/{number:02d}.{suffix}", image, **options)
    return str(folder)


def check_clean(path: str, slack_px: int = 2) -> None:
    """Check that paper is 0 and boxes are those of the ink."""
    glyphs = load_glyphs(path)
    images = glyphs.images[glyphs.ids]
    extents = EXTENTS[np.argsort(CLASSES, kind="stable")]
    assert (np.median(images.reshape(len(images), -1), axis=1) == 0).all()
    assert (images.max(axis=(1, 2)) > 90).all()
    assert np.abs(measure_ink(images) - extents).max() <= slack_px


@pytest.mark.parametrize("paper", [255, 245, 230])
def test_black_on_white(paper: int, tmp_path: Path) -> None:
    images = (paper - INK.astype(int) * (paper - 10) // 255).astype(np.uint8)
    check_clean(str(write_pair(tmp_path / "idx", images, CLASSES)))
    check_clean(write_classes(tmp_path / "classes", images, "png"))
    np.savez(tmp_path / "x.npz", images=images, labels=CLASSES)
    check_clean(str(tmp_path / "x.npz"))


def test_boxes_follow_the_ink_not_noise(tmp_path: Path) -> None:
    for quality in (95, 85, 75):
        path = write_classes(tmp_path / f"{quality}", 255 - INK, "jpg", quality=quality)
        check_clean(path, slack_px=3)
    noise = np.random.default_rng(1).integers(0, 12, INK.shape)
    scan = (240 - noise - INK * 0.8).clip(0, 255).astype(np.uint8)
    check_clean(str(write_pair(tmp_path / "scan", scan, CLASSES)))


def test_what_cannot_be_decided_is_refused_and_can_be_said(tmp_path: Path) -> None:
    grey = (128 - INK.astype(int) // 2).astype(np.uint8)
    mixed = np.concatenate([INK[:10], 255 - INK[10:]])
    for name, images in (("grey", grey), ("mixed", mixed)):
        path = write_pair(tmp_path / name, images, CLASSES)
        with pytest.raises(GlyphError, match="cannot tell ink from paper") as caught:
            load_glyphs(str(path))
        assert "--polarity dark-ink" in caught.value.hint
    glyphs = load_glyphs(str(tmp_path / "grey"), polarity="dark-ink")
    assert np.abs(measure_ink(glyphs.images) - EXTENTS).max() <= 2
    with pytest.raises(UsageError, match="polarity"):
        load_glyphs("strokes", polarity="dark-ink", data_dir=tmp_path)
