"""From samples to the tensors that models take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data._utils.collate import default_collate_fn_map

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import UsageError
from mnistseq_cli.pixels import Pixels

_STEP = np.float32(1 / 255)  # multiplying is faster than dividing


class Item(dict[str, Any]):
    """One sample.

    `image` is float32 (1, height, width), 0 black to 1 white; `classes` int64 (n,); `boxes` int64
    (n, 4), x, y, width, height; `masks`, where the dataset was asked for them, uint8
    (n, height, width), 1 where a digit has ink; `index` and `text` are plain values; `paper` is
    the grey value of blank paper. Where characters are left unlabelled, `written` is what stands
    on the paper, and `mark_boxes` int64 (m, 4) are the boxes of what is not read. A DataLoader
    gathers items of any size by itself, see `pad_collate`.
    """


class CtcBatch(NamedTuple):
    """What `torch.nn.CTCLoss` and a reader take.

    `images` is float32 (B, 1, H, W); `targets` int64, the classes of all samples one after the
    other, plus 1, as 0 is the blank; `target_lengths` and `widths_px` int64 (B,).
    """

    images: Tensor
    targets: Tensor
    target_lengths: Tensor
    widths_px: Tensor


class DetectionBatch(NamedTuple):
    """What the detectors of torchvision take.

    `images` are float32 (1, height, width) each; a target has `boxes`, float32 (n, 4), x and y of
    two corners, and `labels`, int64 (n,), the classes plus 1, as 0 is the background; with masks
    it has `masks`, uint8 (n, height, width), too.
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
    targets = torch.cat([item["classes"] for item in samples]) + 1
    return CtcBatch(_pad_images(samples), targets, *_measure(samples))


def detection_collate(samples: Block | Sequence[Item]) -> DetectionBatch:
    """Gather samples for a detector; every image keeps its own width."""
    items = to_items(samples, paper=0.0) if isinstance(samples, Block) else samples
    _check_items(items)
    targets = []
    for item in items:
        corner, size = item["boxes"].to(torch.float32).split(2, dim=1)
        boxes = torch.cat([corner, corner + size], dim=1)
        targets.append({"boxes": boxes, "labels": item["classes"] + 1})
        if "masks" in item:
            targets[-1]["masks"] = item["masks"]
    return DetectionBatch([item["image"] for item in items], targets)


def pad_collate(
    samples: Sequence[Item],
    *,
    collate_fn_map: object = None,  # noqa: ARG001 - PyTorch passes it
) -> dict[str, Any]:
    """Gather samples as PyTorch does by default, what is shorter filled with paper or zeros.

    `length` and `width_px` tell how many classes and boxes, and which columns, are meant.
    """
    lengths, widths_px = _measure(samples)
    batch = {"index": torch.tensor([item["index"] for item in samples])}
    for name in ("classes", "boxes"):
        rows = [item[name] for item in samples]
        batch[name] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    batch |= {"image": _pad_images(samples), "width_px": widths_px, "length": lengths}
    return batch | {"text": [item["text"] for item in samples]}


# How PyTorch's default_collate learns of a type, says its documentation.
default_collate_fn_map[Item] = pad_collate


def to_items(block: Block, paper: float) -> list[Item]:
    """Take a block apart."""
    images = _to_float(block.images)
    classes = torch.from_numpy(block.classes.astype(np.int64))
    boxes = torch.from_numpy(block.boxes)
    rows = zip(block.texts.tolist(), block.lengths.tolist(), block.widths_px.tolist(), strict=True)
    items = []
    for place, (text, length, width) in enumerate(rows):
        item = Item(index=block.start + place, text=text, paper=paper)
        item["image"] = images[place, :, :, :width]
        item["classes"], item["boxes"] = classes[place, :length], boxes[place, :length]
        if block.inks:
            masks = block.inks.masks(place, width)[:length]
            item["masks"] = torch.from_numpy(masks.astype(np.uint8))
        items.append(item)
    if block.marks:
        marks = zip(items, block.written.tolist(), block.marks.of_each(), strict=True)
        for item, written, (_, mark_boxes) in marks:
            item["written"] = written
            item["mark_boxes"] = torch.tensor(mark_boxes, dtype=torch.int64).reshape(-1, 4)
    return items


def _check_items(samples: Sequence[object]) -> None:
    if any(isinstance(sample, Block) for sample in samples):
        raise UsageError(
            "IterableSequenceDataset makes whole batches, and the DataLoader gathers several",
            "Use DataLoader(dataset, batch_size=None); the dataset has a batch_size of its own",
        )


def _measure(samples: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """Return the number of digits and the width of each sample."""
    lengths = torch.tensor([len(item["classes"]) for item in samples])
    return lengths, torch.tensor([item["image"].shape[-1] for item in samples])


def _pad_images(samples: Sequence[Item]) -> Tensor:
    width_px = max(item["image"].shape[-1] for item in samples)
    height_px = samples[0]["image"].shape[-2]
    images = torch.full((len(samples), 1, height_px, width_px), samples[0]["paper"])
    for image, item in zip(images, samples, strict=True):
        image[:, :, : item["image"].shape[-1]] = item["image"]
    return images


def _to_float(images: Pixels) -> Tensor:
    # By NumPy: the threads of PyTorch gain little here, and lose much where cores are busy.
    return torch.from_numpy(np.multiply(images, _STEP, dtype=np.float32))[:, None]
