"""Small pieces of HTML; all that comes from a dataset is escaped here or not at all."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = [
    "escape",
    "figure_list",
    "number",
    "percent",
    "plural",
    "scrollable",
    "section",
    "span",
    "table",
]


def number(value: float) -> str:
    """Write a number with thousands apart; what is not whole with two digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percent(share: float) -> str:
    """Write a share of 0 to 1 in percent."""
    return f"{share:.2%}".replace("%", " %")


def plural(n: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def span(values: Collection[int]) -> str:
    """Write the least and the most of some whole numbers."""
    if not values:
        return "0"
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def section(name: str, title: str, *parts: str) -> str:
    """Put parts under a heading.

    Parameters
    ----------
    name : str
        Of the link to it.
    title : str
    *parts : str
        HTML.
    """
    body = "\n".join(part for part in parts if part)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{escape(title)}</h2>\n{body}\n</section>'
    )


def figure_list(rows: Iterable[tuple[str, str, str]]) -> str:
    """List figures: what it is, its value, and what there is to say about it, all plain text."""
    return (
        '<dl class="figures">\n'
        + "\n".join(
            f'<div><dt>{escape(name)}</dt><dd><span class="value">{escape(value)}</span>'
            f'<span class="more">{escape(more)}</span></dd></div>'
            for name, value, more in rows
        )
        + "\n</dl>"
    )


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table whose first column names the rows.

    Parameters
    ----------
    caption : str
    header : sequence of str
        Plain text.
    rows : iterable of sequence of str
        Plain text.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in rows
    )
    return (
        f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )


def scrollable(label: str, content: str) -> str:
    """Let what may be wider than the page scroll by itself, by keys too."""
    return (
        f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">\n'
        f"{content}\n</div>"
    )
