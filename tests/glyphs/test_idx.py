from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.idx import encode_idx, read_idx
from tests.helpers.mirror import flip, write_idx

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GOOD = b"\0\0\x08\x03" + b"\0\0\0\x02" + b"\0\0\0\x1c" * 2 + bytes(2 * 784)
PAIRS = b"\0\0\x0c\x02\0\0\0\x02\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff"

SHAPES = npst.array_shapes(min_dims=1, max_dims=3, max_side=5)


@given(npst.arrays(np.uint8, SHAPES) | npst.arrays(np.int32, SHAPES))
def test_bytes_and_back(
    tmp_path_factory: pytest.TempPathFactory, array: NDArray[np.integer[Any]]
) -> None:
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
    ids=range(12),
)
def test_a_bad_file_is_refused(data: bytes, message: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    with pytest.raises(GlyphError, match=message):
        read_idx(path)


def test_a_damaged_gzip_file_is_refused_or_gives_what_was_in_it(tmp_path: Path) -> None:
    items = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28)
    path, refused = tmp_path / "bad.gz", 0
    path.write_bytes(gzip.compress(encode_idx(items), mtime=0))
    for position in range(path.stat().st_size):
        flip(path, position)
        try:
            assert np.array_equal(read_idx(path), items)
        except GlyphError:
            refused += 1
        flip(path, position)
    assert refused > 100
    bomb = gzip.compress(GOOD + bytes(50_000_000))  # read up to what its header says
    cut, doubled = gzip.compress(GOOD)[:-20], b"\x1f\x8b" + GOOD
    for data, message in (
        *((data, r"bad\.gz") for data in (GOOD, b"", cut, doubled)),
        (bomb, "or more, its header says 1,584"),
    ):
        path.write_bytes(data)
        with pytest.raises(GlyphError, match=message):
            read_idx(path)
    with pytest.raises(GlyphError, match="missing"):
        read_idx(tmp_path / "absent")
