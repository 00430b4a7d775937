"""Datasets and predictions to report on in tests."""

from __future__ import annotations

import csv
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from mnistseq_cli.inspection.figures import Survey
from mnistseq_cli.inspection.predictions import ReaderFigures, ReaderTally, read_predictions
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case

COUNT = 400
# What a text, a name or a split may hold that HTML takes for its own.
NASTY = ("<script>fail()</script>", "\"' onload=fail() x='", "&lt;b&gt;", "</style><i>", "$title")


def make_dataset(folder: Path, glyph_folder: Path) -> Path:
    """Make a dataset with splits, boxes, gaps and a recipe."""
    splits = ("train=80", "val=10", "test=10")
    recipe = {"count": COUNT, "length": (1, 7), "splits": splits, "spacing_px": (0, 6)}
    status, message = Case(glyph_folder, recipe, part_size=200).make(folder)
    assert status == 0, message
    return folder


def write_predictions(path: Path, found: Survey) -> Path:
    """Write what a reader might have read of the samples of a survey.

    Of five, one is read right, in one a digit is taken for another, in one left out, in one
    inserted, and one has no prediction.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "text"])
        for number, seen in enumerate(found.samples):
            first, rest = seen.text[:1], seen.text[1:]
            reads = (seen.text, f"x{rest}", rest, f"{first}1{rest}")
            if number % 5 < len(reads):
                rows.writerow([seen.name, reads[number % 5]])
    return path


def read_all(path: Path, found: Survey) -> ReaderFigures:
    """Compare predictions with the samples of a survey."""
    tally = ReaderTally(read_predictions(path))
    for index, seen in enumerate(found.samples):
        tally.add(seen, index)
    return tally.figures()


def survey_nasty(folder: Path) -> Survey:
    """Survey pictures of others whose names, texts and splits are no plain words."""
    for number, text in enumerate(NASTY):
        split = folder / f"<b>{number}&amp;"
        split.mkdir(parents=True)
        iio.imwrite(split / "'x' & <y>.png", np.full((28, 30 + number), 200, np.uint8))
        with (split / "labels.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("file_name", "label"), ("'x' & <y>.png", text)])
    return survey(folder)
