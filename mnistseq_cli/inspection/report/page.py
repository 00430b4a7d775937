"""The report: one page that needs no network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shlex
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.bulk.remake import name_with_split
from mnistseq_cli.errors import MnistseqError
from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import check_place, read_file, write_whole
from mnistseq_cli.inspection.predictions import align
from mnistseq_cli.inspection.report.plots import list_plots
from mnistseq_cli.inspection.wording import (
    describe_missing,
    describe_source,
    describe_warnings,
    list_facts,
    list_reader_facts,
    list_share_tables,
    write_percent,
)
from mnistseq_cli.recipe import RECIPE_FILE
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.formats.base import LoadedSample
    from mnistseq_cli.inspection.figures import Survey
    from mnistseq_cli.inspection.predictions import ReaderFigures

_SECTIONS = {
    "summary": "Summary",
    "reader": "Model accuracy",
    "plots": "Distributions",
    "heat": "Ink heatmap",
    "gallery": "Samples",
    "recipe": "Recipe",
}
_MOST_ROWS = 24  # of a table of shares
_LARGEST_PX = 2048  # of a picture on the page; larger ones are thinned out
_NARROWEST_PX, _USUAL_PX, _WIDEST_PX = 150, 360, 580  # of a column of cards
_RECIPE_LIMIT_BYTES = 1 << 24
_OTHER = "other"
# Of characters in masks, in turn: those of Okabe and Ito, told apart with any colour vision.
_COLOURS = (
    *((0, 114, 178, 255), (230, 159, 0, 255), (0, 158, 115, 255), (204, 121, 167, 255)),
    *((86, 180, 233, 255), (213, 94, 0, 255)),
)
_RAMP = ((0, 32, 76), (124, 123, 120), (255, 233, 69))  # from no ink to most, as in page.css


@dataclass(frozen=True)
class Card:
    """A sample on the page, and what was read of it; None where nothing says."""

    sample: LoadedSample
    read: str | None = None

    @property
    def png(self) -> str:
        """The image, as PNG in base 64."""
        return _encode(self.sample.image)

    @property
    def mask_png(self) -> str:
        """The characters that pixels belong to, in colours in turn, as PNG; "" without a mask."""
        if self.sample.mask is None:
            return ""
        numbers = self.sample.mask.astype(np.int64)
        colours = np.array([(0, 0, 0, 0), *_COLOURS], np.uint8)
        return _encode(colours[np.where(numbers, (numbers - 1) % len(_COLOURS) + 1, 0)])

    @property
    def state(self) -> str:
        """Whether it was read right, as the filter of the gallery has it."""
        if self.read is None:
            return "none"
        return "right" if self.read == self.sample.text else "wrong"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Characters written and read, aligned."""
        return align(self.sample.text, self.read or "")

    @property
    def edits(self) -> str:
        """How many edits there are."""
        return count(sum(old != new for old, new in self.pairs), "edit")


