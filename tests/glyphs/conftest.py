from collections.abc import Iterator
from pathlib import Path

import pytest

from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
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
def strokes(pen_dir: Path) -> GlyphSet:
    return load_glyphs("strokes", "train", pen_dir)
