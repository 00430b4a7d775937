from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnistseq_cli.glyphs.catalog import STROKES, SplitName
from mnistseq_cli.glyphs.resize import resize
from mnistseq_cli.glyphs.strokes import draw_by_id, draw_glyphs, number_glyphs
from mnistseq_cli.glyphs.strokes.characters import PEN_CHARACTERS, read_forms
from mnistseq_cli.glyphs.strokes.drawing import draw_lines
from mnistseq_cli.glyphs.strokes.writing import GLYPH_WORDS, N_TRAITS, WAY_WORDS, trace_lines

SPLITS: tuple[SplitName, ...] = ("train", "test")
N_GLYPHS = {split: STROKES.split(split).n_glyphs for split in SPLITS}
Glyphs = tuple[NDArray[np.uint8], NDArray[np.uint8]]
# Of both splits, and of some glyphs drawn and enlarged at other heights.
SHA256 = [
    STROKES.train.sha256,
    STROKES.test.sha256,
    "586e9868da571a0f99dbc7cba529fb1497cf27c9606e29fe34d13af6cbc30903",
]


def draw_all() -> dict[str, Glyphs]:
    return {split: draw_glyphs(split, np.arange(N_GLYPHS[split])) for split in SPLITS}


def list_hashes(drawn: dict[str, Glyphs]) -> list[str]:
    digests = [hashlib.sha256(b"".join(one.tobytes() for one in drawn[split])) for split in SPLITS]
    heights, ids = hashlib.sha256(), np.arange(60)
    for height_px in (16, 48, 128, 256):
        heights.update(draw_glyphs("train", ids, height_px)[0].tobytes())
        heights.update(resize(draw_glyphs("train", ids)[0], height_px).tobytes())
    return [digest.hexdigest() for digest in (*digests, heights)]


@pytest.fixture(scope="module")
def drawn() -> dict[str, Glyphs]:
    return draw_all()


def test_glyphs_are_those_of_the_golden_hash(drawn: dict[str, Glyphs]) -> None:
    for split in SPLITS:
        images, labels = drawn[split]
        assert images.shape == (N_GLYPHS[split], 28, 28)
        assert images.dtype == labels.dtype == np.uint8
    assert list_hashes(drawn) == SHA256
    every = np.concatenate([drawn[split][0] for split in SPLITS])
    assert len({image.tobytes() for image in every}) == len(every) == 24_000


def test_glyphs_are_the_same_without_the_processors_shortcuts() -> None:
    name = "numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core"
    core = import_module(f"{name}._multiarray_umath")
    features = [name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]]
    assert features
    code = "from tests.glyphs.test_strokes import *; print(*list_hashes(draw_all()))"
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_CORETYPE": "Prescott"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | plain | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == SHA256


@given(st.sampled_from(SPLITS), st.integers(0, 3900), st.integers(1, 100))
def test_a_glyph_does_not_depend_on_its_block(
    drawn: dict[str, Glyphs], split: str, start: int, n_glyphs: int
) -> None:
    own = slice(start, start + n_glyphs)
    for again, first in zip(draw_glyphs(split, np.r_[own]), drawn[split], strict=True):
        assert (again == first[own]).all()


@pytest.mark.parametrize("split", SPLITS)
def test_ink_is_placed_as_in_mnist(drawn: dict[str, Glyphs], split: str) -> None:
    images = drawn[split][0].astype(np.int64)
    sizes, offsets = [], []
    for axis in (1, 2):
        profile = images.sum(axis=axis)
        blank = (profile > 0).argmax(axis=1) + (profile[:, ::-1] > 0).argmax(axis=1)
        sizes.append(28 - blank)
        offsets.append(abs((profile * (np.arange(28) - 14)).sum(axis=1)) / profile.sum(axis=1))
    larger, smaller = np.maximum(*sizes), np.minimum(*sizes)
    assert larger.max() == np.percentile(larger, 1) == 20
    assert larger.min() >= 18
    assert smaller.min() >= 1
    # A few lean so far that they would leave the cell.
    assert np.max(offsets) < 1
    assert np.mean(np.array(offsets) > 0.5) < 0.001


def draw(characters: str, hands: list[int], copies: list[int]) -> NDArray[np.uint8]:
    wanted = zip(characters, hands, copies, strict=True)
    return draw_by_id(np.array([number_glyphs(one)[hand, copy] for one, hand, copy in wanted]))


def test_character_hand_and_copy_decide_a_glyph_together() -> None:
    images = draw("33$33", [1, 1, 1, 2, 1001], [0, 1, 0, 0, 0])
    assert len(np.unique(images, axis=0)) == 5
    assert (draw("3$33", [2, 1, 1, 1], [0, 0, 1, 0])[::-1] == images[:4]).all()


@pytest.mark.parametrize("word", [0, 2**64 - 1])
def test_the_most_unusual_hand_still_writes(word: int) -> None:
    numbers = np.arange(len(PEN_CHARACTERS))
    words = [
        np.full((len(numbers), n), word, np.uint64) for n in (N_TRAITS, WAY_WORDS, GLYPH_WORDS)
    ]
    fills = numbers < 10
    images = draw_lines(trace_lines(numbers, *words), fills)
    assert (images.max(axis=(1, 2)) > 150).all()
    assert (images[fills] > 0).any(axis=1).sum(axis=1).max() <= 20
    assert (images[~fills] > 0).mean() < 0.5


def test_characters_stand_where_they_belong() -> None:
    """Over 200 hands: the middle of the ink, and where it begins and ends, in rows of 28."""
    hands, copies = [*range(200)], [0] * 200
    rows: dict[str, NDArray[np.bool_]] = {
        one: np.any(draw(one * 200, hands, copies) > 0, axis=2) for one in PEN_CHARACTERS
    }
    top = {one: ink.argmax(axis=1) for one, ink in rows.items()}
    bottom = {one: 27 - ink[:, ::-1].argmax(axis=1) for one, ink in rows.items()}
    baseline = np.median(np.concatenate([bottom[digit] for digit in "1456789"]))
    assert 22 <= baseline <= 24
    assert np.percentile(bottom[","], [10, 50]).tolist() >= [baseline, baseline + 2]
    assert np.percentile(top[","], 10) > 14
    for point in ".:":
        assert abs(np.median(bottom[point]) - baseline) <= 1
    for middle in "-+=*":
        assert 11 <= np.median(top[middle] + bottom[middle]) / 2 <= 16
    assert np.percentile(bottom["'"], 95) < 14
    for bracket in "()/":
        assert np.median(top[bracket]) <= 4
        assert np.median(bottom[bracket]) >= baseline
    for letter in "ABCDEFHIKLMNOPRSTUVWXYZ":
        assert abs(np.median(bottom[letter]) - baseline) <= 1.5
        assert abs(np.median(top[letter]) - 4) <= 1.5


def test_shares_of_each_character_add_up() -> None:
    shares: Counter[str] = Counter()
    allographs = read_forms().allographs
    for allograph in allographs:
        shares[allograph.character] += allograph.share
    assert shares == dict.fromkeys(PEN_CHARACTERS, 100)
    assert min(Counter(way.character for way in allographs).values()) > 1
    expected = "0123456789.,-/:+%()#'*=$€£¥ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert sorted(PEN_CHARACTERS) == sorted(expected)
