"""Datasets of samples, for DataLoaders with workers and for distributed training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import distributed
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from mnistseq_cli.torch.collate import Item, to_items
from mnistseq_cli.torch.transport import send_through_memory

MadeT = TypeVar("MadeT")
BATCH_SIZE = 128
_EPOCH, _IN_WORKERS = 0, 1  # places in the memory that worker processes share
_MOST_WORKERS = 1024


class _Stream:
    """A recipe and the epoch it is in; both travel into worker processes."""

    def __init__(
        self,
        recipe: Recipe | str | Path,
        glyphs: GlyphSet | str | None = None,
        data_dir: str | Path | None = None,
        *,
        masks: bool = False,
    ) -> None:
        self.generator = SequenceGenerator(recipe, glyphs, data_dir)
        self.generator.check()
        self._masks = masks
        self._shared = torch.zeros(2, dtype=torch.int64).share_memory_()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.generator!r}>"

    @property
    def recipe(self) -> Recipe:
        """The recipe, with all that it was opened with."""
        return self.generator.recipe

    @property
    def alphabet(self) -> str:
        """The character of each class."""
        return self.generator.alphabet

    @property
    def epoch(self) -> int:
        """The epoch whose samples come next."""
        return int(self._shared[_EPOCH])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; persistent workers learn of it too."""
        self._shared[_EPOCH] = epoch

    def _make(self, epoch: int, samples: Iterable[tuple[int, int]]) -> Iterator[Block]:
        """Make samples from here to there of an epoch, a block of each."""
        first = epoch * self.recipe.count
        shifted = tuple(range(first + start, first + stop) for start, stop in samples)
        return self.generator.stretches(shifted, masks=self._masks)


class SequenceDataset(_Stream, Dataset[Item]):
    """The samples of a recipe by index, one by one.

    A DataLoader gathers them without a `collate_fn`. Samples have no order that shuffling would
    break: `IterableSequenceDataset` gives the same ones, many times faster.

    Parameters
    ----------
    recipe : Recipe
    glyphs, data_dir
        As for `SequenceGenerator`.
    masks : bool
        Whether to make masks, for `detection_collate`.
    """

    def __len__(self) -> int:
        return self.recipe.count

    def __getitem__(self, index: int) -> Item:
        """Make one sample; a negative index counts from the end."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Make many samples, those that follow each other together; a DataLoader calls it."""
        asked = np.asarray(indices)
        places = np.where(asked < 0, asked + len(self), asked)
        outside = asked[(places < 0) | (places >= len(self))]
        if outside.size:
            raise IndexError(f"sample {outside[0]} of {len(self)}")
        if not places.size:
            return []
        runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
        paper = float(self.recipe.ink == "black")
        made = self._make(self.epoch, [(int(run[0]), int(run[-1]) + 1) for run in runs])
        return [item for block in made for item in to_items(block, paper)]


