from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest

from mnistseq_cli.errors import GlyphError, MnistseqError, UsageError
from mnistseq_cli.glyphs.cache import ensure_cached
from mnistseq_cli.glyphs.catalog import DATASETS, HASTY, DataFile, Dataset, SplitFiles
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from tests.helpers.mirror import (
    N_TEST,
    N_TRAIN,
    draw_tiny,
    drip,
    make_tiny,
    serve_well,
    serving,
    write_idx,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from tests.helpers.mirror import Mirror

TRAIN, TEST = draw_tiny(N_TRAIN, 1), draw_tiny(N_TEST, 2)
PROJECT = Path(__file__).parents[2]


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


def is_equal(glyphs: GlyphSet, *drawn: tuple[object, object]) -> bool:
    images, labels = map(np.concatenate, zip(*drawn, strict=True))
    return np.array_equal(glyphs.images, images) and np.array_equal(glyphs.labels, labels)


def test_a_name_is_downloaded_once(mirror: Mirror, tmp_path: Path) -> None:
    train = load_glyphs("tiny", "train", tmp_path)
    assert is_equal(train, TRAIN)
    assert isinstance(train.images.base, np.memmap)
    assert (train.name, train.split, train.licence) == ("tiny", "train", "CC0")
    assert train.alphabet == "0123456789"
    assert mirror.asked == [file.packed_name for file in DATASETS["tiny"].files(("train",))]
    test, both = (load_glyphs("tiny", split, tmp_path) for split in ("test", "all"))
    assert is_equal(test, TEST)
    assert is_equal(both, TRAIN, TEST)
    assert len(mirror.asked) == 4
    hashes = [glyphs.sha256 for glyphs in (train, test, both)]
    assert len(set(hashes)) == 3
    again = [load_glyphs("tiny", split, tmp_path / "b") for split in ("train", "test", "all")]
    assert hashes == [glyphs.sha256 for glyphs in again]


def test_a_warm_start_opens_no_socket(mirror: Mirror, tmp_path: Path) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path)
    code = (
        "import os, sys\n"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and os._exit(3))\n"
        "from tests.helpers import mirror\n"
        "from mnistseq_cli.glyphs.catalog import DATASETS\n"
        "from mnistseq_cli.glyphs.load import load_glyphs\n"
        "DATASETS['tiny'] = mirror.make_tiny(sys.argv[2])[0]\n"
        "print(len(load_glyphs('tiny', 'all', sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, mirror.url],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"50\n"), done.stderr


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("position", [0, 2, 3, 7, 9])
def test_a_damaged_header_of_the_right_size(position: int, tmp_path: Path) -> None:
    load_glyphs("tiny", "train", tmp_path)
    path = tmp_path / "Tiny/raw" / DATASETS["tiny"].train.images.name
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(GlyphError, match="a file of tiny is damaged") as caught:
        load_glyphs("tiny", "train", tmp_path)
    assert path.name in caught.value.message
    assert f"mnistseq download tiny --verify --data-dir {tmp_path}" in caught.value.hint
    ensure_cached(DATASETS["tiny"], tmp_path, verify=True)
    assert is_equal(load_glyphs("tiny", "train", tmp_path), TRAIN)


@pytest.mark.usefixtures("mirror")
def test_a_label_over_the_number_of_classes(tmp_path: Path) -> None:
    load_glyphs("tiny", "train", tmp_path)
    path = tmp_path / "Tiny/raw" / DATASETS["tiny"].train.labels.name
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(GlyphError, match="labels from 0 to 10"):
        load_glyphs("tiny", "train", tmp_path)


def test_labels_with_more_than_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of QMNIST: eight numbers each, 32 bits, the first of them the class."""
    images, labels = TRAIN
    rows = np.arange(8 * N_TRAIN, dtype=np.int32).reshape(-1, 8) - 5
    rows[:, 0] = labels
    write_idx(tmp_path / "Q/raw/i-idx3-ubyte", images)
    write_idx(tmp_path / "Q/raw/l-idx2-int", rows)
    split = SplitFiles(
        DataFile("i-idx3-ubyte", images.shape, 1, "a"),
        DataFile("l-idx2-int", rows.shape, 1, "b", item_bytes=4),
    )
    monkeypatch.setitem(DATASETS, "q", Dataset("q", "Q", split, split, (), "none"))
    glyphs = load_glyphs("q", "train", tmp_path)
    assert is_equal(glyphs, TRAIN)
    assert glyphs.labels.dtype == np.uint8


def write_pairs(folder: Path, *names: str) -> str:
    for name, (images, labels) in zip(names, (TRAIN, TEST), strict=False):
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return str(folder)


def test_a_path_that_is_split_and_its_hash_which_is_that_of_the_content(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "a", "train", "test")
    train, test, both = (load_glyphs(path, split) for split in ("train", "test", "all"))
    assert is_equal(train, TRAIN)
    assert is_equal(test, TEST)
    assert is_equal(both, TRAIN, TEST)
    assert train.name == path
    assert len({train.sha256, test.sha256, both.sha256}) == 3
    assert load_glyphs(write_pairs(tmp_path / "b", "my")).sha256 == train.sha256
    other = TRAIN[0].copy()
    other[3, 2, 1] ^= 1
    write_idx(tmp_path / "b/my-images-idx3-ubyte", other)
    assert load_glyphs(str(tmp_path / "b")).sha256 != train.sha256


def test_splits_with_different_classes_are_not_joined(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "test/a", "test/c"):
        (tmp_path / place).mkdir(parents=True)
        iio.imwrite(tmp_path / place / "x.png", TRAIN[0][0])
    assert load_glyphs(str(tmp_path), "test").alphabet == "ac"
    with pytest.raises(GlyphError, match="different classes: ab and ac"):
        load_glyphs(str(tmp_path), "all")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mnits", "Did you mean mnist?"), ("FashionMNIST", "Did you mean fashion-mnist?"), ("", "")],
)
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="unknown data set") as caught:
        load_glyphs(name)
    assert caught.value.hint == hint
    with pytest.raises(UsageError, match="unknown split 'tset'; expected train, test or all"):
        load_glyphs("mnist", "tset")


def test_a_path_that_is_not_there_or_cannot_be() -> None:
    for name in ("no/such/folder", "absent.npz", "~nosuchuser/x", "a\0b", "x/" * 3000):
        with pytest.raises(MnistseqError, match=r"no file or folder|is not a path|unknown data"):
            load_glyphs(name)


def test_auto_is_mnist_when_it_is_there_or_can_be_had(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(DATASETS["tiny"], name="mnist")
    monkeypatch.setattr("mnistseq_cli.glyphs.load.MNIST", tiny)
    monkeypatch.setitem(DATASETS, "mnist", tiny)
    assert resolve_dataset("auto", tmp_path) == "mnist"
    assert len(mirror.asked) == 4
    assert resolve_dataset("auto", tmp_path) == "mnist"
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
