"""What the page says about a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnistseq_cli.inspection.reader import Share
from mnistseq_cli.inspection.report.cards import misread_cards
from mnistseq_cli.inspection.report.confusion import confusion_table
from mnistseq_cli.inspection.report.markup import (
    escape,
    figure_list,
    percent,
    plural,
    scrollable,
    section,
)

if TYPE_CHECKING:
    from mnistseq_cli.inspection.reader import ReaderFigures

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
