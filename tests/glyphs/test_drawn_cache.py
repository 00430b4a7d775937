from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.cache import Action, ensure_cached, is_cached
from mnistseq_cli.glyphs.catalog import DATASETS, Dataset, SplitFiles, SplitName
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from tests.helpers.mirror import N_TEST, N_TRAIN, draw_tiny, make_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Glyphs = tuple[NDArray[np.uint8], NDArray[np.uint8]]

DRAWN: dict[SplitName, Glyphs] = {"train": draw_tiny(N_TRAIN, 1), "test": draw_tiny(N_TEST, 2)}


def make_drawn() -> Dataset:
    """Make a record of what the pen of these tests draws."""
    tiny = make_tiny()[0]
    splits = {}
    for name, (images, labels) in DRAWN.items():
        digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
        files = [replace(file, sha256="", size_bytes=0) for file in tiny.files((name,))]
        splits[name] = SplitFiles(files[0], files[1], digest)
    return replace(
        tiny,
        name="blots",
        folder="Blots",
        train=splits["train"],
        test=splits["test"],
        is_drawn=True,
        glyphs_per_writer=20,
    )


BLOTS = make_drawn()


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the splits that were drawn, by a pen of these tests."""
    drawn: list[str] = []

    def draw_glyphs(split: SplitName, ids: NDArray[np.int64]) -> Glyphs:
        drawn.append(split)
        images, labels = DRAWN[split]
        return images[ids], labels[ids]

    monkeypatch.setattr("mnistseq_cli.glyphs.strokes.draw_glyphs", draw_glyphs)
    monkeypatch.setitem(DATASETS, "blots", BLOTS)
    return drawn


def test_a_drawn_data_set_is_drawn_once_and_mapped(drawn: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        glyphs = load_glyphs("blots", "test", tmp_path)
        assert np.array_equal(glyphs.images, DRAWN["test"][0])
        assert np.array_equal(glyphs.labels, DRAWN["test"][1])
        assert isinstance(glyphs.images.base, np.memmap)
        assert (glyphs.name, glyphs.sha256) == ("blots", BLOTS.test.sha256)
    assert drawn == ["test"]
    everything = load_glyphs("blots", "all", tmp_path)
    assert len(everything) == N_TRAIN + N_TEST
    assert everything.writers is not None
    assert drawn == ["test", "train"]
    assert len(list((tmp_path / "Blots/raw").iterdir())) == 4


def test_what_is_cut_short_or_flipped_is_drawn_again(drawn: list[str], tmp_path: Path) -> None:
    ensure_cached(BLOTS, tmp_path)
    for file, last in ((BLOTS.train.images, b""), (BLOTS.test.labels, b"\xff")):
        path = tmp_path / "Blots/raw" / file.name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + last)
        assert is_cached(BLOTS, tmp_path) == (file is BLOTS.test.labels)  # as long as it should be
        assert ensure_cached(BLOTS, tmp_path, verify=True)[path.name] is Action.DRAWN
        assert path.read_bytes() == whole
    assert drawn == ["train", "test", "train", "test"]


def test_other_pixels_than_promised_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(BLOTS, train=replace(BLOTS.train, sha256="0" * 64))
    monkeypatch.setitem(DATASETS, "blots", other)
    with pytest.raises(GlyphError, match="came out wrong on this machine"):
        load_glyphs("blots", "train", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_pen_writes_where_nothing_can_be_cached(
    drawn: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    glyphs = load_glyphs("blots", "test", tmp_path / "file")
    assert np.array_equal(glyphs.images, DRAWN["test"][0])
    assert drawn == ["test", "test"]
    assert resolve_dataset("auto", tmp_path / "file") == "strokes"
