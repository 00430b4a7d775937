"""Makes the pictures of the README from the built-in pen.

``python docs/pictures.py`` makes all, ``python docs/pictures.py first augment-shift`` these two.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mnistseq_cli import Recipe, Sample, SequenceGenerator, load_glyphs
from mnistseq_cli.distortions.registry import PAPERS
from mnistseq_cli.formats.images import write_image
from mnistseq_cli.glyphs.hand_sheet import (
    draw_glyphs,
    draw_pages,
    list_fields,
    read_photo,
    solve_homography,
)
from mnistseq_cli.glyphs.strokes import N_HANDS, draw_by_id, number_glyphs
from mnistseq_cli.glyphs.strokes.characters import PEN_CHARACTERS
from mnistseq_cli.recipe import NAMED_RECIPES
from mnistseq_cli.sheet import FRAME_GREY, FRAME_PX, GAP_PX, enlarge, make_sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "images"
SCALE = 3
COLUMNS = 20
DEFAULTS: dict[str, Any] = {"width_px": "natural", "seed": 1, "dataset": "strokes"}
MARGIN_PX = 3

PICTURES: dict[str, list[dict[str, Any]]] = {
    "first": [{"digits": "0123456789", "edges": True, "seed": 4}],
    "spacing": [
        {"digits": "3503503", "spacing_px": (0, 4)},
        {"digits": "3503503", "spacing_px": (2, 10)},
        {"digits": "3503503", "spacing_px": (10, 24)},
    ],
    "overlap": [{"digits": "3503503", "spacing_px": (-6, -1)}],
    "fixed": [
        {"digits": "3503503", "spacing_mode": "fixed"},
        {"digits": "3503503", "spacing_mode": "fixed", "measure": "cell", "spacing_px": (0, 4)},
    ],
    "edges": [
        {"digits": "350", "spacing_px": (4, 30)},
        {"digits": "350", "spacing_px": (4, 30), "edges": True},
    ],
    "align": [
        {"digits": "350", "width_px": 160, "align": align} for align in ("left", "center", "right")
    ],
    "fit": [
        {"digits": "3503503", "width_px": 90, "fit": "shrink"},
        {"digits": "3503503", "width_px": 90, "fit": "stretch"},
        {"digits": "350", "width_px": 160, "fit": "stretch"},
    ],
    "ink": [{"digits": "350"}, {"digits": "350", "ink": "white"}],
    "phone": [{"pattern": name, "seed": 2} for name in ("jp", "us", "fr")],
}
# The README shows these: a date, an amount, a phone number.
NUMBERS: tuple[dict[str, Any], ...] = (
    {"pattern": "date-dmy", "seed": 4},
    {"pattern": "amount-us", "seed": 7},
    {"pattern": "us", "dashes": "gap", "seed": 5},
)
BOXED = {"digits": "3503503", "spacing_px": (-3, 6), "seed": 5}


SHEETS: dict[str, dict[str, Any]] = {
    **{
        preset: {"digits": "0123456789", "count": 12, "augment": (preset,), "width_px": 300}
        for preset in ("light", "medium", "heavy")
    },
    "touching": {"digits": "3501748200", "count": 6, "touching": 0.5},
    "hands": {"digits": "0123456789", "count": 12, "hand": "writer"},
}

# What is done to the same digits, after a cell where nothing is; the table of the README says so.
SHOWN = {"digits": "407", "spacing_px": (7, 7), "width_px": 78, "seed": 16}
# A gap between ink is the same after a shift to the side, one between cells is not.
IN_CELLS = {"measure": "cell", "spacing_px": (0, 0), "width_px": 90, "seed": 21}
STRENGTHS: dict[str, tuple[str, str, str]] = {
    "scale": ("-0.3x0", "0x-0.3", "0.25x0.25"),
    "shear": ("-20", "10", "20"),
    "rotate": ("-20", "10", "20"),
    "perspective": ("-0.3", "0.15", "0.3"),
    "shift": ("-4x0..4x0", "0x-4", "0x4"),
    "elastic": ("2", "3", "4"),
    "thickness": ("-0.5", "0.5", "1"),
    "erode": ("2x2", "3x1", "1x3"),
    "dilate": ("2x2", "4x1", "1x4"),
    "baseline": ("-4", "2", "4"),
    "crop": ("0.02", "0.08", "0.15"),
    "join": ("0.3", "0.6", "1"),
    "lines": ("1", "2", "4"),
    "blur": ("0.8", "1.6", "2.4"),
    "background": ("0.3", "0.6", "0.9"),
    "contrast": ("-0.3", "-0.6", "1"),
    "brightness": ("-0.3", "0.15", "0.3"),
    "fade": ("0.2", "0.4", "0.6"),
    "sharpen": ("0.5", "1", "2"),
    "grain": ("0.08", "0.16", "0.24"),
    "noise": ("0.03", "0.06", "0.12"),
    "jpeg": ("30", "15", "5"),
    "resolution": ("0.8", "0.6", "0.4"),
}


def show_sheet(values: dict[str, Any]) -> NDArray[np.uint8]:
    """Put all images of a recipe side by side."""
    return make_sheet([sample.image for sample in SequenceGenerator(Recipe(**DEFAULTS | values))])


def show_rows(recipes: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """Put the first image of each recipe under that of the one before."""
    return stack([enlarge(make_sample(values).image, SCALE) for values in recipes])


def make_sample(values: dict[str, Any]) -> Sample:
    """Make one sample with the built-in pen."""
    return SequenceGenerator(Recipe(**DEFAULTS | values))[0]


def show_strengths(name: str) -> NDArray[np.uint8]:
    """Put the same digits in four cells: as they are, and with three strengths of a distortion."""
    ranges = [text if ".." in text else f"{text}..{text}" for text in STRENGTHS[name]]
    steps = [(), *((f"{name}={text}",) for text in ranges)]
    values = SHOWN | IN_CELLS if name == "shift" else SHOWN
    cells = [make_sample(values | {"augment": step}).image for step in steps]
    return np.concatenate([make_sheet(cells[:2])[:-GAP_PX], make_sheet(cells[2:])])


def show_paper(name: str) -> NDArray[np.uint8]:
    """Return three numbers side by side on paper of a kind."""
    recipe = {"digits": "350", "height_px": 48, "width_px": 160, "paper": (f"{name}=1",)}
    samples = [make_sample({**recipe, "seed": seed}) for seed in (2, 5, 6)]
    gap = np.full((48, GAP_PX), 255, np.uint8)
    return np.hstack([part for one in samples for part in (one.image, gap)][:-1])


def show_heights() -> NDArray[np.uint8]:
    """Put the same number side by side at four heights."""
    recipe = Recipe(**DEFAULTS | {"digits": "350", "seed": 8})
    heights = (SequenceGenerator(recipe.at_height(px))[0].image for px in (28, 48, 64, 128))
    cells = [
        np.pad(one, ((128 - len(one), 0), (0, 4 * GAP_PX)), constant_values=255) for one in heights
    ]
    return np.hstack(cells)[:, : -4 * GAP_PX]


def show_margins() -> NDArray[np.uint8]:
    """Put three rows of one recipe with different margins side by side, each in a frame."""
    recipe = {"digits": "350174", "height_px": 48, "margin_px": (0, 12), "count": 3, "seed": 5}
    return make_sheet([one.image for one in SequenceGenerator(Recipe(**DEFAULTS | recipe))])


def show_recipe(name: str) -> NDArray[np.uint8]:
    """Return six samples of a built-in recipe."""
    recipe = Recipe.named(name, count=6, seed=3, dataset="strokes").at_height(48)
    return make_sheet([sample.image for sample in SequenceGenerator(recipe)], 1)


def stack(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stack images from top to bottom on white."""
    width = max(image.shape[1] for image in images)
    rows = [
        np.pad(image, ((0, MARGIN_PX), (0, width - image.shape[1])), constant_values=255)
        for image in images
    ]
    return np.concatenate(rows)[:-MARGIN_PX]


