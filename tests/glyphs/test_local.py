from __future__ import annotations

import gzip
import io
import pickle
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.idx import encode_idx, write_idx
from mnistseq_cli.glyphs.local import has_splits, read_local
from tests.helpers.mirror import draw_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES, LABELS = draw_tiny(20, 1)
OTHER_IMAGES, OTHER_LABELS = draw_tiny(30, 2)


def write_pair(
    folder: Path,
    prefix: str = "my-",
    images: NDArray[Any] = IMAGES,
    labels: NDArray[Any] = LABELS,
) -> Path:
    write_idx(folder / f"{prefix}images-idx3-ubyte", images)
    write_idx(folder / f"{prefix}labels-idx1-ubyte", labels)
    return folder / f"{prefix}images-idx3-ubyte"


def write_npz(path: Path, **arrays: NDArray[Any]) -> Path:
    standard = {
        "x_train": OTHER_IMAGES, "y_train": OTHER_LABELS, "x_test": IMAGES, "y_test": LABELS,
    }  # fmt: skip
    np.savez_compressed(path, allow_pickle=True, **(standard | arrays))
    return path


def write_picture(path: Path, pixels: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, pixels, plugin="pillow")


def is_right(path: Path, *, other: bool = False, split: Any = "train") -> bool:
    images, labels, alphabet = read_local(path, split)
    assert images.dtype == labels.dtype == np.uint8
    assert alphabet == "0123456789"
    return np.array_equal(images, OTHER_IMAGES if other else IMAGES) and np.array_equal(
        labels, OTHER_LABELS if other else LABELS
    )


def test_a_pair_by_its_images_file_and_by_its_folder(tmp_path: Path) -> None:
    path = write_pair(tmp_path)
    for given in (path, tmp_path):
        assert is_right(given, split="train")
        assert is_right(given, split="test")
        assert not has_splits(given)
    assert isinstance(read_local(path, "train")[0].base, np.memmap)


@pytest.mark.parametrize("packed", ["images-idx3", "labels-idx1", "images-idx3 labels-idx1"])
def test_a_pair_that_is_packed(packed: str, tmp_path: Path) -> None:
    write_pair(tmp_path)
    for kind in packed.split():
        path = tmp_path / f"my-{kind}-ubyte"
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert is_right(tmp_path)
    assert is_right(next(tmp_path.glob("*images*")))


def test_a_folder_with_two_pairs_is_split(tmp_path: Path) -> None:
    write_pair(tmp_path, "train-", OTHER_IMAGES, OTHER_LABELS)
    write_pair(tmp_path, "t10k-")
    assert has_splits(tmp_path)
    assert is_right(tmp_path, split="train", other=True)
    assert is_right(tmp_path, split="test")


