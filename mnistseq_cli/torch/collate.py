"""From samples to the tensors that models take."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import UsageError
from mnistseq_cli.torch.handover import (
    new_images,
    pack,
    pack_pixels,
    unpack,
    unpack_pixels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TARGET = ["boxes", "labels"]
_STEP = np.float32(1 / 255)  # multiplying is faster than dividing


class Item(TypedDict):
    """One sample.

    `image` is float32 (1, 28, width), 0 black to 1 white; `classes` int64 (n,); `boxes` int64
    (n, 4), x, y, width, height; `paper` is the grey value of blank paper.
    """

    index: int
    text: str
    image: Tensor
    classes: Tensor
    boxes: Tensor
    paper: float


class CtcBatch(NamedTuple):
    """What `torch.nn.CTCLoss` and a reader take.

    `images` is float32 (B, 1, 28, W); `targets` int64, the classes of all samples one after the
    other, plus 1, as 0 is the blank; `target_lengths` and `widths_px` int64 (B,).
    """

    images: Tensor
    targets: Tensor
    target_lengths: Tensor
    widths_px: Tensor


class DetectionBatch(NamedTuple):
    """What the detectors of torchvision take.

    `images` are float32 (1, 28, width) each; a target has `boxes`, float32 (n, 4), x and y of
    two corners, and `labels`, int64 (n,), the classes plus 1, as 0 is the background.
    """

    images: list[Tensor]
    targets: list[dict[str, Tensor]]


def ctc_collate(samples: Block | Sequence[Item]) -> CtcBatch:
    """Gather samples for a CTC reader; paper fills images that are narrower than others."""
    if isinstance(samples, Block):
        inside = np.arange(samples.classes.shape[1]) < samples.lengths[:, None]
        return CtcBatch(
            _to_float(samples.images),
            torch.from_numpy(samples.classes[inside].astype(np.int64) + 1),
            torch.from_numpy(samples.lengths),
            torch.from_numpy(samples.widths_px),
        )
    _check_items(samples)
    widths_px = torch.tensor([item["image"].shape[-1] for item in samples])
    images = new_images((len(samples), 1, 28, int(widths_px.max()))).fill_(samples[0]["paper"])
    for image, item in zip(images, samples, strict=True):
        image[:, :, : item["image"].shape[-1]] = item["image"]
    classes = [item["classes"] for item in samples]
    lengths = torch.tensor([len(each) for each in classes])
    return CtcBatch(images, torch.cat(classes) + 1, lengths, widths_px)


def detection_collate(samples: Block | Sequence[Item]) -> DetectionBatch:
    """Gather samples for a detector; every image keeps its own width."""
    items = to_items(samples, paper=0.0) if isinstance(samples, Block) else samples
    _check_items(items)
    targets = [
        {"boxes": _to_corners(item["boxes"]), "labels": item["classes"] + 1} for item in items
    ]
    return DetectionBatch([item["image"] for item in items], targets)


def to_items(block: Block, paper: float) -> list[Item]:
    """Take a block apart."""
    images = _to_float(block.images)
    classes = torch.from_numpy(block.classes.astype(np.int64))
    boxes = torch.from_numpy(block.boxes)
    rows = zip(block.texts.tolist(), block.lengths.tolist(), block.widths_px.tolist(), strict=True)
    return [
        Item(
            index=block.start + place,
            text=text,
            image=images[place, :, :, :width],
            classes=classes[place, :length],
            boxes=boxes[place, :length],
            paper=paper,
        )
        for place, (text, length, width) in enumerate(rows)
    ]


def _check_items(samples: Sequence[object]) -> None:
    if any(isinstance(sample, Block) for sample in samples):
        raise UsageError(
            "IterableSequenceDataset makes whole batches, and the DataLoader gathers several",
            "Use DataLoader(dataset, batch_size=None); the dataset has a batch_size of its own",
        )


def _to_float(images: NDArray[np.uint8]) -> Tensor:
    scaled = new_images((len(images), 1, *images.shape[1:]))
    # By NumPy: the threads of PyTorch gain little here, and lose much where cores are busy.
    numbers = scaled.numpy()[:, 0]
    np.copyto(numbers, images)
    numbers *= _STEP
    return scaled


def _to_corners(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1).to(torch.float32)


def _send_ctc(batch: CtcBatch) -> tuple[Any, ...]:
    if not all(isinstance(each, Tensor) for each in batch):
        return CtcBatch, tuple(batch)
    return _receive_ctc, tuple(pack([each]) for each in batch)


def _receive_ctc(*packed: Any) -> CtcBatch:  # noqa: ANN401 - what `pack` gave
    return CtcBatch(*(unpack(each)[0] for each in packed))


def _send_detection(batch: DetectionBatch) -> tuple[Any, ...]:
    has_tensors = all(isinstance(each, Tensor) for each in batch.images)
    if not has_tensors or not all(map(_is_usual, batch.targets)):
        return DetectionBatch, tuple(batch)
    columns = {name: pack([target[name] for target in batch.targets]) for name in _TARGET}
    return _receive_detection, (pack(batch.images), columns)


def _receive_detection(images: Any, columns: dict[str, Any]) -> DetectionBatch:  # noqa: ANN401 - as above
    rows = zip(*map(unpack, columns.values()), strict=True)
    return DetectionBatch(unpack(images), [dict(zip(columns, row, strict=True)) for row in rows])


def _is_usual(target: dict[str, Any]) -> bool:
    return [*target] == _TARGET and all(isinstance(each, Tensor) for each in target.values())


def _send_block(block: Block) -> tuple[Any, ...]:
    if get_worker_info() is None:
        return Block, tuple(vars(block).values())
    others = {name: value for name, value in vars(block).items() if name != "images"}
    return _receive_block, (pack_pixels(block.images), block.images.shape, others)


def _receive_block(images: Any, shape: tuple[int, ...], others: dict[str, Any]) -> Block:  # noqa: ANN401 - as above
    return Block(images=unpack_pixels(images, shape), **others)


# How a DataLoader gets batches from its workers.
ForkingPickler.register(Block, _send_block)
ForkingPickler.register(CtcBatch, _send_ctc)
ForkingPickler.register(DetectionBatch, _send_detection)