class IterableSequenceDataset(_Stream, IterableDataset[Block]):
    """The samples of an epoch in batches, each made at once.

    Hand it to a ``DataLoader(dataset, batch_size=None)`` and turn each `Block` into tensors in
    the loop, with `ctc_collate` or `detection_collate`: NumPy arrays of bytes travel from workers
    several times as fast as tensors of floats. Whatever the number of workers, batches come in
    the same order; ranks share them out in turn.

    Parameters
    ----------
    recipe : Recipe
    batch_size : int
        Samples in a batch; the last one may be smaller.
    drop_last : bool
        Whether to leave out batches at the end so that all are full and every rank has as many:
        without that, distributed training waits for ever at the end of an epoch.
    rank, world_size : int, optional
        Which share of the batches; by default that of `torch.distributed`, or of the variables
        RANK and WORLD_SIZE.
    glyphs, data_dir
        As for `SequenceGenerator`.
    masks : bool
        Whether to make masks, for `detection_collate`.
    """

    def __init__(
        self,
        recipe: Recipe | str | Path,
        *,
        batch_size: int = BATCH_SIZE,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        glyphs: GlyphSet | str | None = None,
        data_dir: str | Path | None = None,
        masks: bool = False,
    ) -> None:
        super().__init__(recipe, glyphs, data_dir, masks=masks)
        here = _find_rank()
        self.rank = here[0] if rank is None else rank
        self.world_size = here[1] if world_size is None else world_size
        if batch_size < 1 or not 0 <= self.rank < self.world_size:
            raise UsageError(
                f"batch_size is {batch_size}, rank is {self.rank} of {self.world_size}; expected "
                "a batch_size of 1 or more and a rank from 0 to world_size - 1"
            )
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._next = (0, 0)  # an epoch, and a batch in it
        # The epoch of a state that was loaded, and where each worker begins its next pass.
        self._loaded = torch.zeros(1 + _MOST_WORKERS, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        """Return the number of batches of this rank."""
        if self.drop_last:
            return self.recipe.count // self.batch_size // self.world_size
        n_batches = -(-self.recipe.count // self.batch_size)
        return max(0, -(-(n_batches - self.rank) // self.world_size))

    def __iter__(self) -> Iterator[Block]:
        """Make the batches of this rank and worker."""
        info = get_worker_info()
        worker, n_workers = (info.id, info.num_workers) if info else (0, 1)
        self._shared[_IN_WORKERS] = info is not None
        if info:
            send_through_memory()
        epoch = self.epoch
        first = 0
        if self._loaded[0] == epoch:
            first = int(self._loaded[1 + worker])
            self._loaded[1 + worker] = 0
            self._loaded[1 + n_workers :] = 0  # a place is for the workers of one pass
        self._next = epoch, first
        return self._batches(epoch, range(first + worker, len(self), n_workers), worker)

    def state_dict(self, n_batches: int | None = None) -> dict[str, int]:
        """Return the place in the epoch, to go on from with `load_state_dict`.

        Parameters
        ----------
        n_batches : int, optional
            How many batches of this epoch the training loop has had, before and since
            `load_state_dict`. A DataLoader with workers makes batches ahead, so there only the
            loop knows; torchdata's StatefulDataLoader keeps count itself.

        Raises
        ------
        UsageError
            Workers make the batches, and `n_batches` is missing.
        """
        if n_batches is None and get_worker_info() is None and self._shared[_IN_WORKERS]:
            raise UsageError(
                "workers make batches ahead, so the dataset cannot know how many were used",
                "Count them in the loop: dataset.state_dict(n_batches)",
            )
        if n_batches is None:
            n_batches = self._next[1] if self._next[0] == self.epoch else 0
        return {"epoch": self.epoch, "batch": n_batches} | self._shape()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the epoch where `state_dict` was called; the number of workers may differ.

        That is so for the next pass of the epoch, also by persistent workers; a later pass of
        the same epoch begins at its start.

        Raises
        ------
        UsageError
            The state is of another number of ranks, or of batches of another size.
        """
        for name, value in self._shape().items():
            if state[name] != value:
                raise UsageError(f"{name} is {value}, but the state was saved with {state[name]}")
        if get_worker_info():  # StatefulDataLoader gives each worker a place of its own
            self._loaded = self._loaded.clone()
        self._next = state["epoch"], state["batch"]
        self._loaded[0], self._loaded[1:] = self._next
        self.set_epoch(state["epoch"])

    def _batches(self, epoch: int, numbers: range, worker: int) -> Iterator[Block]:
        size = self.batch_size
        together = max(1, self.generator.block_size // size)

        def make(some: range) -> list[tuple[int, Block]]:
            starts = [(number * self.world_size + self.rank) * size for number in some]
            ends = [min(start + size, self.recipe.count) for start in starts]
            made = self._make(epoch, zip(starts, ends, strict=True))
            return [*zip(some, made, strict=True)]

        groups = (numbers[first : first + together] for first in range(0, len(numbers), together))
        for made in (_map_ahead if get_worker_info() else map)(make, groups):
            for number, block in made:
                # Of the newest step, as several passes may go on at once.
                self._next = epoch, number - worker + numbers.step
                yield block

    def _shape(self) -> dict[str, int]:
        return {"batch_size": self.batch_size, "world_size": self.world_size}


def _map_ahead(function: Callable[[range], MadeT], values: Iterable[range]) -> Iterator[MadeT]:
    """Call a function in a thread, always for one value more than was asked for.

    A DataLoader asks a worker for few batches ahead, so that it would wait while more are made.
    """
    with ThreadPoolExecutor(1) as thread:
        newest = (thread.submit(function, value) for value in values)
        for before, _ in pairwise(chain(newest, [Future()])):
            yield before.result()


def _find_rank() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
