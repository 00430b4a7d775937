"""Time of distortions, side by side with the libraries that most people use.

Run with the peers installed, those of them that are wanted::

    pip install . --group benchmarks
    python benchmarks/augment.py [DATASET]

One core. Each library does what it can do for the same picture, the peers image by image, as a
data loader calls them; runs of all libraries take turns, and the table gives the least time of
the processor. Digits of the peers stay in their 28 x 28 pixels; ours are not cut off, and their
boxes are measured.
"""

from __future__ import annotations

import math
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
from mnistseq_cli.distortions import make_pipeline
from mnistseq_cli.glyphs.stamps import Pages, Stamps
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from mnistseq_cli.glyphs.glyph_set import GlyphInk, GlyphSet

Images = NDArray[np.uint8]
Peer = Callable[[Images], object]

N_DIGITS, N_PAGES, PAGE_PX = 1280, 256, 140
ROUNDS = 25
SEED = 1
NOISE, GRAIN, BEND, WAVE_PX = 0.04, 0.08, 0.08, 2
AFFINE = {"rotate": 10, "shear": 10, "scale": 0.12, "shift": 2}
GEOMETRY = {**AFFINE, "perspective": BEND, "elastic": WAVE_PX}
# What the peers draw, in radians, as a slope, in fractions of the size, in pixels.
LIMITS = [math.radians(10), math.tan(math.radians(10)), 0.12, 0.12, 2, 2]
AFFINE_ROW, GEOMETRY_ROW = "rotate, shear, scale, shift", "the same, perspective, elastic"


def draw_of(n: int) -> Callable[[int, int], NDArray[np.uint64]]:
    """Give a source of words for so many digits or pages."""
    return lambda use, n_words: draw_words(SEED, use, 0, n, n_words)


def distort_digits(ink: GlyphInk, **strengths: Any) -> Callable[[], object]:  # noqa: ANN401 - as augment
    """Give the distortion of a block of digits, with all that a picture needs of it."""
    pipeline = make_pipeline(strengths)
    return lambda: pipeline.digits.distort(ink, draw_of(len(ink.images)))


def distort_pages(images: Images, stamps: Stamps, **strengths: Any) -> Callable[[], object]:  # noqa: ANN401 - too
    """Give the distortion of a block of pages, with the boxes of their digits."""
    pipeline = make_pipeline(strengths)
    pages = Pages(images, np.full(len(images), images.shape[2]), "black")
    return lambda: pipeline.pages.distort(pages, stamps, draw_of(len(images)))


def one_by_one(images: Images, peer: Peer) -> Callable[[], object]:
    """Give the work of a peer: image by image."""
    return lambda: [peer(image) for image in images]


def draw_map(rng: np.random.Generator, middle_px: float) -> tuple[float, ...]:
    """Draw a turn, a lean, two scales and two shifts about a point, as rows of one matrix."""
    turn, lean, wider, higher, right, down = (rng.uniform(-1, 1, 6) * LIMITS).tolist()
    cosine, sine = math.cos(turn), math.sin(turn)
    a, b = cosine * (1 + wider), (cosine * lean - sine) * (1 + higher)
    c, d = sine * (1 + wider), (sine * lean + cosine) * (1 + higher)
    return a, b, middle_px * (1 - a - b) + right, c, d, middle_px * (1 - c - d) + down


def opencv() -> dict[str, Peer]:
    """Give what OpenCV does, one resampling for all geometry."""
    cv2: Any = import_module("cv2")
    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEED)
    from_middle = (np.mgrid[:28, :28][::-1].transpose(1, 2, 0) - 13.5).astype(np.float32)
    window = np.ones((3, 3), np.uint8)
    few = round(NOISE / 2 * 2**16)

    def affine(image: Images) -> object:
        matrix = np.array(draw_map(rng, 13.5)).reshape(2, 3)
        return cv2.warpAffine(image, matrix, (28, 28), flags=cv2.INTER_LINEAR)

    def geometry(image: Images) -> object:
        bend = rng.uniform(-BEND / 14, BEND / 14, 2).tolist()
        matrix = np.array([*draw_map(rng, 0), *bend, 1]).reshape(3, 3)
        reach_px = rng.uniform(0, WAVE_PX)
        waves = rng.uniform(13.5 - reach_px, 13.5 + reach_px, (4, 4, 2)).astype(np.float32)
        waves = cv2.resize(waves, (28, 28), interpolation=cv2.INTER_CUBIC)
        places = cv2.add(cv2.perspectiveTransform(from_middle, matrix), waves)
        return cv2.remap(image, places, None, cv2.INTER_LINEAR)

    def noise(image: Images) -> object:
        numbers = cv2.randu(np.empty(image.shape, np.uint16), 0, 2**16)
        white = cv2.compare(numbers, few, cv2.CMP_LT)
        black = cv2.compare(numbers, 2**16 - 1 - few, cv2.CMP_GT)
        return cv2.subtract(cv2.bitwise_or(image, white), black)

    def grain(image: Images) -> object:
        numbers = cv2.randn(np.empty(image.shape, np.int16), 0, 255 * GRAIN)
        return cv2.add(image, numbers, dtype=cv2.CV_8U)

    def contrast(image: Images) -> object:
        gain = rng.uniform(0.7, 1.3)
        return cv2.addWeighted(image, gain, image, 0, 128 * (1 - gain))

    return {
        AFFINE_ROW: affine,
        GEOMETRY_ROW: geometry,
        "erode 3x3": lambda image: cv2.erode(image, window),
        "dilate 3x3": lambda image: cv2.dilate(image, window),
        "blur of 1 px": lambda image: cv2.GaussianBlur(image, (7, 7), 1),
        "noise": noise,
        "grain": grain,
        "contrast": contrast,
    }