def show_boxes() -> NDArray[np.uint8]:
    """Enlarge a sample and draw its boxes."""
    sample = make_sample(BOXED)
    image = enlarge(sample.image, SCALE)
    for x, y, width, height in (sample.boxes * SCALE + [FRAME_PX, FRAME_PX, 0, 0]).tolist():
        right, bottom = x + width - 1, y + height - 1
        image[[y, bottom], x : right + 1] = FRAME_GREY
        image[y : bottom + 1, [x, right]] = FRAME_GREY
    return image


def show_numbers() -> NDArray[np.uint8]:
    """Put numbers as people write them under each other, 64 pixels high."""
    ways = {"height_px": 64, "hand": "writer", "dashes": "ink", "spacing_px": (3, 12)}
    return stack([make_sample(ways | values).image for values in NUMBERS])


def show_symbols() -> NDArray[np.uint8]:
    """Put what the pen writes beside digits side by side, one character a row and column."""
    others = PEN_CHARACTERS[10:]
    rows = []
    for character in others:
        ids = number_glyphs(character)[N_HANDS["train"] :][: COLUMNS // 2, 0]
        rows.append(np.hstack([*draw_by_id(ids)]))
    half = -(-len(rows) // 2)
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    return 255 - np.hstack([np.concatenate(rows[:half]), np.concatenate(rows[half:])])


def show_pen() -> NDArray[np.uint8]:
    """Put the first glyphs of the built-in pen side by side, one digit a row."""
    glyphs = load_glyphs("strokes", "test")
    rows = [glyphs.images[glyphs.labels == digit][:COLUMNS] for digit in range(10)]
    sheet = np.concatenate([row.transpose(1, 0, 2).reshape(28, -1) for row in rows])
    return 255 - sheet.repeat(2, axis=0).repeat(2, axis=1)


def show_hand() -> NDArray[np.uint8]:
    """Fill a sheet in with the pen, photograph it, and put its glyphs beside it."""
    glyphs = load_glyphs("strokes", "test")
    page = draw_pages("0123456789", 18)[0]
    for number, (left, top, digit) in enumerate(list_fields("0123456789", 18)):
        own = glyphs.images[glyphs.labels == int(digit)]
        ink = Image.fromarray(own[number]).resize((80, 80))
        page.paste(60, (left + 12, top + 12), ink)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * page.size
    seen = np.array([(90, 60), (840, 20), (900, 1190), (20, 1220)])
    to_page = solve_homography(seen, corners).tolist()
    flat = page.transform((920, 1240), Image.Transform.PERSPECTIVE, to_page, 3, fillcolor=90)
    y, x = np.mgrid[:1240, :920]
    light = 1 - 0.4 / (1 + np.exp((y - x - 300) / 60))
    photo = (np.asarray(flat) * light).astype(np.uint8)
    with TemporaryDirectory() as folder:
        write_image(Path(folder, "photo.png"), photo)
        found = draw_glyphs(read_photo(Path(folder, "photo.png")), 28)
    sheet = make_sheet([image for _, image in found])
    height = max(len(photo), len(sheet))
    padded = [
        np.pad(one, ((0, height - len(one)), (0, GAP_PX)), constant_values=255)
        for one in (photo, sheet)
    ]
    return np.concatenate(padded, axis=1)[::2, ::2]


PAINTERS: dict[str, Callable[[], NDArray[np.uint8]]] = {
    **{name: partial(show_rows, rows) for name, rows in PICTURES.items()},
    **{name: partial(show_sheet, values) for name, values in SHEETS.items()},
    **{f"augment-{name}": partial(show_strengths, name) for name in STRENGTHS},
    **{f"paper-{name}": partial(show_paper, name) for name in PAPERS},
    **{f"recipe-{name}": partial(show_recipe, name) for name in NAMED_RECIPES},
    "boxes": show_boxes,
    "heights": show_heights,
    "margins": show_margins,
    "hand": show_hand,
    "numbers": show_numbers,
    "symbols": show_symbols,
    "strokes": show_pen,
}


def main() -> None:
    """Write the pictures that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PAINTERS:
        write_image(FOLDER / f"{name}.png", PAINTERS[name]())


if __name__ == "__main__":
    main()
