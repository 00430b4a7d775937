"""Time of distortions, side by side with the libraries that most people use.

Run ``python benchmarks/augment.py [DATASET]`` with the project installed, and for the peers::

    pip install albumentations opencv-python-headless pillow

One core. Each library does what it can do for the same picture, the peers image by image, as a
data loader calls them; runs of all libraries take turns, and the table gives the least time of
the processor.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.compose.augment import Pages, augment_digits, augment_pages, make_plan
from mnistseq_cli.compose.paint import Stamps
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from mnistseq_cli.glyphs.glyphset import GlyphSet, Ink

Images = NDArray[np.uint8]
Peer = Callable[[Images], object]

N_DIGITS, N_PAGES, PAGE_PX = 1280, 256, 140
ROUNDS = 25
SEED = 1
SALT = 0.02
GEOMETRY = {
    "rotate": 10,
    "shear": 10,
    "scale": 0.12,
    "shift": 2,
    "perspective": 0.08,
    "elastic": 2,
}


def draw_of(n: int) -> Callable[[int, int], NDArray[np.uint64]]:
    """Give a source of words for so many digits or pages."""
    return lambda use, n_words: draw_words(SEED, use, 0, n, n_words)


def distort_digits(ink: Ink, **strengths: Any) -> Callable[[], object]:  # noqa: ANN401 - as augment
    """Give the distortion of a block of digits, with all that a picture needs of it."""
    plan = make_plan(strengths)
    return lambda: augment_digits(ink, plan, draw_of(len(ink.images)))


def distort_pages(images: Images, stamps: Stamps, **strengths: Any) -> Callable[[], object]:  # noqa: ANN401 - too
    """Give the distortion of a block of pages, with the boxes of their digits."""
    plan = make_plan(strengths)
    pages = Pages(images, np.full(len(images), images.shape[2]), "black")
    return lambda: augment_pages(pages, stamps, plan, draw_of(len(images)))


def one_by_one(images: Images, peer: Peer) -> Callable[[], object]:
    """Give the work of a peer: image by image."""
    return lambda: [peer(image) for image in images]


def opencv() -> dict[str, Peer]:
    """Give what OpenCV does."""
    cv2: Any = import_module("cv2")
    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEED)
    rows, columns = np.mgrid[:28, :28].astype(np.float32)
    square = np.array([[0, 0], [27, 0], [27, 27], [0, 27]], np.float32)
    window = np.ones((3, 3), np.uint8)

    def affine(image: Images) -> object:
        matrix = cv2.getRotationMatrix2D((13.5, 13.5), rng.uniform(-10, 10), rng.uniform(0.9, 1.1))
        return cv2.warpAffine(image, matrix, (28, 28))

    def geometry(image: Images) -> object:
        corners = square + rng.uniform(-3, 3, (4, 2)).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(square, corners)
        depth = matrix[2, 0] * columns + matrix[2, 1] * rows + 1
        x = (matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]) / depth
        y = (matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]) / depth
        waves = rng.uniform(-2, 2, (6, 6, 2)).astype(np.float32)
        waves = cv2.resize(waves, (28, 28), interpolation=cv2.INTER_CUBIC)
        x, y = (x + waves[..., 0]).astype(np.float32), (y + waves[..., 1]).astype(np.float32)
        return cv2.remap(image, x, y, cv2.INTER_LINEAR)

    def noise(image: Images) -> object:
        numbers = rng.random(image.shape, np.float32)
        return np.where(numbers < SALT, 255, np.where(numbers > 1 - SALT, 0, image))

    def grain(image: Images) -> object:
        return cv2.add(image, cv2.randn(np.empty(image.shape, np.int16), 0, 20), dtype=cv2.CV_8U)

    return {
        "affine": affine,
        "all geometry": geometry,
        "erode": lambda image: cv2.erode(image, window),
        "dilate": lambda image: cv2.dilate(image, window),
        "blur": lambda image: cv2.GaussianBlur(image, (7, 7), 1),
        "noise": noise,
        "grain": grain,
        "contrast": lambda image: cv2.convertScaleAbs(image, alpha=1.2, beta=-20),
    }


def pillow() -> dict[str, Peer]:
    """Give what Pillow does; its windows are square and odd, and it has no displacement field."""
    pil: Any = import_module("PIL.Image")
    filters: Any = import_module("PIL.ImageFilter")
    chops: Any = import_module("PIL.ImageChops")
    enhance: Any = import_module("PIL.ImageEnhance")
    rng = np.random.default_rng(SEED)
    cells = [(x, y, x + 7, y + 7) for x in range(0, 28, 7) for y in range(0, 28, 7)]

    def affine(image: Images) -> object:
        angle = rng.uniform(-10, 10)
        return np.asarray(pil.fromarray(image).rotate(angle, pil.Resampling.BILINEAR))

    def geometry(image: Images) -> object:
        nodes = np.mgrid[:35:7, :35:7].transpose(2, 1, 0) + rng.uniform(-2, 2, (5, 5, 2))
        mesh = [
            (cell, [*nodes[i, j], *nodes[i, j + 1], *nodes[i + 1, j + 1], *nodes[i + 1, j]])
            for cell, (i, j) in zip(cells, np.ndindex(4, 4), strict=True)
        ]
        page = pil.fromarray(image)
        return np.asarray(page.transform((28, 28), pil.MESH, mesh, pil.Resampling.BILINEAR))

    def filtered(kind: object) -> Peer:
        return lambda image: np.asarray(pil.fromarray(image).filter(kind))

    def grain(image: Images) -> object:
        picture = pil.fromarray(image)
        return np.asarray(chops.add(picture, pil.effect_noise(picture.size, 20), offset=-128))

    return {
        "affine": affine,
        "all geometry": geometry,
        "erode": filtered(filters.MinFilter(3)),
        "dilate": filtered(filters.MaxFilter(3)),
        "blur": filtered(filters.GaussianBlur(1)),
        "grain": grain,
        "contrast": lambda image: np.asarray(
            enhance.Contrast(pil.fromarray(image)).enhance(rng.uniform(0.7, 1.3))
        ),
    }


def albumentations() -> dict[str, Peer]:
    """Give what albumentations does."""
    a: Any = import_module("albumentations")
    affine = a.Affine(rotate=(-10, 10), shear=(-10, 10), scale=(0.9, 1.1), p=1)
    several = [affine, a.Perspective((0.02, 0.08), p=1), a.ElasticTransform(2, 4, p=1)]
    transforms = {
        "affine": affine,
        "all geometry": a.Compose(several),
        "erode": a.Morphological((3, 3), "erosion", p=1),
        "dilate": a.Morphological((3, 3), "dilation", p=1),
        "blur": a.GaussianBlur((7, 7), (1, 1), p=1),
        "noise": a.SaltAndPepper((0.04, 0.04), p=1),
        "grain": a.GaussNoise((0.08, 0.08), p=1),
        "contrast": a.RandomBrightnessContrast(0, 0.3, p=1),
    }

    def peer(transform: Any) -> Peer:  # noqa: ANN401 - of a library without types
        return lambda image: transform(image=image[..., None])["image"]

    return {name: peer(transform) for name, transform in transforms.items()}


def find_peers() -> dict[str, dict[str, Peer]]:
    """Give the peers that are installed."""
    found = {}
    for peer in (opencv, pillow, albumentations):
        try:
            found[peer.__name__] = peer()
        except ModuleNotFoundError as error:
            print(f"{peer.__name__} is left out: {error}")
    return found


def make_rows(glyphs: GlyphSet) -> dict[str, tuple[Images, int, Callable[[], object]]]:
    """Give the images of each row, the units its time is divided by, and our work."""
    ink = glyphs.cut_out(glyphs.ids[np.arange(N_DIGITS) * 7 % len(glyphs)])
    sample, place = np.divmod(np.arange(N_DIGITS), N_DIGITS // N_PAGES)
    cells = ink.images.reshape(N_PAGES, -1, 28, 28).transpose(0, 2, 1, 3)
    pages = np.ascontiguousarray(cells).reshape(N_PAGES, 28, PAGE_PX)
    boxes = np.stack([ink.top_px * 0, ink.top_px, ink.width_px, ink.height_px], axis=1)
    stamps = Stamps(ink.images, sample, place, 28 * place, boxes)
    affine = {name: GEOMETRY[name] for name in ("rotate", "shear", "scale")}
    of_digits: dict[str, dict[str, Any]] = {
        "affine": affine,
        "all geometry": GEOMETRY,
        "erode": {"erode": "3x3..3x3"},
        "dilate": {"dilate": "3x3..3x3"},
        "thickness": {"thickness": 0.5},
    }
    of_pages: dict[str, dict[str, Any]] = {
        "blur": {"blur": (1, 1)},
        "noise": {"noise": (0.04, 0.04)},
        "grain": {"grain": (0.08, 0.08)},
        "contrast": {"contrast": 0.3},
        "background": {"background": 0.3},
        "lines": {"lines": 2},
    }
    rows = {
        name: (ink.images, N_DIGITS, distort_digits(ink, **strengths))
        for name, strengths in of_digits.items()
    }
    for name, strengths in of_pages.items():
        rows[name] = (pages, pages.size // 1000, distort_pages(pages, stamps, **strengths))
    return rows


def time_in_turn(works: list[Callable[[], object]]) -> list[float]:
    """Give the least time of each work in microseconds of the processor, all in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            start = time.process_time_ns()
            work()
            taken.append((time.process_time_ns() - start) / 1e3)
    return [min(taken) for taken in times]


