from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError, MnistseqError, UsageError
from mnistseq_cli.glyphs.cache import ensure_cached
from mnistseq_cli.glyphs.catalog import DATASETS, HASTY
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from tests.helpers.mirror import (
    N_TEST,
    N_TRAIN,
    draw_tiny,
    drip,
    flip,
    make_tiny,
    serving,
    write_pair,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from tests.helpers.mirror import Mirror

TRAIN, TEST = draw_tiny(N_TRAIN, 1), draw_tiny(N_TEST, 2)


def is_equal(glyphs: GlyphSet, *drawn: tuple[object, object]) -> bool:
    images, labels = map(np.concatenate, zip(*drawn, strict=True))
    return np.array_equal(glyphs.images, images) and np.array_equal(glyphs.labels, labels)


def check_splits(name: str, data_dir: Path | None = None) -> list[str]:
    """Check what each split holds; give its hash."""
    expected = {"train": [TRAIN], "test": [TEST], "all": [TRAIN, TEST]}
    found = {split: load_glyphs(name, split, data_dir) for split in expected}
    assert all(is_equal(found[split], *drawn) for split, drawn in expected.items())
    hashes = [glyphs.sha256 for glyphs in found.values()]
    assert len(set(hashes)) == 3
    return hashes


def test_a_name_is_downloaded_once(mirror: Mirror, tmp_path: Path) -> None:
    train = load_glyphs("tiny", "train", tmp_path)
    assert is_equal(train, TRAIN)
    assert isinstance(train.images.base, np.memmap)
    assert (train.name, train.split, train.licence) == ("tiny", "train", "CC0")
    assert train.alphabet == "0123456789"
    assert mirror.asked == [file.packed_name for file in DATASETS["tiny"].files(("train",))]
    hashes = check_splits("tiny", tmp_path)
    assert len(mirror.asked) == 4
    assert hashes == check_splits("tiny", tmp_path / "b")


@pytest.mark.usefixtures("mirror")
def test_a_warm_start_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path)
    monkeypatch.setattr("socket.socket", lambda *_, **__: pytest.fail("a socket was opened"))
    assert len(load_glyphs("tiny", "all", tmp_path)) == N_TRAIN + N_TEST


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("position", [0, 2, 3, 7, 9])
def test_a_damaged_header_of_the_right_size(position: int, tmp_path: Path) -> None:
    load_glyphs("tiny", "train", tmp_path)
    path = tmp_path / "Tiny/raw" / DATASETS["tiny"].train.images.name
    flip(path, position, 1)
    with pytest.raises(GlyphError, match="a file of tiny is damaged") as caught:
        load_glyphs("tiny", "train", tmp_path)
    assert path.name in caught.value.message
    assert f"mnistseq download tiny --verify --data-dir {tmp_path}" in caught.value.hint
    ensure_cached(DATASETS["tiny"], tmp_path, verify=True)
    assert is_equal(load_glyphs("tiny", "train", tmp_path), TRAIN)
    flip(path.with_name(DATASETS["tiny"].train.labels.name), -1, 9 ^ 10)
    with pytest.raises(GlyphError, match="labels from 0 to 10"):
        load_glyphs("tiny", "train", tmp_path)


def test_a_path_that_is_split_and_its_hash_which_is_that_of_the_content(tmp_path: Path) -> None:
    for name, drawn in (("train", TRAIN), ("test", TEST)):
        path = str(write_pair(tmp_path / "a", *drawn, f"{name}-"))
    sha256, *_ = check_splits(path)
    assert load_glyphs(path).name == path
    other = str(write_pair(tmp_path / "b", *TRAIN, "my-"))
    assert load_glyphs(other).sha256 == sha256
    flip(tmp_path / "b/my-images-idx3-ubyte", 99, 1)
    assert load_glyphs(other).sha256 != sha256


def test_splits_with_different_classes_are_not_joined(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "test/a", "test/c"):
        (tmp_path / place).mkdir(parents=True)
        iio.imwrite(tmp_path / place / "x.png", TRAIN[0][0])
    assert load_glyphs(str(tmp_path), "test").alphabet == "ac"
    with pytest.raises(GlyphError, match="different classes: ab and ac"):
        load_glyphs(str(tmp_path), "all")


def test_a_name_path_or_split_that_is_not_there_or_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"unknown data set(.|\n)*Did you mean fashion-mnist"):
        load_glyphs("FashionMNIST")
    with pytest.raises(UsageError, match="unknown split 'tset'; expected train, test or all"):
        load_glyphs("mnist", "tset")
    for name in ("no/such/folder", "absent.npz", "~nosuchuser/x", "a\0b", "x/" * 3000, ""):
        with pytest.raises(MnistseqError, match=r"no file or folder|is not a path|unknown data"):
            load_glyphs(name)


def test_auto_is_mnist_when_it_is_there_or_can_be_had(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(DATASETS["tiny"], name="mnist")
    monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", tiny)
    monkeypatch.setitem(DATASETS, "mnist", tiny)
    for _ in range(2):
        assert resolve_dataset("auto", tmp_path) == "mnist"
        assert len(mirror.asked) == 4
    assert load_glyphs("auto", "train", tmp_path).name == "mnist"
    assert len(mirror.asked) == 4


def test_auto_does_not_wait_for_servers_that_drip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, bodies = make_tiny()
    told: list[GlyphError] = []
    with serving({name: [drip(body, 0.1)] for name, body in bodies.items()}) as slow:
        mirrors = tuple(f"{slow.url}{i}/" for i in range(4))
        monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", replace(tiny, mirrors=mirrors))
        monkeypatch.setattr("mnistseq_cli.glyphs.load.HASTY", replace(HASTY, deadline_s=0.5))
        start = time.monotonic()
        assert resolve_dataset("auto", tmp_path, warn=told.append) == "strokes"
    assert time.monotonic() - start < 1.5
    assert ["too slow" in error.message for error in told] == [True]


def test_a_failed_download_is_not_tried_again_for_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[GlyphError] = []
    with serving({}) as empty:
        lost = replace(make_tiny(empty.url)[0], name="mnist")
        monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", lost)
        for _ in range(2):
            assert resolve_dataset("auto", tmp_path, warn=told.append) == "strokes"
        assert len(empty.asked) == 1
        assert "404" in told[0].message
        assert str(told[1]) == "MNIST is not cached"
        (failed,) = tmp_path.glob(".mnist*")
        os.utime(failed, (time.time() - 3700,) * 2)
        assert resolve_dataset("auto", tmp_path) == "strokes"
        assert len(empty.asked) == 2
