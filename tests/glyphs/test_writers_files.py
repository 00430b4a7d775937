"""Who wrote the digits, as files: QMNIST's labels beside MNIST, all of NIST, names of pictures."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import DownloadError
from mnistseq_cli.glyphs.adopt import adopt
from mnistseq_cli.glyphs.cache import Action, ensure_cached, ensure_writers
from mnistseq_cli.glyphs.catalog import DATASETS, DataFile, Dataset, SplitFiles
from mnistseq_cli.glyphs.idx import encode_idx
from mnistseq_cli.glyphs.load import load_glyphs
from tests.helpers.mirror import (
    N_TEST,
    N_TRAIN,
    QUICK,
    draw_tiny,
    make_tiny,
    serve_well,
    serving,
    write_picture,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.helpers.mirror import Mirror


def make_file(
    name: str, array: NDArray[np.integer], pack: Callable[[bytes], bytes] = gzip.compress
) -> tuple[DataFile, bytes]:
    plain = encode_idx(array)
    packed = pack(plain)
    known, unpacked = (hashlib.sha256(data).hexdigest() for data in (packed, plain))
    kind = array.dtype.itemsize, ".gz" if pack is gzip.compress else ".xz"
    return DataFile(name, array.shape, len(packed), known, unpacked, *kind), packed


def make_rows(labels: NDArray[np.uint8], writers: NDArray[np.int64]) -> NDArray[np.int32]:
    rows = np.zeros((len(labels), 8), np.int32)
    rows[:, 0], rows[:, 2] = labels, writers
    return rows


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Give the mirror of a tiny data set, and of another that knows the writers of both."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("MNISTSEQ_OFFLINE", raising=False)
    tiny, bodies = make_tiny()
    splits = {}
    for split, n, first in (("train", N_TRAIN, 0), ("test", N_TEST, 100)):
        # More rows than there are tiny glyphs, as QMNIST has more than MNIST.
        labels = draw_tiny(n + 5, 1)[1]
        rows = make_rows(labels, first + np.arange(n + 5) // 10)
        file, bodies[f"q-{split}-labels.gz"] = make_file(f"q-{split}-labels", rows)
        images, _ = make_file(f"q-{split}-images", draw_tiny(n + 5, 1)[0])
        splits[split] = SplitFiles(images, file)
    with serving(serve_well(bodies)) as mirror:
        mirrors = (mirror.url,)
        known = replace(tiny, mirrors=mirrors, writers_from="q")
        monkeypatch.setitem(DATASETS, "tiny", known)
        monkeypatch.setitem(
            DATASETS, "q", Dataset("q", "Q", splits["train"], splits["test"], mirrors, "CC0")
        )
        yield mirror


def list_writers(split: str, data_dir: Path) -> list[str]:
    writers = load_glyphs("tiny", split, data_dir).writers
    return [] if writers is None else list(dict.fromkeys(writers.spell().tolist()))


def test_writers_come_along_and_an_older_cache_gets_them_at_the_next_download(
    mirror: Mirror, tmp_path: Path
) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path)
    assert mirror.asked[4:] == ["q-train-labels.gz", "q-test-labels.gz"]
    assert list_writers("train", tmp_path) == ["nist/0", "nist/1", "nist/2"]
    assert list_writers("all", tmp_path)[-2:] == ["nist/100", "nist/101"]
    older = tmp_path / "older"
    ensure_cached(replace(DATASETS["tiny"], writers_from=""), older)
    mirror.asked.clear()
    assert list_writers("train", older) == []
    assert mirror.asked == []  # a warm start asks nobody
    assert set(ensure_writers(DATASETS["tiny"], older).values()) == {Action.DOWNLOADED}
    assert list_writers("test", older) == ["nist/100", "nist/101"]
    path = older / "Q/raw/q-test-labels"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\1")
    assert ensure_writers(DATASETS["tiny"], older, verify=True)[path.name] is Action.UNPACKED
    assert path.read_bytes() == whole
    path.write_bytes(b"\1" + whole[1:])  # damaged, so that nobody is known
    assert list_writers("test", older) == []


def test_without_writers_there_are_glyphs(mirror: Mirror, tmp_path: Path) -> None:
    mirror.answers = {name: turns for name, turns in mirror.answers.items() if name[0] != "q"}
    ensure_cached(DATASETS["tiny"], tmp_path, patience=QUICK)
    assert len(load_glyphs("tiny", "train", tmp_path)) == N_TRAIN
    with pytest.raises(DownloadError, match="404"):
        ensure_writers(DATASETS["tiny"], tmp_path, patience=QUICK)


@pytest.mark.usefixtures("mirror")
def test_writers_are_taken_from_a_folder(tmp_path: Path) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path / "a")
    packed = tmp_path / "a/Q/raw"
    ensure_cached(replace(DATASETS["tiny"], writers_from=""), tmp_path / "b")
    assert len(adopt(DATASETS["tiny"], packed, tmp_path / "b")) == 2  # the labels alone
    assert list_writers("train", tmp_path / "b")
    everything = adopt(DATASETS["tiny"], tmp_path / "a", tmp_path / "c")
    assert len(everything) == 6


def test_one_pair_of_lzma_files_holds_both_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of NIST: the test digits are those of some writers."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    images, labels = draw_tiny(60, 3)
    writers = np.repeat([5, 2, 9], 20)
    files = [
        make_file("x-images", images, lzma.compress),
        make_file("x-labels", make_rows(labels, writers), lzma.compress),
    ]
    # The size of the larger file is not known beforehand.
    pair = SplitFiles(replace(files[0][0], size_bytes=0, unpacked_sha256=""), files[1][0])
    bodies = {file.packed_name: body for file, body in files}
    with serving(serve_well(bodies)) as mirror:
        places = ((mirror.url,), "BSD")
        small = Dataset(
            "n", "N", pair, pair, *places, writers_from="n", test_writers=(range(2, 4),)
        )
        monkeypatch.setitem(DATASETS, "n", small)
        train, test, both = (load_glyphs("n", one, tmp_path) for one in ("train", "test", "all"))
    assert mirror.asked == ["x-images.xz", "x-labels.xz"]
    assert test.writers is not None
    assert set(test.writers[test.ids].spell().tolist()) == {"nist/2"}
    assert sorted(test.ids.tolist()) == list(range(20, 40))
    assert sorted(train.ids.tolist()) == [*range(20), *range(40, 60)]
    assert len(both) == small.n_glyphs == 60
    assert np.flatnonzero(both.is_test).tolist() == list(range(20, 40))
    assert len({glyphs.sha256 for glyphs in (train, test, both)}) == 3
    assert isinstance(test.images.base, np.memmap)
    folder = tmp_path / "brought"
    folder.mkdir()
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    adopt(small, folder, tmp_path / "again")
    assert set(ensure_cached(small, tmp_path / "again", verify=True).values()) == {Action.USED}


def test_names_of_pictures_may_say_who_wrote_them(tmp_path: Path) -> None:
    for number, (names, writers) in enumerate(
        (
            (["anna_1", "bob_x_2"], ["my-hand/anna", "my-hand/bob_x"]),
            (["anna_1", "anna_2"], []),  # one alone
            (["anna_1", "2"], []),  # not all
        )
    ):
        folder = tmp_path / f"{number}/my-hand"
        for label, name in enumerate(names):
            write_picture(folder / f"{label}/{name}.png", draw_tiny(1, label)[0][0])
        found = load_glyphs(str(folder))
        assert (found.writers.spell().tolist() if found.writers else []) == writers
