"""What splits by glyph hide: a reader on val with shared writers, with its own, and on test.

Run ``python benchmarks/writer_splits.py`` with the project and torch installed, and the writers of
MNIST in the cache (``mnistseq download mnist``). A small network learns 30,000 numbers of three
digits and reads 10,000 of val and 10,000 of test, once with splits by glyph and once by writer;
three seeds each, which draw the numbers and the network. Takes twenty minutes on one core.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from mnistseq_cli import Recipe
from mnistseq_cli.compose.splits import cut, open_splits, parse_weights
from mnistseq_cli.recipe import Group

if TYPE_CHECKING:
    from mnistseq_cli.compose.samples import Block

torch: Any = import_module("torch")
nn: Any = torch.nn

SEEDS = (0, 1, 2)
SPLITS = ("train=60", "val=20", "test=20")
N_SAMPLES, N_DIGITS, WIDTH_PX = 50_000, 3, 96
EPOCHS, BATCH, LEARNING_RATE = 4, 100, 0.002
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


def to_tensor(block: Block) -> Any:  # noqa: ANN401 - a torch tensor
    """Return images as the network wants them, 0 to 1."""
    return torch.from_numpy((255 - block.images).astype(np.float32) / 255)[:, None]


def train(block: Block, seed: int) -> Any:  # noqa: ANN401 - a torch module
    """Train a new network of two convolutions and two dense layers."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(128), nn.ReLU()),
        *(nn.Linear(128, 10 * N_DIGITS), nn.Unflatten(1, (10, N_DIGITS))),
    )
    images, labels = to_tensor(block), torch.from_numpy(block.classes.astype(np.int64))
    network(images[:1])
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    n_steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, n_steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images))[: n_steps // EPOCHS * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def read(network: Any, block: Block) -> float:  # noqa: ANN401 - a torch module
    """Return how many numbers in a hundred are read right."""
    with torch.no_grad():
        parts = [network(part).argmax(1).numpy() for part in to_tensor(block).split(1000)]
    return float(100 * (np.concatenate(parts) == block.classes).all(axis=1).mean())


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
            network = train(blocks["train"], seed)
            for split, shares in found.items():
                shares.append(read(network, blocks[split]))
            print(f"by {by}, seed {seed}: {found}", flush=True)
        gaps = [val - test for val, test in zip(found["val"], found["test"], strict=True)]
        cells = " | ".join(map(spell, [found["val"], found["test"], gaps]))
        print(f"| by {by} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