def pillow() -> dict[str, Peer]:
    """Give what Pillow does; it bends a mesh of 4 x 4 tiles, for it takes no map of pixels."""
    pil: Any = import_module("PIL.Image")
    filters: Any = import_module("PIL.ImageFilter")
    chops: Any = import_module("PIL.ImageChops")
    enhance: Any = import_module("PIL.ImageEnhance")
    rng = np.random.default_rng(SEED)
    tiles = [(x, y, x + 7, y + 7) for x in range(0, 28, 7) for y in range(0, 28, 7)]
    from_middle = np.mgrid[:35:7, :35:7].transpose(1, 2, 0) - 14

    def affine(image: Images) -> object:
        page = pil.fromarray(image)
        matrix = draw_map(rng, 14)
        return np.asarray(page.transform((28, 28), pil.AFFINE, matrix, pil.Resampling.BILINEAR))

    def geometry(image: Images) -> object:
        a, b, right, c, d, down = draw_map(rng, 0)
        nodes = from_middle @ ((a, c), (b, d)) + (right, down)
        nodes /= 1 + from_middle @ rng.uniform(-BEND / 14, BEND / 14, (2, 1))
        reach_px = rng.uniform(0, WAVE_PX)
        nodes += rng.uniform(14 - reach_px, 14 + reach_px, nodes.shape)
        corners = (nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1])
        quads = np.concatenate(corners, axis=2).reshape(-1, 8).tolist()
        mesh = list(zip(tiles, quads, strict=True))
        page = pil.fromarray(image)
        return np.asarray(page.transform((28, 28), pil.MESH, mesh, pil.Resampling.BILINEAR))

    def filtered(kind: object) -> Peer:
        return lambda image: np.asarray(pil.fromarray(image).filter(kind))

    def grain(image: Images) -> object:
        picture = pil.fromarray(image)
        numbers = pil.effect_noise(picture.size, 255 * GRAIN)
        return np.asarray(chops.add(picture, numbers, offset=-128))

    return {
        AFFINE_ROW: affine,
        GEOMETRY_ROW: geometry,
        "erode 3x3": filtered(filters.MinFilter(3)),
        "dilate 3x3": filtered(filters.MaxFilter(3)),
        "blur of 1 px": filtered(filters.GaussianBlur(1)),
        "grain": grain,
        "contrast": lambda image: np.asarray(
            enhance.Contrast(pil.fromarray(image)).enhance(rng.uniform(0.7, 1.3))
        ),
    }


def albumentations() -> dict[str, Peer]:
    """Give what albumentations does; it resamples once for each kind of geometry."""
    a: Any = import_module("albumentations")
    affine = a.Affine(
        rotate=(-10, 10),
        shear={"x": (-10, 10), "y": 0},
        scale={"x": (0.88, 1.12), "y": (0.88, 1.12)},
        translate_px={"x": (-2, 2), "y": (-2, 2)},
        p=1,
    )
    perspective = a.Perspective((0.01, BEND / 2), fit_output=True, p=1)
    several = [affine, perspective, a.ElasticTransform(20, 4, p=1)]
    transforms = {
        AFFINE_ROW: affine,
        GEOMETRY_ROW: a.Compose(several),
        "erode 3x3": a.Morphological((3, 3), "erosion", p=1),
        "dilate 3x3": a.Morphological((3, 3), "dilation", p=1),
        "blur of 1 px": a.GaussianBlur((7, 7), (1, 1), p=1),
        "noise": a.SaltAndPepper((NOISE, NOISE), p=1),
        "grain": a.GaussNoise((GRAIN, GRAIN), p=1),
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
    of_digits: dict[str, dict[str, Any]] = {
        AFFINE_ROW: AFFINE,
        GEOMETRY_ROW: GEOMETRY,
        "erode 3x3": {"erode": "3x3..3x3"},
        "dilate 3x3": {"dilate": "3x3..3x3"},
        "thickness": {"thickness": 0.5},
    }
    of_pages: dict[str, dict[str, Any]] = {
        "blur of 1 px": {"blur": (1, 1)},
        "noise": {"noise": (NOISE, NOISE)},
        "grain": {"grain": (GRAIN, GRAIN)},
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
    print(f"{'':31}{'unit':>10}{'ours':>9}" + "".join(f"{name:>16}" for name in peers))
    for name, (images, n_units, ours) in make_rows(glyphs).items():
        able = [peer for peer in peers if name in peers[peer]]
        works = [ours, *(one_by_one(images, peers[peer][name]) for peer in able)]
        times = dict(zip(["ours", *able], time_in_turn(works), strict=True))
        unit = "µs/digit" if n_units == N_DIGITS else "ns/pixel"
        cells = (
            f"{times[peer] / n_units:16.2f}" if peer in times else f"{'':16}" for peer in peers
        )
        print(f"{name:31}{unit:>10}{times['ours'] / n_units:9.2f}" + "".join(cells))


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
