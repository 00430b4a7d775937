"""What a command found, for the eye."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import count
from mnistseq_cli.inspection.recall import name_with_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mnistseq_cli.formats.base import LoadedSample
    from mnistseq_cli.inspection.figures import GapFigures, Spread, Survey
    from mnistseq_cli.inspection.predictions import Misread, ReaderFigures, Share

MOST_CHART_ROWS = 20  # of a chart: neighbours are counted together
MOST_BAR = 40
LEAST_BAR = 6
LEAST_TEXT = 16
NAME_WIDTH = 12
INDENT = "  "
TOGETHER = "\N{NO-BREAK SPACE}"  # no line ends here; written as a plain space
FULL, HALF = "█", "▌"


@dataclass(frozen=True)
class Page:
    """What texts are laid out on.

    Parameters
    ----------
    width : int
        Characters in a line.
    is_unicode : bool
        Whether there are characters beyond ASCII.
    """

    width: int
    is_unicode: bool

    def show(self, text: str) -> str:
        """Give a text with what cannot be shown, or would control the terminal, spelt out."""
        shown = "".join(
            character
            if character.isprintable() or character == TOGETHER
            else ascii(character)[1:-1]
            for character in text
        )
        return shown if self.is_unicode else shown.encode("ascii", "replace").decode()

    def write_fact(self, name: str, text: str) -> list[str]:
        """Write a name and what is to be said of it, which goes on in its own column."""
        head = f"{INDENT}{name:<{NAME_WIDTH}}"
        return self._wrap(text, head, " " * len(head))

    def write_sentence(self, text: str) -> list[str]:
        """Write a sentence, indented."""
        return self._wrap(text, INDENT, INDENT)

    def write_chart(
        self, names: list[str], columns: Mapping[str, list[str]], values: list[float]
    ) -> list[str]:
        """Write a row for each name: its columns, and a bar as long as its value.

        Parameters
        ----------
        names : list of str
        columns : mapping of str to list of str
            Numbers to show, by what stands over them.
        values : list of float
            What bars show; they are left out where there is no room.
        """
        table = [
            ["", *map(self.show, names)],
            *([head, *cells] for head, cells in columns.items()),
        ]
        widths = [max(map(len, cells)) for cells in table]
        rows = [
            INDENT + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            for row in zip(*table, strict=True)
        ]
        room = min(MOST_BAR, self.width - max(map(len, rows)) - 3)
        bars = ["", *(self._draw_bar(value / (max(values) or 1), room) for value in values)]
        return [f"{row}  {bar}".rstrip() for row, bar in zip(rows, bars, strict=True)]

    def _draw_bar(self, share: float, room: int) -> str:
        if room < LEAST_BAR:
            return ""
        whole, half = divmod(round(2 * share * room), 2)
        return FULL * whole + HALF * half if self.is_unicode else "#" * round(share * room)

    def _wrap(self, text: str, first: str, following: str) -> list[str]:
        width = max(self.width - 1, len(following) + LEAST_TEXT)
        lines = textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
        )
        return [self.show(line.replace(TOGETHER, " ")) for line in lines]


def gather(counts: Mapping[int, float]) -> dict[str, float]:
    """Count neighbours together where there are too many for a chart; name them as ranges."""
    if not counts:
        return {}
    low, high = min(counts), max(counts)
    step = -(-(high - low + 1) // MOST_CHART_ROWS)
    gathered: dict[str, float] = {}
    for start in range(low, high + 1, step):
        stop = min(start + step, high + 1)
        name = str(start) if stop == start + 1 else f"{start} to {stop - 1}"
        gathered[name] = sum(counts.get(value, 0) for value in range(start, stop))
    return gathered


MOST_CONFUSED = 8
MOST_WORST = 8
MOST_READING_ROWS = 12


def write_reader_summary(reader: ReaderFigures, page: Page) -> list[tuple[str, list[str]]]:
    """Write sections, each with its title and its lines."""
    n_right, n_samples = reader.all.n_right, reader.all.n_samples
    facts = {
        "Numbers": f"{n_right:,} of {n_samples:,} are right, {_write_share(n_right, n_samples)}",
        "Characters": f"error rate {100 * reader.character_error_rate:.2f} %, "
        f"{reader.n_edits:,} edits to {reader.n_characters:,} characters",
        "Missing": f"{reader.n_missing:,} samples have no prediction" if reader.n_missing else "",
        "Confused": _list_worst(_list_confused(reader)),
        "Worst": _list_worst(
            [_describe_reading(misread) for misread in reader.worst[:MOST_WORST]]
        ),
    }
    lines = [line for name, text in facts.items() if text for line in page.write_fact(name, text)]
    sections = [(f"Read by {reader.predictions.path.name}", lines)]
    for title, shares in (
        ("Numbers read right, by length", reader.by_length),
        ("Numbers read right, by smallest gap", reader.by_gap),
    ):
        if shares:
            sections.append((title, _chart_reading(shares, page)))
    return sections


def describe_reader(reader: ReaderFigures) -> dict[str, Any]:
    """Give the figures as plain values, for JSON."""
    return {
        "predictions": str(reader.predictions.path),
        "n_missing": reader.n_missing,
        "all": vars(reader.all),
        "n_characters": reader.n_characters,
        "n_edits": reader.n_edits,
        "character_error_rate": reader.character_error_rate,
        "confusion": [
            {"written": written, "read": read, "count": n}
            for (written, read), n in reader.confusion.items()
        ],
        "by_length": {length: vars(share) for length, share in reader.by_length.items()},
        "by_gap": {gap: vars(share) for gap, share in reader.by_gap.items()},
        "worst": [
            {
                "index": misread.index,
                "name": misread.sample.name,
                "split": misread.sample.split,
                "text": misread.sample.text,
                "read": misread.read,
                "n_edits": misread.n_edits,
            }
            for misread in reader.worst
        ],
    }


def _list_confused(reader: ReaderFigures) -> list[str]:
    """Say what was most often taken for what."""
    wrong = {pair: n for pair, n in reader.confusion.items() if pair[0] != pair[1]}
    most = sorted(wrong, key=lambda pair: (-wrong[pair], pair))[:MOST_CONFUSED]
    return [
        f"{written or 'nothing'} as {read or 'nothing'} ({wrong[written, read]:,})"
        for written, read in most
    ]


def _list_worst(texts: list[str]) -> str:
    """List texts that hold spaces, so that no line ends within one."""
    return ", ".join(text.replace(" ", TOGETHER) for text in texts)


def _describe_reading(misread: Misread) -> str:
    return f"{misread.sample.text} as {misread.read or 'nothing'}"


def _chart_reading(shares: dict[int, Share], page: Page) -> list[str]:
    step = -(-len(shares) // MOST_READING_ROWS)
    keys = list(shares)
    groups = [keys[start : start + step] for start in range(0, len(keys), step)]
    names = [
        str(group[0]) if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups
    ]
    right = [sum(shares[key].n_right for key in group) for group in groups]
    every = [sum(shares[key].n_samples for key in group) for group in groups]
    pairs = list(zip(right, every, strict=True))
    columns = {
        "right": [f"{n_right:,}" for n_right, _ in pairs],
        "of": [f"{n_samples:,}" for _, n_samples in pairs],
        "share": [_write_share(*pair) for pair in pairs],
    }
    return page.write_chart(names, columns, [n / n_all for n, n_all in pairs])


def _write_share(n_right: int, n_samples: int) -> str:
    return f"{100 * n_right / n_samples:.2f} %" if n_samples else "none"


MOST_SIZES = 4
SHOWN_SAMPLES = 4
MOST_GLYPHS = 5
MOST_DIGITS = 36  # more characters than that are too many for a chart
_POLARITIES = {"black": "black on white", "white": "white on black"}
NOT_HELD = "not held by this dataset"


def write_summary(survey: Survey, page: Page) -> list[tuple[str, list[str]]]:
    """Write sections, each with its title and its lines."""
    return [
        (f"{survey.folder}: {count(survey.n_samples, 'image')}", _list_facts(survey, page)),
        ("Characters", _chart_digits(survey, page)),
        ("Length", _chart_counts(survey.lengths, survey.n_samples, page)),
        ("Gaps in pixels", _describe_gaps(survey, page)),
        ("Some samples", _list_samples(survey, page)),
    ]


def _list_facts(survey: Survey, page: Page) -> list[str]:
    facts = {
        "Format": survey.format_name + _describe_state(survey),
        "Splits": _list(f"{name} {number:,}" for name, number in survey.splits.items() if name),
        "Size": _describe_sizes(survey, "\N{MULTIPLICATION SIGN}" if page.is_unicode else "x"),
        "Ink": f"{_POLARITIES[survey.ink]}; {_describe_ink(survey.ink_share)}",
        "Margins": f"left {_describe(survey.left_margin_px, 'px')}; "
        f"right {_describe(survey.right_margin_px, 'px')}",
        "Duplicates": f"{_count_equal(survey.n_equal_images, 'image')}; "
        f"{_count_equal(survey.n_equal_texts, 'text')}",
        "Glyphs": _describe_glyphs(survey),
        "Boxes": f"one for each character, {survey.describe_source('boxes')}"
        if survey.has_boxes
        else NOT_HELD,
        "Unknown": _keep_command(survey.explain_missing()),
    }
    return [line for name, text in facts.items() if text for line in page.write_fact(name, text)]


def _keep_command(text: str) -> str:
    """Let no line end within a command, so that it can be copied."""
    before, command, after = text.partition("mnistseq ")
    return before + (command + after).replace(" ", TOGETHER)


def _describe_state(survey: Survey) -> str:
    if survey.is_finished is None:
        return ", not known to be written by this program"
    return ", finished" if survey.is_finished else ", unfinished: --resume makes the rest"


def _describe_sizes(survey: Survey, times: str) -> str:
    names = [
        f"{width} {times} {height} px".replace(" ", TOGETHER) for width, height in survey.sizes
    ]
    if len(names) == 1:
        return names[0]
    counts = zip(names[:MOST_SIZES], survey.sizes.values(), strict=False)
    shown = _list(f"{name}{TOGETHER}({n:,})" for name, n in counts)
    widths = [width for width, _ in survey.sizes]
    n_more = len(names) - MOST_SIZES
    more = f"; {n_more:,} more, {min(widths)} to {max(widths)}{TOGETHER}px wide"
    return shown + (more if n_more > 0 else "")


def _describe_ink(share: Spread) -> str:
    mean, least, most = (
        f"{100 * value:.1f}{TOGETHER}%" for value in (share.mean, share.least, share.most)
    )
    return f"covers {mean} of an image on average, {least} to {most}"


def _describe(spread: Spread, unit: str) -> str:
    if spread.least == spread.most:
        return f"{spread.most:,.0f}{TOGETHER}{unit}"
    most, mean = f"{spread.most:.0f}{TOGETHER}{unit}", f"{spread.mean:.1f}{TOGETHER}on average"
    return f"{spread.least:.0f} to {most}, {mean}"


def _count_equal(number: int, noun: str) -> str:
    if number == 0:
        return f"no {noun}s"
    return f"{count(number, noun)} {'equals' if number == 1 else 'equal'} an earlier one"


def _describe_glyphs(survey: Survey) -> str:
    glyphs = survey.glyphs
    if glyphs is None:
        return NOT_HELD
    most = list(glyphs.most_used.items())[:MOST_GLYPHS]
    named = _list(f"number {glyph} ({n:,})" for glyph, n in most)
    uses = "once" if glyphs.uses.most == 1 else _describe(glyphs.uses, "times")
    source = survey.describe_source("glyphs")
    if glyphs.n_distinct == 1:
        return f"only one, number {most[0][0]}, used {uses}; {source}"
    many = count(glyphs.n_distinct, "different one")
    return f"{many}, each used {uses}; most used: {named}; {source}"


def _chart_digits(survey: Survey, page: Page) -> list[str]:
    if len(survey.digits) > MOST_DIGITS:
        text = _list(f"{name} {number:,}" for name, number in survey.digits.items())
        return page.write_sentence(text)
    counts = {"space" if name == " " else name: n for name, n in survey.digits.items()}
    return _chart(counts, sum(survey.digits.values()), page)


def _chart_counts(counts: dict[int, int], n_all: int, page: Page) -> list[str]:
    return _chart(gather(counts), n_all, page)


def _chart(counts: Mapping[str, float], n_all: int, page: Page) -> list[str]:
    values = list(counts.values())
    columns = {
        "count": [f"{value:,.0f}" for value in values],
        "share": [f"{100 * value / max(1, n_all):.1f} %" for value in values],
    }
    return page.write_chart(list(counts), columns, values)


def _describe_gaps(survey: Survey, page: Page) -> list[str]:
    gaps = survey.gaps
    if gaps is None:
        is_known = survey.sources["gaps"].n_known > 0
        return page.write_sentence("There are none." if is_known else f"They are {NOT_HELD}.")
    every = gaps.counts.keys() | gaps.expected.keys()
    counts = gather({gap: gaps.counts.get(gap, 0) for gap in every})
    columns = {"count": [f"{value:,.0f}" for value in counts.values()]}
    if gaps.n_compared == sum(gaps.counts.values()):
        expected = gather({gap: gaps.expected.get(gap, 0.0) for gap in every})
        columns["expected"] = [f"{value:,.0f}" for value in expected.values()]
    return [
        *page.write_chart(list(counts), columns, list(counts.values())),
        *page.write_sentence(f"Taken {survey.describe_source('gaps')}."),
        *page.write_sentence(f"Compared with {gaps.rule}."),
        *_judge(gaps, page),
    ]


def _list_samples(survey: Survey, page: Page) -> list[str]:
    return [
        line
        for seen in survey.choose(SHOWN_SAMPLES)
        for line in page.write_sentence(f"{seen.text} {_locate(survey, seen)}")
    ]


def _locate(survey: Survey, seen: LoadedSample) -> str:
    """Say in which file a sample is; in a container, at which name after its split."""
    if survey.format_name != "folder":
        return f"at {name_with_split(seen)}"
    name = seen.name.removeprefix("../")
    within = survey.folder / seen.split
    inside = within / "images" / name  # label files of others may leave that out
    return f"in {inside if inside.is_file() else within / name}"


def _judge(gaps: GapFigures, page: Page) -> list[str]:
    lines = []
    n_all = sum(gaps.counts.values())
    if 0 < gaps.n_compared < n_all:
        lines += page.write_sentence(f"{gaps.n_compared:,} of {n_all:,} gaps could be compared.")
    if gaps.statistic is not None and gaps.p_value is not None:
        lines += page.write_sentence(
            f"Chi-square {gaps.statistic:.1f}, {gaps.degrees} degrees of freedom, p-value "
            f"{_write_p(gaps.p_value)}: {_interpret(gaps.p_value)}"
        )
    return lines


def _write_p(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value >= 0.001 else "below 0.001"  # noqa: PLR2004 - three decimals


def _interpret(p_value: float) -> str:
    if p_value >= 0.05:  # noqa: PLR2004 - the usual level
        return "what chance gives."
    if p_value >= 0.001:  # noqa: PLR2004 - one dataset in a thousand
        return f"by chance, one dataset in {1 / p_value:,.0f} is this far off."
    return "gaps that do not follow the rule."


def _list(texts: Iterable[str]) -> str:
    return ", ".join(texts)
