"""A survey finds what is in a dataset; the references are computed in other ways."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS
from mnistseq_cli.inspection.dataset import open_dataset
from mnistseq_cli.inspection.figures import INK_BINS, Damage, Source, Spread, Survey, to_dict
from mnistseq_cli.inspection.predictions import ReaderTally, read_predictions
from mnistseq_cli.inspection.survey import pick_samples, survey
from tests.helpers.bulk_cases import Case, check_installed

if TYPE_CHECKING:
    from mnistseq_cli.compose.samples import Sample

COUNT = 95
TEXTS = tuple(map(str, range(COUNT)))


def make(dataset: Path, folder: Path, to: str = "folder", **recipe: Any) -> list[Sample]:
    case = Case(dataset, recipe, {"to": to})
    plan = case.plan(folder)
    run(plan, workers=0)
    return list(SequenceGenerator(plan.recipe))


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
    wide = np.full((28, 1_500_000), 255, np.uint8)
    found = write_images(tmp_path / "wide", *(np.roll(wide, number) for number in range(3)))
    assert sum(sample.image.nbytes for sample in found.samples) < 1e8
    assert found.heat_map.nbytes < 5e7


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


@pytest.mark.parametrize("to", ["folder", "idx"])
def test_findings_do_not_depend_on_workers(to: str, glyph_folder: Path, tmp_path: Path) -> None:
    splits = ("train=70", "val=10", "test=20")
    make(glyph_folder, tmp_path / "out", to, count=9000, length=(1, 2), splits=splits)
    few = [survey(tmp_path / "out", n_samples=4500, workers=workers) for workers in (0, 2)]
    told: list[int] = []
    found = [to_dict(survey(tmp_path / "out", told.append, workers=n)) for n in (0, 2)]
    assert max(told) == 9000
    assert list(found[0]["splits"]) == ["train", "val", "test"]
    assert to_dict(few[0]) == to_dict(few[1])
    assert found[0] == found[1]
    assert few[0].n_left_out == found[0]["n_samples"] // 2
    rows = [f"{one['split']}/{one['name']},{one['text'][:1]}\n" for one in found[0]["samples"]]
    (tmp_path / "read.csv").write_text("".join(rows))
    tallies = [ReaderTally(read_predictions(tmp_path / "read.csv")) for _ in range(2)]
    for workers, tally in enumerate(tallies):
        survey(tmp_path / "out", reader=tally, workers=2 * workers)
    one, other = (tally.figures().to_dict() for tally in tallies)
    assert one == other
    assert one["n_missing"] == 9000 - 240


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


def test_few_samples_are_picked_without_reading_the_others(
    glyph_folder: Path, tmp_path: Path
) -> None:
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


# Labels that were damaged ----------------------------------------------------------------------


def find_damage(folder: Path, *texts: str) -> dict[str, Damage]:
    """Return what a survey finds of labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(len(texts), 9, 9), dtype=np.uint8)
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


def test_texts_with_fewer_characters_than_boxes_are_counted(
    glyph_folder: Path, tmp_path: Path
) -> None:
    make(glyph_folder, tmp_path / "out", length=None, texts=("007", "123"), count=2)
    path = tmp_path / "out" / "metadata.jsonl"
    path.write_text(path.read_text().replace('"007"', '"7"'))
    damage = survey(tmp_path / "out").damage
    assert (damage["short"].n, damage["short"].text) == (1, "7")
