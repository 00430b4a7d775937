"""The report: one page that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.errors import OutputError
from mnistseq_cli.files import check_place
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.inspection.predictions import Share, align
from mnistseq_cli.inspection.recall import name_with_split
from mnistseq_cli.inspection.report.plots import (
    NARROW_INCHES,
    WIDE_INCHES,
    draw_heat_map,
    draw_histogram,
    draw_names,
    draw_numbers,
)
from mnistseq_cli.recipe import RECIPE_FILE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.formats.base import LoadedSample
    from mnistseq_cli.inspection.figures import GapFigures, Spread, Survey
    from mnistseq_cli.inspection.predictions import Misread, ReaderFigures


def number(value: float) -> str:
    """Write a number with thousands apart; what is not whole with two digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percent(share: float) -> str:
    """Write a share of 0 to 1 in percent."""
    return f"{share:.2%}".replace("%", " %")


def plural(n: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def span(values: Collection[int]) -> str:
    """Write the least and the most of some whole numbers."""
    if not values:
        return "0"
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def section(name: str, title: str, *parts: str) -> str:
    """Put parts under a heading.

    Parameters
    ----------
    name : str
        Of the link to it.
    title : str
    *parts : str
        HTML.
    """
    body = "\n".join(part for part in parts if part)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{escape(title)}</h2>\n{body}\n</section>'
    )


def figure_list(rows: Iterable[tuple[str, str, str]]) -> str:
    """List figures: what it is, its value, and what there is to say about it, all plain text."""
    return (
        '<dl class="figures">\n'
        + "\n".join(
            f'<div><dt>{escape(name)}</dt><dd><span class="value">{escape(value)}</span>'
            f'<span class="more">{escape(more)}</span></dd></div>'
            for name, value, more in rows
        )
        + "\n</dl>"
    )


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table whose first column names the rows.

    Parameters
    ----------
    caption : str
    header : sequence of str
        Plain text.
    rows : iterable of sequence of str
        Plain text.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in rows
    )
    return (
        f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )


def scrollable(label: str, content: str) -> str:
    """Let what may be wider than the page scroll by itself, by keys too."""
    return (
        f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">\n'
        f"{content}\n</div>"
    )


_MOST_ROWS = 24


def reader_section(figures: ReaderFigures, gap_source: str) -> str:
    """Say how well a reader reads: figures, by length and gap, confusion, worst cases.

    Parameters
    ----------
    figures : ReaderFigures
    gap_source : str
        Where gaps come from, in words.
    """
    return section(
        "reader",
        "How the reader reads",
        f'<p class="note">Predictions: <code>{escape(figures.predictions.path.name)}</code></p>',
        figure_list(_list_figures(figures)),
        '<div class="tables">',
        share_table("Read right, by length", "Length", figures.by_length),
        share_table(
            f"Read right, by the smallest gap in the picture; gaps {gap_source}",
            "Smallest gap, px",
            figures.by_gap,
        )
        if figures.by_gap
        else '<p class="note">No gaps are known, or there are none.</p>',
        "</div>",
        "<h3>What was read as what</h3>",
        "<p>The stronger the shade of a mistake, the larger its share of the row.</p>",
        scrollable("What was read as what", confusion_table(figures.confusion)),
        *_show_worst(figures),
    )


def _list_figures(figures: ReaderFigures) -> list[tuple[str, str, str]]:
    right, n = figures.all.n_right, figures.all.n_samples
    rows = [
        (
            "Exact sequences",
            percent(figures.all.accuracy),
            f"{right:,} of {n:,} samples without an edit",
        ),
        (
            "Character error rate",
            percent(figures.character_error_rate),
            f"{plural(figures.n_edits, 'edit')} to {figures.n_characters:,} characters",
        ),
        ("Read wrong", f"{n - right:,}", "samples with at least one edit"),
    ]
    if figures.n_missing:
        rows.append(
            ("No prediction", f"{figures.n_missing:,}", "samples, left out of all figures")
        )
    return rows


