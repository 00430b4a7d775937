"""Samples for PyTorch, made while training goes on: exactly those of the command line.

Epoch e of a recipe of N samples is samples e * N to (e + 1) * N - 1 of its endless stream: new
ones in every epoch, the same in every run. The numbers of a pattern are unique within an epoch;
over epochs they come again only when the pattern has no more, with other glyphs and gaps.
"""

from __future__ import annotations

try:
    import torch  # noqa: F401 - only to tell what is missing
except ModuleNotFoundError as error:
    from mnistseq_cli.extras import suggest_install

    raise ModuleNotFoundError(
        f"PyTorch is not installed: {suggest_install('torch')}", name=error.name
    ) from error

from mnistseq_cli.torch.collate import (
    CtcBatch,
    DetectionBatch,
    Item,
    ctc_collate,
    detection_collate,
    pad_collate,
)
from mnistseq_cli.torch.datasets import IterableSequenceDataset, SequenceDataset

__all__ = [
    "CtcBatch",
    "DetectionBatch",
    "Item",
    "IterableSequenceDataset",
    "SequenceDataset",
    "ctc_collate",
    "detection_collate",
    "pad_collate",
]
