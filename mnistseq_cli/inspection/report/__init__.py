"""The report of a dataset: one page of HTML that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from mnistseq_cli.bulk.remake import name_with_split
from mnistseq_cli.errors import MnistseqError
from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import read_file, write_whole
from mnistseq_cli.inspection import wording
from mnistseq_cli.inspection.figures import Survey
from mnistseq_cli.inspection.predictions import ReaderFigures, align
from mnistseq_cli.inspection.report.plots import list_plots
from mnistseq_cli.pixels import Floats, Instances, Pixels
from mnistseq_cli.recipe import RECIPE_FILE
from mnistseq_cli.sheet import to_png
from mnistseq_cli.validation import count

_LARGEST_PX = 2048  # of a picture on the page; larger ones are thinned out
_RECIPE_LIMIT_BYTES = 1 << 24
_OTHER = "other"
# Of characters in masks, in turn: those of Okabe and Ito, told apart with any colour vision.
_COLOURS = (
    *((0, 114, 178, 255), (230, 159, 0, 255), (0, 158, 115, 255), (204, 121, 167, 255)),
    *((86, 180, 233, 255), (213, 94, 0, 255)),
)
_RAMP = ((0, 32, 76), (124, 123, 120), (255, 233, 69))  # from no ink to most, as in page.css


def write_report(path: Path, survey: Survey, reader: ReaderFigures | None = None) -> None:
    """Write the report of a dataset; `survey`, `reader` and ``recipe.toml`` decide every byte."""
    write_whole(path, [make_page(survey, reader).encode("utf-8", "xmlcharrefreplace")])


def make_page(survey: Survey, reader: ReaderFigures | None = None) -> str:
    """Make the page as HTML; see `write_report`."""
    jinja2 = import_extra("jinja2", "report", "a report")
    templates = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader(__package__),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters |= {
        "colours": _colour_mask,
        "full_name": name_with_split,
        "percent": wording.write_percent,
        "png": _encode,
    }
    templates.globals |= {"align": align, "count": count, "wording": wording, "zip": zip}
    templates.globals["make_confusion"] = make_confusion
    script = _read("page.js")
    digest = hashlib.sha256(f"\n{script}".encode()).digest()
    page: str = templates.get_template("page.html").render(
        name=survey.folder.absolute().name or str(survey.folder),
        n_images=count(survey.n_samples, "image"),
        style=_read("page.css"),
        script=script,
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
        survey=survey,
        plots=list_plots(survey),
        heat=_colour_heat(survey.heat_map),
        gallery=[
            {"sample": one, "read": reader.predictions.find(one) if reader else None}
            for one in survey.samples
        ],
        recipe=_read_recipe(survey),
        reader=reader,
    )
    return page


def _read(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _encode(pixels: Pixels) -> str:
    """Return a picture as PNG in base 64."""
    step = -(-max(pixels.shape[:2]) // _LARGEST_PX)
    return base64.b64encode(to_png(pixels[::step, ::step])).decode()


def _colour_mask(mask: Instances) -> Pixels:
    """Return the characters that pixels belong to, in colours in turn; all else is clear."""
    numbers = mask.astype(np.int64)
    colours = np.array([(0, 0, 0, 0), *_COLOURS], np.uint8)
    return colours[np.where(numbers, (numbers - 1) % len(_COLOURS) + 1, 0)]


def _colour_heat(heat: Floats) -> Pixels:
    steps = np.linspace(0, heat.max(initial=0) or 1, len(_RAMP))
    channels = [np.interp(heat, steps, values) for values in np.transpose(_RAMP)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _read_recipe(survey: Survey) -> dict[str, str] | None:
    """Return the recipe, and the command that makes the dataset again."""
    path = survey.folder / RECIPE_FILE
    try:
        text = read_file(path, limit_bytes=_RECIPE_LIMIT_BYTES).decode()
    except (MnistseqError, UnicodeDecodeError):
        return None
    to = [] if survey.format_name == "folder" else ["--to", survey.format_name]
    command = shlex.join(["mnistseq", "batch", "--recipe", str(path), *to, "-o", "again"])
    return {"command": command, "path": str(path), "text": text}


def make_confusion(confusion: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Return the table of which character was read as which, with shades from 0 to 1."""
    # Characters that were read but are written nowhere share a column.
    written = sorted({old for old, _ in confusion if old})
    is_other = any(new and new not in written for _, new in confusion)
    columns = [*written, *([_OTHER] if is_other else []), ""]
    counts = np.zeros((len(written) + 1, len(columns)), np.int64)  # the last row: inserted
    for (old, new), n in confusion.items():
        row = written.index(old) if old else -1
        counts[row, columns.index(new if new in columns else _OTHER)] += n
    shares = counts[:-1] / counts[:-1].sum(axis=1, keepdims=True)
    right = shares.diagonal().copy()
    np.fill_diagonal(shares, 0)
    shades = np.sqrt(shares / (shares.max(initial=0) or 1))  # so that rare mistakes show
    inserted = counts[-1, :-1]
    names = [name if name.strip() else "space" for name in columns[:-1]]
    rows = zip(names, counts.tolist(), shades.tolist(), right.tolist(), strict=False)
    return {
        "columns": [*names, "missed"],
        "rows": [
            {"name": name, "cells": [*zip(row, shaded, strict=True)], "accuracy": accuracy}
            for name, row, shaded, accuracy in rows
        ],
        "inserted": [(n, (n / inserted.max()) ** 0.5 if n else 0) for n in inserted.tolist()],
    }
