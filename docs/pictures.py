"""Makes the pictures of the README from the built-in pen: ``python docs/pictures.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli import Recipe, Sample, SequenceGenerator, load_glyphs
from mnistseq_cli.compose.augment import AUGMENTATIONS
from mnistseq_cli.formats.image import write_image
from mnistseq_cli.formats.sheet import FRAME_GREY, FRAME_PX, enlarge, make_sheet

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "images"
SCALE = 3
COLUMNS = 20
DEFAULTS: dict[str, Any] = {"width_px": "natural", "seed": 1, "dataset": "strokes"}
MARGIN_PX = 3

PICTURES: dict[str, list[dict[str, Any]]] = {
    "first": [{"digits": "0123456789", "seed": 4}],
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
        {"digits": "350", "width_px": 160, "spacing_px": (4, 30)},
        {"digits": "350", "width_px": 160, "spacing_px": (4, 30), "edges": True},
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
BOXED = {"digits": "3503503", "spacing_px": (-3, 6), "seed": 5}


SHEETS: dict[str, dict[str, Any]] = {
    **{
        preset: {"digits": "0123456789", "count": 12, "augment": (preset,), "width_px": 300}
        for preset in ("light", "medium", "heavy")
    },
    **{
        f"augment-{name}": {"digits": "2358", "count": 4, "augment": (name,), "width_px": 100}
        for name in AUGMENTATIONS
    },
    "hands": {"digits": "0123456789", "count": 12, "one_hand": True},
}


def make_images(values: dict[str, Any]) -> list[NDArray[np.uint8]]:
    """Make all images of a recipe with the built-in pen."""
    return [sample.image for sample in SequenceGenerator(Recipe(**DEFAULTS | values))]


def make_sample(values: dict[str, Any]) -> Sample:
    """Make one sample with the built-in pen."""
    return SequenceGenerator(Recipe(**DEFAULTS | values))[0]


def stack(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stack images from top to bottom on white."""
    width = max(image.shape[1] for image in images)
    rows = [
        np.pad(image, ((0, MARGIN_PX), (0, width - image.shape[1])), constant_values=255)
        for image in images
    ]
    return np.concatenate(rows)[:-MARGIN_PX]


def draw_boxes(sample: Sample) -> NDArray[np.uint8]:
    """Enlarge a sample and draw its boxes."""
    image = enlarge(sample.image, SCALE)
    for x, y, width, height in (sample.boxes * SCALE + [FRAME_PX, FRAME_PX, 0, 0]).tolist():
        right, bottom = x + width - 1, y + height - 1
        image[[y, bottom], x : right + 1] = FRAME_GREY
        image[y : bottom + 1, [x, right]] = FRAME_GREY
    return image


def show_pen() -> NDArray[np.uint8]:
    """Put the first glyphs of the built-in pen side by side, one digit a row."""
    glyphs = load_glyphs("strokes", "test")
    rows = [glyphs.images[glyphs.labels == digit][:COLUMNS] for digit in range(10)]
    sheet = np.concatenate([row.transpose(1, 0, 2).reshape(28, -1) for row in rows])
    return 255 - sheet.repeat(2, axis=0).repeat(2, axis=1)


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name, rows in PICTURES.items():
        picture = stack([enlarge(make_sample(values).image, SCALE) for values in rows])
        write_image(FOLDER / f"{name}.png", picture)
    write_image(FOLDER / "boxes.png", draw_boxes(make_sample(BOXED)))
    write_image(FOLDER / "strokes.png", show_pen())
    for name, values in SHEETS.items():
        write_image(FOLDER / f"{name}.png", make_sheet(make_images(values)))


if __name__ == "__main__":
    main()
