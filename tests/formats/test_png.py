from __future__ import annotations

import zlib

import imageio.v3 as imageio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mnistseq_cli.formats.png import encode_pngs

Images = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 40)),
    elements=st.integers(0, 255),
)


def full_widths(images: np.ndarray) -> np.ndarray:
    return np.full(len(images), images.shape[2])


@given(Images, st.data())
def test_a_reader_gets_the_pixels_back(images: np.ndarray, data: st.DataObject) -> None:
    widths = data.draw(hnp.arrays(np.int64, len(images), elements=st.integers(1, images.shape[2])))
    files = encode_pngs(images, widths)
    for file, image, width in zip(files, images, widths, strict=True):
        decoded = imageio.imread(file, extension=".png")
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, image[:, :width])


@given(Images)
def test_the_bytes_of_an_image_do_not_depend_on_its_block(images: np.ndarray) -> None:
    together = encode_pngs(images, full_widths(images))
    wider = np.pad(images, ((0, 0), (0, 0), (0, 5)))
    assert together == encode_pngs(wider, full_widths(images))
    assert together == [encode_pngs(image[None], full_widths(image[None]))[0] for image in images]


def test_chunks_have_the_lengths_and_checksums_of_the_standard() -> None:
    image = np.arange(28 * 100, dtype=np.uint8).reshape(1, 28, 100)
    file = encode_pngs(image, full_widths(image))[0]
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(file):
        length = int.from_bytes(file[at : at + 4])
        body = file[at + 4 : at + 8 + length]
        assert int.from_bytes(file[at + 8 + length : at + 12 + length]) == zlib.crc32(body)
        chunks.append((body[:4], body[4:]))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    rows = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(28, 101)
    assert not rows[:, 0].any()
    assert np.array_equal(rows[:, 1:], image[0])


@pytest.mark.parametrize("width", [1, 65_535])
def test_the_narrowest_and_the_widest_image(width: int) -> None:
    image = np.full((1, 28, width), 255, np.uint8)
    assert imageio.imread(encode_pngs(image, full_widths(image))[0]).shape == (28, width)
