"""How a dataset is distributed, as bars and tables that a template draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnistseq_cli.inspection import wording
from mnistseq_cli.inspection.figures import Survey
from mnistseq_cli.validation import count

_MOST_BARS = 60
_MOST_NAMES = 40
_MOST_STEPS = 5  # of the scale of counts
_WIDTH_PX, _CHARACTER_PX = 400, 7  # of all bars, and of the names below them


@dataclass(frozen=True)
class Plot:
    """Bars, a note, and a table of the same numbers."""

    title: str
    label: str  # for who does not see it
    note: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    names: Sequence[str]  # of the bars
    counts: Sequence[int]
    unit: str = ""
    expected: Sequence[float] = ()  # of each bar

    @property
    def ticks(self) -> range:
        """Whole numbers from 0 up to what holds the highest bar, a few of them, round ones."""
        most = max(*self.counts, *self.expected, 1)
        power = 10 ** (len(str(int(most / _MOST_STEPS))) - 1)
        step = next(n * power for n in (1, 2, 5, 10) if _MOST_STEPS * n * power >= most)
        return range(0, -int(-most // step) * step + 1, step)

    @property
    def name_step(self) -> int:
        """Every which bar has room for its name."""
        needed_px = (max(map(len, self.names)) + 1) * _CHARACTER_PX * len(self.names)
        return -(-needed_px // _WIDTH_PX)


def list_plots(survey: Survey) -> list[Plot]:
    """List plots of a dataset."""
    widths: Counter[int] = Counter()
    for (width, _), n in survey.sizes.items():
        widths[width] += n
    plots = [
        _plot_characters(survey.digits),
        _plot_counts("Characters per image", "characters", survey.lengths),
        _plot_gaps(survey),
        _plot_counts("Image width", "px", widths),
        _plot_ink(survey),
    ]
    return [plot for plot in plots if plot]


def _plot_characters(counts: dict[str, int]) -> Plot | None:
    shown = sorted(sorted(counts, key=lambda name: (-counts[name], name))[:_MOST_NAMES])
    if not shown:
        return None
    note = f"{count(len(counts), 'character')}, how often each is written."
    if len(counts) > len(shown):
        note = f"The {_MOST_NAMES} most frequent of {len(counts):,} characters."
    title = "Characters" if set(shown) - set("0123456789") else "Digits"
    label = f"Bar chart: {title.lower()}, how often each is written"
    rows = [(name, f"{n:,}") for name, n in counts.items()]
    heights = [counts[name] for name in shown]
    return Plot(title, label, note, ("Character", "Count"), rows, shown, heights)


def _plot_counts(title: str, unit: str, counts: Mapping[int, int]) -> Plot | None:
    if len(counts) < 2:  # noqa: PLR2004 - one bar says no more than a number, which stands above
        return None
    values = f"{wording.write_range(counts)} {unit}"
    label = f"Bar chart: {title.lower()}, {values}"
    rows = [(f"{key:,}", f"{n:,}") for key, n in sorted(counts.items())]
    ranges = wording.merge_neighbours(counts, _MOST_BARS)
    return Plot(
        title, label, f"From {values}.", (unit, "Images"), rows, *_count_in(ranges, counts, unit)
    )


def _plot_gaps(survey: Survey) -> Plot | None:
    gaps = survey.gaps
    if gaps is None:
        return None
    # What was expected of some of the gaps says nothing about all of them.
    expected = gaps.expected if gaps.n_compared == sum(gaps.counts.values()) else {}
    beside = ", beside what was expected" if expected else ""
    label = f"Bar chart: gaps between digits, {wording.write_range(gaps.counts)} px{beside}"
    every = sorted({*gaps.counts, *expected})
    awaited = [f"{expected.get(gap, 0):,.1f}" if expected else "not known" for gap in every]
    counted = (f"{gaps.counts.get(gap, 0):,}" for gap in every)
    rows = [*zip(map(str, every), counted, awaited, strict=True)]
    ranges = wording.merge_neighbours(every, _MOST_BARS)
    return Plot(
        "Gaps between digits",
        label,
        " ".join(wording.describe_gaps(survey)),
        ("Gap, px", "Counted", "Expected"),
        rows,
        *_count_in(ranges, gaps.counts, "px"),
        [sum(expected.get(gap, 0.0) for gap in values) for values in ranges] if expected else (),
    )


def _plot_ink(survey: Survey) -> Plot:
    width = 100 / len(survey.ink_histogram)  # in percent
    filled = survey.ink_histogram.nonzero()[0]
    places = range(int(filled[0]), int(filled[-1]) + 1)
    counts: list[int] = survey.ink_histogram[places].tolist()
    starts = [f"{place * width:.1f}" for place in places]
    rows = [
        (f"{start} to {(place + 1) * width:.1f}", f"{n:,}")
        for start, place, n in zip(starts, places, counts, strict=True)
    ]
    least, mean, most = map(wording.write_percent, vars(survey.ink_share).values())
    label = f"Histogram: ink of an image, {least} to {most}"
    note = f"{least} to {most}; {mean} on average."
    return Plot("Ink per image", label, note, ("Ink, %", "Images"), rows, starts, counts, "%")


def _count_in(
    ranges: list[range], counts: Mapping[int, int], unit: str
) -> tuple[list[str], list[int], str]:
    """Count in ranges of whole numbers; also return their names and what they count in."""
    heights = [sum(counts.get(value, 0) for value in values) for values in ranges]
    more = f", {len(ranges[0])} in each bar" if len(ranges[0]) > 1 else ""
    return [f"{values[0]:,}" for values in ranges], heights, unit + more
