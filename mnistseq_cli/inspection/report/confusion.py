"""The table of which character was read as which."""

from __future__ import annotations

from mnistseq_cli.inspection.report.markup import escape, percent

_OTHER = "other"
_NOTHING = ""


def confusion_table(confusion: dict[tuple[str, str], int]) -> str:
    """Make the table of which character was read as which.

    Parameters
    ----------
    confusion : dict of (str, str) to int
        See `ReaderFigures`. Characters that were read but are written nowhere share a column.
    """
    written = sorted({old for old, _ in confusion if old})
    is_other = any(new and new not in written for _, new in confusion)
    columns = [*written, *([_OTHER] if is_other else []), _NOTHING]
    rows = {old: dict.fromkeys(columns, 0) for old in [*written, _NOTHING]}
    for (old, new), n in confusion.items():
        rows[old][new if new in columns else _OTHER] += n
    inserted = rows.pop(_NOTHING)
    head = "".join(f'<th scope="col">{_name(new) if new else "left out"}</th>' for new in columns)
    return (
        '<table class="confusion">\n<caption>Rows: written. Columns: read as.</caption>\n'
        f'<thead><tr><th scope="col">Written</th>{head}<th scope="col">Right</th></tr></thead>\n'
        f"<tbody>\n{_body(rows)}\n</tbody>\n<tfoot>\n{_foot(inserted)}\n</tfoot>\n</table>"
    )


def _body(rows: dict[str, dict[str, int]]) -> str:
    sums = {old: sum(row.values()) for old, row in rows.items()}
    shares = [n / sums[old] for old, row in rows.items() for new, n in row.items() if new != old]
    most = max(shares, default=0)
    return "\n".join(
        f'<tr><th scope="row">{_name(old)}</th>'
        + "".join(
            f'<td class="right">{n:,}</td>' if new == old else _cell(n, sums[old] * most)
            for new, n in row.items()
        )
        + f"<td>{percent(row[old] / sums[old])}</td></tr>"
        for old, row in rows.items()
    )


def _foot(inserted: dict[str, int]) -> str:
    most = max(inserted.values())
    cells = "".join(_cell(n, most) for new, n in inserted.items() if new)
    return f'<tr><th scope="row">inserted</th>{cells}<td></td><td></td></tr>'


def _cell(n: int, most: float) -> str:
    if not n:
        return '<td class="none">0</td>'
    # The square root: so that rare mistakes show.
    return f'<td style="--share:{(n / most) ** 0.5:.3f}">{n:,}</td>'


def _name(character: str) -> str:
    return escape(character) if character.strip() else "space"
