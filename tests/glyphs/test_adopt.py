from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.glyphs.adopt import adopt
from mnistseq_cli.glyphs.cache import Action, ensure_cached
from mnistseq_cli.glyphs.catalog import MNIST, SPLITS, Dataset
from mnistseq_cli.glyphs.idx import read_idx
from tests.helpers.mirror import flip, make_tiny

if TYPE_CHECKING:
    from pathlib import Path

TINY, BODIES = make_tiny()
UNPROVED, _ = make_tiny(unpacked_known=False)


def put(folder: Path, *, packed: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in BODIES.items():
        path = folder / name
        if packed:
            path.write_bytes(body)
        else:
            path.with_suffix("").write_bytes(gzip.decompress(body))
    return folder


def is_proved(dataset: Dataset, data_dir: Path) -> bool:
    return set(ensure_cached(dataset, data_dir, verify=True).values()) == {Action.USED}


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize("place", ["", "Tiny/raw", "raw"])
def test_files_are_found_and_copied(place: str, *, packed: bool, tmp_path: Path) -> None:
    put(tmp_path / "source" / place, packed=packed)
    placed = adopt(TINY, tmp_path / "source", tmp_path / "data")
    folder = tmp_path / "data/Tiny/raw"
    assert {path.parent for path in placed} == {folder}
    assert len(list(folder.iterdir())) == (8 if packed else 4)
    assert is_proved(TINY, tmp_path / "data")


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_what_cannot_be_checked_or_was_changed_is_refused(*, packed: bool, tmp_path: Path) -> None:
    folder = put(tmp_path / "source", packed=packed)
    if packed:
        adopt(UNPROVED, folder, tmp_path / "unproved")
        assert is_proved(UNPROVED, tmp_path / "unproved")
    else:
        with pytest.raises(GlyphError, match="cannot be checked"):
            adopt(UNPROVED, folder, tmp_path / "data")
    flip(folder / (TINY.train.images.packed_name if packed else TINY.train.images.name), 40, 1)
    with pytest.raises(GlyphError, match="differs"):
        adopt(TINY, folder, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    put(tmp_path / "source", packed=True)
    (tmp_path / "source" / TINY.test.labels.packed_name).unlink()
    with pytest.raises(GlyphError, match=r"neither t10k-labels-idx1-ubyte\.gz nor"):
        adopt(TINY, tmp_path / "source", tmp_path / "data")
    with pytest.raises(GlyphError, match="no file or folder"):
        adopt(TINY, tmp_path / "absent", tmp_path / "data")


def write_npz(dataset: Dataset, raw: Path, path: Path, *, flip: bool = False) -> Path:
    arrays = {}
    for name in SPLITS:
        split = dataset.split(name)
        arrays[f"x_{name}"] = read_idx(raw / split.images.packed_name)
        arrays[f"y_{name}"] = read_idx(raw / split.labels.packed_name).astype(np.int64)
    arrays["x_test"] = arrays["x_test"] ^ flip
    np.savez(path, allow_pickle=True, **arrays)
    return path


def test_a_keras_npz_gives_the_same_files_or_is_refused(tmp_path: Path) -> None:
    raw = put(tmp_path / "source", packed=True)
    adopt(TINY, write_npz(TINY, raw, tmp_path / "tiny.npz"), tmp_path / "data")
    assert is_proved(TINY, tmp_path / "data")
    path = write_npz(TINY, raw, tmp_path / "tiny.npz", flip=True)
    with pytest.raises(GlyphError, match="not those of tiny"):
        adopt(TINY, path, tmp_path / "other")
    with pytest.raises(GlyphError, match="cannot be checked"):
        adopt(UNPROVED, path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_keras_npz_of_the_real_files(
    mnist_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    adopt(MNIST, write_npz(MNIST, mnist_folder, tmp_path / "mnist.npz"), tmp_path)
    assert is_proved(MNIST, tmp_path)
