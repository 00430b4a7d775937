"""What `mnistseq inspect` found, laid out as lines of a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mnistseq_cli.bulk.remake import name_with_split
from mnistseq_cli.cli.console import escape
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.inspection import wording
from mnistseq_cli.inspection.figures import Survey
from mnistseq_cli.inspection.predictions import ReaderFigures
from mnistseq_cli.validation import count

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

    def write_facts(self, facts: Iterable[wording.Fact]) -> list[str]:
        """Write each name and what is to be said of it, which goes on in its own column."""
        lines = []
        for fact in facts:
            head = f"{_INDENT}{fact.name:<{_NAME_WIDTH}}"
            lines += self._wrap(f"{fact.value} {fact.more}".rstrip(), head, " " * len(head))
        return lines

    def write_sentences(self, *texts: str) -> list[str]:
        """Write sentences, indented, each on lines of its own."""
        return [line for text in texts for line in self._wrap(text, _INDENT, _INDENT)]

    def write_chart(
        self, names: list[str], columns: Mapping[str, list[str]], values: Sequence[float]
    ) -> list[str]:
        """Write a row for each name: its cells of each column, and a bar, where there is room."""
        table = [["", *map(self.show, names)], *([head, *columns[head]] for head in columns)]
        widths = [max(map(len, cells)) for cells in table]
        aligned = [[it.rjust(n) for it in cells] for cells, n in zip(table, widths, strict=True)]
        rows = [_INDENT + "  ".join(row) for row in zip(*aligned, strict=True)]
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
    title = f"{survey.folder}: {count(survey.n_samples, 'image')}"
    facts = page.write_facts(wording.list_facts(survey))
    facts += page.write_sentences(*wording.describe_missing(survey))
    return [
        (title, facts),
        ("Characters", _chart_characters(survey.digits, page)),
        ("Length", _chart_lengths(survey.lengths, page)),
        ("Gaps in pixels", _chart_gaps(survey, page)),
    ]


def write_accuracy(survey: Survey, reader: ReaderFigures, page: TextPage) -> Iterator[Section]:
    """Write how well a reader reads."""
    lines = page.write_facts(wording.list_reader_facts(reader))
    worst = [f"{one.sample.text} as {one.read or 'nothing'}" for one in reader.worst]
    for name, texts in (("Confused", wording.list_confused(reader)), ("Worst", worst)):
        if texts:
            joined = ", ".join(it.replace(" ", _TOGETHER) for it in texts[:_MOST_MISREADS])
            lines += page.write_sentences(f"{name}: {joined}")
    yield f"Predictions from {reader.predictions.path.name}", lines
    for caption, _, rows in wording.list_share_tables(survey, reader, _MOST_CHART_ROWS):
        columns = {
            "right": [f"{share.n_right:,}" for _, share in rows],
            "of": [f"{share.n_samples:,}" for _, share in rows],
            "share": [wording.write_percent(share.accuracy) for _, share in rows],
        }
        bars = [share.accuracy for _, share in rows]
        yield caption, page.write_chart([name for name, _ in rows], columns, bars)


def _chart_characters(counts: dict[str, int], page: TextPage) -> list[str]:
    if len(counts) > _MOST_CHARACTERS:
        return page.write_sentences(", ".join(f"{name} {n:,}" for name, n in counts.items()))
    return _chart({"space" if name == " " else name: n for name, n in counts.items()}, page)


def _chart_lengths(counts: dict[int, int], page: TextPage) -> list[str]:
    ranges = wording.merge_neighbours(counts, _MOST_CHART_ROWS)
    heights = {wording.write_range(it): sum(counts.get(n, 0) for n in it) for it in ranges}
    return _chart(heights, page)


def _chart(counts: dict[str, int], page: TextPage) -> list[str]:
    n_all = max(1, sum(counts.values()))
    columns = {
        "count": [f"{n:,}" for n in counts.values()],
        "share": [wording.write_percent(n / n_all, 1) for n in counts.values()],
    }
    return page.write_chart([*counts], columns, [*counts.values()])


def _chart_gaps(survey: Survey, page: TextPage) -> list[str]:
    sentences = page.write_sentences(*wording.describe_gaps(survey))
    gaps = survey.gaps
    if gaps is None:
        return sentences
    ranges = wording.merge_neighbours({*gaps.counts, *gaps.expected}, _MOST_CHART_ROWS)
    counts = [sum(gaps.counts.get(gap, 0) for gap in values) for values in ranges]
    columns = {"count": [f"{n:,}" for n in counts]}
    if gaps.n_compared == sum(gaps.counts.values()):
        expected = [sum(gaps.expected.get(gap, 0.0) for gap in values) for values in ranges]
        columns["expected"] = [f"{n:,.0f}" for n in expected]
    return [*page.write_chart([*map(wording.write_range, ranges)], columns, counts), *sentences]


def list_samples(survey: Survey, page: TextPage) -> list[tuple[list[str], LoadedSample]]:
    """Choose some samples, and write the text of each and where it is."""
    return [
        (page.write_sentences(f"{sample.text} {_locate(survey, sample)}"), sample)
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
