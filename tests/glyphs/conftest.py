from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="session")
def pen_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a cache with all that the pen draws."""
    folder = tmp_path_factory.mktemp("pen")
    load_glyphs("strokes", "all", folder)
    return folder


@pytest.fixture(scope="session")
def strokes(pen_dir: Path) -> GlyphSet:
    return load_glyphs("strokes", "train", pen_dir)


@pytest.fixture(scope="session")
def make_set() -> Callable[..., GlyphSet]:
    """Give a function that makes a set of some images, all blots by default."""

    def make(
        labels: NDArray[np.integer],
        images: NDArray[np.uint8] | None = None,
        alphabet: str = "0123456789",
        writers: Writers | None = None,
    ) -> GlyphSet:
        return GlyphSet(
            np.ones((len(labels), 28, 28), np.uint8) if images is None else images,
            labels.astype(np.uint8),
            name="made-up",
            split="train",
            licence="",
            sha256="",
            alphabet=alphabet,
            writers=writers,
        )

    return make
