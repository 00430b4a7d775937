"""A printed sheet for a person's own hand, and the glyphs in a photo of it, filled in.

The sheet has a mark in each corner, as QR codes do (ISO/IEC 18004): any line through its middle
crosses dark, light, dark, light and dark in the ratio 1 : 1 : 3 : 1 : 1. Between the upper two,
black and white cells say which characters the fields are for.
"""

from __future__ import annotations

import io
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits, punctuation
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from mnistseq_cli.errors import GlyphError, TextError
from mnistseq_cli.files import read_file
from mnistseq_cli.glyphs.pictures import open_picture
from mnistseq_cli.pixels import Bools, Floats, Pixels

Points = Floats  # (N, 2), x and y

# In the order of fields and of cells: append only.
CHARACTERS = digits + ascii_uppercase + ascii_lowercase + punctuation + "€£¥"
PAGE_PX, PX_PER_MM = (1680, 2376), 8  # A4; all that follows is in pixels of the page
MARKS = np.array([(120, 120), (1560, 120), (1560, 2256), (120, 2256)], np.float64)  # middles
MARK_MODULE = 11
CODE_LEFT, CODE_TOP, CELL_WIDTH, CELL_HEIGHT = 228, 92, 19, 28
CODE_ROWS, CODE_COLUMNS = 2, 64
# The middles of the cells that say what a page is for.
CELLS = np.mgrid[:CODE_COLUMNS, :CODE_ROWS].T.reshape(-1, 2) + 0.5
CELLS = CELLS * (CELL_WIDTH, CELL_HEIGHT) + (CODE_LEFT, CODE_TOP)
COUNT_BITS, CHECK_BITS = 8, 23  # which follow a bit for each character
GRID_LEFT, GRID_TOP, PITCH_X, PITCH_Y, N_COLUMNS, N_ROWS = 112, 348, 112, 132, 13, 14
N_FIELDS = N_ROWS * N_COLUMNS
FIELD, INSET = 104, 5  # side of a frame, and what is left out inside of it
UPPER_LINE, BASE_LINE = 24, 80  # below the upper edge of a frame
FRAME_GREY, LINE_GREY, NAME_GREY = 205, 220, 110
INSTRUCTIONS = """\
Write each character in its fields with a dark pen, between the two lines.
Put a large X, from corner to corner, over a field that went wrong; leave fields empty if you like.
Photograph the whole page with its four corner marks:  mnistseq hand read PHOTO -o my-hand"""

FILE_LIMIT_BYTES = 2**28
SEARCH_PX = 1600  # longer side of the picture in which marks are looked for
LEAST_MODULE_PX, LEAST_VOTES, MOST_MARKS, MOST_CROSSINGS = 1.5, 6, 6, 1500
PALEST_INK = 60  # levels below paper; frames and lines are paler, pencils darker
LEAST_INK_PX, MOST_INK_SHARE = 12, 0.45  # less is dust, more is blacked out
CORNER, LEAST_CORNERS = 15, 3  # legs of the triangles that a cross reaches, and how many it must
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


@dataclass(frozen=True)
class SheetField:
    """A field of a sheet: what it is for, whether it was filled in, and its ink, 0 = paper."""

    character: str
    state: Literal["written", "empty", "crossed out"]
    ink: Pixels  # (height, width), the inside of its frame


def draw_pdf(characters: str, n_fields: int) -> bytes:
    """Draw a PDF of one page or more, with so many fields for each character."""
    for one in characters:
        if one not in CHARACTERS or characters.count(one) > 1:
            raise TextError(f"--characters has {one!r}; expected each at most once: {CHARACTERS}")
    (first, *others), file = draw_pages(characters, n_fields), io.BytesIO()
    undated = {"creationDate": None, "modDate": None}
    pages = {"save_all": True, "append_images": others, "resolution": 25.4 * PX_PER_MM}
    first.save(file, "PDF", quality=95, **pages, **undated)
    return file.getvalue()


