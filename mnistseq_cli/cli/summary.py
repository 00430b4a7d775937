"""What `mnistseq inspect` found, laid out as lines of a terminal."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mnistseq_cli.bulk.remake import name_with_split
from mnistseq_cli.cli.console import escape
from mnistseq_cli.inspection.wording import (
    describe_gaps,
    describe_missing,
    find_worst_writers,
    list_facts,
    list_reader_facts,
    merge_neighbours,
    merge_shares,
    write_percent,
    write_range,
)
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mnistseq_cli.formats.base import LoadedSample
    from mnistseq_cli.inspection.figures import Survey
    from mnistseq_cli.inspection.predictions import ReaderFigures, Share
    from mnistseq_cli.inspection.wording import Fact

_SHOWN_SAMPLES = 4
_MOST_CHART_ROWS = 20  # of a chart: neighbours are counted together
_MOST_CHARACTERS = 36  # more are too many for a chart
_MOST_MISREADS = 8
_MOST_BAR, _LEAST_BAR = 40, 6
_LEAST_TEXT = 13
_NAME_WIDTH = 14
_INDENT = "  "
_TOGETHER = "\N{NO-BREAK SPACE}"  # no line ends here; written as a plain space
_FULL, _HALF = "█", "▌"

Section: TypeAlias = "tuple[str, list[str]]"  # a title, and lines


@dataclass(frozen=True)
class TextPage:
    """What texts are laid out on."""

    width: int  # in characters
    is_unicode: bool  # whether there are characters beyond ASCII

    def show(self, text: str) -> str:
        """Return a text with what cannot be shown, or would control the terminal, spelt out."""
        shown = escape(text)
        if self.is_unicode:
            return shown
        return shown.replace("×", "x").encode("ascii", "replace").decode()

    def write_facts(self, facts: Iterable[Fact]) -> list[str]:
        """Write each name and what is to be said of it, which goes on in its own column."""
        lines = []
        for fact in facts:
            head = f"{_INDENT}{fact.name:<{_NAME_WIDTH}}"
            text = f"{fact.value} {fact.more}".rstrip()
            lines += self._wrap(text, head, " " * len(head))
        return lines

    def write_sentences(self, *texts: str) -> list[str]:
        """Write sentences, indented, each on lines of its own."""
        return [line for text in texts for line in self._wrap(text, _INDENT, _INDENT)]

    def write_chart(
        self, names: list[str], columns: Mapping[str, list[str]], values: list[float]
    ) -> list[str]:
        """Write a row for each name: its cells of each column, and a bar, where there is room."""
        table = [
            ["", *map(self.show, names)],
            *([head, *cells] for head, cells in columns.items()),
        ]
        widths = [max(map(len, cells)) for cells in table]
        rows = [
            _INDENT
            + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            for row in zip(*table, strict=True)
        ]
        room = min(_MOST_BAR, self.width - max(map(len, rows)) - 3)
        bars = ["", *(self._draw_bar(value / (max(values) or 1), room) for value in values)]
        return [f"{row}  {bar}".rstrip() for row, bar in zip(rows, bars, strict=True)]

    def _draw_bar(self, share: float, room: int) -> str:
        if room < _LEAST_BAR:
            return ""
        whole, half = divmod(round(2 * share * room), 2)
        return _FULL * whole + _HALF * half if self.is_unicode else "#" * round(share * room)

    def _wrap(self, text: str, first: str, following: str) -> list[str]:
        text = re.sub(r" (?=px|%)", _TOGETHER, text)
        # No line ends within a command, so that it can be copied.
        text = re.sub(r"mnistseq .*", lambda found: found[0].replace(" ", _TOGETHER), text)
        width = max(self.width - 1, len(following) + _LEAST_TEXT)
        lines = textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
        )
        return [self.show(line.replace(_TOGETHER, " ")) for line in lines]


def write_summary(survey: Survey, page: TextPage) -> list[Section]:
    """Write what is in a dataset."""
    return [
        (
            f"{survey.folder}: {count(survey.n_samples, 'image')}",
            [
                *page.write_facts(list_facts(survey)),
                *page.write_sentences(*describe_missing(survey)),
            ],
        ),
        ("Characters", _chart_characters(survey, page)),
        ("Length", _chart_lengths(survey, page)),
        ("Gaps in pixels", _chart_gaps(survey, page)),
    ]


def write_reader_summary(reader: ReaderFigures, page: TextPage) -> list[Section]:
    """Write how well a reader reads."""
    lines = page.write_facts(list_reader_facts(reader))
    worst = [
        f"{one.sample.text} as {one.read or 'nothing'}" for one in reader.worst[:_MOST_MISREADS]
    ]
    for name, texts in (("Confused", _list_confused(reader)), ("Worst", worst)):
        if texts:
            joined = ", ".join(text.replace(" ", _TOGETHER) for text in texts)
            lines += page.write_sentences(f"{name}: {joined}")
    sections = [(f"Predictions from {reader.predictions.path.name}", lines)]
    for title, shares in (
        ("Exact match, by length", reader.by_length),
        ("Exact match, by smallest gap", reader.by_gap),
    ):
        if shares:
            merged = merge_shares(shares, _MOST_CHART_ROWS)
            sections.append((title, _chart_shares(merged, page)))
    if writers := find_worst_writers(reader):
        title = "Characters right, of the writers read worst"
        sections.append((title, _chart_shares(writers, page)))
    return sections


def _list_confused(reader: ReaderFigures) -> list[str]:
    """Describe what was most often taken for what."""
    wrong = {pair: n for pair, n in reader.confusion.items() if pair[0] != pair[1]}
    most = sorted(wrong, key=lambda pair: (-wrong[pair], pair))[:_MOST_MISREADS]
    return [f"{_name_confusion(*pair)} ({wrong[pair]:,})" for pair in most]


def _name_confusion(written: str, read: str) -> str:
    if not written:
        return f"{read} inserted"
    return f"{written} as {read}" if read else f"{written} missed"


def _chart_characters(survey: Survey, page: TextPage) -> list[str]:
    if len(survey.digits) > _MOST_CHARACTERS:
        return page.write_sentences(
            ", ".join(f"{name} {n:,}" for name, n in survey.digits.items())
        )
    counts = {"space" if name == " " else name: n for name, n in survey.digits.items()}
    return _chart(list(counts), list(counts.values()), sum(counts.values()), page)


def _chart_lengths(survey: Survey, page: TextPage) -> list[str]:
    ranges = merge_neighbours(survey.lengths, _MOST_CHART_ROWS)
    counts = [sum(survey.lengths.get(n, 0) for n in values) for values in ranges]
    return _chart(list(map(write_range, ranges)), counts, survey.n_samples, page)


def _chart(names: list[str], counts: list[int], n_all: int, page: TextPage) -> list[str]:
    columns = {
        "count": [f"{n:,}" for n in counts],
        "share": [write_percent(n / max(1, n_all), 1) for n in counts],
    }
    return page.write_chart(names, columns, [*map(float, counts)])


def _chart_gaps(survey: Survey, page: TextPage) -> list[str]:
    sentences = page.write_sentences(*describe_gaps(survey))
    gaps = survey.gaps
    if gaps is None:
        return sentences
    ranges = merge_neighbours({*gaps.counts, *gaps.expected}, _MOST_CHART_ROWS)
    counts = [sum(gaps.counts.get(gap, 0) for gap in values) for values in ranges]
    columns = {"count": [f"{n:,}" for n in counts]}
    if gaps.n_compared == sum(gaps.counts.values()):
        expected = [sum(gaps.expected.get(gap, 0.0) for gap in values) for values in ranges]
        columns["expected"] = [f"{n:,.0f}" for n in expected]
    chart = page.write_chart(list(map(write_range, ranges)), columns, [*map(float, counts)])
    return [*chart, *sentences]


def _chart_shares(rows: list[tuple[str, Share]], page: TextPage) -> list[str]:
    columns = {
        "right": [f"{share.n_right:,}" for _, share in rows],
        "of": [f"{share.n_samples:,}" for _, share in rows],
        "share": [write_percent(share.accuracy) for _, share in rows],
    }
    names = [name for name, _ in rows]
    return page.write_chart(names, columns, [share.accuracy for _, share in rows])


def list_samples(survey: Survey, page: TextPage) -> list[tuple[LoadedSample, list[str]]]:
    """Choose some samples, and write the text of each and where it is."""
    return [
        (sample, page.write_sentences(f"{sample.text} {_locate(survey, sample)}"))
        for sample in survey.choose(_SHOWN_SAMPLES)
    ]


def _locate(survey: Survey, sample: LoadedSample) -> str:
    """Return in which file a sample is; in a container, at which name after its split."""
    if survey.format_name != "folder":
        return f"at {name_with_split(sample)}"
    name = sample.name.removeprefix("../")
    within = survey.folder / sample.split
    inside = within / "images" / name  # label files of others may leave that out
    return f"in {inside if inside.is_file() else within / name}"
