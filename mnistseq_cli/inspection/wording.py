"""What a survey found, in the words that the terminal and the report share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from mnistseq_cli.bulk.remake import ASPECTS
from mnistseq_cli.bulk.split_overlap import describe_overlaps
from mnistseq_cli.formats.card import Licence
from mnistseq_cli.inspection.figures import Spread, Survey, UseFigures
from mnistseq_cli.inspection.predictions import ReaderFigures, Share
from mnistseq_cli.validation import count

NOT_HELD = "not in this dataset"
CONSISTENT_P, RARE_P = 0.05, 0.001  # the usual level; one dataset in a thousand
_MOST_GLYPHS = 3
_MOST_SIZES = 4
_MOST_WRITERS = 10
_LEAST_CHARACTERS = 10  # of a writer, before it is said how well he is read
_PAPERS = {"black": "white", "white": "black"}  # by ink
_STATES = {  # by whether the run that writes the dataset has ended
    None: "(not known to be written by mnistseq)",
    True: "(finished)",
    False: "(unfinished: --resume makes the rest)",
}


@dataclass(frozen=True)
class Fact:
    """Something found: its name, its value, and more that continues the value as a phrase."""

    name: str
    value: str
    more: str = ""


def write_percent(share: float, decimals: int = 2) -> str:
    """Return a share of 0 to 1 in percent."""
    return f"{100 * share:.{decimals}f} %"


def write_range(values: Collection[int]) -> str:
    """Return the least and the most of some whole numbers: "3", "3 to 8"."""
    low, high = min(values, default=0), max(values, default=0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def merge_neighbours(values: Iterable[int], n_most: int) -> list[range]:
    """Return ranges of equal width, as few as can be shown, that hold all of some numbers."""
    ordered = sorted(values)
    if not ordered:
        return []
    low, stop = ordered[0], ordered[-1] + 1
    step = -(-(stop - low) // n_most)
    return [range(start, min(start + step, stop)) for start in range(low, stop, step)]


def merge_shares(shares: dict[int, Share], n_most: int) -> list[tuple[str, Share]]:
    """Put neighbouring numbers together, as few as can be shown, leaving out empty ranges."""
    merged = [
        (write_range(values), Share.of(shares[key] for key in values if key in shares))
        for values in merge_neighbours(shares, n_most)
    ]
    return [(name, share) for name, share in merged if share.n_samples]


def list_facts(survey: Survey) -> list[Fact]:
    """List what is in a dataset."""
    splits = ", ".join(f"{name} {n:,}" for name, n in survey.splits.items() if name)
    overlaps = survey.overlaps.values()
    least, mean, most = (write_percent(share, 1) for share in vars(survey.ink_share).values())
    glyphs = Fact("Glyphs", NOT_HELD)
    if survey.glyphs:
        glyphs = _describe_uses("Glyphs", survey.glyphs, describe_source(survey, "glyphs"))
    boxes = Fact("Boxes", NOT_HELD)
    if survey.has_boxes:
        boxes = Fact("Boxes", "one per character", describe_source(survey, "boxes"))
    ink = f"of an image on average, {least} to {most}; {survey.ink} on {_PAPERS[survey.ink]}"
    length = write_range(survey.lengths)
    pairs = ((survey.n_equal_images, "image"), (survey.n_equal_texts, "text"))
    equal = ", ".join(count(n, noun) for n, noun in pairs if n)
    recipe = survey.recipe or {}
    terms = Licence.of(recipe["dataset"]) if "dataset" in recipe else None
    left_out = "images between those that were looked at"
    facts = [
        Fact("Format", survey.format_name, _STATES[survey.is_finished]),
        Fact("Images", f"{survey.n_samples:,}", splits and f"({splits})"),
        survey.n_left_out and Fact("Left out", f"{survey.n_left_out:,}", left_out),
        overlaps and Fact("Splits", describe_overlaps(overlaps)),
        _describe_sizes(survey),
        Fact("Characters", f"{sum(survey.digits.values()):,}", f"in texts of {length}"),
        survey.n_marks and Fact("Marks", f"{survey.n_marks:,}", "written and not read"),
        Fact("Ink", mean, ink),
        survey.digit_ink_px and _describe_px("Ink per digit", survey.digit_ink_px),
        _describe_px("Left margin", survey.left_margin_px),
        _describe_px("Right margin", survey.right_margin_px),
        Fact("Duplicates", equal or "none", "seen before" if equal else ""),
        glyphs,
        survey.writers and _describe_uses("Writers", survey.writers, "by digits"),
        boxes,
        terms and Fact("Licence", terms.spdx or "not known", f"(made from {terms.attribution})"),
    ]
    return [fact for fact in facts if isinstance(fact, Fact)]


def _describe_sizes(survey: Survey) -> Fact:
    names = [f"{width} × {height} px" for width, height in survey.sizes]
    if len(names) == 1:
        return Fact("Size", names[0])
    counts = zip(names[:_MOST_SIZES], survey.sizes.values(), strict=False)
    shown = ", ".join(f"{name} ({n:,})" for name, n in counts)
    n_more = len(names) - _MOST_SIZES
    widths = write_range([width for width, _ in survey.sizes])
    return Fact("Sizes", shown, f"and {n_more:,} more, {widths} px wide" if n_more > 0 else "")


def _describe_px(name: str, spread: Spread) -> Fact:
    low, high = spread.least, spread.most
    if low == high:
        return Fact(name, f"{low:.0f} px")
    return Fact(name, f"{spread.mean:.1f} px", f"on average, {low:,.0f} to {high:,.0f}")


def _describe_uses(name: str, figures: UseFigures, more: str) -> Fact:
    """Describe how often each of some glyphs, by number, or writers, by name, is used."""
    uses = figures.uses
    times = f"{uses.least:,.0f} to {uses.most:,.0f} times, {uses.mean:.1f} on average"
    if uses.least == uses.most:
        times = "once" if uses.most == 1 else f"{uses.most:,.0f} times"
    names = {key: key if isinstance(key, str) else f"number {key}" for key in figures.most_used}
    words = f"({next(iter(names.values()), '')}), used {times}"
    if figures.n_distinct != 1:
        most = [f"{names[key]} ({n:,})" for key, n in figures.most_used.items()][:_MOST_GLYPHS]
        words = f"different, each used {times}; most used: {', '.join(most)}"
    separator = "; " if name == "Glyphs" else ", "
    return Fact(name, f"{figures.n_distinct:,}", f"{words}{separator}{more}")


def describe_source(survey: Survey, aspect: str) -> str:
    """Describe where one of `ASPECTS` comes from, and of how many samples if not of all."""
    source, n_all = survey.sources[aspect], survey.n_samples
    pairs = (("from the labels", source.n_labels), ("from the recipe", source.n_recipe))
    listed = [words if n == n_all else f"{words} in {n:,}" for words, n in pairs if n]
    more = "" if n_all in {n for _, n in pairs} else f" of {n_all:,} images"
    return " and ".join(listed) + more if listed else "not known"


def describe_missing(survey: Survey) -> list[str]:
    """Describe which of `ASPECTS` are not known of all samples, and why."""
    missing = [name for name in ASPECTS if survey.sources[name].n_known < survey.n_samples]
    if not survey.why_not_recalled or not missing:
        return []
    listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
    why = f"they cannot be taken from its recipe: {survey.why_not_recalled}"
    return [f"Unknown are {listed}: this dataset does not hold them, and {why}"]


def describe_gaps(survey: Survey) -> list[str]:
    """Describe in sentences what gaps were compared with, and what came out."""
    gaps = survey.gaps
    if gaps is None:
        is_known = survey.sources["gaps"].n_known > 0
        return ["There are no gaps." if is_known else f"Gaps are {NOT_HELD}."]
    said = [f"Taken {describe_source(survey, 'gaps')}.", f"Compared with {gaps.rule}."]
    n_all = sum(gaps.counts.values())
    if 0 < gaps.n_compared < n_all:
        said.append(f"{gaps.n_compared:,} of {n_all:,} gaps could be compared.")
    if 0 < gaps.n_tested < gaps.n_compared:
        said.append(f"Tested: {gaps.n_tested:,} gaps, in rows that have room for any gap.")
    elif gaps.n_compared and not gaps.n_tested and len(gaps.expected) > 1:
        said.append("Not tested: gaps that must fit into a width depend on each other.")
    if gaps.statistic is not None and gaps.p_value is not None:
        said.append(_judge(gaps.statistic, gaps.degrees or 0, gaps.p_value))
    return said


def _judge(statistic: float, degrees: int, p_value: float) -> str:
    p, verdict = f"p = {p_value:.3f}", "consistent with chance"
    if p_value < CONSISTENT_P:
        verdict = f"by chance, one dataset in {1 / max(p_value, RARE_P):,.0f} differs this much"
    if p_value < RARE_P:
        p, verdict = f"p < {RARE_P}", "these gaps do not follow the rule"
    freedom = f"{count(degrees, 'degree')} of freedom"
    return f"Chi-square {statistic:,.1f} with {freedom}, {p}: {verdict}."


def list_reader_facts(reader: ReaderFigures) -> list[Fact]:
    """List how well a reader reads."""
    right = reader.all
    images = f"({right.n_right:,} of {count(right.n_samples, 'image')})"
    edits, characters = count(reader.n_edits, "edit"), count(reader.n_characters, "character")
    rate = write_percent(reader.character_error_rate)
    n_missing = count(reader.n_missing, "image")
    missing = Fact("No prediction", n_missing, "left out of all other figures")
    return [
        Fact("Exact match", write_percent(right.accuracy), images),
        Fact("CER", rate, f"(character error rate: {edits} in {characters})"),
        *([missing] if reader.n_missing else []),
    ]


def list_confused(reader: ReaderFigures) -> list[str]:
    """Describe which character was taken for which, the most frequent first."""
    wrong = {pair: n for pair, n in reader.confusion.items() if pair[0] != pair[1]}
    found = []
    for written, read in sorted(wrong, key=lambda pair: (-wrong[pair], pair)):
        what = f"{written} as {read}" if read else f"{written} missed"
        found.append(f"{what if written else f'{read} inserted'} ({wrong[written, read]:,})")
    return found


def list_share_tables(
    survey: Survey, reader: ReaderFigures, n_most: int
) -> Iterator[tuple[str, str, list[tuple[str, Share]]]]:
    """Yield tables of how much is read right, of so many rows: a caption, a head, the rows."""
    if reader.by_length:
        yield "Exact match, by length", "Length", merge_shares(reader.by_length, n_most)
    if reader.by_gap:
        caption = f"Exact match, by smallest gap; gaps {describe_source(survey, 'gaps')}"
        yield caption, "Smallest gap, px", merge_shares(reader.by_gap, n_most)
    writers = [item for item in reader.by_writer.items() if item[1].n_samples >= _LEAST_CHARACTERS]
    if writers:
        worst = sorted(writers, key=lambda pair: (pair[1].accuracy, pair[0]))[:_MOST_WRITERS]
        yield "Characters right, of the writers read worst", "Writer", worst


_DAMAGE = {
    "empty": ("{images} without a text", "Give each image its text."),
    "short": ("{images} with fewer characters in the text than boxes", "Were zeros lost?"),
    "spoiled": (
        "{images} whose text is not a number any more but what a spreadsheet made of it",
        "Import the column as text.",
    ),
    "contradicting": (
        "{images} equal to an earlier one but with another text",
        "One of the texts is wrong.",
    ),
    "zeros": (
        "{images} with a shorter text than most, and no text begins with 0",
        "Were leading zeros lost in a spreadsheet? Import the column as text.",
    ),
}


def describe_warnings(survey: Survey, reader: ReaderFigures | None) -> list[tuple[str, str]]:
    """Describe what seems to be wrong with a dataset or with predictions: messages and hints."""
    found = []
    n_there = survey.n_samples + survey.n_left_out
    if survey.recipe and survey.is_finished and survey.recipe["count"] != n_there:
        expected = f"{survey.recipe['count']:,} images, not {survey.n_samples:,}"
        hint = f"See what is missing: mnistseq verify {survey.folder}"
        found.append((f"{survey.folder} should hold {expected}.", hint))
    for kind, damage in survey.damage.items():
        message, hint = _DAMAGE[kind]
        example = " of ".join(filter(None, [damage.text and repr(damage.text), damage.name]))
        such = f", such as {example}" if example else ""
        found.append((f"{message.format(images=count(damage.n, 'image'))}{such}.", hint))
    if reader and reader.n_as_numbers:
        predictions = count(reader.n_as_numbers, "prediction")
        message = f"{predictions} wrong only for missing leading zeros (6405 for 06405)."
        found.append((message, "If they were saved as numbers, save them as texts."))
    return found
