import gzip
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistseq_cli.errors import CacheError, DownloadError, GlyphError
from mnistseq_cli.files import place_file
from mnistseq_cli.glyphs.adopt import adopt
from mnistseq_cli.glyphs.cache import Action, ensure_cached, is_cached
from mnistseq_cli.glyphs.catalog import DATASETS, SPLITS, STROKES, Dataset
from mnistseq_cli.glyphs.download import check_mirrors
from mnistseq_cli.glyphs.idx import read_idx
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from tests.helpers.mirror import (
    QUICK,
    Mirror,
    flip,
    make_tiny,
    reply,
    send,
    serve_well,
    serving,
    stall,
)

TINY, BODIES = make_tiny()
UNPROVED, _ = make_tiny(unpacked_known=False)
NOBODY = 65534
FILL = """
import sys, pathlib
from tests.helpers import mirror
from mnistseq_cli.glyphs.cache import ensure_cached
ensure_cached(mirror.make_tiny(sys.argv[1])[0], pathlib.Path(sys.argv[2]))
"""


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user whom file modes hold back: root is not."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def ensure(dataset: Dataset, data_dir: Path, *, verify: bool = False) -> dict[str, Action]:
    return ensure_cached(dataset, data_dir, patience=QUICK, verify=verify)


def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def read_all(data_dir: Path) -> dict[str, bytes]:
    raw = data_dir / "Tiny" / "raw"
    return {path.name: path.read_bytes() for path in raw.iterdir()}


@pytest.fixture
def warm(mirror: Mirror, tmp_path: Path) -> Dataset:
    """Give the tiny data set, in the cache in `tmp_path`."""
    ensure(DATASETS["tiny"], tmp_path)
    mirror.asked.clear()
    return DATASETS["tiny"]


def test_a_warm_cache_asks_nobody(warm: Dataset, mirror: Mirror, tmp_path: Path) -> None:
    assert is_cached(warm, tmp_path)
    names = {name for file in TINY.files() for name in (file.name, file.packed_name)}
    assert set(read_all(tmp_path)) == names
    assert read_all(tmp_path).items() >= BODIES.items()
    for verify in (False, True):
        assert set(ensure(warm, tmp_path, verify=verify).values()) == {Action.USED}
    assert mirror.asked == []
    ensure_cached(warm, tmp_path, force=True)
    assert len(mirror.asked) == 4


def test_own_mirrors_come_first_then_what_worked(mirror: Mirror, tmp_path: Path) -> None:
    page = send(b"<html>moved</html>", Content_Type="text/html")
    with (
        serving({}) as empty,
        serving({name: [page] for name in BODIES}) as moved,
        serving(serve_well(BODIES)) as last,
    ):
        mirrors = (empty.url, moved.url, mirror.url)
        dataset = replace(TINY, mirrors=(last.url,))
        ensure_cached(dataset, tmp_path, mirrors=mirrors, patience=QUICK)
        asked = [len(one.asked) for one in (empty, moved, mirror, last)]
        assert asked == [1, 1, 4, 0]
        with pytest.raises(DownloadError, match="answers 404") as caught:
            ensure(replace(TINY, mirrors=(empty.url,)), tmp_path / "b")
    assert f": mnistseq download tiny --from FOLDER --data-dir {tmp_path}/b" in caught.value.hint


