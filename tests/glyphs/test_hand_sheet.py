from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mnistseq_cli.errors import GlyphError, TextError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.hand_sheet import (
    CHARACTERS,
    SheetField,
    draw_glyphs,
    draw_pages,
    draw_pdf,
    list_fields,
    name_class,
    read_photo,
    solve_homography,
)
from mnistseq_cli.glyphs.load import load_glyphs

DIGITS = "0123456789"
FIELD_PX = 104
PHOTO_PX = (1200, 1600)
Truth = list[tuple[str, str]]


@pytest.fixture(scope="module")
def pen(pen_dir: Path) -> GlyphSet:
    return load_glyphs("strokes", "test", pen_dir)


def fill_in(page: Image.Image, pen: GlyphSet, seed: int) -> tuple[Image.Image, Truth]:
    """Fill a sheet of digits in, as a person does; return it, and what is in each field."""
    rng = np.random.default_rng(seed)
    page, truth = page.copy(), []
    for number, (left, top, character) in enumerate(list_fields(DIGITS, 18)):
        state = "empty" if number % 31 == 7 else "written"
        if state == "written":
            ids = np.flatnonzero(pen.labels == int(character))
            side, grey = int(rng.integers(70, 84)), int(rng.integers(30, 110))
            x, y = left + (FIELD_PX - side) // 2, top + (FIELD_PX - side) // 2
            x, y = x + int(rng.integers(-6, 7)), y + int(rng.integers(-5, 6))
            ink = Image.fromarray(pen.images[rng.choice(ids)]).resize((side, side))
            page.paste(grey, (x, y), ink)
        if number % 29 == 11:
            state, draw = "crossed out", ImageDraw.Draw(page)
            right, bottom = left + FIELD_PX - 4, top + FIELD_PX - 4
            draw.line((left + 4, top + 5, right, bottom), 60, 6)
            draw.line((left + 3, bottom, right, top + 4), 60, 6)
        truth.append((character, state))
    return page, truth


def take_photo(page: Image.Image, seed: int, tilt: float = 0.12) -> Image.Image:
    """Photograph a page as it lies on a desk: askew, with a shadow, blurred, with noise."""
    rng = np.random.default_rng(seed)
    size = np.array(PHOTO_PX)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    angle = rng.uniform(-0.12, 0.12)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    inside = (corners - 0.5) * 0.8 + rng.uniform(-tilt / 2, tilt / 2, (4, 2))
    to_page = solve_homography(
        (inside * size) @ turn.T + size / 2, corners * np.array(page.size, float)
    ).tolist()
    paper = [
        np.asarray(one.transform(PHOTO_PX, Image.Transform.PERSPECTIVE, to_page, 3)).astype(float)
        for one in (page, Image.new("L", page.size, 255))
    ]
    y, x = np.mgrid[: PHOTO_PX[1], : PHOTO_PX[0]] / size.max()
    desk = (
        rng.uniform(30, 200) + rng.normal(0, 10, x.shape) + 25 * np.sin(x * rng.uniform(90, 500))
    )
    image = np.where(paper[1] > 127, 0.9 * paper[0], desk)
    shadow = np.cos(angle * 20) * (x - 0.4) + np.sin(angle * 20) * (y - 0.5)
    image *= 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(-shadow * rng.uniform(20, 80)))
    image *= rng.uniform(0.75, 1.05) + rng.uniform(-0.25, 0.25) * (x - 0.4)
    blurred = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0.5, 1.4))
    )
    noisy = np.asarray(blurred) + rng.normal(0, rng.uniform(2, 9), x.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def save(image: Image.Image, path: Path, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x112] = orientation
    image.convert("RGB").save(path, quality=60, exif=exif)
    return path


def count_right(fields: list[SheetField], truth: Truth) -> int:
    assert len(fields) == len(truth)
    found = [(field.character, field.state) for field in fields]
    return sum(one == other for one, other in zip(found, truth, strict=True))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 15))]
)
def test_fields_come_out_of_a_photo_in_place(seed: int, pen: GlyphSet, tmp_path: Path) -> None:
    page, truth = fill_in(draw_pages(DIGITS, 18)[0], pen, seed)
    fields = read_photo(save(take_photo(page, seed), tmp_path / "photo.jpg"))
    assert count_right(fields, truth) >= 0.98 * len(truth)
    scanned = read_photo(save(page, tmp_path / "scan.png"))
    assert count_right(scanned, truth) == len(truth)
    both = [(a.ink, b.ink) for a, b in zip(fields, scanned, strict=True) if b.state == "written"]
    likeness = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in both if a.any()]
    assert np.mean(np.array(likeness) > 0.8) >= 0.98


