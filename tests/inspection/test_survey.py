"""A survey finds what is in a dataset; the references are computed in other ways."""

import json
import math
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imageio import v3 as imageio

from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Sample
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS
from mnistseq_cli.inspection.dataset import open_dataset
from mnistseq_cli.inspection.figures import (
    INK_BINS,
    Damage,
    GapFigures,
    Source,
    Spread,
    Survey,
    to_dict,
)
from mnistseq_cli.inspection.gap_test import compare_counts, find_p_value
from mnistseq_cli.inspection.predictions import ReaderTally, read_predictions
from mnistseq_cli.inspection.survey import pick_samples, survey
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import Case, check_installed

COUNT = 95


def write(dataset: Path, folder: Path, to: str = "folder", **recipe: Any) -> Recipe:
    part_size = max(10, recipe.get("count", 0) // 10)
    plan = Case(dataset, recipe, {"to": to}, part_size).plan(folder)
    run(plan, workers=0)
    return plan.recipe


def make(*args: Any, **recipe: Any) -> list[Sample]:
    return list(SequenceGenerator(write(*args, **recipe)))


def is_spread(found: Spread, numbers: list[float]) -> bool:
    expected = [min(numbers), sum(numbers) / len(numbers), max(numbers)]
    return np.allclose([found.least, found.mean, found.most], expected, rtol=1e-12, atol=1e-5)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("ink", ["black", "white"])
def test_everything_is_counted(to: str, ink: str, glyph_folder: Path, tmp_path: Path) -> None:
    check_installed(to)
    samples = make(glyph_folder, tmp_path / "out", to, ink=ink)
    found = survey(tmp_path / "out")
    inks = [(255 - one.image if ink == "black" else one.image) / 255 for one in samples]
    assert (found.format_name, found.is_finished, found.n_samples) == (to, True, COUNT)
    assert found.recipe is not None
    assert found.recipe["seed"] == 5
    assert found.splits == {"": COUNT}
    assert found.sizes == {(samples[0].image.shape[1], 28): COUNT}
    assert found.digits == dict(sorted(Counter("".join(one.text for one in samples)).items()))
    assert found.lengths == dict(sorted(Counter(len(one.text) for one in samples).items()))
    assert found.ink == ink
    assert is_spread(found.ink_share, [float(page.mean()) for page in inks])
    assert found.ink_histogram.tolist() == [
        sum(int(page.mean() * INK_BINS) == place for page in inks) for place in range(INK_BINS)
    ]
    assert np.allclose(found.heat_map, np.mean(inks, axis=0))
    assert found.n_equal_texts == COUNT - len({one.text for one in samples})
    assert found.n_equal_images == COUNT - len({one.image.tobytes() for one in samples})
    check_held(found, samples)


def check_held(found: Any, samples: list[Sample]) -> None:
    """Check what not every container holds, and what else the recipe says."""
    assert found.has_boxes
    for aspect, source in found.sources.items():
        lacking = {"lmdb", "idx"} | ({"hdf5", "npz", "npy"} if aspect != "boxes" else set())
        is_held = found.format_name not in lacking
        assert source == (Source(COUNT, 0) if is_held else Source(0, COUNT))
    assert is_spread(found.left_margin_px, [one.boxes[0, 0] for one in samples])
    right = [one.image.shape[1] - one.boxes[-1, [0, 2]].sum() for one in samples]
    assert is_spread(found.right_margin_px, right)
    columns = [
        (np.invert(one.image) if found.ink == "black" else one.image)[:, x : x + width].sum() / 255
        for one in samples
        for x, _, width, _ in one.boxes.tolist()
    ]
    assert found.digit_ink_px.least == round(min(columns)) > 0
    assert found.digit_ink_px.mean == pytest.approx(np.mean(columns), abs=0.1)
    uses = Counter(np.concatenate([one.glyphs for one in samples]).tolist())
    assert found.glyphs.n_distinct == len(uses)
    assert is_spread(found.glyphs.uses, list(uses.values()))
    most = list(found.glyphs.most_used.items())
    assert most == sorted(uses.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
    gaps = Counter(np.concatenate([one.gaps for one in samples]).tolist())
    assert found.gaps.counts == dict(sorted(gaps.items()))


def write_images(folder: Path, *images: np.ndarray, texts: tuple[str, ...] = ()) -> Survey:
    """Write images and a label file as others would; return what a survey finds."""
    folder.mkdir(exist_ok=True)
    lines = ["file_name,label"]
    for number, image in enumerate(images):
        imageio.imwrite(folder / f"{number}.png", image)
        lines.append(f"{number}.png,{(texts or '1' * len(images))[number]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return survey(folder)


def test_pictures_of_others_are_looked_at(tmp_path: Path) -> None:
    blank = np.full((10, 12), 255, np.uint8)
    image = np.full((10, 40), 255, np.uint8)
    image[4:6, 7:31] = 0
    image[2, 2] = 230  # noise
    found = write_images(tmp_path / "margins", image, blank)
    assert found.left_margin_px == Spread(7, 9.5, 12)
    assert found.right_margin_px == Spread(9, 10.5, 12)
    tall = np.full((30, 12), 255, np.uint8)
    found = write_images(tmp_path / "sizes", np.full((10, 40), 255, np.uint8), tall, tall)
    assert found.sizes == {(12, 30): 2, (40, 10): 1}
    assert found.heat_map.shape == (30, 40)
    assert (found.n_equal_images, found.n_equal_texts) == (1, 2)
    assert (found.is_finished, found.recipe, found.format_name) == (None, None, "folder")
    page = np.zeros((20, 20), np.uint8)
    page[1:19, 1:19] = 255  # more ink than paper: the borders tell
    for ink, pixels in (("white", page), ("black", 255 - page)):
        found = write_images(tmp_path / ink, pixels)
        assert found.ink == ink
        assert found.ink_share.mean == pytest.approx(18 * 18 / 400)
    wide = np.full((28, 900_000), 255, np.uint8)
    found = write_images(tmp_path / "wide", *(np.roll(wide, number) for number in range(3)))
    assert sum(sample.image.nbytes for sample in found.samples) < 7e7
    assert found.heat_map.nbytes < 5e7


def test_samples_are_evenly_spaced(glyph_folder: Path, tmp_path: Path) -> None:
    texts = tuple(map(str, range(COUNT)))
    samples = make(glyph_folder, tmp_path / "out", "npz", length=None, texts=texts)
    for n_kept in (1, 7, 40, 95, 200):
        kept = survey(tmp_path / "out", n_kept=n_kept).samples
        places = [int(seen.text) for seen in kept]
        assert (len(kept), places[0]) == (min(n_kept, COUNT), 0)
        steps = np.diff([*places, COUNT])
        assert steps.min() >= 1
        assert steps.max() <= 2 * -(-COUNT // len(kept))
        for seen, place in zip(kept, places, strict=True):
            assert np.array_equal(seen.image, samples[place].image)
            assert seen.image.base is None  # holds no chunk in memory


@pytest.mark.parametrize("to", ["folder", "idx"])
def test_findings_do_not_depend_on_workers(to: str, glyph_folder: Path, tmp_path: Path) -> None:
    splits = ("train=70", "val=10", "test=20")
    write(glyph_folder, tmp_path / "out", to, count=4400, length=(1, 2), splits=splits)
    few = [survey(tmp_path / "out", n_samples=4200, workers=workers) for workers in (0, 2)]
    assert to_dict(few[0]) == to_dict(few[1])
    assert few[0].n_left_out == 200
    rows = [f"{one.split}/{one.name},{one.text[:1]}\n" for one in few[0].samples]
    (tmp_path / "read.csv").write_text("".join(rows))
    told: list[int] = []
    tallies = [ReaderTally(read_predictions(tmp_path / "read.csv")) for _ in range(2)]
    one, other = (
        to_dict(survey(tmp_path / "out", told.append, reader=tally, workers=2 * n))
        for n, tally in enumerate(tallies)
    )
    assert max(told) == 4400
    assert list(one["splits"]) == ["train", "val", "test"]
    assert one == other
    one, other = (tally.figures().to_dict() for tally in tallies)
    assert one == other
    assert one["n_missing"] == 4400 - 240


PLAN = '{"recipe": {"digits": "1"}, "output": {}, "part_size": 1, "splits": {}}'
FOLDERS: dict[str, tuple[dict[str, str], str]] = {
    "empty": ({}, "nothing that can be read"),
    "with files of other kinds": ({"notes.txt": ""}, "nothing that can be read: no webdataset"),
    "without samples": ({"labels.csv": "file_name,label\n"}, "holds no samples"),
    "with a damaged manifest": ({"dataset.json": "{"}, "dataset.json is damaged"),
    "hardly begun": ({".mnistseq/plan.json": PLAN}, "unfinished, and nothing in it can be read"),
    "with a strange plan": (
        {".mnistseq/plan.json": PLAN, "labels.csv": "a.png,1\n"},
        "says of itself is damaged",
    ),
}


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    for name, (files, message) in FOLDERS.items():
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        (tmp_path / name).mkdir(exist_ok=True)
        with pytest.raises(OutputError) as caught:
            survey(tmp_path / name)
        assert message in caught.value.message
        assert str(tmp_path / name) in caught.value.message


def test_what_is_not_one_folder_is_refused(glyph_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(glyph_folder, tmp_path / name)
    with pytest.raises(OutputError, match="does not exist"):
        survey(tmp_path / "y")
    with pytest.raises(OutputError, match="json is a file"):
        survey(tmp_path / "a" / "dataset.json")
    with pytest.raises(OutputError, match="holds 2 datasets: a, b") as caught:
        survey(tmp_path)
    assert f"mnistseq inspect {tmp_path / 'a'}" in caught.value.hint


def test_few_samples_are_picked_without_reading_others(glyph_folder: Path, tmp_path: Path) -> None:
    for to in ("folder", "webdataset", "idx"):
        make(glyph_folder, tmp_path / to, to, splits=("train=70", "test=30"))
        images = {one.name: one.image for one in open_dataset(tmp_path / to).read()}
        picked = pick_samples(tmp_path / to, 7)
        assert len(picked) == 7
        for one in picked:
            assert one.boxes is not None
            assert np.array_equal(one.image, images[one.name])
    assert {one.split for one in picked} == {"train", "test"}
    path = sorted((tmp_path / "folder" / "test").rglob("*.png"))[2]  # not picked
    path.write_bytes(b"")
    assert len(pick_samples(tmp_path / "folder", 7)) == 7
    seen = survey(tmp_path / "folder", n_samples=7)
    assert (seen.n_samples, seen.n_left_out) == (7, COUNT - 7)
    assert sum(seen.digits.values()) == sum(len(one.text) for one in seen.samples)


def find_damage(folder: Path, *texts: str) -> dict[str, Damage]:
    images = np.random.default_rng(0).integers(256, size=(len(texts), 9, 9), dtype=np.uint8)
    return write_images(folder, *images, texts=texts).damage


def test_what_spreadsheets_do_to_labels_is_counted(tmp_path: Path) -> None:
    assert find_damage(tmp_path / "right", "00047", "12", "930", "7") == {}
    found = find_damage(tmp_path / "spoiled", "47922.0", "9.33787E+11", "12", "")
    assert found == {"spoiled": Damage(2, "0.png", "47922.0"), "empty": Damage(1, "3.png")}
    zeros = [str(number) for number in (47922, 933, 12345, 67890, 55555, 81234)]
    assert find_damage(tmp_path / "zeros", *zeros) == {"zeros": Damage(1)}
    assert find_damage(tmp_path / "other", "00933", *zeros) == {}
    labels = tmp_path / "other" / "labels.csv"
    labels.write_text("file_name,text\n0.png,12\n0.png,12\n1.png,13\n1.png,31\n")
    assert survey(tmp_path / "other").damage == {"contradicting": Damage(1)}


def test_texts_with_fewer_characters_than_boxes(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", length=None, texts=("007", "123"), count=2)
    path = tmp_path / "out" / "metadata.jsonl"
    path.write_text(path.read_text().replace('"007"', '"7"'))
    damage = survey(tmp_path / "out").damage
    assert (damage["short"].n, damage["short"].text) == (1, "7")


ALARM = 1e-4  # a right program fails a test of a new seed so often; the seeds here are fixed
# scipy.stats.chi2.sf(statistic, degrees), SciPy 1.17.1.
SCIPY = {
    (7.2, 8): 0.5152161104661482,
    (250.0, 200): 0.009379131668826098,
    (1.5, 3): 0.6822703303362125,
    (40.0, 8): 3.203719780476998e-06,
    (3.841458820694124, 1): 0.05,
    (149.449252778, 100): 0.001,
}


@given(statistic=st.floats(0, 1e9))
def test_p_values_are_those_of_closed_forms_and_scipy(statistic: float) -> None:
    for given_one, expected in SCIPY.items():
        assert math.isclose(find_p_value(*given_one), expected, rel_tol=1e-8, abs_tol=1e-13)
    # DLMF 8.4.4 for 2 degrees of freedom, 8.4.6 for 1, 8.4.10 for 14.
    x = statistic / 2
    assert abs(find_p_value(statistic, 2) - math.exp(-x)) < 1e-13
    assert abs(find_p_value(statistic, 1) - math.erfc(math.sqrt(x))) < 1e-13
    terms = math.fsum(x**k / math.factorial(k) for k in range(7))
    assert abs(find_p_value(statistic, 14) - math.exp(-x) * terms) < 1e-12


def test_counts_are_compared_as_pearson_did() -> None:
    found = compare_counts({0: 30, 1: 14, 2: 34, 3: 22}, dict.fromkeys(range(4), 25.0))
    assert found == pytest.approx((9.44, 3, 0.02398), abs=1e-5)
    assert compare_counts({5: 100}, {5: 100.0}) is None
    # Rare gaps are counted together: 0 to 2, 3 to 5, 6 to 9.
    found = compare_counts({0: 9, 5: 9, 6: 1, 7: 1}, dict.fromkeys(range(10), 2.0))
    assert found is not None
    assert found[0] == pytest.approx(9 / 6 + 9 / 6 + 36 / 8)
    assert found[1] == 2


def make_gaps(dataset: Path, folder: Path, **recipe: Any) -> GapFigures:
    write(dataset, folder / "out", **recipe)
    return find_gaps(folder)


def find_gaps(folder: Path) -> GapFigures:
    gaps = survey(folder / "out").gaps
    assert gaps is not None
    return gaps


def change_gaps(folder: Path, change: Callable[[list[int]], list[int]]) -> None:
    """Change the gaps that are written down."""
    path = folder / "out" / "metadata.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = [json.dumps(one | {"gaps": change(one["gaps"])}) + "\n" for one in records]
    path.write_text("".join(changed), encoding="utf-8")


FITTING = "fitting into"
RULES: dict[str, tuple[dict[str, Any], str]] = {
    "free": ({}, "from 2 to 10"),
    "overlap": ({"spacing_px": (-12, -3)}, "no gap smaller than its digits allow"),
    "wide enough": ({"length": (2, 6), "width_px": 190}, FITTING),
    "cells": ({"measure": "cell", "width_px": 130, "spacing_px": (0, 9)}, FITTING),
    "equal": ({"spacing_mode": "fixed"}, "one gap for each row"),
    "distorted": ({"augment": ("rotate=10",), "width_px": 100}, FITTING),
    "stretched": ({"fit": "stretch", "width_px": 60}, "from 2 to 10"),
    "tight": ({"length": (6, 6), "width_px": 140}, FITTING),
    "tight edges": (
        {"length": (5, 5), "edges": True, "width_px": 140, "spacing_px": (1, 15)},
        FITTING,
    ),
    "tight groups": ({"length": None, "pattern": "0##-###-##", "width_px": 195}, FITTING),
}


@pytest.mark.parametrize("name", RULES)
def test_right_gaps_follow_their_rule(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    recipe, words = RULES[name]
    gaps = make_gaps(glyph_folder, tmp_path, count=800, **{"length": (2, 4)} | recipe)
    assert words in gaps.rule
    assert sum(gaps.expected.values()) == pytest.approx(gaps.n_compared)
    if not name.startswith("tight"):
        assert (gaps.p_value or 0) > ALARM
        assert gaps.n_compared >= gaps.n_tested > 700
        return
    assert gaps.n_tested < gaps.n_compared
    if gaps.n_compared == sum(gaps.counts.values()):
        # Smaller than of independent ones, so the statistic is no larger than theirs.
        off = [(gaps.counts.get(gap, 0) - one) ** 2 for gap, one in gaps.expected.items()]
        assert sum(off) / gaps.n_compared < 30


def test_expected_counts_are_those_of_all_combinations(glyph_folder: Path, tmp_path: Path) -> None:
    # One sample: three digits, two gaps from 0 to 4 into 5 px.
    recipe = {"measure": "cell", "spacing_px": (0, 4), "width_px": 3 * 28 + 5, "length": (3, 3)}
    gaps = make_gaps(glyph_folder, tmp_path, count=1, **recipe)
    every = [gaps for gaps in product(range(5), repeat=2) if sum(gaps) <= 5]
    expected = {gap: sum(one.count(gap) for one in every) / len(every) for gap in range(5)}
    assert gaps.expected == pytest.approx(expected)


WRONG: dict[str, Callable[[list[int]], list[int]]] = {
    "never large": lambda gaps: [min(gap, 20) for gap in gaps],
    "even ones": lambda gaps: [gap - gap % 2 for gap in gaps],
    "outside": lambda gaps: [*gaps[:-1], 31],
}


def test_wrong_gaps_are_found(glyph_folder: Path, tmp_path: Path) -> None:
    gaps = make_gaps(glyph_folder, tmp_path, count=800, length=(5, 5), spacing_px=(2, 30))
    assert (gaps.p_value or 0) > ALARM
    labels = (tmp_path / "out" / "metadata.jsonl").read_text()
    for change in WRONG.values():
        (tmp_path / "out" / "metadata.jsonl").write_text(labels)
        change_gaps(tmp_path, change)
        gaps = find_gaps(tmp_path)
        assert gaps.p_value is not None
        assert gaps.p_value < 1e-9
    assert "which 800 gaps break" in gaps.rule
    assert (gaps.p_value, gaps.expected[31], gaps.counts[31]) == (0, 0, 800)


@pytest.mark.parametrize(
    "values", [{"pattern": "0-#", "count": 10}, {"texts": ("0-1", "23"), "count": 300}], ids=str
)
def test_groups_are_taken_off_gaps(
    values: dict[str, Any], glyph_folder: Path, tmp_path: Path
) -> None:
    samples = make(glyph_folder, tmp_path / "out", length=None, **values)
    drawn = [int(one.gaps[0]) - 14 * (one.text[0] == "0") for one in samples]
    gaps = find_gaps(tmp_path)
    assert gaps.counts == dict(sorted(Counter(drawn).items()))
    assert gaps.p_value is None or gaps.p_value > ALARM


NOT_COMPARED: dict[str, tuple[dict[str, Any], str]] = {
    "shared width": (
        {"spacing_mode": "fixed", "width_px": 100, "measure": "cell", "length": (3, 3)},
        "the width decides them",
    ),
    "cells that grow": (
        {"measure": "cell", "augment": ("shift=8",), "width_px": 190},
        "is not known",
    ),
    "seen through a lens": ({"augment": ("blur=1",), "width_px": 150}, "is not known"),
    "scaled": ({"fit": "shrink", "spacing_px": (-3, 2), "width_px": 40}, "is not known"),
}


@pytest.mark.parametrize("name", NOT_COMPARED)
def test_what_cannot_be_compared_is_said(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    recipe, words = NOT_COMPARED[name]
    gaps = make_gaps(glyph_folder, tmp_path, **recipe)
    assert gaps.rule.startswith("nothing: ")
    assert words in gaps.rule
    assert (gaps.expected, gaps.p_value, gaps.n_compared) == ({}, None, 0)
    assert gaps.counts


def test_gaps_without_a_recipe_and_without_gaps(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", count=300)
    (tmp_path / "out" / "dataset.json").unlink()
    gaps = find_gaps(tmp_path)
    assert "from 2 to 10, the smallest" in gaps.rule
    assert gaps.degrees == 8
    counts = np.array(list(gaps.counts.values()))
    expected = counts.sum() / 9
    assert gaps.statistic == pytest.approx(((counts - expected) ** 2 / expected).sum())
    make(glyph_folder, tmp_path / "single", length=(1, 1))
    assert survey(tmp_path / "single").gaps is None
