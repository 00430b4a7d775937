"""Glyphs to test with: small made-up ones, and the real ones where they are at hand."""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from mnistseq_cli.cli import main
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs
from tests.helpers.mirror import write_pair
from tests.helpers.program import Result

# A busy machine is no failure, and a run that blocks a change can be run again.
settings.register_profile("all", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("all")

GLYPHS_PER_CLASS = 12


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over what imports PyTorch, which takes seconds, where its tests would be left out."""
    is_left_out = "not consumers" in config.getoption("markexpr")
    return True if is_left_out and collection_path.name == "test_torch.py" else None


def make_glyphs() -> GlyphSet:
    """Make glyphs with ink of many sizes and places: blots with ragged edges."""
    labels = np.tile(np.arange(10, dtype=np.uint8), GLYPHS_PER_CLASS)
    images = np.zeros((len(labels), 28, 28), np.uint8)
    for number, image in enumerate(images):
        x, y = number * 5 % 9, number * 3 % 8
        width, height = 2 + number * 7 % 18, 10 + number * 11 % 10
        rows, columns = np.mgrid[:height, :width]
        image[y : y + height, x : x + width] = 1 + (rows * 37 + columns * 91 + number * 13) % 255
    return GlyphSet(images, labels, name="blots", split="train", licence="none", sha256="b107")


def make_set(
    labels: NDArray[Any], images: NDArray[np.uint8] | None = None, **about: Any
) -> GlyphSet:
    """Make a set of some images, all blots by default."""
    said = {"name": "made-up", "split": "train", "licence": "", "sha256": ""} | about
    images = np.ones((len(labels), 28, 28), np.uint8) if images is None else images
    return GlyphSet(images, labels.astype(np.uint8), **said)


@pytest.fixture(scope="session")
def glyphs() -> GlyphSet:
    return make_glyphs()


@pytest.fixture(scope="session")
def punctuated(glyphs: GlyphSet) -> GlyphSet:
    """Give glyphs of digits and, of a point and a comma, as many."""
    marks = np.repeat(np.array([10, 11], np.uint8), GLYPHS_PER_CLASS)
    images = np.concatenate([glyphs.images, glyphs.images[: len(marks)]])
    labels = np.concatenate([glyphs.labels, marks])
    return make_set(labels, images, name="punctuated", sha256="b108", alphabet="0123456789.,")


@pytest.fixture(scope="session")
def glyph_folder(glyphs: GlyphSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the made-up glyphs as an IDX pair, for ``--dataset``."""
    return write_pair(tmp_path_factory.mktemp("blots"), glyphs.images, glyphs.labels, "train-")


@pytest.fixture(scope="session")
def pen_dir(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Give a cache with all that the pen draws, the same for all processes of a run."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "pen"
    load_glyphs("strokes", "all", folder)
    return folder


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    glyph_folder: Path,
    tmp_path: Path,
) -> Callable[..., Result]:
    """Give a function that runs the program in an empty folder, with the made-up glyphs.

    It takes a command as one line, or word by word.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTSEQ_OFFLINE", "1")
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(tmp_path / "cache"))

    def run_program(*words: object, glyphs: bool = True) -> Result:
        options = ["--dataset", glyph_folder] if glyphs else []
        line = shlex.split(str(words[0])) if len(words) == 1 else words
        monkeypatch.setattr("sys.argv", ["mnistseq", *map(str, [*line, *options])])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run_program


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """Give the end to write into of a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield write_end
    os.close(write_end)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = which("mount"), which("umount")
    if not mount or not umount or os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run([umount, folder], check=True)


def name_folder(variable: str) -> Path:
    """Give the folder that an environment variable names, or skip the test."""
    if variable not in os.environ:
        pytest.skip(f"{variable} names no folder with the official files")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    return name_folder("MNISTSEQ_TEST_MNIST")


@pytest.fixture(scope="session")
def qmnist_folder() -> Path:
    return name_folder("MNISTSEQ_TEST_QMNIST")


@pytest.fixture(scope="session")
def mnist(mnist_folder: Path) -> GlyphSet:
    """Give the training glyphs of MNIST, read without the program's own reader."""
    images = gzip.decompress((mnist_folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((mnist_folder / "train-labels-idx1-ubyte.gz").read_bytes())
    glyphs = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return make_set(np.frombuffer(labels, np.uint8, offset=8), glyphs, name="mnist")
