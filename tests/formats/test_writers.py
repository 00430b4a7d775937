"""Who wrote each digit stands in every container that has a place for it, and comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.compose.splits import cut, open_splits
from mnistseq_cli.formats import Output, open_format
from mnistseq_cli.glyphs.load import load_glyphs
from mnistseq_cli.inspection.predictions import ReaderTally, read_predictions
from mnistseq_cli.inspection.survey import survey
from mnistseq_cli.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = (("train", 2), ("val", 1), ("test", 1))
ROWS = Recipe(
    length=(2, 4), count=40, seed=1, dataset="strokes", hand="writer", splits_by="writer"
)


BY_WRITER, BY_GLYPH = replace(ROWS, hand="any"), replace(ROWS, hand="any", splits_by="glyph")


def make(folder: Path, recipe: Recipe = ROWS, **output: Any) -> Path:
    splits = tuple(f"{name}={weight}" for name, weight in WEIGHTS)
    run(Plan(replace(recipe, splits=splits), Output(folder=folder, **output), 10), workers=0)
    return folder


@pytest.mark.parametrize("to", ["folder", "webdataset", "parquet", "hdf5"])
def test_writers_are_written_and_read_back(to: str, tmp_path: Path) -> None:
    labels: dict[str, Any] = {"labels": ("jsonl", "coco")} if to == "folder" else {}
    folder = make(tmp_path / "out", to=to, **labels)
    splits = cut(WEIGHTS, 40)
    recipe = json.loads((folder / "dataset.json").read_text())["recipe"]
    generators = open_splits(Recipe.from_dict(recipe), splits)
    made = [
        sample
        for split in splits
        for sample in generators[split.name].block(split.start, split.stop)
    ]
    read = [*open_format(Output(folder=folder, to=to)).read(folder)]
    assert [one.writers for one in read] == [sample.writers for sample in made]
    assert {len({*sample.writers}) for sample in made} == {1}
    if to == "folder":
        lines = (folder / "train/metadata.jsonl").read_text().splitlines()
        assert [json.loads(line)["writer"] for line in lines] == [one.writer for one in made[:20]]
        coco = json.loads((folder / "val/annotations/instances_val.json").read_text())
        found = [one["attributes"]["writer"] for one in coco["annotations"]]
        assert found == [name for sample in made[20:30] for name in sample.writers]


def test_no_writer_is_in_two_splits_and_both_commands_count_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "out")
    expected = "no glyph, no writer and no text is in two of the splits"
    found = verify(folder, deep=None, workers=0)
    assert (found.problems, found.overlap) == ((), expected)
    assert {it.n_writers for it in survey(folder).overlaps.values()} == {0}
    # As if the writers had been dealt out wrongly: the glyphs of a writer to all splits in turn.
    glyphs = load_glyphs("strokes", "all")
    ids = {name: np.arange(place, len(glyphs), 3) for place, (name, _) in enumerate(WEIGHTS)}
    monkeypatch.setattr("mnistseq_cli.compose.splits.deal_glyphs", lambda *_: ids)
    (problem,) = verify(make(tmp_path / "wrong", BY_WRITER), workers=0).problems
    assert "writers" in str(problem)
    assert verify(make(tmp_path / "glyph", BY_GLYPH), workers=0).problems == ()


def test_whose_characters_are_read_worst(tmp_path: Path) -> None:
    folder = make(tmp_path / "out")
    samples = [*open_format(Output(folder=folder)).read(folder)]
    rows = ["file_name,text"]
    for sample in samples:
        wrong = "x" + sample.text[1:] if sample is samples[0] else sample.text
        rows.append(f"{sample.split}/{sample.name},{wrong}")
    (tmp_path / "read.csv").write_text("\n".join(rows) + "\n")
    tally = ReaderTally(read_predictions(tmp_path / "read.csv"))
    for index, sample in enumerate(samples):
        tally.add(sample, index)
    by_writer = tally.figures().by_writer
    assert sum(one.n_samples for one in by_writer.values()) == sum(len(s.text) for s in samples)
    assert samples[0].writers
    misread = {name for name, share in by_writer.items() if share.n_right < share.n_samples}
    assert misread == {samples[0].writers[0]}
