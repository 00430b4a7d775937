"""How well the built-in pen stands in for real digits, both ways.

Run ``MNISTSEQ_TEST_MNIST=FOLDER python -m benchmarks.strokes_transfer`` with the project
installed, where FOLDER holds the four official MNIST files, and for the network::

    pip install torch

A small network learns 20,000 strokes glyphs and reads the 10,000 real test digits; the same
network learns the 60,000 real digits and reads the 4,000 strokes test glyphs; three seeds each.
No distortion, no real digit in the first training, no strokes glyph in the second. Then mean and
spread of what can be measured on a glyph, class by class, against MNIST's training digits. On two
cores all this takes about ten minutes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.small_network import read, train
from mnistseq_cli import load_glyphs
from mnistseq_cli.glyphs.catalog import SPLITS, STROKES
from mnistseq_cli.glyphs.strokes import draw_glyphs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Glyphs = tuple[NDArray[np.uint8], NDArray[np.uint8]]

SEEDS = (0, 1, 2)
MEASURES = ("ink", "ink width", "ink height", "slant", "stroke width")


def print_transfer(title: str, learnt: Glyphs, tested: Glyphs) -> None:
    """Print how many in a hundred are read right, in all and of each class."""
    print(f"{title}, % read right")
    images, labels = tested
    every = []
    for seed in SEEDS:
        network = train(*learnt, seed, channels=(32, 64), dropout=0.5, epochs=5)
        right = read(network, images) == labels
        shares = [
            100 * right.mean(),
            *(100 * right[labels == digit].mean() for digit in range(10)),
        ]
        every.append(shares)
        print_shares(f"seed {seed}", shares)
    print_shares("mean", np.mean(every, axis=0))


def print_shares(title: str, shares: Any) -> None:  # noqa: ANN401 - floats in a list or an array
    """Print one row of shares."""
    classes = "  ".join(f"{digit}: {share:.1f}" for digit, share in enumerate(shares[1:]))
    print(f"  {title}: {shares[0]:.2f}   {classes}", flush=True)


def measure(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure glyphs, shape (N, 5), in the order of `MEASURES`; pixels and degrees.

    Ink is the sum of the grey levels as parts of full black. Slant is the lean of the principal
    shear, from the second moments. A stroke of width w and length l has area w l and an edge of
    2 l, and the total variation is the length of the edge.
    """
    grey = images / 255.0
    ink = grey.sum(axis=(1, 2))
    rows, columns = np.arange(28.0)[:, None], np.arange(28.0)
    down = rows - ((grey * rows).sum(axis=(1, 2)) / ink)[:, None, None]
    across = columns - ((grey * columns).sum(axis=(1, 2)) / ink)[:, None, None]
    lean = -(grey * down * across).sum(axis=(1, 2)) / (grey * down * down).sum(axis=(1, 2))
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)))
    edge = np.hypot(np.diff(padded, axis=1)[:, :, 1:], np.diff(padded, axis=2)[:, 1:])
    stroke = 2 * ink / edge.sum(axis=(1, 2))
    extents = [_extent(images.max(axis=axis) > 0) for axis in (1, 2)]
    return np.stack([ink, *extents, np.degrees(np.arctan(lean)), stroke], axis=1)


def _extent(inked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count from the first to the last that holds ink, both included."""
    blank = inked.argmax(axis=1) + inked[:, ::-1].argmax(axis=1)
    return np.asarray(inked.shape[1] - blank)


def print_moments(strokes: Glyphs, real: Glyphs) -> None:
    """Print mean ± spread of strokes, and how far both are from MNIST's, in % of MNIST's.

    A mean slant may be 0, so it is compared to MNIST's spread of slant.
    """
    print("strokes: mean ± spread (difference to MNIST of each, %)")
    print("class  " + "".join(f"{name:26}" for name in MEASURES))
    drawn, wanted = measure(strokes[0]), measure(real[0])
    worst = 0.0
    for digit in range(10):
        ours, theirs = drawn[strokes[1] == digit], wanted[real[1] == digit]
        mean, spread = theirs.mean(axis=0), theirs.std(axis=0)
        base = np.where([name == "slant" for name in MEASURES], spread, mean)
        off_mean = 100 * (ours.mean(axis=0) - mean) / base
        off_spread = 100 * (ours.std(axis=0) / spread - 1)
        worst = max(worst, np.abs(off_mean).max(), np.abs(off_spread).max())
        cells = zip(ours.mean(axis=0), ours.std(axis=0), off_mean, off_spread, strict=True)
        row = [f"{m:.2f} ± {s:.2f} ({a:+.0f}, {b:+.0f})" for m, s, a, b in cells]
        print(f"{digit:5}  " + "".join(f"{cell:26}" for cell in row))
    print(f"largest difference: {worst:.1f} %")


def count_equal_pairs(images: NDArray[np.uint8]) -> int:
    """Count glyphs that are equal to an earlier one."""
    return len(images) - len({image.tobytes() for image in images})


def load_real(folder: Path, split: str) -> Glyphs:
    """Load MNIST from the official files."""
    glyphs = load_glyphs(str(folder), split)
    return np.array(glyphs.images), np.array(glyphs.labels)


def main() -> None:
    """Print all figures."""
    folder = os.environ.get("MNISTSEQ_TEST_MNIST")
    if not folder:
        sys.exit("MNISTSEQ_TEST_MNIST must name the folder of the four official MNIST files")
    real_train, real_test = (load_real(Path(folder), split) for split in ("train", "test"))
    train_set, test_set = (
        draw_glyphs(name, np.arange(STROKES.split(name).n_glyphs)) for name in SPLITS
    )
    print_transfer("20,000 strokes learnt, 10,000 real test digits", train_set, real_test)
    print_transfer("60,000 real digits learnt, 4,000 strokes", real_train, test_set)
    print(f"equal pairs: {count_equal_pairs(np.concatenate([train_set[0], test_set[0]]))}")
    print_moments(train_set, real_train)


if __name__ == "__main__":
    main()
