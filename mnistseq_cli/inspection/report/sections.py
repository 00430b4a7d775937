"""The sections of the page about the dataset."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from mnistseq_cli.inspection.report.cards import sample_cards
from mnistseq_cli.inspection.report.markup import (
    escape,
    figure_list,
    number,
    percent,
    plural,
    section,
    span,
)
from mnistseq_cli.recipe import RECIPE_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.inspection.figures import Spread, Survey
    from mnistseq_cli.inspection.reader import ReaderFigures


def summary_section(survey: Survey) -> str:
    """Say what is in the dataset, in numbers."""
    rows = [
        ("Samples", number(survey.n_samples), _list_splits(survey)),
        ("Image size", _size(survey), "width × height, px"),
        ("Characters", number(sum(survey.digits.values())), span(survey.lengths) + " a sample"),
        ("Ink", percent(survey.ink_share.mean), f"of an image; {_ink(survey)}"),
        ("Left margin", f"{survey.left_margin_px.mean:.1f} px", _range(survey.left_margin_px)),
        ("Right margin", f"{survey.right_margin_px.mean:.1f} px", _range(survey.right_margin_px)),
        ("Equal texts", number(survey.n_equal_texts), "samples with the text of an earlier one"),
        (
            "Equal images",
            number(survey.n_equal_images),
            "samples with the image of an earlier one",
        ),
    ]
    if survey.glyphs:
        uses, source = survey.glyphs.uses, survey.describe_source("glyphs")
        words = f"each used {uses.least:,.0f} to {uses.most:,.0f} times; mean {uses.mean:,.1f}"
        rows.append(("Source glyphs", number(survey.glyphs.n_distinct), f"{words}; {source}"))
    warning = (
        "<p><strong>The run that writes this dataset has not ended.</strong> "
        "The same command with <code>--resume</code> makes what is missing.</p>"
        if survey.is_finished is False
        else ""
    )
    missing = survey.explain_missing()
    note = f'<p class="note">Unknown are {escape(missing)}.</p>' if missing else ""
    return section("summary", "What is in it", warning, figure_list(rows), note)


def gallery_section(survey: Survey, reader: ReaderFigures | None) -> str:
    """Show some samples, with filters."""
    samples = [
        (seen, reader.predictions.find(seen) if reader else None) for seen in survey.samples
    ]
    shown = (
        f"All {plural(survey.n_samples, 'sample')}."
        if len(samples) == survey.n_samples
        else f"{len(samples):,} of {survey.n_samples:,} samples, evenly chosen."
    )
    boxes = (
        "Point at a picture, or move to it by keys, to see its boxes; click to keep them. "
        f"They are {survey.describe_source('boxes')}."
        if survey.has_boxes
        else "The dataset does not hold boxes."
    )
    return section(
        "gallery",
        "Samples",
        f'<p>{shown} <span class="on-screen">{boxes}</span></p>',
        '<form id="filters" class="filters" aria-label="Filter the samples" hidden>',
        *_list_filters(survey, has_reader=reader is not None),
        '<button type="button">Show all</button>\n<output></output>\n</form>',
        sample_cards(samples, has_reader=reader is not None),
    )


def recipe_section(survey: Survey) -> str:
    """Show the recipe, and the command that makes the dataset again."""
    path = survey.folder / RECIPE_FILE
    text = _read_recipe(path)
    if text is None and survey.recipe is None:
        return section("recipe", "The recipe", "<p>The dataset holds no recipe.</p>")
    to = [] if survey.format_name == "folder" else ["--to", survey.format_name]
    recipe = RECIPE_FILE if text is None else str(path)
    command = shlex.join(["mnistseq", "batch", "--recipe", recipe, *to, "-o", "again"])
    return section(
        "recipe",
        "The recipe",
        "<p>This command makes the same images and labels again:</p>",
        f'<pre tabindex="0"><code>{escape(command)}</code></pre>',
        f"<p>What it makes them from, <code>{escape(recipe)}</code>:</p>",
        f'<pre tabindex="0"><code>{escape(text or _write_toml(survey.recipe or {}))}</code></pre>',
    )


def _read_recipe(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write_toml(recipe: dict[str, Any]) -> str:
    # JSON's strings, numbers, booleans and lists are TOML's too.
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in recipe.items()
    )


def _list_filters(survey: Survey, *, has_reader: bool) -> list[str]:
    texts = [seen.text for seen in survey.samples]
    splits = list(dict.fromkeys(seen.split for seen in survey.samples))
    filters = [
        _filter("digit", "Contains", {name: name for name in sorted(set("".join(texts)))}),
        _filter("length", "Length", {str(n): str(n) for n in sorted(set(map(len, texts)))}),
    ]
    if splits not in ([], [""]):
        filters.append(_filter("split", "Split", {name: name or "none" for name in splits}))
    if has_reader:
        states = {"right": "right", "wrong": "wrong", "none": "no prediction"}
        filters.append(_filter("state", "Read", states))
    if survey.has_boxes:
        filters.append('<label class="check"><input type="checkbox"> All boxes</label>')
    return filters


def _filter(name: str, label: str, options: dict[str, str]) -> str:
    entries = "".join(
        f'<option value="{escape(value)}">{escape(text)}</option>'
        for value, text in options.items()
    )
    return f'<label>{label} <select name="{name}"><option>any</option>{entries}</select></label>'


def _size(survey: Survey) -> str:
    widths = {width for width, _ in survey.sizes}
    heights = {height for _, height in survey.sizes}
    return f"{span(widths)} × {span(heights)}"


def _range(spread: Spread) -> str:
    return f"on average; {spread.least:,.0f} to {spread.most:,.0f} px"


def _ink(survey: Survey) -> str:
    return "black on white" if survey.ink == "black" else "white on black"


def _list_splits(survey: Survey) -> str:
    splits = [f"{name} {n:,}" for name, n in survey.splits.items() if name]
    return ", ".join(splits) or "no splits"
