"""Plots as SVG that takes its colours from the page; the extra ``report``."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from mnistseq_cli.extras import import_extra
from mnistseq_cli.inspection.wording import (
    describe_gaps,
    merge_neighbours,
    write_percent,
    write_range,
)
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mnistseq_cli.inspection.figures import Survey

Axes: TypeAlias = Any  # of matplotlib, which may be missing
_MOST_BARS = 60
_MOST_NAMES = 40
NARROW_INCHES, WIDE_INCHES = 4.6, 9.6
_SIZE_INCHES = (NARROW_INCHES, 2.5)
_IMAGE_DPI = 144  # of the heat map; all else is drawn in lines
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
# Colours that stand for those of the page, which has a light and a dark theme.
_TEXT, _BARS, _LINES = "#010203", "#040506", "#070809"
_COLOURS = {_TEXT: "currentColor", _BARS: "var(--bar)", _LINES: "var(--line)"}
_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": _TEXT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": _TEXT,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.color": _LINES,
    "legend.frameon": False,
    "legend.labelcolor": _TEXT,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "mnistseq",
    "text.color": _TEXT,
    "text.parse_math": False,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "ytick.left": False,
}


@dataclass(frozen=True)
class Plot:
    """A plot on the page: SVG, a note, and a table of the same numbers."""

    title: str
    svg: str
    note: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def list_plots(survey: Survey, markup: Callable[[str], str]) -> list[Plot]:
    """Draw how the dataset is distributed; `markup` marks SVG that a template leaves as it is."""
    widths: Counter[int] = Counter()
    for (width, _), n in survey.sizes.items():
        widths[width] += n
    plots = [
        _plot_characters(survey),
        _plot_counts("lengths", "Characters per image", "characters", survey.lengths),
        _plot_gaps(survey),
        _plot_counts("widths", "Image width", "px", dict(sorted(widths.items()))),
        _plot_ink(survey),
    ]
    return [replace(plot, svg=markup(plot.svg)) for plot in plots if plot]


def _plot_characters(survey: Survey) -> Plot | None:
    most = sorted(survey.digits, key=lambda name: (-survey.digits[name], name))[:_MOST_NAMES]
    counts = {name: n for name, n in survey.digits.items() if name in most}
    if not counts:
        return None
    note = f"{count(len(counts), 'character')}, how often each is written."
    if len(counts) < len(survey.digits):
        note = f"The {_MOST_NAMES} most frequent of {len(survey.digits):,} characters."
    title = "Characters" if set(counts) - set("0123456789") else "Digits"
    label = f"Bar chart: {title.lower()}, how often each is written"
    svg = _draw_bars("digits", label, range(len(counts)), [*counts.values()], names=[*counts])
    rows = [(name, f"{n:,}") for name, n in survey.digits.items()]
    return Plot(title, svg, note, ("Character", "Count"), rows)


def _plot_counts(name: str, title: str, unit: str, counts: dict[int, int]) -> Plot | None:
    if len(counts) < 2:  # noqa: PLR2004 - one bar says no more than a number, which stands above
        return None
    values = f"{write_range(counts)} {unit}"
    svg = _draw_counts(name, f"Bar chart: {title.lower()}, {values}", unit, counts)
    rows = [(f"{key:,}", f"{n:,}") for key, n in counts.items()]
    return Plot(title, svg, f"From {values}.", (unit, "Images"), rows)


def _plot_gaps(survey: Survey) -> Plot | None:
    gaps = survey.gaps
    if gaps is None:
        return None
    # What was expected of some of the gaps says nothing about all of them.
    expected = gaps.expected if gaps.n_compared == sum(gaps.counts.values()) else {}
    beside = ", beside what was expected" if expected else ""
    label = f"Bar chart: gaps between digits, {write_range(gaps.counts)} px{beside}"
    rows = [
        (
            str(gap),
            f"{gaps.counts.get(gap, 0):,}",
            f"{expected.get(gap, 0):,.1f}" if expected else "not known",
        )
        for gap in sorted({*gaps.counts, *expected})
    ]
    svg = _draw_counts("gaps", label, "px", gaps.counts, expected)
    note = " ".join(describe_gaps(survey))
    return Plot("Gaps between digits", svg, note, ("Gap, px", "Counted", "Expected"), rows)


def _plot_ink(survey: Survey) -> Plot:
    width = 100 / len(survey.ink_histogram)  # in percent
    filled = survey.ink_histogram.nonzero()[0]
    places = range(int(filled[0]), int(filled[-1]) + 1)
    counts: list[int] = survey.ink_histogram[places].tolist()
    rows = [
        (f"{place * width:.1f} to {(place + 1) * width:.1f}", f"{n:,}")
        for place, n in zip(places, counts, strict=True)
    ]
    least, mean, most = map(write_percent, vars(survey.ink_share).values())
    middles = [(place + 0.5) * width for place in places]
    label = f"Histogram: ink of an image, {least} to {most}"
    svg = _draw_bars("ink", label, middles, counts, width=width, unit="%")
    note = f"{least} to {most}; {mean} on average."
    return Plot("Ink per image", svg, note, ("Ink, %", "Images"), rows)


def _draw_counts(
    name: str,
    label: str,
    unit: str,
    counts: Mapping[int, int],
    expected: Mapping[int, float] | None = None,
) -> str:
    """Draw how often each of some whole numbers occurs; neighbours share a bar if too many."""
    bins = merge_neighbours({*counts, *(expected or ())}, _MOST_BARS)
    width = len(bins[0])
    awaited = [sum((expected or {}).get(value, 0.0) for value in values) for values in bins]
    return _draw_bars(
        name,
        label,
        [values[0] + (width - 1) / 2 for values in bins],
        [sum(counts.get(value, 0) for value in values) for values in bins],
        width=width,
        unit=unit if width == 1 else f"{unit}, {width} in each bar",
        expected=awaited if expected else (),
    )


def _draw_bars(
    name: str,
    label: str,
    middles: Sequence[float],
    counts: Sequence[int],
    *,
    width: float = 1,
    unit: str = "",
    names: Sequence[str] = (),
    expected: Sequence[float] = (),
) -> str:
    """Draw bars of one width, by their middles, and what was expected of each."""

    def draw(axes: Axes) -> None:
        axes.bar(middles, counts, color=_BARS, width=0.8 * width, label="counted")
        if expected:
            style = {"color": _TEXT, "linewidth": 1.2, "marker": "o", "markersize": 3.5}
            axes.plot(middles, expected, label="expected", **style)
            axes.margins(y=0.25)
            axes.legend(loc="upper right", ncols=2, borderaxespad=0)
        if names:
            axes.set_xticks(middles, names)
            axes.tick_params(axis="x", length=0)
        else:
            axes.set_xlabel(unit)
            axes.locator_params(axis="x", integer=unit != "%")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="y", integer=True, nbins=5)

    return _draw(name, label, draw)


def draw_heat_map(name: str, label: str, heat: NDArray[np.float64], width_inches: float) -> str:
    """Draw the mean ink of each pixel, shape (H, W), in percent."""
    height, width = heat.shape
    map_inches = min(max(width_inches * height / width, 0.4), width_inches)

    def draw(axes: Axes) -> None:
        image = axes.imshow(100 * heat, cmap="cividis", vmin=0)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.set(xlabel="x, px", ylabel="y, px")
        axes.locator_params(axis="x", nbins=6)
        axes.locator_params(axis="y", nbins=max(1, min(4, int(map_inches / 0.2))))
        bar = axes.figure.colorbar(
            image, ax=axes, location="bottom", shrink=0.5, aspect=30, label="mean ink, %"
        )
        bar.outline.set_visible(False)

    return _draw(name, label, draw, (width_inches, map_inches + 1.1))


def _draw(
    name: str,
    label: str,
    draw: Callable[[Axes], None],
    size_inches: Sequence[float] = _SIZE_INCHES,
) -> str:
    matplotlib = import_extra("matplotlib", "report", "a report")
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser's fonts write it, not matplotlib's.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = import_module("matplotlib.figure").Figure(figsize=size_inches)
        axes = figure.add_subplot()
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", dpi=_IMAGE_DPI, metadata=_NO_METADATA)
    return _fit_into_page(file.getvalue(), name, label)


def _fit_into_page(svg: str, name: str, label: str) -> str:
    head, _, inner = svg[svg.index("<svg") :].partition(">")
    view = head.partition('viewBox="')[2].partition('"')[0]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="', f'id="{name}-', inner)
    changes = {
        "url(#": f"url(#{name}-",
        'xlink:href="#': f'href="#{name}-',
        "xlink:href=": "href=",
    }
    for old, new in (changes | _COLOURS).items():
        inner = inner.replace(old, new)
    return f'<svg role="img" aria-label="{escape(label)}" viewBox="{view}">\n{inner.strip()}'
