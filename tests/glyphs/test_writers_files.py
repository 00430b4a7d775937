"""Who wrote the digits, as files: QMNIST's labels beside MNIST, all of NIST, names of pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnistseq_cli.errors import DownloadError
from mnistseq_cli.glyphs.adopt import adopt
from mnistseq_cli.glyphs.cache import Action, ensure_cached, ensure_writers
from mnistseq_cli.glyphs.catalog import DATASETS, Dataset, SplitFiles
from mnistseq_cli.glyphs.load import load_glyphs
from tests.helpers.mirror import (
    N_TEST,
    N_TRAIN,
    QUICK,
    draw_tiny,
    flip,
    make_file,
    send,
    serve_well,
    serving,
    write_picture,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.helpers.mirror import Mirror


def make_rows(labels: NDArray[np.uint8], writers: NDArray[np.int64]) -> NDArray[np.int32]:
    rows = np.zeros((len(labels), 8), np.int32)
    rows[:, 0], rows[:, 2] = labels, writers
    return rows


@pytest.fixture
def knowing(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """Give the mirror of a tiny data set, and of another that knows the writers of both."""
    splits = []
    for split, n, first in (("train", N_TRAIN, 0), ("test", N_TEST, 100)):
        # More rows than there are tiny glyphs, as QMNIST has more than MNIST.
        images, labels = draw_tiny(n + 5, 1)
        rows = make_rows(labels, first + np.arange(n + 5) // 10)
        file, body = make_file(f"q-{split}-labels", rows)
        mirror.answers[file.packed_name] = [send(body)]
        splits.append(SplitFiles(make_file(f"q-{split}-images", images)[0], file))
    known = replace(DATASETS["tiny"], writers_from="q")
    monkeypatch.setitem(DATASETS, "tiny", known)
    known_too = Dataset("q", "Q", splits[0], splits[1], known.mirrors, "CC0")
    monkeypatch.setitem(DATASETS, "q", known_too)
    return mirror


def list_writers(split: str, data_dir: Path) -> list[str]:
    writers = load_glyphs("tiny", split, data_dir).writers
    return [] if writers is None else list(dict.fromkeys(writers.spell().tolist()))


def test_writers_come_along_and_an_older_cache_gets_them_at_the_next_download(
    knowing: Mirror, tmp_path: Path
) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path)
    assert knowing.asked[4:] == ["q-train-labels.gz", "q-test-labels.gz"]
    assert list_writers("train", tmp_path) == ["nist/0", "nist/1", "nist/2"]
    assert list_writers("all", tmp_path)[-2:] == ["nist/100", "nist/101"]
    older = tmp_path / "older"
    ensure_cached(replace(DATASETS["tiny"], writers_from=""), older)
    knowing.asked.clear()
    assert list_writers("train", older) == []
    assert knowing.asked == []  # a warm start asks nobody
    assert set(ensure_writers(DATASETS["tiny"], older).values()) == {Action.DOWNLOADED}
    assert list_writers("test", older) == ["nist/100", "nist/101"]
    path = older / "Q/raw/q-test-labels"
    whole = path.read_bytes()
    flip(path, -1)
    assert ensure_writers(DATASETS["tiny"], older, verify=True)[path.name] is Action.UNPACKED
    assert path.read_bytes() == whole
    flip(path, 0)  # damaged, so that nobody is known
    assert list_writers("test", older) == []


def test_without_writers_there_are_glyphs(knowing: Mirror, tmp_path: Path) -> None:
    knowing.answers = {name: turns for name, turns in knowing.answers.items() if name[0] != "q"}
    ensure_cached(DATASETS["tiny"], tmp_path, patience=QUICK)
    assert len(load_glyphs("tiny", "train", tmp_path)) == N_TRAIN
    with pytest.raises(DownloadError, match="404"):
        ensure_writers(DATASETS["tiny"], tmp_path, patience=QUICK)


@pytest.mark.usefixtures("knowing")
def test_writers_are_taken_from_a_folder(tmp_path: Path) -> None:
    ensure_cached(DATASETS["tiny"], tmp_path / "a")
    packed = tmp_path / "a/Q/raw"
    ensure_cached(replace(DATASETS["tiny"], writers_from=""), tmp_path / "b")
    assert len(adopt(DATASETS["tiny"], packed, tmp_path / "b")) == 2  # the labels alone
    assert list_writers("train", tmp_path / "b")
    assert len(adopt(DATASETS["tiny"], tmp_path / "a", tmp_path / "c")) == 6


def test_one_pair_of_lzma_files_holds_both_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of NIST: the test digits are those of some writers."""
    images, labels = draw_tiny(60, 3)
    writers = np.repeat([5, 2, 9], 20)
    files = [
        make_file("x-images", images, ".xz"),
        make_file("x-labels", make_rows(labels, writers), ".xz"),
    ]
    # The size of the larger file is not known beforehand.
    pair = SplitFiles(replace(files[0][0], size_bytes=0, unpacked_sha256=""), files[1][0])
    bodies = {file.packed_name: body for file, body in files}
    with serving(serve_well(bodies)) as mirror:
        small = Dataset("n", "N", pair, pair, (mirror.url,), "BSD")
        small = replace(small, writers_from="n", test_writers=(range(2, 4),))
        monkeypatch.setitem(DATASETS, "n", small)
        train, test, both = (load_glyphs("n", one, tmp_path) for one in ("train", "test", "all"))
    assert mirror.asked == ["x-images.xz", "x-labels.xz"]
    assert test.writers is not None
    assert set(test.writers[test.ids].spell().tolist()) == {"nist/2"}
    assert sorted(test.ids.tolist()) == list(range(20, 40))
    assert sorted(train.ids.tolist()) == [*range(20), *range(40, 60)]
    assert np.array_equal(both.labels, labels)
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
