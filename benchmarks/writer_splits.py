"""What splits by glyph hide: a reader on val with shared writers, with its own, and on test.

Run ``python -m benchmarks.writer_splits`` with the project and torch installed, and the writers of
MNIST in the cache (``mnistseq download mnist``). A small network learns 30,000 numbers of three
digits and reads 10,000 of val and 10,000 of test, once with splits by glyph and once by writer;
three seeds each, which draw the numbers and the network. Takes twenty minutes on one core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from benchmarks.small_network import read, torch, train
from mnistseq_cli import Recipe
from mnistseq_cli.compose.splits import cut, open_splits, parse_weights
from mnistseq_cli.recipe import Group

if TYPE_CHECKING:
    from mnistseq_cli.compose.samples import Block

SEEDS = (0, 1, 2)
SPLITS = ("train=60", "val=20", "test=20")
N_SAMPLES, N_DIGITS, WIDTH_PX = 50_000, 3, 96
T_95 = 4.303  # of Student's t with two degrees of freedom, both sides


def make_blocks(by: Group, seed: int) -> dict[str, Block]:
    """Make the samples of each split."""
    recipe = Recipe(
        length=N_DIGITS,
        count=N_SAMPLES,
        seed=seed,
        width_px=WIDTH_PX,
        fit="shrink",
        dataset="mnist",
        glyphs="all",
        splits=SPLITS,
        splits_by=by,
    )
    splits = cut(parse_weights(SPLITS), N_SAMPLES)
    generators = open_splits(recipe, splits)
    return {it.name: generators[it.name].block(it.start, it.stop) for it in splits}


def spell(shares: list[float]) -> str:
    """Return the mean of some shares, and its 95 % interval."""
    half = T_95 * np.std(shares, ddof=1) / np.sqrt(len(shares))
    return f"{np.mean(shares):.2f} ± {half:.2f} %"


def main() -> None:
    """Print a row for each rule."""
    torch.set_num_threads(1)
    for by in get_args(Group):
        found: dict[str, list[float]] = {"val": [], "test": []}
        for seed in SEEDS:
            blocks = make_blocks(by, seed)
            learnt = blocks["train"]
            network = train(
                255 - learnt.images,
                learnt.classes,
                seed,
                channels=(16, 32),
                dropout=0.3,
                epochs=4,
            )
            for split, shares in found.items():
                right = read(network, 255 - blocks[split].images) == blocks[split].classes
                shares.append(float(100 * right.all(axis=1).mean()))
            print(f"by {by}, seed {seed}: {found}", flush=True)
        gaps = [val - test for val, test in zip(found["val"], found["test"], strict=True)]
        cells = " | ".join(map(spell, [found["val"], found["test"], gaps]))
        print(f"| by {by} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