def test_what_is_cut_short_is_made_again(warm: Dataset, mirror: Mirror, tmp_path: Path) -> None:
    before = read_all(tmp_path)
    file = TINY.train.images
    unpacked, packed = (tmp_path / "Tiny/raw" / name for name in (file.name, file.packed_name))
    unpacked.write_bytes(before[file.name][:100])
    assert not is_cached(warm, tmp_path)
    assert ensure(warm, tmp_path)[file.name] is Action.UNPACKED
    assert mirror.asked == []
    packed.write_bytes(before[file.packed_name][:-1])
    unpacked.unlink()
    assert ensure(warm, tmp_path)[file.name] is Action.DOWNLOADED
    assert mirror.asked == [file.packed_name]
    assert read_all(tmp_path) == before


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("flipped", ["packed", "unpacked", "packed unpacked"])
def test_a_flipped_bit_is_mended(
    *, known: bool, flipped: str, mirror: Mirror, tmp_path: Path
) -> None:
    dataset, _ = make_tiny(mirror.url, unpacked_known=known)
    ensure(dataset, tmp_path)
    before = read_all(tmp_path)
    file = dataset.train.images
    for which in flipped.split():
        name = file.packed_name if which == "packed" else file.name
        flip(tmp_path / "Tiny/raw" / name, len(before[name]) // 2, 4)
    mended = Action.DOWNLOADED if "packed" in flipped.split() else Action.UNPACKED
    assert ensure(dataset, tmp_path, verify=True)[file.name] is mended
    assert read_all(tmp_path) == before
    # Without the gzip file the unpacked one is trusted only where its hash is known.
    (tmp_path / "Tiny/raw" / file.packed_name).unlink()
    assert ensure(dataset, tmp_path)[file.name] is Action.USED
    trusted = Action.USED if known else Action.DOWNLOADED
    assert ensure(dataset, tmp_path, verify=True)[file.name] is trusted


def test_what_killed_processes_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young = tmp_path / ".file.1.part", tmp_path / ".file.2.part"
    for part in (old, young):
        part.touch()
    os.utime(old, (0, 0))
    place_file(tmp_path / "file", [b"x"])
    with (tmp_path / "file").open("rb") as opened:  # an open file is replaced, not rewritten
        place_file(tmp_path / "file", [b"n", b"ew"])
        assert opened.read() == b"x"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.2.part", "file"]


def test_processes_with_a_cold_cache_all_succeed(mirror: Mirror, tmp_path: Path) -> None:
    processes = [start(FILL, mirror.url, str(tmp_path)) for _ in range(5)]
    for process in processes:
        assert process.communicate(timeout=60) == (b"", b"")
        assert process.returncode == 0
    assert len(read_all(tmp_path)) == 8
    assert set(ensure(replace(TINY, mirrors=()), tmp_path, verify=True).values()) == {Action.USED}


def test_an_interrupt_ends_a_download_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    name = TINY.train.images.packed_name
    with serving({name: [stall(BODIES[name][:99], 30)]}) as mirror:
        process = start(FILL, mirror.url, str(tmp_path))
        until = time.monotonic() + 20
        while not list(tmp_path.glob("Tiny/raw/.*.part")) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        _, errors = process.communicate(timeout=20)
    assert time.monotonic() - interrupted < 2
    assert b"KeyboardInterrupt" in errors
    assert read_all(tmp_path) == {}


def test_offline(
    warm: Dataset, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    cold, raw, labels = tmp_path / "a b", tmp_path / "Tiny/raw", warm.test.labels
    for name in (labels.name, labels.packed_name):
        (raw / name).write_bytes(b"cut")
    for folder, state in (
        (cold, f"{cold}/Tiny/raw/{TINY.train.images.name} is missing"),
        (tmp_path, f"{raw / labels.name} is damaged"),
    ):
        with pytest.raises(DownloadError, match="MNISTSEQ_OFFLINE") as caught:
            ensure(warm, folder)
        assert caught.value.message.startswith(f"{state}, and ")
        assert caught.value.hint.endswith(f"--from FOLDER --data-dir {shlex.quote(str(folder))}")
    assert mirror.asked == []
    assert not cold.exists()


def test_one_deadline_holds_for_all_files(tmp_path: Path) -> None:
    """Each file comes in time, all together do not."""
    start, patience = time.monotonic(), replace(QUICK, deadline_s=0.6)
    answers = {name: [reply(200, body[:9], 0.4, body[9:])] for name, body in BODIES.items()}
    with serving(answers) as slow, pytest.raises(DownloadError, match="too slow"):
        ensure_cached(replace(TINY, mirrors=(slow.url,)), tmp_path, patience=patience)
    assert time.monotonic() - start < 1.5
    assert set(read_all(tmp_path)) >= {TINY.train.images.packed_name}


def test_a_cache_that_cannot_be_written(warm: Dataset, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(CacheError, match="taken") as caught:
        ensure(warm, tmp_path / "taken")
    assert "--data-dir" in caught.value.hint
    with tempfile.TemporaryDirectory() as name:  # which any user can reach
        folder = Path(name)
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(CacheError, match="Permission denied"):
            ensure(warm, folder)
        folder.chmod(0o755)
        ensure(warm, folder)
        (folder / "Tiny/raw").chmod(0o555)
        with unprivileged():  # what is valid works, read-only
            assert set(ensure(warm, folder, verify=True).values()) == {Action.USED}
        (folder / "Tiny/raw").chmod(0o755)


def test_a_full_disk_leaves_no_half_file(mirror: Mirror, tmp_path: Path) -> None:
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    )
    _, errors = start(code + FILL, mirror.url, str(tmp_path)).communicate(timeout=60)
    assert b"CacheError: cannot write" in errors
    names = set(read_all(tmp_path))
    assert names <= {file.packed_name for file in TINY.files()}
    ensure(replace(TINY, mirrors=(mirror.url,)), tmp_path)
    assert len(read_all(tmp_path)) == 8


def put(folder: Path, *, packed: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in BODIES.items():
        plain = folder / name.removesuffix(".gz")
        (folder / name if packed else plain).write_bytes(body if packed else gzip.decompress(body))
    return folder


def is_proved(dataset: Dataset, data_dir: Path) -> bool:
    return set(ensure_cached(dataset, data_dir, verify=True).values()) == {Action.USED}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["", "Tiny/raw", "raw"])
def test_files_are_found_and_copied(place: str, *, packed: bool, tmp_path: Path) -> None:
    put(tmp_path / "source" / place, packed=packed)
    placed = adopt(TINY, tmp_path / "source", tmp_path / "data")
    folder = tmp_path / "data/Tiny/raw"
    assert {path.parent for path in placed} == {folder}
    assert len(list(folder.iterdir())) == (8 if packed else 4)
    assert is_proved(TINY, tmp_path / "data")


@pytest.mark.parametrize("packed", [True, False])
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
    (put(tmp_path / "source", packed=True) / TINY.test.labels.packed_name).unlink()
    for place, message in (("source", r"t10k-labels-idx1-ubyte\.gz nor"), ("x", "no file or fol")):
        with pytest.raises(GlyphError, match=message):
            adopt(TINY, tmp_path / place, tmp_path / "data")


def test_a_keras_npz_gives_the_same_files_or_is_refused(tmp_path: Path) -> None:
    raw, path = put(tmp_path / "source", packed=True), tmp_path / "tiny.npz"
    arrays = {}
    for name in SPLITS:
        split = TINY.split(name)
        arrays[f"x_{name}"] = read_idx(raw / split.images.packed_name)
        arrays[f"y_{name}"] = read_idx(raw / split.labels.packed_name).astype(np.int64)
    np.savez(path, allow_pickle=True, **arrays)
    adopt(TINY, path, tmp_path / "data")
    assert is_proved(TINY, tmp_path / "data")
    np.savez(path, allow_pickle=True, **arrays | {"x_test": arrays["x_test"] ^ 1})
    for dataset, message in ((TINY, "not those of tiny"), (UNPROVED, "cannot be checked")):
        with pytest.raises(GlyphError, match=message):
            adopt(dataset, path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_a_record_is_whole_and_its_files_go_together(dataset: Dataset) -> None:
    assert DATASETS[dataset.name] is dataset
    assert re.fullmatch(r"[a-z-]+", dataset.name)
    assert re.fullmatch(r"\w+", dataset.folder)
    assert dataset.licence
    assert all(mirror.endswith("/") for mirror in dataset.mirrors)
    check_mirrors(dataset.mirrors)
    assert dataset.writers_from in {"", *DATASETS}
    files = dataset.files()
    alike = [one for one in DATASETS.values() if one.folder == dataset.folder]
    assert {file.name for one in alike if one != dataset for file in one.files()}.isdisjoint(
        file.name for file in files
    )
    n_files = 2 if dataset.test_writers else 4
    assert len({file.name for file in files}) == len(files) == n_files
    assert len({file.sha256 or file.unpacked_sha256 or file.name for file in files}) == n_files
    for file in files:
        assert not dataset.mirrors or file.sha256
        for sha256 in (file.sha256, file.unpacked_sha256):
            assert re.fullmatch(r"([0-9a-f]{64})?", sha256)
        assert file.size_bytes < file.unpacked_size_bytes
    for split in (dataset.train, dataset.test):
        assert split.images.shape == (split.n_glyphs, 28, 28)
        assert split.labels.shape[0] == split.n_glyphs
        assert not dataset.glyphs_per_writer or split.n_glyphs % dataset.glyphs_per_writer == 0


@pytest.fixture
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


@pytest.mark.usefixtures("drawn")
def test_other_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(STROKES, test=replace(STROKES.test, sha256="0" * 64))
    monkeypatch.setitem(DATASETS, "strokes", other)
    with pytest.raises(GlyphError, match="came out wrong on this machine"):
        load_glyphs("strokes", "test", tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_pen_needs_no_cache(
    drawn: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    assert len(load_glyphs("strokes", "test", tmp_path / "file")) == STROKES.test.n_glyphs
    assert drawn == ["test"]
    assert resolve_dataset("auto", tmp_path / "file") == "strokes"
