"""What a survey has found, in words, numbers and bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnistseq_cli.cli.charts import TOGETHER, Page, gather
from mnistseq_cli.cli.console import count
from mnistseq_cli.inspection.numbering import name_with_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mnistseq_cli.formats.reading import Seen
    from mnistseq_cli.inspection.figures import GapFigures, Spread, Survey

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


def _locate(survey: Survey, seen: Seen) -> str:
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
