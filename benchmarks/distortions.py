"""Distortions, against the same by OpenCV and albumentations, image by image.

Their digits stay in 28 × 28 pixels; ours are not cut off, and their boxes are measured.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, take_turns
from mnistseq_cli import load_glyphs
from mnistseq_cli.distortions.pipeline import make_pipeline
from mnistseq_cli.glyphs.stamps import Pages, Stamps
from mnistseq_cli.pixels import keep_freed_memory
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from collections.abc import Iterator

Images = NDArray[np.uint8]
Peer = Callable[[Images], object]

N_DIGITS, N_PAGES, PAGE_PX = 1280, 256, 140
ROUNDS, SEED = 9, 1
NOISE, GRAIN, BEND, WAVE_PX = 0.04, 0.08, 0.08, 2
AFFINE: dict[str, Any] = {"rotate": 10, "shear": 10, "scale": 0.12, "shift": 2}
AFFINE_ROW, GEOMETRY_ROW = "rotate, shear, scale, shift", "the same, perspective, elastic"
OF_DIGITS: dict[str, dict[str, Any]] = {
    AFFINE_ROW: AFFINE,
    GEOMETRY_ROW: {**AFFINE, "perspective": BEND, "elastic": WAVE_PX},
    "erode 3x3": {"erode": "3x3..3x3"},
    "dilate 3x3": {"dilate": "3x3..3x3"},
}
OF_PAGES: dict[str, dict[str, Any]] = {
    "blur of 1 px": {"blur": (1, 1)},
    "noise": {"noise": (NOISE, NOISE)},
    "grain": {"grain": (GRAIN, GRAIN)},
    "contrast": {"contrast": 0.3},
}
# What the peers draw, in radians, as a slope, in fractions of the size, in pixels.
LIMITS = [math.radians(10), math.tan(math.radians(10)), 0.12, 0.12, 2, 2]


def draw_of(n: int) -> Callable[[int, int], NDArray[np.uint64]]:
    """Return a source of words for so many digits or pages."""
    return lambda use, n_words: draw_words(SEED, use, 0, n, n_words)


def draw_map(rng: np.random.Generator, middle_px: float) -> tuple[float, ...]:
    """Draw a turn, a lean, two scales and two shifts about a point, as rows of one matrix."""
    turn, lean, wider, higher, right, down = (rng.uniform(-1, 1, 6) * LIMITS).tolist()
    cosine, sine = math.cos(turn), math.sin(turn)
    a, b = cosine * (1 + wider), (cosine * lean - sine) * (1 + higher)
    c, d = sine * (1 + wider), (sine * lean + cosine) * (1 + higher)
    return a, b, middle_px * (1 - a - b) + right, c, d, middle_px * (1 - c - d) + down


def opencv() -> dict[str, Peer]:
    """Return what OpenCV does, one resampling for all geometry."""
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


def albumentations() -> dict[str, Peer]:
    """Return what albumentations does; it resamples once for each kind of geometry."""
    a: Any = import_module("albumentations")
    affine = a.Affine(
        rotate=(-10, 10),
        shear={"x": (-10, 10), "y": 0},
        scale={"x": (0.88, 1.12), "y": (0.88, 1.12)},
        translate_px={"x": (-2, 2), "y": (-2, 2)},
        p=1,
    )
    perspective = a.Perspective((0.01, BEND / 2), fit_output=True, p=1)
    transforms = {
        AFFINE_ROW: affine,
        GEOMETRY_ROW: a.Compose([affine, perspective, a.ElasticTransform(20, 4, p=1)]),
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


def measure_distortions(dataset: str) -> Iterator[Figure]:
    """Yield the time of each distortion, with the ratio to the faster of the peers."""
    keep_freed_memory()  # as a `SequenceGenerator` does
    glyphs = load_glyphs(dataset)
    ink = glyphs.cut_out(glyphs.ids[np.arange(N_DIGITS) * 7 % len(glyphs)])
    sample, place = np.divmod(np.arange(N_DIGITS), N_DIGITS // N_PAGES)
    cells = ink.images.reshape(N_PAGES, -1, 28, 28).transpose(0, 2, 1, 3)
    images = np.ascontiguousarray(cells).reshape(N_PAGES, 28, PAGE_PX)
    boxes = np.stack([ink.top_px * 0, ink.top_px, ink.width_px, ink.height_px], axis=1)
    stamps = Stamps(ink.images, sample, place, 28 * place, boxes)
    pages = Pages(images, np.full(N_PAGES, PAGE_PX), "black")
    peers = {"OpenCV": opencv(), "albumentations": albumentations()}
    for name, strengths in (OF_DIGITS | OF_PAGES).items():
        pipeline, is_digit = make_pipeline(strengths), name in OF_DIGITS
        each, unit = (ink.images, "µs a digit") if is_digit else (images, "µs a row")

        def ours(pipeline: Any = pipeline, is_digit: bool = is_digit) -> object:  # noqa: ANN401, FBT001
            if is_digit:
                return pipeline.digits.distort(ink, draw_of(N_DIGITS))
            return pipeline.pages.distort(pages, stamps, draw_of(N_PAGES))

        works: dict[str, Callable[[], object]] = {name: ours}
        for peer, able in peers.items():
            works[peer] = lambda work=able[name], each=each: [work(image) for image in each]  # type: ignore[misc]
        times = take_turns(works, ROUNDS)
        peer = min(peers, key=lambda peer: times[peer])
        us = times[name] / len(each) * 1e6
        yield Figure(name, us, unit, times[name] / times[peer], peer, "≤ 1.5")
