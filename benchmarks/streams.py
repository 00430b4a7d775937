"""Streams of PyTorch, against workers that compute nothing and against samples without PyTorch."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, take_turns
from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mnistseq_cli.compose.samples import Block

COUNT, BATCH, WORKERS = 12_800, 64, 2
IDLE, CORE = "a DataLoader whose workers compute nothing", "samples in memory, times two"


class Idle:
    """A dataset that sends the same block over and over, as PyTorch sends NumPy arrays."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def __iter__(self) -> Iterator[Block]:
        """Yield this worker's share."""
        for _ in range(COUNT // BATCH // WORKERS):
            yield self.block


def measure_streams(dataset: str) -> Iterator[Figure]:
    """Yield how many samples a second two workers send."""
    from torch.utils.data import DataLoader, IterableDataset  # noqa: PLC0415 - of an extra

    from mnistseq_cli.torch import IterableSequenceDataset  # noqa: PLC0415 - of an extra

    class IdleDataset(Idle, IterableDataset[Any]):
        """What a DataLoader takes."""

    glyphs = load_glyphs(dataset)
    glyphs.measure(glyphs.ids)

    def go_through(loader: Any) -> None:  # noqa: ANN401 - of a library without types
        for _ in loader:
            pass

    def make_all(generator: SequenceGenerator) -> None:
        go_through(generator.blocks(0, COUNT))

    for name, augment, rounds in (("plain", (), 15), ("medium", ("medium",), 5)):
        recipe = Recipe(length=(5, 5), count=COUNT, augment=augment)
        generator = SequenceGenerator(recipe, glyphs)
        stream: Any = IterableSequenceDataset(recipe, batch_size=BATCH, glyphs=glyphs)
        idle: Any = IdleDataset(generator.block(0, BATCH))
        loaders = {
            one: DataLoader(each, batch_size=None, num_workers=WORKERS, persistent_workers=True)
            for one, each in ((name, stream), (IDLE, idle))
        }
        works: dict[str, Callable[[], None]] = {
            one: partial(go_through, loader) for one, loader in loaders.items()
        }
        for work in works.values():
            work()
        works[CORE] = partial(make_all, generator)
        times = take_turns(works, rounds, time.perf_counter)
        floor, seconds = (IDLE, times[IDLE]) if name == "plain" else (CORE, times[CORE] / WORKERS)
        rate = COUNT / times[name]
        yield Figure(
            f"{name}, two workers", rate, "samples/s", seconds / times[name], floor, "≥ 0.8"
        )