def share_table(caption: str, kind: str, shares: dict[int, Share]) -> str:
    """Make a table of how many samples were read right, by a number.

    Parameters
    ----------
    caption, kind : str
        Of the table, and of its first column.
    shares : dict of int to Share
        Ascending; neighbours are put together when there are many.
    """
    rows = "\n".join(
        f'<tr><th scope="row">{name}</th><td>{share.n_samples:,}</td><td>{share.n_right:,}</td>'
        f'<td><span class="share" style="--share:{share.accuracy:.4f}">'
        f"{percent(share.accuracy)}</span></td></tr>"
        for name, share in _merge(shares)
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in (kind, "Samples", "Right", "Share"))
    return scrollable(
        caption,
        f"<table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>",
    )


def _merge(shares: dict[int, Share]) -> list[tuple[str, Share]]:
    keys = list(shares)
    step = -(-len(keys) // _MOST_ROWS)
    groups = [keys[start : start + step] for start in range(0, len(keys), step)]
    return [
        (
            str(group[0]) if len(group) == 1 else f"{group[0]} to {group[-1]}",
            Share(
                sum(shares[key].n_samples for key in group),
                sum(shares[key].n_right for key in group),
            ),
        )
        for group in groups
    ]


def _show_worst(figures: ReaderFigures) -> list[str]:
    n_wrong = figures.all.n_samples - figures.all.n_right
    if not n_wrong:
        return ["<p>Every sample with a prediction was read right.</p>"]
    shown = len(figures.worst)
    which = "All of them" if shown == n_wrong else f"{shown:,} of {n_wrong:,}"
    legend = (
        f"<p>{which}, most edits first. In what was read, a character taken for another is "
        "<mark>underlined</mark>, one too many is <ins>dotted</ins>, and one left out is "
        "<del>struck through</del>.</p>"
    )
    return ["<h3>The worst cases</h3>", legend, misread_cards(figures.worst)]


_LARGEST_PX = 2048  # of a picture on the page; larger ones are thinned out
_NARROWEST_PX, _USUAL_PX, _WIDEST_PX = 150, 360, 580  # of a column of cards


def sample_cards(samples: Iterable[tuple[LoadedSample, str | None]], *, has_reader: bool) -> str:
    """Show samples and, where there is a reader, what it read of them.

    Parameters
    ----------
    samples : iterable of (LoadedSample, str or None)
        None where the reader has no prediction.
    has_reader : bool
    """
    samples = list(samples)
    items = [
        f'<li data-text="{escape(seen.text)}" data-length="{len(seen.text)}"'
        f' data-split="{escape(seen.split)}" data-state="{_state(seen, read)}">\n'
        f'{picture(seen)}\n<p class="text">{escape(seen.text)}</p>\n'
        f"{_verdict(seen, read) if has_reader else ''}{_name(seen)}\n</li>"
        for seen, read in samples
    ]
    return _list("samples", items, [seen for seen, _ in samples])


def misread_cards(misreads: Iterable[Misread]) -> str:
    """Show samples that were not read right, with what was read."""
    misreads = list(misreads)
    items = [
        f'<li>\n{picture(one.sample)}\n<p class="text">{escape(one.sample.text)}</p>\n'
        f'<p>read <span class="text">{mark_edits(one.sample.text, one.read)}</span>, '
        f"{plural(one.n_edits, 'edit')}</p>\n{_name(one.sample)}\n</li>"
        for one in misreads
    ]
    return _list("worst-cases", items, [one.sample for one in misreads])


def picture(seen: LoadedSample) -> str:
    """Show the image of a sample as a PNG, and its boxes when it is pointed at or has the focus.

    Returns
    -------
    str
        A button that keeps the boxes shown, or a `div` where there are no boxes.
    """
    height, width = seen.image.shape
    step = -(-max(height, width) // _LARGEST_PX)
    shown = np.ascontiguousarray(seen.image[::step, ::step])
    data = base64.b64encode(encode_pngs(shown[None], np.array([shown.shape[1]]))[0]).decode()
    image = f'<img alt="Picture of {escape(seen.text)}" src="data:image/png;base64,{data}">'
    size = f'style="--width:{width};--height:{height}"'
    if seen.boxes is None:
        return f'<div class="picture" {size}>{image}</div>'
    return (
        f'<button type="button" class="picture" aria-pressed="false" {size}>{image}'
        f'<svg aria-hidden="true" viewBox="0 0 {width} {height}">{_draw_boxes(seen)}</svg>'
        "</button>"
    )


def mark_edits(text: str, read: str) -> str:
    """Mark in what was read where it differs from what was written.

    Returns
    -------
    str
        HTML: `mark` around a character taken for another, `ins` around one that is too many,
        `del` around one that was left out.
    """
    return "".join(_mark_pair(old, new) for old, new in align(text, read)) or "nothing"


def _mark_pair(old: str, new: str) -> str:
    if old == new:
        return escape(new)
    if not old:
        return f"<ins>{escape(new)}</ins>"
    if not new:
        return f"<del>{escape(old)}</del>"
    return f"<mark>{escape(new)}</mark>"


def _draw_boxes(seen: LoadedSample) -> str:
    boxes = [] if seen.boxes is None else seen.boxes.tolist()
    return "".join(f'<rect x="{x}" y="{y}" width="{w}" height="{h}"/>' for x, y, w, h in boxes)


def _state(seen: LoadedSample, read: str | None) -> str:
    if read is None:
        return "none"
    return "right" if read == seen.text else "wrong"


def _verdict(seen: LoadedSample, read: str | None) -> str:
    if read is None:
        return '<p class="note">no prediction</p>\n'
    if read == seen.text:
        return '<p class="note">✓ read right</p>\n'
    return f'<p>✗ read <span class="text">{mark_edits(seen.text, read)}</span></p>\n'


def _name(seen: LoadedSample) -> str:
    return f'<p class="name">{escape(name_with_split(seen))}</p>'


def _list(name: str, items: list[str], samples: list[LoadedSample]) -> str:
    # Columns fit the pictures at about twice their size, wide ones at about their size.
    widest = max((seen.image.shape[1] for seen in samples), default=0)
    width = max(_NARROWEST_PX, min(2 * widest, _USUAL_PX), min(widest, _WIDEST_PX))
    body = "\n".join(items)
    return f'<ul class="cards" id="{name}" style="--card-width:{width}px">\n{body}\n</ul>'


_OTHER = "other"
_NOTHING = ""


def confusion_table(confusion: dict[tuple[str, str], int]) -> str:
    """Make the table of which character was read as which.

    Parameters
    ----------
    confusion : dict of (str, str) to int
        See `ReaderFigures`. Characters that were read but are written nowhere share a column.
    """
    written = sorted({old for old, _ in confusion if old})
    is_other = any(new and new not in written for _, new in confusion)
    columns = [*written, *([_OTHER] if is_other else []), _NOTHING]
    rows = {old: dict.fromkeys(columns, 0) for old in [*written, _NOTHING]}
    for (old, new), n in confusion.items():
        rows[old][new if new in columns else _OTHER] += n
    inserted = rows.pop(_NOTHING)
    head = "".join(
        f'<th scope="col">{_name_character(new) if new else "left out"}</th>' for new in columns
    )
    return (
        '<table class="confusion">\n<caption>Rows: written. Columns: read as.</caption>\n'
        f'<thead><tr><th scope="col">Written</th>{head}<th scope="col">Right</th></tr></thead>\n'
        f"<tbody>\n{_body(rows)}\n</tbody>\n<tfoot>\n{_foot(inserted)}\n</tfoot>\n</table>"
    )


def _body(rows: dict[str, dict[str, int]]) -> str:
    sums = {old: sum(row.values()) for old, row in rows.items()}
    shares = [n / sums[old] for old, row in rows.items() for new, n in row.items() if new != old]
    most = max(shares, default=0)
    return "\n".join(
        f'<tr><th scope="row">{_name_character(old)}</th>'
        + "".join(
            f'<td class="right">{n:,}</td>' if new == old else _cell(n, sums[old] * most)
            for new, n in row.items()
        )
        + f"<td>{percent(row[old] / sums[old])}</td></tr>"
        for old, row in rows.items()
    )


def _foot(inserted: dict[str, int]) -> str:
    most = max(inserted.values())
    cells = "".join(_cell(n, most) for new, n in inserted.items() if new)
    return f'<tr><th scope="row">inserted</th>{cells}<td></td><td></td></tr>'


def _cell(n: int, most: float) -> str:
    if not n:
        return '<td class="none">0</td>'
    # The square root: so that rare mistakes show.
    return f'<td style="--share:{(n / most) ** 0.5:.3f}">{n:,}</td>'


def _name_character(character: str) -> str:
    return escape(character) if character.strip() else "space"


_MOST_NAMES = 40
_USUAL_P, _LEAST_P = 0.05, 0.001


def plots_section(survey: Survey) -> str:
    """Show digits, lengths, gaps, widths and ink as plots."""
    plots = [
        _plot_digits(survey),
        _plot_counts("lengths", "Length of a text", "characters", survey.lengths),
        _plot_gaps(survey.gaps, survey.describe_source("gaps"))
        if survey.gaps and survey.gaps.counts
        else "",
        _plot_counts("widths", "Width of an image", "px", _widths(survey)),
        _plot_ink(survey),
    ]
    return section("plots", "How it is spread", '<div class="plots">', *plots, "</div>")


def heat_section(survey: Survey) -> str:
    """Show where ink lies."""
    height, width = survey.heat_map.shape
    label = f"Mean ink of each of {width} × {height} pixels over all images"
    most = float(survey.heat_map.max(initial=0.0))
    return section(
        "heat",
        "Where the ink lies",
        '<figure class="plot heat">',
        draw_heat_map("heat-wide", label, survey.heat_map, WIDE_INCHES),
        draw_heat_map("heat-narrow", label, survey.heat_map, NARROW_INCHES),
        f"<figcaption>{label}; the most is {percent(most)}.</figcaption></figure>",
    )


def _figure(title: str, svg: str, note: str, numbers: str) -> str:
    details = f"<details><summary>{title}: the numbers</summary>\n{numbers}\n</details>"
    return (
        f'<figure class="plot">\n<h3>{title}</h3>\n{svg}\n'
        f"<figcaption>{note}</figcaption>\n{details}\n</figure>"
    )


def _plot_digits(survey: Survey) -> str:
    most = sorted(survey.digits, key=lambda name: (-survey.digits[name], name))[:_MOST_NAMES]
    counts = {name: n for name, n in survey.digits.items() if name in most}
    note = (
        f"The {_MOST_NAMES} most frequent of {len(survey.digits):,} characters."
        if len(counts) < len(survey.digits)
        else f"{plural(len(counts), 'character')}, how often each is written."
    )
    title = "Characters" if set(counts) - set("0123456789") else "Digits"
    label = f"Bar chart: {title.lower()}, how often each is written"
    rows = [(name, f"{n:,}") for name, n in survey.digits.items()]
    return _figure(
        title,
        draw_names("digits", label, counts),
        note,
        table("How often each is written", ("Character", "Count"), rows),
    )


def _plot_counts(name: str, title: str, unit: str, counts: dict[int, int]) -> str:
    if len(counts) < 2:  # noqa: PLR2004 - one bar says no more than a number, which stands above
        return ""
    label = f"Bar chart: {title.lower()}, {span(counts)} {unit}"
    rows = [(f"{key:,}", f"{n:,}") for key, n in counts.items()]
    return _figure(
        title,
        draw_numbers(name, label, unit, counts),
        f"From {span(counts)} {unit}.",
        table(title, (unit, "Samples"), rows),
    )


def _plot_gaps(gaps: GapFigures, source: str) -> str:
    # What was expected of some of the gaps says nothing about all of them.
    expected = gaps.expected if gaps.n_compared == sum(gaps.counts.values()) else {}
    beside = ", beside what was expected" if expected else ""
    label = f"Bar chart: gaps between digits, {span(gaps.counts)} px{beside}"
    rows = [
        (
            str(gap),
            f"{gaps.counts.get(gap, 0):,}",
            f"{expected.get(gap, 0):,.1f}" if expected else "not known",
        )
        for gap in sorted({*gaps.counts, *expected})
    ]
    return _figure(
        "Gaps between digits",
        draw_numbers("gaps", label, "px", gaps.counts, expected),
        escape(" ".join([f"Taken {source}.", *_judge(gaps)])),
        table("Gaps", ("Gap, px", "Counted", "Expected"), rows),
    )


def _judge(gaps: GapFigures) -> Iterator[str]:
    n_all = sum(gaps.counts.values())
    yield f"Compared with {gaps.rule}."
    if 0 < gaps.n_compared < n_all:
        yield f"{gaps.n_compared:,} of {n_all:,} gaps could be compared."
    if gaps.statistic is not None and gaps.p_value is not None:
        p = f"p = {gaps.p_value:.3f}" if gaps.p_value >= _LEAST_P else f"p < {_LEAST_P}"
        degrees = plural(gaps.degrees or 0, "degree")
        yield f"Chi-square test: χ² = {gaps.statistic:,.2f} with {degrees} of freedom, {p}:"
        yield _interpret(gaps.p_value)


def _interpret(p_value: float) -> str:
    if p_value >= _USUAL_P:
        return "what chance gives."
    if p_value >= _LEAST_P:
        return f"by chance, one dataset in {1 / p_value:,.0f} is this far off."
    return "gaps that do not follow the rule."


def _plot_ink(survey: Survey) -> str:
    filled = np.flatnonzero(survey.ink_histogram)
    if not len(filled):
        return ""
    first, last = int(filled[0]), int(filled[-1]) + 1
    n_bins = len(survey.ink_histogram)
    counts = survey.ink_histogram[first:last]
    ends = (100 * first / n_bins, 100 * last / n_bins)
    rows = [
        (f"{100 * (first + i) / n_bins:.1f} to {100 * (first + i + 1) / n_bins:.1f}", f"{n:,}")
        for i, n in enumerate(counts.tolist())
    ]
    span = f"{percent(survey.ink_share.least)} to {percent(survey.ink_share.most)}"
    return _figure(
        "Ink of an image",
        draw_histogram("ink", f"Histogram: ink of an image, {span}", "%", counts, ends),
        f"{span}; {percent(survey.ink_share.mean)} on average.",
        table("Ink of an image", ("Ink, %", "Samples"), rows),
    )


def _widths(survey: Survey) -> dict[int, int]:
    widths: dict[int, int] = {}
    for (width, _), n in survey.sizes.items():
        widths[width] = widths.get(width, 0) + n
    return dict(sorted(widths.items()))


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


_LINKS = {
    "summary": "What is in it",
    "reader": "How the reader reads",
    "plots": "How it is spread",
    "heat": "Where the ink lies",
    "gallery": "Samples",
    "recipe": "The recipe",
}


def write_report(path: Path, survey: Survey, reader: ReaderFigures | None = None) -> None:
    """Write the report of a dataset.

    The file appears complete under its name, or not at all. What `survey` and `reader` say, and
    the ``recipe.toml`` of the dataset, decide every byte.

    Parameters
    ----------
    path : Path
        Of the file; what is there already is replaced.
    survey : Survey
    reader : ReaderFigures, optional
        How well a trained reader reads the dataset.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    OutputError
        The file cannot be written.
    """
    check_place(path)
    page = make_page(survey, reader).encode("utf-8", "xmlcharrefreplace")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(page)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def make_page(survey: Survey, reader: ReaderFigures | None = None) -> str:
    """Make the page as HTML; see `write_report`."""
    sections = {
        "summary": summary_section(survey),
        "reader": reader_section(reader, survey.describe_source("gaps")) if reader else "",
        "plots": plots_section(survey),
        "heat": heat_section(survey),
        "gallery": gallery_section(survey, reader),
        "recipe": recipe_section(survey),
    }
    script = _read("page.js")
    name = survey.folder.absolute().name or str(survey.folder)
    return Template(_read("page.html")).substitute(
        title=escape(f"{name}: {plural(survey.n_samples, 'sample')}"),
        heading=escape(name),
        lead=f"{plural(survey.n_samples, 'image')} with texts, format "
        f"{escape(survey.format_name)}.",
        links="\n".join(
            f'<li><a href="#{key}">{title}</a></li>'
            for key, title in _LINKS.items()
            if sections[key]
        ),
        sections="\n".join(part for part in sections.values() if part),
        style=_read("page.css"),
        script=script,
        script_hash=_hash_script("\n" + script),
    )


def _hash_script(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
