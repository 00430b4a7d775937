"""Distortions: of each digit, and of finished images.

Every distortion is one function and one line of `AUGMENTATIONS`, which also gives the order:
where the ink of a digit goes (all of it in one resampling), how thick the pen was, where digits
stand, and then the finished image: strokes across, lens, paper, light, grain, file.

The strengths of a distortion come from words of its own, so that switching one on does not change
what another draws. All pixels are made by whole numbers, or by single operations on floats that
IEEE 754 rounds the same way on every processor; only "jpeg" follows an installed library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnistseq_cli.distortions.array_api import augment
    from mnistseq_cli.distortions.pipeline import AugmentPipeline, make_pipeline
    from mnistseq_cli.distortions.registry import AUGMENTATIONS, PRESETS

__all__ = ["AUGMENTATIONS", "PRESETS", "AugmentPipeline", "augment", "make_pipeline"]

_HOMES = {
    "AUGMENTATIONS": "registry",
    "PRESETS": "registry",
    "AugmentPipeline": "pipeline",
    "augment": "array_api",
    "make_pipeline": "pipeline",
}


def __getattr__(name: str) -> object:
    """Load a name when it is first used: the table alone needs no arrays."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