def draw_pages(characters: str, n_fields: int) -> list[Image.Image]:
    """Draw the pages of a sheet with so many fields for each character, in their usual order."""
    ordered, n_on_page = [one for one in CHARACTERS if one in characters], N_FIELDS // n_fields
    parts = [ordered[at : at + n_on_page] for at in range(0, len(ordered), n_on_page)]
    return [_draw_page("".join(part), n_fields) for part in parts]


def _draw_page(characters: str, n_fields: int) -> Image.Image:
    page = Image.new("L", PAGE_PX, 255)
    draw = ImageDraw.Draw(page)
    for x, y in MARKS.tolist():
        for modules, grey in ((7, 0), (5, 255), (3, 0)):
            half = modules * MARK_MODULE / 2
            draw.rectangle((x - half, y - half, x + half - 1, y + half - 1), grey)
    cells = CELLS - (CELL_WIDTH / 2, CELL_HEIGHT / 2)
    for x, y in cells[_encode(characters, n_fields)].tolist():
        draw.rectangle((x, y, x + CELL_WIDTH - 1, y + CELL_HEIGHT - 1), 0)
    draw.text((GRID_LEFT, 200), INSTRUCTIONS, 0, ImageFont.load_default(26), spacing=8)
    font = ImageFont.load_default(16)
    for left, top, character in list_fields(characters, n_fields):
        name = character if character.isalnum() else unicodedata.name(character).lower()
        draw.text((left, top - 20), name, NAME_GREY, font)
        for y in (top + UPPER_LINE, top + BASE_LINE):
            draw.line((left, y, left + FIELD - 1, y), LINE_GREY)
        draw.rectangle((left, top, left + FIELD - 1, top + FIELD - 1), outline=FRAME_GREY, width=2)
    return page


