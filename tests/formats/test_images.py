"""Image files are encoded so that others read them, and decoded whatever they hold."""

import io
import struct
import zlib
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imageio import v3 as imageio
from PIL import Image

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block, Inks
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import IMAGE_FORMATS, Output, open_format
from mnistseq_cli.formats.images import decode_grey, open_encoder
from mnistseq_cli.formats.masks import decode_instances, encode_instances, encode_runs
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.formats.readers import need
from tests.helpers.shelf import Split, read_dataset, refuse, write_dataset

Images = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 40)),
    elements=st.integers(0, 255),
)


@given(Images, st.data())
def test_a_png_does_not_depend_on_its_block(images: np.ndarray, data: st.DataObject) -> None:
    widths = data.draw(hnp.arrays(np.int64, len(images), elements=st.integers(1, images.shape[2])))
    files = encode_pngs(images, widths)
    for file, image, width in zip(files, images, widths, strict=True):
        decoded = imageio.imread(file, extension=".png")
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, image[:, :width])
        assert encode_pngs(image[None, :, :width], np.array([width])) == [file]


@pytest.mark.parametrize("image_format", IMAGE_FORMATS)
def test_grey_formats_keep_size_and_pixels(glyphs: GlyphSet, image_format: str) -> None:
    recipe = Recipe(length=(1, 3), count=20, seed=1, width_px="natural")
    block = SequenceGenerator(recipe, glyphs).block(0, 20)
    files = open_encoder(image_format)(block.images, block.widths_px)
    for sample, file in zip(block, files, strict=True):
        difference = np.abs(decode_grey(file).astype(int) - sample.image)
        assert difference.mean() < (8 if image_format == "jpg" else 1e-9)


@pytest.mark.parametrize(
    ("image_format", "width_px", "is_right"),
    [("jpg", 65_500, True), ("jpg", 65_501, False), ("tga", 65_536, False), ("png", 70_000, True)],
)
def test_images_too_wide_are_refused_early(
    image_format: str, width_px: int, *, is_right: bool
) -> None:
    output = Output(folder=Path("out"), image_format=image_format)
    with nullcontext() if is_right else pytest.raises(UsageError, match=image_format):
        open_format(output).check(Recipe(length=3), (28, width_px))


def test_other_formats_and_huge_arrays_are_refused() -> None:
    for image_format in ("webp", "eps", "pdf", "mp4", "foo", "", "../png"):
        with pytest.raises(UsageError, match="png, jpg"):
            Output(folder=Path("out"), image_format=image_format)
    huge = Recipe(length=3, width_px=99), (28, 600_000)
    with pytest.raises(UsageError, match="expected at most 16,777,216"):
        open_format(Output(folder=Path("out"), to="npy")).check(*huge)


