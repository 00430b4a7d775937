"""Pictures of samples with their texts and boxes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.inspection.align import NOTHING, align
from mnistseq_cli.inspection.numbering import name_with_split
from mnistseq_cli.inspection.report.markup import escape, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnistseq_cli.formats.reading import Seen
    from mnistseq_cli.inspection.reader import Misread

_LARGEST_PX = 2048  # of a picture on the page; larger ones are thinned out
_NARROWEST_PX, _USUAL_PX, _WIDEST_PX = 150, 360, 580  # of a column of cards


def sample_cards(samples: Iterable[tuple[Seen, str | None]], *, has_reader: bool) -> str:
    """Show samples and, where there is a reader, what it read of them.

    Parameters
    ----------
    samples : iterable of (Seen, str or None)
        None where the reader has no prediction.
    has_reader : bool
    """
    samples = list(samples)
    items = [
        f'<li data-text="{escape(seen.text)}" data-length="{len(seen.text)}"'
        f' data-split="{escape(seen.split)}" data-state="{_state(seen, read)}">\n'
        f'{picture(seen)}\n<p class="text">{escape(seen.text)}</p>\n'
        f"{_verdict(seen, read) if has_reader else ''}{_name(seen)}\n</li>"
        for seen, read in samples
    ]
    return _list("samples", items, [seen for seen, _ in samples])


def misread_cards(misreads: Iterable[Misread]) -> str:
    """Show samples that were not read right, with what was read."""
    misreads = list(misreads)
    items = [
        f'<li>\n{picture(one.seen)}\n<p class="text">{escape(one.seen.text)}</p>\n'
        f'<p>read <span class="text">{mark_edits(one.seen.text, one.read)}</span>, '
        f"{plural(one.n_edits, 'edit')}</p>\n{_name(one.seen)}\n</li>"
        for one in misreads
    ]
    return _list("worst-cases", items, [one.seen for one in misreads])


def picture(seen: Seen) -> str:
    """Show the image of a sample as a PNG, and its boxes when it is pointed at or has the focus.

    Returns
    -------
    str
        A button that keeps the boxes shown, or a `div` where there are no boxes.
    """
    height, width = seen.image.shape
    step = -(-max(height, width) // _LARGEST_PX)
    shown = np.ascontiguousarray(seen.image[::step, ::step])
    data = base64.b64encode(encode_pngs(shown[None], np.array([shown.shape[1]]))[0]).decode()
    image = f'<img alt="Picture of {escape(seen.text)}" src="data:image/png;base64,{data}">'
    size = f'style="--width:{width};--height:{height}"'
    if seen.boxes is None:
        return f'<div class="picture" {size}>{image}</div>'
    return (
        f'<button type="button" class="picture" aria-pressed="false" {size}>{image}'
        f'<svg aria-hidden="true" viewBox="0 0 {width} {height}">{_draw_boxes(seen)}</svg>'
        "</button>"
    )


def mark_edits(text: str, read: str) -> str:
    """Mark in what was read where it differs from what was written.

    Returns
    -------
    str
        HTML: `mark` around a character taken for another, `ins` around one that is too many,
        `del` around one that was left out.
    """
    pairs = align([text], [read]).pairs[::-1].tolist()
    return "".join(_mark_pair(old, new) for old, new in pairs) or "nothing"


def _mark_pair(old: int, new: int) -> str:
    if old == new:
        return escape(chr(new))
    if old == NOTHING:
        return f"<ins>{escape(chr(new))}</ins>"
    if new == NOTHING:
        return f"<del>{escape(chr(old))}</del>"
    return f"<mark>{escape(chr(new))}</mark>"


def _draw_boxes(seen: Seen) -> str:
    boxes = [] if seen.boxes is None else seen.boxes.tolist()
    return "".join(f'<rect x="{x}" y="{y}" width="{w}" height="{h}"/>' for x, y, w, h in boxes)


def _state(seen: Seen, read: str | None) -> str:
    if read is None:
        return "none"
    return "right" if read == seen.text else "wrong"


def _verdict(seen: Seen, read: str | None) -> str:
    if read is None:
        return '<p class="note">no prediction</p>\n'
    if read == seen.text:
        return '<p class="note">✓ read right</p>\n'
    return f'<p>✗ read <span class="text">{mark_edits(seen.text, read)}</span></p>\n'


def _name(seen: Seen) -> str:
    return f'<p class="name">{escape(name_with_split(seen))}</p>'


def _list(name: str, items: list[str], samples: list[Seen]) -> str:
    # Columns fit the pictures at about twice their size, wide ones at about their size.
    widest = max((seen.image.shape[1] for seen in samples), default=0)
    width = max(_NARROWEST_PX, min(2 * widest, _USUAL_PX), min(widest, _WIDEST_PX))
    body = "\n".join(items)
    return f'<ul class="cards" id="{name}" style="--card-width:{width}px">\n{body}\n</ul>'
