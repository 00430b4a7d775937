from __future__ import annotations

import hashlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.cache import Action
from mnistseq_cli.glyphs.catalog import DRAWN, SPLITS
from mnistseq_cli.glyphs.load import ensure_drawn, is_drawn, load_glyphs, resolve_dataset
from tests.helpers.mirror import draw_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

N_GLYPHS = {"train": 40, "test": 20}


class Blots(ModuleType):
    """A module that draws, and counts how often."""

    N_GLYPHS = N_GLYPHS

    def __init__(self) -> None:
        super().__init__("blots")
        self.drawn: list[str] = []
        self.SHA256 = {name: self.find_sha256(name) for name in SPLITS}

    def find_sha256(self, split: str) -> str:
        images, labels = draw_tiny(N_GLYPHS[split], len(split))
        return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()

    def draw_glyphs(
        self, split: str, start: int, stop: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        self.drawn.append(split)
        images, labels = draw_tiny(N_GLYPHS[split], len(split))
        return images[start:stop], labels[start:stop]

    def hand_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return ids // 10


@pytest.fixture
def blots(monkeypatch: pytest.MonkeyPatch) -> Blots:
    module = Blots()
    monkeypatch.setitem(sys.modules, "blots", module)
    monkeypatch.setitem(DRAWN, "blots", "blots")
    return module


def test_a_drawn_data_set_is_drawn_once_and_mapped(blots: Blots, tmp_path: Path) -> None:
    for _ in range(2):
        glyphs = load_glyphs("blots", "test", tmp_path)
        images, labels = draw_tiny(N_GLYPHS["test"], len("test"))
        assert np.array_equal(glyphs.images, images)
        assert np.array_equal(glyphs.labels, labels)
        assert isinstance(glyphs.images.base, np.memmap)
        assert (glyphs.name, glyphs.sha256) == ("blots", blots.SHA256["test"])
    assert blots.drawn == ["test"]
    everything = load_glyphs("blots", "all", tmp_path)
    assert len(everything) == 60
    assert everything.writers is not None
    assert everything.writers.tolist() == [number // 10 for number in range(60)]
    assert blots.drawn == ["test", "train"]
    assert len(list((tmp_path / "Blots/raw").iterdir())) == 4


def test_what_is_cut_short_is_drawn_again(blots: Blots, tmp_path: Path) -> None:
    ensure_drawn("blots", tmp_path)
    path = tmp_path / "Blots/raw/train-images-idx3-ubyte"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert not is_drawn("blots", "train", tmp_path)
    assert ensure_drawn("blots", tmp_path) == {"train": Action.DRAW, "test": Action.USE}
    assert path.read_bytes() == whole
    assert blots.drawn == ["train", "test", "train"]


@pytest.mark.usefixtures("blots")
def test_a_flipped_bit_is_found_by_verify(tmp_path: Path) -> None:
    ensure_drawn("blots", tmp_path)
    path = tmp_path / "Blots/raw/t10k-labels-idx1-ubyte"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert ensure_drawn("blots", tmp_path)["test"] is Action.USE
    assert ensure_drawn("blots", tmp_path, verify=True)["test"] is Action.DRAW
    assert path.read_bytes() == whole


def test_other_pixels_than_promised_are_refused(blots: Blots, tmp_path: Path) -> None:
    blots.SHA256["train"] = "0" * 64
    with pytest.raises(GlyphError, match="came out wrong on this machine"):
        load_glyphs("blots", "train", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_auto_falls_back_to_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    assert resolve_dataset("auto", tmp_path) in DRAWN


@pytest.mark.parametrize("name", DRAWN)
def test_every_drawn_data_set_is_as_promised(name: str, tmp_path: Path) -> None:
    glyphs = load_glyphs(name, "test", tmp_path)
    assert glyphs.counts.min() > 0
    assert set(ensure_drawn(name, tmp_path, splits=("test",), verify=True).values()) == {
        Action.USE
    }


def test_the_pen_writes_where_nothing_can_be_cached(
    blots: Blots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    glyphs = load_glyphs("blots", "test", tmp_path / "file")
    assert np.array_equal(glyphs.images, draw_tiny(N_GLYPHS["test"], len("test"))[0])
    assert blots.drawn == ["test", "test"]
    assert resolve_dataset("auto", tmp_path / "file") == "strokes"