def print_rows(glyphs: GlyphSet) -> None:
    """Print the time of each distortion, ours and the peers'."""
    peers = find_peers()
    print(f"{'':14}{'unit':>10}{'ours':>9}" + "".join(f"{name:>16}" for name in peers))
    for name, (images, n_units, ours) in make_rows(glyphs).items():
        able = [peer for peer in peers if name in peers[peer]]
        works = [ours, *(one_by_one(images, peers[peer][name]) for peer in able)]
        times = dict(zip(["ours", *able], time_in_turn(works), strict=True))
        unit = "µs/digit" if n_units == N_DIGITS else "ns/pixel"
        cells = (
            f"{times[peer] / n_units:16.2f}" if peer in times else f"{'':16}" for peer in peers
        )
        print(f"{name:14}{unit:>10}{times['ours'] / n_units:9.2f}" + "".join(cells))


def print_streams(glyphs: GlyphSet) -> None:
    """Print how many images of five digits a second leave each preset."""
    print(f"\n{'five digits':24}{'images a second':>16}")
    for preset in ((), ("light",), ("medium",), ("heavy",)):
        generator = SequenceGenerator(Recipe(length=(5, 5), augment=preset), glyphs)
        starts = iter(range(0, ROUNDS * N_PAGES, N_PAGES))
        generator.block(0, N_PAGES)
        (taken,) = time_in_turn([lambda: generator.block(at := next(starts), at + N_PAGES)])  # noqa: B023 - used at once
        print(f"{preset[0] if preset else 'no distortion':24}{N_PAGES / taken * 1e6:16,.0f}")


def main() -> None:
    """Print both tables."""
    glyphs = load_glyphs(sys.argv[1] if len(sys.argv) > 1 else "mnist")
    glyphs.measure(glyphs.ids)
    print_rows(glyphs)
    print_streams(glyphs)


if __name__ == "__main__":
    main()