def _encode(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image  # noqa: PLC0415 - for reports alone

    step = -(-max(pixels.shape[:2]) // _LARGEST_PX)
    stream = io.BytesIO()
    Image.fromarray(pixels[::step, ::step]).save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def write_report(path: Path, survey: Survey, reader: ReaderFigures | None = None) -> None:
    """Write the report of a dataset.

    The file appears complete under its name, or not at all, and replaces what is there. What
    `survey` and `reader` say, and the ``recipe.toml`` of the dataset, decide every byte.
    """
    check_place(path)
    write_whole(path, [make_page(survey, reader).encode("utf-8", "xmlcharrefreplace")])


def make_page(survey: Survey, reader: ReaderFigures | None = None) -> str:
    """Make the page as HTML; see `write_report`."""
    jinja2 = import_extra("jinja2", "report", "a report")
    markup = import_extra("markupsafe", "report", "a report").Markup
    templates = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader(__package__),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.globals["zip"] = zip
    templates.filters |= {
        "card_width": _find_card_width,
        "full_name": name_with_split,
        "percent": write_percent,
    }
    n_images = count(survey.n_samples, "image")
    script = _read("page.js")
    digest = hashlib.sha256(f"\n{script}".encode()).digest()
    page: str = templates.get_template("page.html").render(
        sections={key: title for key, title in _SECTIONS.items() if reader or key != "reader"},
        name=survey.folder.absolute().name or str(survey.folder),
        n_images=n_images,
        style=markup(_read("page.css")),
        script=markup(script),
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
        survey=survey,
        facts=list_facts(survey),
        notes=describe_missing(survey) + list(map(" ".join, describe_warnings(survey, reader))),
        plots=list_plots(survey),
        heat=_draw_heat(survey),
        gallery=[
            Card(one, reader.predictions.find(one) if reader else None) for one in survey.samples
        ],
        gallery_shown=f"All {n_images}."
        if len(survey.samples) == survey.n_samples
        else f"{len(survey.samples):,} of {survey.n_samples:,} images, evenly chosen.",
        boxes_source=describe_source(survey, "boxes"),
        filters=_list_filters(survey, has_reader=reader is not None),
        recipe=_describe_recipe(survey),
        reader=reader,
        **(_describe_reader(survey, reader) if reader else {}),
    )
    return page


def _read(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _find_card_width(cards: list[Card]) -> int:
    """Return how wide columns are: pictures at about twice their size, wide ones at their size."""
    widest = max((card.sample.image.shape[1] for card in cards), default=0)
    return max(_NARROWEST_PX, min(2 * widest, _USUAL_PX), min(widest, _WIDEST_PX))


def _draw_heat(survey: Survey) -> dict[str, Any]:
    height, width = survey.heat_map.shape
    most = float(survey.heat_map.max(initial=0.0))
    steps = np.linspace(0, most or 1, len(_RAMP))
    channels = [np.interp(survey.heat_map, steps, values) for values in np.transpose(_RAMP)]
    return {
        "label": f"Mean ink of each of {width} × {height} pixels over all images",
        "most": most,
        "png": _encode(np.stack(channels, axis=-1).astype(np.uint8)),
    }


def _list_filters(survey: Survey, *, has_reader: bool) -> list[tuple[str, str, dict[str, str]]]:
    """List selections: name, label, and the words for each value."""
    texts = [sample.text for sample in survey.samples]
    splits = dict.fromkeys(sample.split for sample in survey.samples)
    filters = [
        ("digit", "Contains", {name: name for name in sorted(set("".join(texts)))}),
        ("length", "Length", {str(n): str(n) for n in sorted(set(map(len, texts)))}),
    ]
    if set(splits) - {""}:
        filters.append(("split", "Split", {name: name or "none" for name in splits}))
    if has_reader:
        states = {"right": "right", "wrong": "wrong", "none": "no prediction"}
        filters.append(("state", "Read", states))
    return filters


def _describe_recipe(survey: Survey) -> dict[str, str] | None:
    """Return the recipe, and the command that makes the dataset again."""
    path = survey.folder / RECIPE_FILE
    try:
        text, name = read_file(path, limit_bytes=_RECIPE_LIMIT_BYTES).decode(), str(path)
    except (MnistseqError, UnicodeDecodeError):
        if survey.recipe is None:
            return None
        # JSON's strings, numbers, booleans and lists are TOML's too.
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
            for key, value in survey.recipe.items()
        ]
        text, name = "".join(lines), RECIPE_FILE
    to = [] if survey.format_name == "folder" else ["--to", survey.format_name]
    command = shlex.join(["mnistseq", "batch", "--recipe", name, *to, "-o", "again"])
    return {"command": command, "path": name, "text": text}


def _describe_reader(survey: Survey, reader: ReaderFigures) -> dict[str, Any]:
    n_wrong, n_shown = reader.all.n_samples - reader.all.n_right, len(reader.worst)
    return {
        "reader_facts": list_reader_facts(reader),
        "share_tables": [*list_share_tables(survey, reader, _MOST_ROWS)],
        "confusion": make_confusion(reader.confusion),
        "worst": [Card(one.sample, one.read) for one in reader.worst],
        "worst_shown": "All of them" if n_shown == n_wrong else f"{n_shown:,} of {n_wrong:,}",
    }


def make_confusion(confusion: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Return the table of which character was read as which, for the template.

    Cells are counts with a shade from 0 to 1. Characters that were read but are written nowhere
    share a column.
    """
    written = sorted({old for old, _ in confusion if old})
    is_other = any(new and new not in written for _, new in confusion)
    columns = [*written, *([_OTHER] if is_other else []), ""]
    counts = {old: dict.fromkeys(columns, 0) for old in [*written, ""]}
    for (old, new), n in confusion.items():
        counts[old][new if new in columns else _OTHER] += n
    inserted = [n for new, n in counts.pop("").items() if new]
    sums = {old: sum(row.values()) for old, row in counts.items()}
    most = max(
        (n / sums[old] for old, row in counts.items() for new, n in row.items() if new != old),
        default=0,
    )
    rows = [
        {
            "name": _name_character(old),
            "cells": [(n, _shade(n, sums[old] * most), new == old) for new, n in row.items()],
            "accuracy": row[old] / sums[old],
        }
        for old, row in counts.items()
    ]
    return {
        "columns": [_name_character(new) if new else "missed" for new in columns],
        "rows": rows,
        "inserted": [(n, _shade(n, max(inserted))) for n in inserted],
    }


def _shade(n: int, most: float) -> float:
    return (n / most) ** 0.5 if n and most else 0.0  # the square root: so that rare mistakes show


def _name_character(character: str) -> str:
    return character if character.strip() else "space"
