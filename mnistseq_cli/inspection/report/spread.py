"""How the samples are spread: plots with their numbers as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.inspection.report.markup import escape, percent, plural, section, span, table
from mnistseq_cli.inspection.report.plots import (
    NARROW_INCHES,
    WIDE_INCHES,
    draw_heat_map,
    draw_histogram,
    draw_names,
    draw_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.inspection.figures import GapFigures, Survey

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