def save(image: np.ndarray[Any, Any] | Image.Image, kind: str = "png", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_images_of_all_kinds_become_grey() -> None:
    rows = np.zeros((6, 8), np.uint8)
    rows[2:4, 3] = 255
    for kind in ("L", "RGB", "RGBA", "P", "1", "LA"):
        assert np.array_equal(decode_grey(save(Image.fromarray(rows).convert(kind))), rows)
    deep = np.array([[0, 128, 129, 257, 32_767], [32_768, 65_000, 65_406, 65_407, 65_535]])
    for ending in ("png", "tiff"):
        decoded = decode_grey(save(deep.astype(np.uint16), ending))
        assert decoded.tolist() == np.rint(deep / 257).astype(int).tolist()
        assert decoded.dtype == np.uint8
    frames = [Image.fromarray(np.full((5, 6), grey, np.uint8)) for grey in (255, 0)]
    data = save(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert decode_grey(data).tolist() == [[255] * 6] * 5  # the first


def test_what_is_no_grey_or_has_too_many_pixels_is_refused() -> None:
    for values in (np.array([[0.5, 1]], np.float32), np.array([[7, 65_536]], np.int32)):
        with pytest.raises(ValueError, match=rf"its pixels are {values.dtype}; expected 8 or 16"):
            decode_grey(save(values, "tiff"))
    for side in (8200, 10_000, 14_000):
        with pytest.raises(ValueError, match=r"expected at most|more than"):
            decode_grey(save(Image.new("1", (side, side)), "tiff", compression="group4"))


def test_a_png_with_more_chunks_is_read_and_one_that_ends_too_early_refused() -> None:
    ramp = np.arange(28 * 100, dtype=np.uint8).reshape(1, 28, 100)
    (data,) = encode_pngs(ramp, np.array([100]))
    text = b"\0\0\0\5tEXta\0bcd" + b"\0\0\0\0"
    assert np.array_equal(decode_grey(data[:33] + text + data[33:]), ramp[0])
    for cut in (10, 30, 40, 60, -20, -13):
        with pytest.raises((ValueError, OSError, SyntaxError)):
            decode_grey(data[:cut])


def make_png(width: int, height: int) -> bytes:
    """Make a file that says how large it is, and holds 100 pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


NO_IMAGE = "it is no image of a format"
DAMAGED = {
    **{f"a PNG of {side}": (make_png(side, side), "") for side in (0, 9000, 10**5, 2**31)},
    "a PNG without rows": (make_png(3, 0), ""),
    "nothing": (b"", NO_IMAGE),
    "text": (b"garbage", NO_IMAGE),
    "a signature": (b"\x89PNG\r\n\x1a\n" + bytes(60), NO_IMAGE),
    # Pillow would start other programs on these.
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" + bytes(99), NO_IMAGE),
    "PDF": (b"%PDF-1.4\n" + bytes(99), NO_IMAGE),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_image_is_named_and_takes_no_memory(case: str, tmp_path: Path) -> None:
    data, message = DAMAGED[case]
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "labels.csv").write_text("a.png,1\n")
    error = refuse(tmp_path)
    assert error.message.startswith(f"{tmp_path / 'a.png'} is damaged: {message or 'it '}")
    assert error.hint == ""


COUNT = 60
RECIPES: dict[str, dict[str, Any]] = {
    "apart": {},
    "overlapping": {"spacing_px": (-9, -3), "width_px": "natural"},
    "distorted": {"augment": ("rotate=25", "shear=15", "thickness=1.5"), "width_px": 190},
    "bent": {"augment": ("baseline=3", "blur=2"), "width_px": "natural"},
    "heavy": {"augment": ("heavy",)},
    "joined": {"augment": ("join=1..1",), "width_px": "natural"},
    "cut": {"augment": ("crop=0..0.15", "blur"), "width_px": "natural"},
    "shrunk": {"fit": "shrink", "width_px": 40, "ink": "white"},
    "marked": {"length": None, "texts": ("12345", "31", "21"), "unlabelled": "1"},
}


@pytest.mark.filterwarnings("ignore")  # of pycocotools and NumPy
@pytest.mark.parametrize("name", RECIPES)
def test_masks_have_the_ink_and_the_box_of_their_digit(name: str, glyphs: GlyphSet) -> None:
    recipe: dict[str, Any] = {"length": (1, 6), "count": COUNT, "seed": 3} | RECIPES[name]
    generator = SequenceGenerator(Recipe(**recipe), glyphs)
    block, plain = generator.block(0, COUNT, masks=True), generator.block(0, COUNT)
    assert (plain.inks, plain[0].masks) == (None, None)
    assert np.array_equal(plain.images, block.images)
    assert np.array_equal(plain.boxes, block.boxes)
    masks: list[Any] = []
    for sample, data in zip(block, encode_instances(block), strict=True):
        boxes = [*sample.boxes.tolist(), *(list(mark.box) for mark in sample.marks)]
        assert sample.masks is not None
        assert sample.masks.shape == (len(boxes), *sample.image.shape)
        for mask, (x, y, width, height) in zip(sample.masks, boxes, strict=True):
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max() + 1, rows.max() + 1) == (x + width, y + height)
        if name in ("apart", "overlapping", "joined", "shrunk", "marked"):  # all ink, no paper
            numbers, is_ink = decode_instances(data), sample.image != (255, 0)[name == "shrunk"]
            assert np.array_equal(sample.masks.any(axis=0), is_ink)
            assert np.array_equal(numbers > 0, is_ink)
            assert all(mask[numbers == n].all() for n, mask in enumerate(sample.masks, 1))
        masks += [*sample.masks]
    coco = need("pycocotools.mask")
    for counts, area_px, mask in zip(*encode_runs(block), masks, strict=True):
        decoded = coco.decode({"size": mask.shape, "counts": counts})
        assert np.array_equal(decoded, mask)
        assert area_px == mask.sum()
        assert coco.encode(np.asfortranarray(decoded))["counts"].decode() == counts


def test_the_darker_ink_has_a_pixel_and_of_equals_the_one_further_left(glyphs: GlyphSet) -> None:
    block = SequenceGenerator(Recipe(digits="777"), glyphs).block(0, 1)
    ink = np.array([[[0, 5, 9, 4]], [[7, 9, 9, 0]], [[2, 2, 2, 2]]], np.uint8)
    order = np.arange(3)
    inks = Inks(ink, np.zeros(3, np.int64), order, order)
    images = np.zeros((1, 1, 6), np.uint8)
    (data,) = encode_instances(
        Block(**vars(block) | {"inks": inks, "images": images, "widths_px": np.array([6])})
    )
    assert decode_instances(data).tolist() == [[0, 2, 1, 2, 3, 3]]


def test_masks_are_read_back(glyphs: GlyphSet, tmp_path: Path) -> None:
    generator = SequenceGenerator(Recipe(length=(1, 3), count=9, spacing_px=(-5, 0)), glyphs)
    output = Output(folder=tmp_path, labels=("masks",))
    assert output.labels == ("jsonl", "masks")
    write_dataset(output, generator, [Split("train/", 0, 6), Split("test/", 6, 9)])
    block = generator.block(0, 9, masks=True)
    for seen, data in zip(read_dataset(tmp_path), encode_instances(block), strict=True):
        assert np.array_equal(seen.mask, decode_instances(data))  # type: ignore[arg-type] # not None
    path = next((tmp_path / "train" / "masks").rglob("*.png"))
    wide = SequenceGenerator(Recipe(digits="1234567"), glyphs).block(0, 1, masks=True)
    for damage in (b"x", *encode_instances(wide)):
        path.write_bytes(damage)
        with pytest.raises(OutputError, match="mask"):
            read_dataset(tmp_path)


def test_masks_of_many_characters_have_16_bits(glyphs: GlyphSet) -> None:
    recipe = Recipe(digits="1" * 300, width_px="natural", spacing_px=(-9, -9))
    block = SequenceGenerator(recipe, glyphs).block(0, 1, masks=True)
    (data,) = encode_instances(block)
    assert Image.open(BytesIO(data)).mode == "I;16"
    assert decode_instances(data).max() == 300
