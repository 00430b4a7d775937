from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.glyphs.writers import Writers
from tests.helpers.mirror import Mirror, make_tiny, serve_well, serving


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("MNISTSEQ_OFFLINE", raising=False)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Give the mirror of a data set that the catalogue knows as tiny."""
    with serving(serve_well(make_tiny()[1])) as mirror:
        monkeypatch.setitem(DATASETS, "tiny", make_tiny(mirror.url)[0])
        yield mirror


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
        images = np.ones((len(labels), 28, 28), np.uint8) if images is None else images
        said: dict[str, Any] = {"name": "made-up", "split": "train", "licence": "", "sha256": ""}
        return GlyphSet(
            images, labels.astype(np.uint8), **said, alphabet=alphabet, writers=writers
        )

    return make