def test_a_folder_with_train_and_test_inside_is_split(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    write_pair(tmp_path / "train", "", OTHER_IMAGES, OTHER_LABELS)
    write_pair(tmp_path / "test", "")
    assert has_splits(tmp_path)
    assert is_right(tmp_path, split="train", other=True)
    assert is_right(tmp_path, split="test")


def test_several_pairs_without_a_split_are_refused(tmp_path: Path) -> None:
    for prefix in ("a-", "b-"):
        write_pair(tmp_path, prefix)
    with pytest.raises(GlyphError, match="several IDX files of images") as caught:
        read_local(tmp_path, "train")
    assert "a-images-idx3-ubyte, b-images-idx3-ubyte" in caught.value.message
    assert is_right(tmp_path / "a-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, 1:], LABELS, r"shape \(20, 27, 28\)"),
        (IMAGES.astype(np.int32), LABELS, "int32"),
        (IMAGES[:-1], LABELS, r"19 images, but labels of shape \(20,\)"),
        (IMAGES, LABELS[:, None], r"labels of shape \(20, 1\)"),
        (IMAGES, LABELS + np.uint8(1), "labels from 1 to 10; allowed are 0 to 9"),
        (IMAGES, LABELS.astype(np.int32) - 1, "labels from -1 to 8"),
    ],
    ids=range(6),
)
def test_a_pair_that_does_not_go_together(
    images: NDArray[Any], labels: NDArray[Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(GlyphError, match=message):
        read_local(write_pair(tmp_path, "x-", images, labels), "train")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(GlyphError, match="none of"):
        read_local(tmp_path / "notes.txt", "train")
    with pytest.raises(GlyphError, match="no file or folder"):
        read_local(tmp_path / "absent", "train")
    write_idx(tmp_path / "images-idx3-ubyte", IMAGES)
    with pytest.raises(GlyphError, match="labels-idx1-ubyte"):
        read_local(tmp_path, "train")


def test_a_keras_npz(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "mnist.npz", y_test=LABELS.astype(np.int64))
    assert has_splits(path)
    assert is_right(path, split="train", other=True)
    assert is_right(path, split="test")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (IMAGES / 255, "no NumPy array of whole numbers"),
        (IMAGES.astype(np.int64), "holds int64; images are uint8"),
        (IMAGES[:, :9], "glyphs are uint8 of shape"),
        (IMAGES[:0], "shape"),
        (np.asfortranarray(IMAGES), "in C order"),
    ],
    ids=range(5),
)
def test_an_npz_with_other_images(array: NDArray[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(GlyphError, match=message):
        read_local(write_npz(tmp_path / "x.npz", x_train=array), "train")


class Bomb:
    """What a pickle that does something looks like."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "bomb.npz", x_train=np.array([Bomb()]))
    with pytest.raises(GlyphError, match="pickle"):
        read_local(path, "train")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(Bomb()))
    with pytest.raises(GlyphError, match="no NumPy array"):
        read_local(path, "train")


@pytest.mark.parametrize(
    "shape", [(10**13 // 784, 28, 28), (21, 28, 28), (2**62, 2**62), (0, 28, 28)]
)
def test_a_header_that_claims_too_much_takes_no_memory(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", header.getvalue() + IMAGES.tobytes())
    tracemalloc.start()
    try:
        with pytest.raises(GlyphError, match="says it is an array of shape"):
            read_local(path, "train")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"no zip file", b"PK\x03\x04" + bytes(40)], ids=range(3))
def test_an_npz_that_is_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(GlyphError, match="cannot read"):
        read_local(tmp_path / "x.npz", "train")


def test_an_npz_without_an_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=IMAGES)
    with pytest.raises(GlyphError, match="no array y_train"):
        read_local(tmp_path / "x.npz", "train")


def test_a_damaged_npz_is_refused_or_gives_what_was_in_it(tmp_path: Path) -> None:
    whole = write_npz(tmp_path / "x.npz").read_bytes()
    refused = 0
    for position in range(0, len(whole), 3):
        data = bytearray(whole)
        data[position] ^= 0xFF
        (tmp_path / "x.npz").write_bytes(data)
        try:
            assert is_right(tmp_path / "x.npz", other=True)
        except GlyphError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_a_folder_of_class_folders(suffix: str, tmp_path: Path) -> None:
    for i in (3, 0, 2, 1):
        write_picture(tmp_path / f"{'ba'[i % 2]}/{i}.{suffix}", IMAGES[i])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a/notes.txt").touch()
    images, labels, alphabet = read_local(tmp_path, "train")
    assert alphabet == "ab"
    assert labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(images, IMAGES[[1, 3, 0, 2]])
    assert not has_splits(tmp_path)


def test_pictures_in_colour_and_with_transparency(tmp_path: Path) -> None:
    grey = 255 - IMAGES[0]
    full = np.full_like(grey, 255)
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = IMAGES[0] // 2 * 2
    write_picture(tmp_path / "0/a.png", np.stack([grey, grey, grey], axis=-1))
    write_picture(tmp_path / "0/b.png", np.stack([grey, grey, grey, full], axis=-1))
    write_picture(tmp_path / "0/c.png", np.stack([0 * grey] * 3 + [IMAGES[0]], axis=-1))
    write_picture(tmp_path / "0/d.png", red)
    images, _, _ = read_local(tmp_path, "train")
    for image in images[:3]:
        assert np.array_equal(image, IMAGES[0])
    assert np.array_equal(images[3], (red[..., 0].astype(int) * 299 + 500) // 1000)


def test_black_on_white_is_inverted_and_white_on_black_is_not(tmp_path: Path) -> None:
    write_picture(tmp_path / "7/black.png", 255 - IMAGES[5])
    write_picture(tmp_path / "7/white.png", IMAGES[5])
    images, _, _ = read_local(tmp_path, "train")
    assert np.array_equal(images, IMAGES[[5, 5]])


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((28, 29), np.uint8), r"shape \(28, 29\); glyphs are 28 by 28"),
        (np.zeros((56, 56), np.uint8), "scale it first"),
        (np.zeros((28, 28), np.uint16), "8 bits are expected"),
    ],
    ids=range(3),
)
def test_a_picture_of_another_kind(pixels: NDArray[Any], message: str, tmp_path: Path) -> None:
    write_picture(tmp_path / "1/x.png", pixels)
    with pytest.raises(GlyphError, match=message):
        read_local(tmp_path, "train")


def test_a_picture_that_is_none(tmp_path: Path) -> None:
    write_picture(tmp_path / "1/x.png", IMAGES[0])
    data = (tmp_path / "1/x.png").read_bytes()
    for damaged in (b"", b"text", data[:60], data[:20] + bytes(60)):
        (tmp_path / "1/x.png").write_bytes(damaged)
        with pytest.raises(GlyphError, match=r"1.x\.png"):
            read_local(tmp_path, "train")


def test_folders_that_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(GlyphError, match="neither IDX files nor a sub-folder per class"):
        read_local(tmp_path, "train")
    (tmp_path / "7").mkdir()
    with pytest.raises(GlyphError, match="holds no pictures"):
        read_local(tmp_path, "train")
    (tmp_path / "seven").mkdir()
    with pytest.raises(GlyphError, match="named by one character"):
        read_local(tmp_path, "train")


def test_an_unreadable_idx_pair_names_the_file(tmp_path: Path) -> None:
    path = write_pair(tmp_path)
    path.write_bytes(encode_idx(IMAGES)[:-1])
    with pytest.raises(GlyphError, match=path.name):
        read_local(tmp_path, "train")
