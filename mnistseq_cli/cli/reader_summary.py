"""How well a trained reader reads, in words, numbers and bars, and as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.charts import TOGETHER

if TYPE_CHECKING:
    from mnistseq_cli.cli.charts import Page
    from mnistseq_cli.inspection.reader import Misread, ReaderFigures, Share

MOST_CONFUSED = 8
MOST_WORST = 8
MOST_ROWS = 12


def write_reader_summary(reader: ReaderFigures, page: Page) -> list[tuple[str, list[str]]]:
    """Write sections, each with its title and its lines."""
    n_right, n_samples = reader.all.n_right, reader.all.n_samples
    facts = {
        "Numbers": f"{n_right:,} of {n_samples:,} are right, {_write_share(n_right, n_samples)}",
        "Characters": f"error rate {100 * reader.character_error_rate:.2f} %, "
        f"{reader.n_edits:,} edits to {reader.n_characters:,} characters",
        "Missing": f"{reader.n_missing:,} samples have no prediction" if reader.n_missing else "",
        "Confused": _list(_list_confused(reader)),
        "Worst": _list([_describe(misread) for misread in reader.worst[:MOST_WORST]]),
    }
    lines = [line for name, text in facts.items() if text for line in page.write_fact(name, text)]
    sections = [(f"Read by {reader.predictions.path.name}", lines)]
    for title, shares in (
        ("Numbers read right, by length", reader.by_length),
        ("Numbers read right, by smallest gap", reader.by_gap),
    ):
        if shares:
            sections.append((title, _chart(shares, page)))
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
                "name": misread.seen.name,
                "split": misread.seen.split,
                "text": misread.seen.text,
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


def _list(texts: list[str]) -> str:
    """List texts that hold spaces, so that no line ends within one."""
    return ", ".join(text.replace(" ", TOGETHER) for text in texts)


def _describe(misread: Misread) -> str:
    return f"{misread.seen.text} as {misread.read or 'nothing'}"


def _chart(shares: dict[int, Share], page: Page) -> list[str]:
    step = -(-len(shares) // MOST_ROWS)
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
