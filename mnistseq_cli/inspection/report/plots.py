"""Plots as SVG that takes its colours from the page; the extra ``report``."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnistseq_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_MOST_BARS = 60
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
class Bins:
    """Numbers put together in bins of equal width.

    Parameters
    ----------
    starts : list of int
        The least number of each bin.
    sums : list of float
    width : int
        How many whole numbers a bin holds.
    """

    starts: list[int]
    sums: list[float]
    width: int

    @property
    def middles(self) -> list[float]:
        """The middle of each bin."""
        return [start + (self.width - 1) / 2 for start in self.starts]


def put_in_bins(counts: Mapping[int, float], low: int, high: int) -> Bins:
    """Put counts by whole numbers from `low` to `high` into bins, as few as can be drawn."""
    width = -(-(high - low + 1) // _MOST_BARS)
    starts = list(range(low, high + 1, width))
    sums = [0.0] * len(starts)
    for value, count in counts.items():
        sums[(value - low) // width] += count
    return Bins(starts, sums, width)


def draw_names(name: str, label: str, counts: Mapping[str, int]) -> str:
    """Draw how often each of some characters occurs.

    Parameters
    ----------
    name : str
        Of the plot, as its ids begin.
    label : str
        What the plot shows, for those who do not see it.
    counts : mapping of str to int
    """

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib may be missing
        places = range(len(counts))
        axes.bar(places, list(counts.values()), color=_BARS, width=0.8)
        axes.set_xticks(places, list(counts))
        axes.tick_params(axis="x", length=0)
        _count_upwards(axes)

    return _draw(name, label, draw)


def draw_numbers(
    name: str,
    label: str,
    unit: str,
    counts: Mapping[int, int],
    expected: Mapping[int, float] | None = None,
) -> str:
    """Draw how often each of some whole numbers occurs, beside how often it was expected.

    Parameters
    ----------
    name, label : str
        See `draw_names`.
    unit : str
        What the numbers are.
    counts, expected : mapping of int to float
    """
    expected = expected or {}
    low, high = min([*counts, *expected]), max([*counts, *expected])
    seen = put_in_bins(counts, low, high)
    awaited = put_in_bins(expected, low, high)

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib may be missing
        axes.bar(seen.middles, seen.sums, color=_BARS, width=0.8 * seen.width, label="counted")
        if expected:
            axes.plot(
                awaited.middles,
                awaited.sums,
                color=_TEXT,
                linewidth=1.2,
                marker="o",
                markersize=3.5,
                label="expected",
            )
            axes.margins(y=0.25)
            axes.legend(loc="upper right", ncols=2, borderaxespad=0)
        axes.set_xlabel(unit if seen.width == 1 else f"{unit}, {seen.width} in each bar")
        axes.locator_params(axis="x", integer=True)
        _count_upwards(axes)

    return _draw(name, label, draw)


def draw_histogram(
    name: str, label: str, unit: str, counts: NDArray[np.int64], ends: tuple[float, float]
) -> str:
    """Draw a histogram with bins of equal width from one end to the other."""
    low, high = ends
    width = (high - low) / len(counts)
    middles = [low + (bin_number + 0.5) * width for bin_number in range(len(counts))]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib may be missing
        axes.bar(middles, counts.tolist(), color=_BARS, width=0.9 * width)
        axes.set_xlabel(unit)
        _count_upwards(axes)

    return _draw(name, label, draw)


def draw_heat_map(name: str, label: str, heat: NDArray[np.float64], width_inches: float) -> str:
    """Draw the mean ink of each pixel, shape (H, W), in percent."""
    height, width = heat.shape
    map_inches = min(max(width_inches * height / width, 0.4), width_inches)

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib may be missing
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


def _count_upwards(axes: Any) -> None:  # noqa: ANN401 - matplotlib may be missing
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="y", integer=True, nbins=5)


def _draw(
    name: str,
    label: str,
    draw: Any,  # noqa: ANN401 - a function of axes; matplotlib may be missing
    size_inches: Sequence[float] = _SIZE_INCHES,
) -> str:
    matplotlib = _import_matplotlib()
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
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', body)
    view = box[1] if box else ""
    inner = body[body.index(">") + 1 :]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="', f'id="{name}-', inner)
    inner = inner.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    inner = inner.replace("xlink:href=", "href=")
    for colour, meaning in _COLOURS.items():
        inner = inner.replace(colour, meaning)
    return f'<svg role="img" aria-label="{escape(label)}" viewBox="{view}">\n{inner.strip()}'


def _import_matplotlib() -> Any:  # noqa: ANN401 - matplotlib may be missing
    try:
        return import_module("matplotlib")
    except ModuleNotFoundError as error:
        raise UsageError(
            "a report needs the library matplotlib, which is not installed",
            "Install it: pip install 'mnistseq[report]'",
        ) from error