def list_fields(characters: str, n_fields: int) -> Iterator[tuple[int, int, str]]:
    """Yield the left and upper edge of each field of a page, in pixels, and its character."""
    for at in range(len(characters) * n_fields):
        row, column = divmod(at, N_COLUMNS)
        yield GRID_LEFT + column * PITCH_X, GRID_TOP + row * PITCH_Y, characters[at // n_fields]


def _encode(characters: str, n_fields: int) -> Bools:
    """Return which cells are black: a bit for each character, the number of fields, a CRC-32."""
    known = "".join("01"[one in characters] for one in CHARACTERS) + f"{n_fields:0{COUNT_BITS}b}"
    check = zlib.crc32(known.encode()) % 2**CHECK_BITS
    return np.array([bit == "1" for bit in f"{known}{check:0{CHECK_BITS}b}"])


def _decode(cells: Bools) -> tuple[str, int] | None:
    """Return the characters and the number of fields; None where the cells do not add up."""
    is_there, count = cells[: len(CHARACTERS)], cells[len(CHARACTERS) :][:COUNT_BITS]
    characters = "".join(np.array([*CHARACTERS])[is_there])
    n_fields = int(np.packbits(count)[0])
    return (characters, n_fields) if (_encode(characters, n_fields) == cells).all() else None


def read_photo(path: Path) -> list[SheetField]:
    """Read the fields of a page from a photo or a scan, whichever way up it is."""
    photo = _open_photo(path)
    scale = max(1, round(max(photo.size) / SEARCH_PX))
    small = photo.reduce(scale)
    around = small.filter(ImageFilter.BoxBlur(max(small.size) / 20))
    is_dark = np.asarray(small) < 0.75 * np.asarray(around)  # than that, in whatever light
    marks = _find_marks(is_dark)
    again = "Photograph the whole page again, flat and in focus, with nothing lying on it"
    if len(marks) < len(MARKS):
        raise GlyphError(f"{path} shows {len(marks)} of the four corner marks of a sheet", again)
    dark = Image.fromarray(is_dark.astype(np.float32))
    x, y = CELLS.astype(np.int64).T
    for corners in _list_corners(marks):
        if found := _decode(np.asarray(_straighten(dark, corners))[y, x].round() == 1):
            ink = _lift_ink(_straighten(photo, corners * scale))
            return [_cut_field(ink, *place) for place in list_fields(*found)]
    raise GlyphError(
        f"{path} has corner marks, but the black and white cells between the upper two do not "
        "add up to those of a sheet",
        again,
    )


def _open_photo(path: Path) -> Image.Image:
    data = read_file(path, limit_bytes=FILE_LIMIT_BYTES)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        raise GlyphError(
            f"{path} is a HEIC picture, which cannot be read",
            "Save it as JPEG; on an iPhone: Settings, Camera, Formats, Most Compatible",
        )
    with open_picture(io.BytesIO(data), str(path)) as image:
        upright = ImageOps.exif_transpose(image).convert("L")
    return upright.reduce(max(1, max(upright.size) // (2 * SEARCH_PX)))


def _find_marks(is_dark: Bools) -> Points:
    """Return the middles of what looks like a mark, the surest first."""
    across, down = _scan(is_dark), _scan(is_dark.T)[:, [1, 0, 2]]
    apart = np.abs(across[:, None] - down)
    reach = 1.5 * across[:, None, 2:] + 1  # the core has three modules, where both lines cross it
    meets = (apart[..., :2] <= reach).all(axis=2) & (apart[..., 2:] <= reach / 3).all(axis=2)
    row, column = np.nonzero(meets)
    found = np.stack([across[row, 0], down[column, 1], across[row, 2]], axis=1)
    marks: list[tuple[float, ...]] = []
    while len(found) and len(marks) < MOST_MARKS:
        is_near = np.abs(found[:, :2] - found[0, :2]).max(axis=1) < 3 * found[0, 2]
        if (n_votes := int(is_near.sum())) >= LEAST_VOTES:
            marks.append((n_votes, *found[is_near, :2].mean(axis=0).tolist()))
        found = found[~is_near]
    return np.array(sorted(marks, reverse=True)).reshape(-1, 3)[:, 1:]


def _scan(is_dark: Bools) -> Floats:
    """Return where rows cross a mark: x, y and the width of a module, shape (N, 3)."""
    padded = np.pad(is_dark, ((0, 0), (1, 1)))
    y, x = np.nonzero(padded[:, 1:] != padded[:, :-1])  # dark begins, ends, begins, …
    first = np.arange(0, len(x) - 5, 2)
    edges = x[first[:, None] + np.arange(6)]
    module = (edges[:, 5] - edges[:, 0]) / 7
    wrong = np.abs(np.diff(edges, axis=1) - module[:, None] * (1, 1, 3, 1, 1))
    fits = (wrong <= 0.6 * module[:, None] + 0.5).all(axis=1) & (module >= LEAST_MODULE_PX)
    fits &= y[first] == y[first + 5]
    found = np.stack([(edges[:, 2] + edges[:, 3]) / 2, y[first] + 0.5, module], axis=1)[fits]
    largest = np.argsort(-found[:, 2], kind="stable")[:MOST_CROSSINGS]
    return np.take(found, largest, axis=0)


def _list_corners(marks: Points) -> Iterator[Points]:
    """Yield four marks in the order of `MARKS`, for each way in which a photo can be turned."""
    for chosen in combinations(marks, len(MARKS)):
        corners = np.array(chosen)
        x, y = (corners - corners.mean(axis=0)).T
        clockwise = corners[np.argsort(np.arctan2(y, x))]
        yield from (np.roll(clockwise, turn, axis=0) for turn in range(len(MARKS)))


def _straighten(photo: Image.Image, corners: Points) -> Image.Image:
    """Return the page, from where its marks are in a photo."""
    to_photo = solve_homography(MARKS, corners).tolist()
    return photo.transform(
        PAGE_PX, Image.Transform.PERSPECTIVE, to_photo, Image.Resampling.BILINEAR
    )


def solve_homography(points: Points, to: Points) -> Floats:
    """Return the coefficients a to h that take four points to four others.

    x becomes (a x + b y + c) / (g x + h y + 1), and y (d x + e y + f) / (g x + h y + 1).
    """
    place, none = np.column_stack([points, np.ones(4)]), np.zeros((4, 3))
    rows_x = np.hstack([place, none, -points * to[:, :1]])
    rows_y = np.hstack([none, place, -points * to[:, 1:]])
    return np.asarray(np.linalg.solve(np.concatenate([rows_x, rows_y]), to.T.ravel()))


def _lift_ink(page: Image.Image) -> Pixels:
    """Return what is written on a page: no shadow, no frame, no line."""
    # Paper is what a morphological closing leaves: all that is as narrow as a stroke goes.
    page = page.filter(ImageFilter.MedianFilter(3))
    closed = page.reduce(4).filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MinFilter(9))
    paper = np.asarray(closed.resize(page.size, Image.Resampling.BILINEAR)).astype(np.float64)
    depth = 255 - np.asarray(page) * (255 / np.maximum(paper, 1))
    dark = np.percentile(depth[depth > PALEST_INK], 75)  # the marks are
    ink = (depth - PALEST_INK) * (255 / (0.9 * dark - PALEST_INK))
    return np.clip(ink, 0, 255).astype(np.uint8)


def _cut_field(ink: Pixels, left: int, top: int, character: str) -> SheetField:
    side = np.arange(FIELD - 2 * INSET)
    inside = ink[top + INSET :, left + INSET :][: len(side), : len(side)]
    is_ink, corner = inside > 0, side[:, None] + side < CORNER
    corners = (corner, corner[::-1], corner[:, ::-1], corner[::-1, ::-1])
    n_reached = sum((is_ink & one).sum() >= LEAST_INK_PX // 2 for one in corners)
    if n_reached >= LEAST_CORNERS or is_ink.mean() > MOST_INK_SHARE:
        return SheetField(character, "crossed out", inside)
    return SheetField(character, "written" if is_ink.sum() >= LEAST_INK_PX else "empty", inside)


def draw_glyphs(fields: list[SheetField], side_px: int) -> list[tuple[str, Pixels]]:
    """Draw what was written as square pictures, black on white; return each with its character.

    Letters and digits stand in the middle, those of usual height in 20 of 28 parts of the side, as
    in MNIST. Other characters stand where they stood on the line.
    """
    written = [field for field in fields if field.state == "written"]
    boxes = np.array([Image.fromarray(field.ink).getbbox() for field in written]).reshape(-1, 4)
    is_tall = np.array([field.character.isalnum() for field in written], np.bool_)
    left, top, right, bottom = boxes.T
    usual = boxes[is_tall] if is_tall.any() else np.array([(0, UPPER_LINE, 0, BASE_LINE)]) - INSET
    x = (left + right) / 2
    y = np.where(is_tall, top + bottom, np.median(usual[:, 1::2].sum(1))) / 2
    reach = np.max([right - x, y - top, bottom - y], axis=0)
    half = np.maximum(np.median(usual[:, 3] - usual[:, 1]) * 28 / 20 / 2, reach * 28 / 26)
    cells = np.stack([x - half, y - half, x + half, y + half], axis=1) + FIELD  # of padded ink
    glyphs = []
    for field, cell in zip(written, cells.tolist(), strict=True):
        ink = Image.fromarray(np.pad(field.ink, FIELD))
        glyph = ink.resize((side_px, side_px), Image.Resampling.BICUBIC, tuple(cell))
        glyphs.append((field.character, 255 - np.asarray(glyph)))
    return glyphs


def name_class(character: str) -> str:
    """Return the name of the folder of a character: few can be one themselves everywhere."""
    is_plain = character.isdecimal() or character.isupper()
    return character if is_plain else f"U+{ord(character):04X}"
