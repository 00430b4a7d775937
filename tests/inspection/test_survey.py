"""A survey finds what is in a dataset; the references are computed in other ways."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.layout import GROUP_GAP_PX
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS
from mnistseq_cli.inspection.dataset import open_dataset
from mnistseq_cli.inspection.figures import INK_BINS, Source, Spread, to_dict
from mnistseq_cli.inspection.gap_test import GapOdds
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case, check_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistseq_cli.compose.samples import Sample
    from mnistseq_cli.formats.base import LoadedSample
    from mnistseq_cli.inspection.figures import GapFigures

COUNT = 95
TEXTS = tuple(map(str, range(COUNT)))
ALARM = 1e-4  # a right program fails a test of a new seed so often; the seeds here are fixed


def make(dataset: Path, folder: Path, to: str = "folder", **recipe: Any) -> list[Sample]:
    case = Case(dataset, recipe, {"to": to})
    plan = case.plan(folder)
    run(plan, workers=0)
    return list(SequenceGenerator(plan.recipe))


def is_spread(found: Spread, numbers: list[float]) -> bool:
    expected = [min(numbers), sum(numbers) / len(numbers), max(numbers)]
    return np.allclose([found.least, found.mean, found.most], expected, rtol=1e-12)


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
    uses = Counter(np.concatenate([one.glyphs for one in samples]).tolist())
    assert found.glyphs.n_distinct == len(uses)
    assert is_spread(found.glyphs.uses, list(uses.values()))
    most = list(found.glyphs.most_used.items())
    assert most == sorted(uses.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
    gaps = Counter(np.concatenate([one.gaps for one in samples]).tolist())
    assert found.gaps.counts == dict(sorted(gaps.items()))


def test_margins_without_boxes_are_blank_columns(tmp_path: Path) -> None:
    image = np.full((10, 40), 255, np.uint8)
    image[4:6, 7:31] = 0
    image[2, 2] = 230  # noise
    imageio.imwrite(tmp_path / "a.png", image)
    imageio.imwrite(tmp_path / "b.png", np.full((10, 12), 255, np.uint8))
    (tmp_path / "labels.csv").write_text("file_name,label\na.png,8\nb.png,\n")
    found = survey(tmp_path)
    assert found.left_margin_px == Spread(7, 9.5, 12)
    assert found.right_margin_px == Spread(9, 10.5, 12)


def test_images_of_several_sizes_share_a_heat_map(tmp_path: Path) -> None:
    sizes = [(40, 10), (12, 30), (12, 30)]
    for number, (width, height) in enumerate(sizes):
        imageio.imwrite(tmp_path / f"{number}.png", np.full((height, width), 255, np.uint8))
    lines = ["file_name,label", *(f"{number}.png,1" for number in range(3))]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    found = survey(tmp_path)
    assert found.sizes == {(12, 30): 2, (40, 10): 1}
    assert found.heat_map.shape == (30, 40)
    assert (found.n_equal_images, found.n_equal_texts) == (1, 2)
    assert (found.is_finished, found.recipe, found.format_name) == (None, None, "folder")


@pytest.mark.parametrize("ink", ["black", "white"])
def test_ink_is_told_from_the_borders_where_no_recipe_says(ink: str, tmp_path: Path) -> None:
    page = np.zeros((20, 20), np.uint8)
    page[1:19, 1:19] = 255  # more ink than paper
    imageio.imwrite(tmp_path / "a.png", page if ink == "white" else 255 - page)
    (tmp_path / "labels.csv").write_text("file_name,label\na.png,0\n")
    found = survey(tmp_path)
    assert found.ink == ink
    assert found.ink_share.mean == pytest.approx(18 * 18 / 400)


def test_splits_are_counted(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", splits=("train=70", "val=10", "test=20"))
    assert list(survey(tmp_path / "out").splits) == ["train", "val", "test"]


@pytest.mark.parametrize("n_kept", [1, 7, 40, 95, 200])
def test_samples_are_evenly_spaced(n_kept: int, glyph_folder: Path, tmp_path: Path) -> None:
    samples = make(glyph_folder, tmp_path / "out", "npz", length=None, texts=TEXTS)
    kept = survey(tmp_path / "out", n_kept=n_kept).samples
    places = [int(seen.text) for seen in kept]
    assert len(kept) == min(n_kept, COUNT)
    assert places[0] == 0
    steps = np.diff([*places, COUNT])
    assert steps.min() >= 1
    assert steps.max() <= 2 * -(-COUNT // len(kept))
    for seen in kept:
        assert np.array_equal(seen.image, samples[int(seen.text)].image)
        assert seen.image.base is None  # holds no chunk in memory


def test_the_caller_hears_of_every_sample(glyph_folder: Path, tmp_path: Path) -> None:
    samples = make(glyph_folder, tmp_path / "out", "idx", count=600)
    told: list[int] = []
    watched: list[LoadedSample] = []
    survey(tmp_path / "out", told.append, watch=watched.append)
    assert told == sorted(set(told))
    assert told[-1] == 600
    assert [seen.text for seen in watched] == [one.text for one in samples]


# Of gaps ---------------------------------------------------------------------------------------

DIGITS: dict[str, Any] = {"length": (2, 4)}
GAP_RECIPES: dict[str, tuple[dict[str, Any], str]] = {
    "free": ({}, "from 2 to 10"),
    "bound": ({"length": (3, 6), "width_px": 150}, "fitting into 150 px"),
    "edges": ({"edges": True, "width_px": 160, "spacing_px": (1, 15)}, "fitting into 160 px"),
    "overlap": ({"spacing_px": (-12, -3)}, "no gap smaller than its digits allow"),
    "overlap and bound": ({"spacing_px": (-8, 6), "width_px": 70}, "fitting into 70 px"),
    "cells": ({"measure": "cell", "width_px": 130, "spacing_px": (0, 9)}, "fitting into 130 px"),
    "equal": ({"spacing_mode": "fixed"}, "one gap for each row"),
    "groups": ({"length": None, "pattern": "0##-###-##", "width_px": 195}, "into 195 px"),
    "distorted": ({"augment": ("rotate=10",), "width_px": 100}, "fitting into 100 px"),
    "stretched": ({"fit": "stretch", "width_px": 60}, "from 2 to 10"),
}


@pytest.mark.parametrize("name", GAP_RECIPES)
def test_right_gaps_follow_their_rule(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    recipe, words = GAP_RECIPES[name]
    make(glyph_folder, tmp_path / "out", count=800, **DIGITS | recipe)
    gaps = find_gaps(tmp_path / "out")
    assert words in gaps.rule
    assert gaps.p_value is not None
    assert gaps.p_value > ALARM
    assert gaps.n_compared > 700
    assert sum(gaps.expected.values()) == pytest.approx(gaps.n_compared)


def find_gaps(folder: Path) -> GapFigures:
    gaps = survey(folder).gaps
    assert gaps is not None
    return gaps


def change_gaps(folder: Path, change: Callable[[dict[str, Any]], list[int]]) -> None:
    """Change the gaps that are written down."""
    path = folder / "metadata.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps(record | {"gaps": change(record)}) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")


def fill_from_the_left(record: dict[str, Any]) -> list[int]:
    """Draw gaps from 2 to 30 one by one, each no larger than what 104 px leave."""
    draw = np.random.default_rng(int(record["text"]))
    left_px = 104 - sum(box[2] for box in record["objects"]["bbox"]) - 2 * len(record["gaps"])
    gaps = []
    for _ in record["gaps"]:
        over_px = min(int(draw.integers(29)), left_px)
        gaps.append(2 + over_px)
        left_px -= over_px
    return gaps


WRONG: dict[str, Callable[[dict[str, Any]], list[int]]] = {
    "filled from the left": fill_from_the_left,
    "never large": lambda record: [min(gap, 20) for gap in record["gaps"]],
    "uniform one by one": lambda record: [
        2 + (gap * 17 + int(record["text"])) % 29 for gap in record["gaps"]
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gaps_are_found(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    make(
        glyph_folder, tmp_path / "out", count=1500, length=(5, 5), width_px=104, spacing_px=(2, 30)
    )
    assert find_gaps(tmp_path / "out").p_value > ALARM  # type: ignore[operator] # not None
    change_gaps(tmp_path / "out", WRONG[name])
    assert find_gaps(tmp_path / "out").p_value < 1e-9  # type: ignore[operator] # not None


def test_gaps_outside_their_range_are_told(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", count=300, length=(3, 3))
    change_gaps(tmp_path / "out", lambda record: [*record["gaps"][:-1], 11])
    gaps = find_gaps(tmp_path / "out")
    assert "which 300 gaps break" in gaps.rule
    assert gaps.p_value == 0
    assert gaps.expected[11] == 0
    assert gaps.counts[11] == 300


def test_groups_are_taken_off_gaps(glyph_folder: Path, tmp_path: Path) -> None:
    samples = make(glyph_folder, tmp_path / "out", length=None, pattern="0-#", count=10)
    gaps = [int(one.gaps[0]) - GROUP_GAP_PX for one in samples]
    assert find_gaps(tmp_path / "out").counts == dict(sorted(Counter(gaps).items()))


def test_equal_gaps_count_once_a_row(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", length=(3, 3), spacing_mode="fixed")
    assert find_gaps(tmp_path / "out").n_compared == COUNT


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
    "many values": ({"spacing_px": (0, 1000)}, "more than 1000 values"),
}


@pytest.mark.parametrize("name", NOT_COMPARED)
def test_what_cannot_be_compared_is_said(name: str, glyph_folder: Path, tmp_path: Path) -> None:
    recipe, words = NOT_COMPARED[name]
    make(glyph_folder, tmp_path / "out", **recipe)
    gaps = find_gaps(tmp_path / "out")
    assert gaps.rule.startswith("nothing: ")
    assert words in gaps.rule
    assert (gaps.expected, gaps.p_value, gaps.n_compared) == ({}, None, 0)
    assert gaps.counts


def test_without_a_recipe_gaps_are_compared_over_their_range(
    glyph_folder: Path, tmp_path: Path
) -> None:
    make(glyph_folder, tmp_path / "out", count=300)
    (tmp_path / "out" / "dataset.json").unlink()
    gaps = find_gaps(tmp_path / "out")
    assert "from 2 to 10, the smallest gap and the largest" in gaps.rule
    assert gaps.degrees == 8
    counts = np.array(list(gaps.counts.values()))
    expected = counts.sum() / 9
    assert gaps.statistic == pytest.approx(((counts - expected) ** 2 / expected).sum())


def test_single_digits_have_no_gaps(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out", length=(1, 1))
    assert survey(tmp_path / "out").gaps is None


@pytest.mark.parametrize(
    ("size", "n_gaps", "slack_px"), [(4, 3, 5), (5, 1, 2), (3, 4, 3), (3, 2, 4)]
)
def test_odds_are_those_of_all_combinations(size: int, n_gaps: int, slack_px: int) -> None:
    every = [one for one in product(range(size), repeat=n_gaps) if sum(one) <= slack_px]
    counts = np.array([[one.count(gap) for gap in range(size)] for one in every])
    odds = GapOdds(3, 3 + size)
    odds.add_bound(3, size, n_gaps, slack_px, 10)
    assert np.allclose(odds.expected, [*10 * counts.mean(axis=0), 0])
    expected_covariance = 10 * np.cov(counts.T, bias=True)
    assert np.allclose(odds.covariance[:size, :size], expected_covariance)


def test_free_gaps_are_compared_as_pearson_did() -> None:
    odds = GapOdds(0, 3)
    odds.add_free(0, 4, 100)
    found = odds.compare(np.array([30, 14, 34, 22]))
    assert found is not None
    assert found == pytest.approx((9.44, 3, 0.02398), abs=1e-5)


def test_rare_gaps_are_counted_together() -> None:
    odds = GapOdds(0, 9)
    odds.add_free(0, 10, 20)  # two of each are expected
    found = odds.compare(np.array([9, 0, 0, 0, 0, 9, 1, 1, 0, 0]))
    assert found is not None
    assert found[1] == 2  # 0 to 2, 3 to 5, 6 to 9
    assert found[0] == pytest.approx(9 / 6 + 9 / 6 + 36 / 8)


def test_nothing_is_compared_where_nothing_varies() -> None:
    odds = GapOdds(5, 5)
    odds.add_free(5, 1, 100)
    assert odds.compare(np.array([100])) is None


# Of folders ------------------------------------------------------------------------------------


def test_an_unfinished_dataset_is_read_as_far_as_it_goes(
    glyph_folder: Path, tmp_path: Path
) -> None:
    make(glyph_folder, tmp_path / "out", "webdataset")
    manifest = (tmp_path / "out" / "dataset.json").rename(tmp_path / "plan")
    (tmp_path / "out" / ".mnistseq" / "plan.json").write_bytes(manifest.read_bytes())
    (tmp_path / "out" / "data-000009.tar").unlink()
    found = survey(tmp_path / "out")
    assert (found.is_finished, found.n_samples) == (False, 90)
    assert open_dataset(tmp_path / "out").n_samples == COUNT


PLAN = '{"recipe": {"digits": "1"}, "output": {}, "part_size": 1, "splits": {}}'
FOLDERS: dict[str, tuple[dict[str, str], str]] = {
    "empty": ({}, "nothing that can be read"),
    "with files of other kinds": ({"notes.txt": ""}, "nothing that can be read: no webdataset"),
    "without samples": ({"labels.csv": "file_name,label\n"}, "holds no samples"),
    "with a damaged manifest": ({"dataset.json": "{"}, "dataset.json is damaged"),
    "hardly begun": (
        {".mnistseq/plan.json": PLAN},
        "unfinished, and nothing in it can be read",
    ),
    "with a strange plan": (
        {
            ".mnistseq/plan.json": PLAN,
            "labels.csv": "a.png,1\n",
        },
        "says of itself is damaged",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_no_dataset_is_refused(name: str, tmp_path: Path) -> None:
    files, message = FOLDERS[name]
    (tmp_path / "x").mkdir()
    for path, text in files.items():
        (tmp_path / "x" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "x" / path).write_text(text)
    with pytest.raises(OutputError) as caught:
        survey(tmp_path / "x")
    assert message in caught.value.message
    assert str(tmp_path / "x") in caught.value.message


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="no folder, but a file"):
        survey(tmp_path / "x")
    with pytest.raises(OutputError, match="is not there"):
        survey(tmp_path / "y")


def test_a_survey_is_plain_values(glyph_folder: Path, tmp_path: Path) -> None:
    make(glyph_folder, tmp_path / "out")
    found = survey(tmp_path / "out", n_kept=3)
    values = json.loads(json.dumps(to_dict(found), allow_nan=False))
    assert values["n_samples"] == COUNT
    assert values["sizes"] == [
        {"width_px": width, "height_px": 28, "count": n} for (width, _), n in found.sizes.items()
    ]
    assert values["gaps"]["p_value"] == found.gaps.p_value  # type: ignore[union-attr] # not None
    assert np.allclose(values["heat_map"], found.heat_map, atol=1e-4)
    assert values["glyphs"]["uses"]["most"] == found.glyphs.uses.most  # type: ignore[union-attr]
    first = found.samples[0]
    assert values["samples"][0]["boxes"] == first.boxes.tolist()  # type: ignore[union-attr]
    assert set(vars(found)) == set(values)
