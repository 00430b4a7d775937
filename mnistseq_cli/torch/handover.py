"""Memory for images that is used again, and in which workers hand images over.

A DataLoader sends each tensor in new shared memory with a file descriptor of its own, which takes
several times as long as making the samples. Here a worker has a few slots of shared memory. Their
descriptors travel once; after that, a batch only names its slot, which is free again when both
processes have dropped the batch. Where no slot is free, tensors have memory of their own; tensors
that were handed over before, or that leave in another way, are copied.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
import weakref
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_N_SLOTS = 4  # two that a DataLoader asks for ahead, one in use, one that is about to be dropped
_NUMBER_BYTES = 4
_HELD, _HANDED = 1, 2  # what the process that took a slot has of it
_ROOM = 1.25  # widths differ from batch to batch


@dataclass(frozen=True, eq=False)
class _Slots:
    """Memory for a few tensors.

    `numbers` is float32 (slots, room); `taken` uint8 (slots,), whether the loading process has a
    slot; `held` uint8 (slots,), whether this process has it: 0, held or handed over as well.
    """

    numbers: Tensor
    taken: Tensor
    held: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(_N_SLOTS, np.uint8))

    def __reduce__(self) -> tuple[Any, ...]:
        return _Slots, (self.numbers, self.taken)

    @property
    def room(self) -> int:
        """Numbers that fit into a slot."""
        return int(self.numbers.shape[1])

    def take(self) -> Tensor | None:
        """Give all of a free slot, if there is one."""
        in_use = self.held | self.taken.numpy()
        slot = int(in_use.argmin())
        if in_use[slot]:
            return None
        self.held[slot] = _HELD
        return self._open(slot, self.held)

    def receive(self, slot: int) -> Tensor:
        """Give all of a slot that was handed over."""
        return self._open(slot, self.taken.numpy())

    def _open(self, slot: int, users: NDArray[np.uint8]) -> Tensor:
        numbers = self.numbers.numpy()[slot]
        # The tensor and all that is cut out of it hold on to this array.
        weakref.finalize(numbers, _free, users, slot).atexit = False
        return torch.from_numpy(numbers)

    def hand_over(self, tensors: Sequence[Tensor]) -> int | None:
        """Give the slot in which all these tensors are, if there is one, and only once."""
        starts = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        if len(starts) != 1 or any(tensor.dtype != torch.float32 for tensor in tensors):
            return None
        offset_bytes = int(starts.pop() - self.numbers.data_ptr())
        slot, rest = divmod(offset_bytes, self.room * _NUMBER_BYTES)
        if rest or not 0 <= slot < _N_SLOTS or self.held[slot] != _HELD:
            return None
        self.held[slot], self.taken[slot] = _HANDED, 1
        return slot


class _Handed(NamedTuple):
    """Tensors in a slot of a worker; the first message brings the slots along."""

    worker: int
    slot: int
    places: list[tuple[int, torch.Size, tuple[int, ...]]]  # offset, shape, strides
    slots: _Slots | None


class _Joined(NamedTuple):
    """Tensors one after the other, and how long each is."""

    values: NDArray[Any]
    lengths: list[int]


class _Memory:
    """The slots of this process, large enough for its largest tensor so far."""

    def __init__(self) -> None:
        self._slots: _Slots | None = None
        self._told: _Slots | None = None  # what the loading process knows of
        self._lock = threading.Lock()  # the DataLoader sends in a thread of its own

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Give memory for a tensor; in a worker, where it can be handed over."""
        with self._lock:
            slots = self._find_slots(prod(shape))
            whole = slots.take() if slots else None
        return torch.empty(shape) if whole is None else whole[: prod(shape)].view(shape)

    def _find_slots(self, n_numbers: int) -> _Slots | None:
        if self._slots is None:
            self._slots = _make_slots(n_numbers)
        elif self._slots.room < n_numbers:
            self._slots = _make_slots(int(n_numbers * _ROOM))
        return self._slots

    def hand_over(self, tensors: Sequence[Tensor]) -> _Handed | None:
        """Tell where tensors are, if they are in a slot."""
        slots = self._slots
        slot = slots.hand_over(tensors) if slots else None
        if slots is None or slot is None:
            return None
        places = [(int(each.storage_offset()), each.shape, each.stride()) for each in tensors]
        news = None if self._told is slots else slots
        self._told = slots
        return _Handed(os.getpid(), slot, places, news)


_own, _shared = _Memory(), _Memory()  # a forked worker has a copy of what the other process has
_known: dict[int, _Slots] = {}  # by worker


def new_images(shape: tuple[int, ...]) -> Tensor:
    """Give memory for images, float32, with anything in it."""
    return (_shared if get_worker_info() else _own).take(shape)


def pack(tensors: Sequence[Tensor]) -> _Handed | _Joined | list[Tensor]:
    """Turn tensors of this worker into what is quick to send."""
    kinds = {(each.dtype, each.shape[1:]) for each in tensors}
    are_plain = all(map(_is_plain, tensors))
    if are_plain and (handed := _shared.hand_over(tensors)):
        return handed
    if len(kinds) != 1 or not are_plain:
        return list(tensors)
    return _Joined(torch.cat([*tensors]).numpy(), [len(each) for each in tensors])


def pack_pixels(images: NDArray[np.uint8]) -> _Handed | _Joined | list[Tensor]:
    """Turn images of this worker, uint8, into what is quick to send."""
    numbers = _shared.take((-(-images.nbytes // _NUMBER_BYTES),))
    numbers.numpy().view(np.uint8)[: images.size] = images.reshape(-1)
    return pack([numbers])


def unpack_pixels(packed: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:  # noqa: ANN401 - what `pack_pixels` gave
    """Turn what a worker has packed into the images."""
    pixels: NDArray[np.uint8] = unpack(packed)[0].numpy().view(np.uint8)
    return pixels[: prod(shape)].reshape(shape)


def unpack(packed: _Handed | _Joined | list[Tensor]) -> list[Tensor]:
    """Turn what a worker has packed into the tensors."""
    if isinstance(packed, _Joined):
        return list(torch.from_numpy(packed.values).split(packed.lengths))
    if not isinstance(packed, _Handed):
        return packed
    if packed.slots:
        _get_to_know(packed.worker, packed.slots)
    whole = _known[packed.worker].receive(packed.slot)
    return [whole.as_strided(shape, strides, start) for start, shape, strides in packed.places]


def _is_plain(tensor: Tensor) -> bool:
    is_number = tensor.dtype in {torch.float32, torch.int64}
    return is_number and tensor.dim() > 0 and not tensor.requires_grad and tensor.is_cpu


def _get_to_know(worker: int, slots: _Slots) -> None:
    alive = {process.pid for process in mp.active_children()}
    for gone in _known.keys() - alive:
        del _known[gone]
    _known[worker] = slots


def _make_slots(room: int) -> _Slots | None:
    taken = torch.zeros(_N_SLOTS, dtype=torch.uint8)
    if get_worker_info():
        try:
            return _Slots(torch.empty(_N_SLOTS, room).share_memory_(), taken.share_memory_())
        except RuntimeError:  # there is no more shared memory
            return None
    # NumPy asks for large pages, PyTorch does not.
    return _Slots(torch.from_numpy(np.empty((_N_SLOTS, room), np.float32)), taken)


def _free(users: NDArray[np.uint8], slot: int) -> None:
    users[slot] = 0
