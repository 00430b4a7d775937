"""Masks: which pixels belong to which character, as COCO has them and as images of numbers.

COCO's run-length encoding: lengths of runs, column by column, beginning with paper; each but the
first three less the one before the last; in characters of six bits, five of them a number's
(``rleToString`` in ``common/maskApi.c`` of https://github.com/cocodataset/cocoapi).
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnistseq_cli.compose.samples import Block, Inks
from mnistseq_cli.formats.images import READ_LIMIT_PX, encode_image
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.pixels import Instances, Ints

_MOST_8_BIT = 255


def encode_runs(block: Block) -> tuple[list[str], list[int]]:
    """Encode whole masks for COCO, sample by sample, marks last; also return sizes in pixels."""
    inks, widths_px = _take_inks(block), block.widths_px
    order = np.lexsort((inks.instance, inks.sample))
    n_masks, height, _ = inks.images.shape
    ink = (inks.images[order] > 0).transpose(0, 2, 1).reshape(n_masks, -1)
    owner, start = np.nonzero(np.diff(ink, axis=1, prepend=False, append=False))
    start = start + inks.x_px[order][owner] * height
    ends = widths_px[inks.sample[order]] * height
    every = np.arange(n_masks)
    owners = np.concatenate([every, owner, every])
    bounds = np.concatenate([np.zeros_like(ends), start, ends])
    by_owner = np.argsort(owners, kind="stable")
    owners, bounds = owners[by_owner], bounds[by_owner]
    is_run = owners[1:] == owners[:-1]
    runs, owners = np.diff(bounds)[is_run], owners[1:][is_run]
    is_last = np.append(owners[1:] != owners[:-1], True)
    is_kept = (runs > 0) | ~is_last | (np.append(-1, owners[:-1]) != owners)
    return _spell(runs[is_kept], owners[is_kept], n_masks), ink.sum(axis=1).tolist()


def _spell(runs: Ints, owners: Ints, n_masks: int) -> list[str]:
    """Write the runs of each mask as characters."""
    firsts = np.searchsorted(owners, np.arange(n_masks))
    place = np.arange(len(runs)) - firsts[owners]
    rest = runs - np.where(place > 2, np.roll(runs, 2), 0)  # noqa: PLR2004 - as the format has it
    signs, given, goes_on = [], [], np.ones(len(runs), np.bool_)
    while goes_on.any():
        given.append(goes_on)
        bits = rest & 31
        rest = rest >> 5
        goes_on = goes_on & np.where(bits & 16, rest != -1, rest != 0)
        signs.append(bits + 32 * goes_on + 48)
    is_given = np.stack(given, axis=1)
    text = np.stack(signs, axis=1)[is_given].astype(np.uint8).tobytes().decode("ascii")
    n_signs = np.bincount(owners, is_given.sum(axis=1), n_masks).astype(np.int64)
    stops = np.cumsum(n_signs).tolist()
    return [text[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def number_instances(block: Block) -> Instances:
    """Return which character each pixel belongs to, from 1, shape (N, height, widest).

    Characters are numbered by their place in the text, then the marks. Where ink overlaps, the
    darker one has the pixel; of equals the one further left. 0 is paper.
    """
    inks = _take_inks(block)
    stamp_px = inks.images.shape[2]
    n, height, width_px = block.images.shape
    most = np.zeros((n, height, width_px + 2 * stamp_px), np.uint8)
    numbers = np.zeros(most.shape, np.uint16)
    windows, labels = (
        sliding_window_view(it, stamp_px, axis=2, writeable=True) for it in (most, numbers)
    )
    # Which one of its sample each is; characters of one place are those of different samples.
    place = np.arange(len(inks.sample)) - np.searchsorted(inks.sample, inks.sample)
    for one in range(place.max(initial=-1) + 1):
        some = np.flatnonzero(place == one)
        x_px = np.clip(inks.x_px[some] + stamp_px, 0, width_px + stamp_px)
        at = inks.sample[some], slice(None), x_px
        images, instances = inks.images[some], inks.instance[some, None, None] + 1
        labels[at] = np.where(images > windows[at], instances, labels[at])
        windows[at] = np.maximum(windows[at], images)
    return numbers[:, :, stamp_px : width_px + stamp_px]


def _take_inks(block: Block) -> Inks:
    if block.inks is None:
        raise ValueError("the block was made without masks")
    return block.inks


def encode_instances(block: Block) -> list[bytes]:
    """Encode `number_instances` as PNG files: 8 bits a pixel, 16 where there are more than 255."""
    numbers = number_instances(block)
    if numbers.max() <= _MOST_8_BIT:
        return encode_pngs(numbers.astype(np.uint8), block.widths_px)
    rows = zip(numbers, block.widths_px.tolist(), strict=True)
    return [encode_image(image[:, :width_px], "png") for image, width_px in rows]


def decode_instances(data: bytes) -> Instances:
    """Decode a PNG file of numbers, shape (height, width)."""
    from PIL import Image  # noqa: PLC0415 - not needed to write

    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        if image.width * image.height > READ_LIMIT_PX or image.mode not in {"L", "I;16", "I"}:
            raise ValueError(f"it is no mask: {image.width} x {image.height} px of {image.mode}")
        return np.asarray(image).astype(np.uint16)
