from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.cache import Action, ensure_cached, is_cached
from mnistseq_cli.glyphs.catalog import DATASETS, STROKES
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def drawn(pen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the splits that were drawn, by a pen that takes no time."""
    sets = {split: load_glyphs("strokes", split, pen_dir) for split in ("train", "test")}
    drawn: list[str] = []

    def draw_glyphs(split: str, ids: NDArray[np.int64]) -> tuple[NDArray[np.uint8], ...]:
        drawn.extend([split] * int(ids[0] == 0))
        return sets[split].images[ids], sets[split].labels[ids]

    monkeypatch.setattr("mnistseq_cli.glyphs.strokes.draw_glyphs", draw_glyphs)
    return drawn


def test_the_pen_draws_once_what_is_mapped_then(drawn: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        glyphs = load_glyphs("strokes", "test", tmp_path)
        assert isinstance(glyphs.images.base, np.memmap)
    assert drawn == ["test"]
    assert len(load_glyphs("strokes", "all", tmp_path)) == STROKES.n_glyphs
    assert drawn == ["test", "train"]


def test_what_is_cut_short_or_flipped_is_drawn_again(drawn: list[str], tmp_path: Path) -> None:
    ensure_cached(STROKES, tmp_path)
    for file, last in ((STROKES.train.images, b""), (STROKES.test.labels, b"\xff")):
        path = tmp_path / STROKES.folder / "raw" / file.name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + last)
        assert is_cached(STROKES, tmp_path) == bool(last)  # as long as it should be
        assert ensure_cached(STROKES, tmp_path, verify=True)[path.name] is Action.DRAWN
        assert path.read_bytes() == whole
    assert drawn == ["train", "test", "train", "test"]


def test_other_pixels_than_promised_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(STROKES, test=replace(STROKES.test, sha256="0" * 64))
    monkeypatch.setitem(DATASETS, "strokes", other)
    with pytest.raises(GlyphError, match="came out wrong on this machine"):
        load_glyphs("strokes", "test", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_pen_writes_where_nothing_can_be_cached(
    drawn: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    assert len(load_glyphs("strokes", "test", tmp_path / "file")) == STROKES.test.n_glyphs
    assert drawn == ["test", "test"]
    assert resolve_dataset("auto", tmp_path / "file") == "strokes"