def test_a_photo_may_be_turned_by_its_exif_or_for_good(pen: GlyphSet, tmp_path: Path) -> None:
    page, truth = fill_in(draw_pages(DIGITS, 18)[0], pen, 1)
    for turns, orientation in ((1, 6), (2, 1), (3, 1)):
        photo = save(page.rotate(90 * turns, expand=True), tmp_path / "a.jpg", orientation)
        assert count_right(read_photo(photo), truth) == len(truth)


def test_a_sheet_says_itself_what_it_is_for(tmp_path: Path) -> None:
    pages = draw_pages(CHARACTERS[::-1], 3)
    assert len(pages) == 2
    seen = [f for page in pages for f in read_photo(save(page, tmp_path / "page.png"))]
    assert "".join(field.character for field in seen[::3]) == CHARACTERS
    assert {field.state for field in seen} == {"empty"}
    label = ImageFont.load_default(16)  # what is printed above a field is what it is for
    for left, top, name in [*list_fields(CHARACTERS, 3)][:30:3]:
        drawn = Image.new("L", pages[0].size, 255)
        ImageDraw.Draw(drawn).text((left, top - 20), name, 110, label)
        box = (left, top - 20, left + 20, top - 2)
        assert np.array_equal(np.asarray(pages[0].crop(box)), np.asarray(drawn.crop(box)))
    names = [name_class(character) for character in CHARACTERS]
    assert len({name.lower() for name in names}) == len(CHARACTERS)
    assert not set("".join(names)) & set('\\/:*?"<>|.')


STRANGE = {
    b"\0\0\0\x20ftypheic": "HEIC picture",
    b"no picture": "photo.jpg",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\0\xff\xff" * 2 + b"\x08\0\0\0\0": "photo.jpg",
}


def test_what_is_no_photo_of_a_sheet_is_refused(tmp_path: Path) -> None:
    photo, page = tmp_path / "photo.jpg", draw_pages(DIGITS, 18)[0]
    for data, message in STRANGE.items():
        photo.write_bytes(data)
        with pytest.raises(GlyphError, match=message):
            read_photo(photo)
    for box, n_marks in (
        ((0, 0, 1680, 2200), 2),
        ((200, 0, 1680, 2376), 2),
        ((200, 200, 1500, 2200), 0),
    ):
        with pytest.raises(GlyphError, match=f"shows {n_marks} of the four corner marks"):
            read_photo(save(page.crop(box), photo))
    page.paste(0, (500, 90, 700, 150))
    with pytest.raises(GlyphError, match="do not add up"):
        read_photo(save(page, tmp_path / "photo.png"))
    Image.new("1", (10_000, 10_000)).save(tmp_path / "large.png")
    with pytest.raises(GlyphError, match="10000 by 10000 pixels; expected at most 67,"):
        read_photo(tmp_path / "large.png")


def test_a_pdf_has_a_page_for_as_many_characters_as_fit() -> None:
    data = draw_pdf("0123456789.,", 18)
    assert data.count(b"/Type /Page\n") == 2
    assert data == draw_pdf("0123456789.,", 18)
    for characters in ("00", "ä", " "):
        with pytest.raises(TextError, match="at most once"):
            draw_pdf(characters, 18)


def test_digits_stand_in_the_middle_and_points_on_the_line() -> None:
    blots = np.zeros((3, 94, 94), np.uint8)
    blots[0, 20:80, 5:13] = blots[2, 74:80, 60:66] = 255
    fields = [
        SheetField(character, "empty" if character == "7" else "written", blot)
        for character, blot in zip("17.", blots, strict=True)
    ]
    (one, digit), (point, dot) = draw_glyphs(fields, 28)
    assert one + point == "1."
    rows, columns = (np.flatnonzero((digit < 128).any(axis=axis)) for axis in (1, 0))
    assert (rows[0], rows[-1]) == (4, 23)
    assert abs(columns.mean() - 13.5) <= 0.5
    assert digit[0, 0] == 255
    rows = np.flatnonzero((dot < 128).any(axis=1))
    assert abs(rows.mean() - 23) <= 1
