"""What is counted in the samples of a dataset; what is counted in parts of it adds up."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter, defaultdict
from functools import partial
from itertools import chain
from operator import itemgetter
from zlib import crc32

import numpy as np

from mnistseq_cli.bulk.split_overlap import OverlapTally
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.inspection.figures import Damage, copy_sample, pick_evenly
from mnistseq_cli.inspection.gap_test import Counts, GapRule, GapTally
from mnistseq_cli.inspection.predictions import Predictions, ReaderTally
from mnistseq_cli.pixels import Array, Floats, Pixels
from mnistseq_cli.recipe import Ink

SHARE_UNITS = 100_000  # in which shares of ink are counted
_FULL = 255  # ink
_HALF = 128
_MOST_IN_16_BITS = 257  # pixels
_FAINT = 32  # ink of at most an eighth is taken for noise where there are no boxes
_HEAT_LIMIT_PX = 1 << 22
_HASH_BYTES = 8  # a million images give two equal hashes by chance once in 30 million datasets
_HALF_HASH = np.uint64(32)  # bits, in which different texts of equal images differ
_KEPT_BYTES = 1 << 26
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+\d+")  # 9.33787E+11
_DECIMAL = re.compile(r"\d+\.0")  # 47922.0
_MOSTLY = 0.8  # of texts have the same length: of numbers up to 99999, 90 % have five digits


class Tally:
    """Counts what is in samples; of different ones, in any order, it adds up by `merge`."""

    def __init__(
        self, ink: Ink, rule: GapRule | None, n_kept: int, predictions: Predictions | None
    ) -> None:
        self.counts: Counts = defaultdict(Counter)
        self.gaps = GapTally(self.counts, rule)
        self.overlap = OverlapTally()
        self.kept = EvenSample(n_kept)
        self.reader = ReaderTally(predictions) if predictions else None
        self.failure: tuple[int, str] | None = None  # where filling in ended, and why
        self._is_ours = rule is not None
        self.ink = ink
        self._heat = np.zeros((0, 0), np.uint64)
        # Of images, and of these with their texts.
        self._hashes: defaultdict[str, array[int]] = defaultdict(partial(array, "Q"))
        # By kind of damage, the first such label: its place, name and text.
        self._first: dict[str, tuple[int, str, str]] = {}

    @property
    def n_samples(self) -> int:
        """How many samples were counted."""
        return self.counts["splits"].total()

    def add(self, samples: list[LoadedSample], start: int) -> None:
        """Count consecutive samples of the dataset, from its sample `start` on."""
        by_split: defaultdict[str, list[LoadedSample]] = defaultdict(list)
        by_shape: defaultdict[tuple[int, ...], list[LoadedSample]] = defaultdict(list)
        for place, sample in enumerate(samples, start):
            by_split[sample.split].append(sample)
            by_shape[sample.image.shape].append(sample)
            if kind := self._find_damage(sample):
                self.counts["damage"][kind] += 1
                self._first.setdefault(kind, (place, sample.name, sample.text))
            if self.reader:
                self.reader.add(sample, place)
        for split, inside in by_split.items():
            self._add_labels(split, inside)
        for shape, group in by_shape.items():
            images = np.concatenate([seen.image for seen in group]).reshape(-1, *shape)
            self.counts["sizes"][shape[1], shape[0]] += len(group)
            hashes = b"".join(hashlib.sha256(image).digest()[:_HASH_BYTES] for image in images)
            texts = np.array([crc32(it.text.encode()) for it in group], np.uint64)
            self._hashes["images"].frombytes(hashes)
            pairs = np.frombuffer(hashes, np.uint64) ^ (texts << _HALF_HASH)
            self._hashes["pairs"].frombytes(pairs.tobytes())
            self._add_ink(images if self.ink == "white" else np.invert(images), group)
        self.gaps.add(samples)
        self.kept.add(samples, start)

    def merge(self, other: Tally) -> None:
        """Add what was counted in other samples."""
        for name, counter in other.counts.items():
            self.counts[name].update(counter)
        height, width = other._heat.shape
        self._make_room(height, width)
        self._heat[:height, :width] += other._heat
        for kind, hashes in other._hashes.items():
            self._hashes[kind].extend(hashes)
        for kind, first in other._first.items():
            self._first[kind] = min(first, self._first.get(kind, first))
        self.failure = min(filter(None, (self.failure, other.failure)), default=None)
        self.overlap.merge(other.overlap)
        self.kept.merge(other.kept)
        if self.reader and other.reader:
            self.reader.merge(other.reader)

    def heat_map(self) -> Floats:
        """Return the mean ink of each pixel, 0 to 1; beyond smaller images there is paper."""
        return self._heat / (_FULL * max(1, self.n_samples))

    def n_equal(self, kind: str) -> int:
        """Return how many "images", or "pairs" of image and text, equal an earlier one."""
        hashes = np.array(self._hashes[kind])
        return len(hashes) - np.unique(hashes).size

    def damage(self) -> dict[str, Damage]:
        """Return what spreadsheets and slips have done to labels, by kind."""
        found = {
            kind: Damage(self.counts["damage"][kind], name, text)
            for kind, (_, name, text) in sorted(self._first.items(), key=itemgetter(1))
        }
        if n_contradicting := self.n_equal("images") - self.n_equal("pairs"):
            found["contradicting"] = Damage(n_contradicting)
        lengths = self.counts["lengths"]
        n_all, n_longest = lengths.total(), lengths[max(lengths)]
        may_lack_zeros = not self._is_ours and not self.counts["damage"]["none lost"]
        if may_lack_zeros and _MOSTLY * n_all <= n_longest < n_all:
            found["zeros"] = Damage(n_all - n_longest)
        return found

    def _find_damage(self, sample: LoadedSample) -> str:
        text = sample.text
        if not text:
            return "empty"
        if sample.boxes is not None and len(sample.boxes) > len(text):
            return "short"
        if text.isdecimal():
            return ""
        is_decimal = not self._is_ours and _DECIMAL.fullmatch(text)
        return "spoiled" if is_decimal or _SCIENTIFIC.fullmatch(text) else ""

    def _add_labels(self, split: str, samples: list[LoadedSample]) -> None:
        counts = self.counts
        texts = [it.text for it in samples]
        glyphs = [it.glyphs for it in samples if it.glyphs is not None]
        ids = np.concatenate(glyphs).tolist() if glyphs else []
        writers = [it.writers for it in samples if it.writers is not None]
        names = [*chain.from_iterable(writers)]
        counts["splits"][split] += len(samples)
        counts["digits"].update("".join(texts))
        counts["lengths"].update(map(len, texts))
        marks = [it.mark_boxes for it in samples if it.mark_boxes is not None]
        counts["marks"][""] += sum(map(len, marks))
        counts["damage"]["none lost"] += any(it[:1] == "0" or not it.isdecimal() for it in texts)
        self.overlap.add(split, texts, glyphs=ids, writers=names)
        for kind, known in (("glyphs", glyphs), ("writers", writers)):
            if len(known) < len(samples):
                self.overlap.unknown.add(kind)

    def _make_room(self, *shape: int) -> None:
        grown = np.maximum(self._heat.shape, shape) - self._heat.shape
        if grown.any():
            self._heat = np.pad(self._heat, [(0, more) for more in grown.tolist()])

    def _add_ink(self, inks: Pixels, group: list[LoadedSample]) -> None:
        """Count ink, margins, and the ink in the columns of each digit's box."""
        _, height, width = inks.shape
        shown = inks[:, :, : max(1, _HEAT_LIMIT_PX // height)]
        self._make_room(*shown.shape[1:])
        self._heat[:height, : shown.shape[2]] += _sum(shown, 0)
        until = np.zeros((len(group), width + 1), np.int64)  # ink of the columns before one
        np.cumsum(_sum(inks, 1), axis=1, out=until[:, 1:])
        shares = np.rint(until[:, -1] * (SHARE_UNITS / (_FULL * height * width)))
        self.counts["ink"].update(shares.astype(np.int64).tolist())
        boxed = [seen.boxes for seen in group if seen.boxes is not None and len(seen.boxes)]
        if len(boxed) == len(group):
            starts = np.cumsum([0, *map(len, boxed)])[:-1]
            boxes = np.concatenate(boxed)
            left, right = boxes[:, 0], boxes[:, 0] + boxes[:, 2]
            rows = np.repeat(np.arange(len(group)), [*map(len, boxed)])
            ink = until[rows, right.clip(0, width)] - until[rows, left.clip(0, width)]
            self.counts["digit ink"].update(((ink + _HALF) // _FULL).tolist())
            left, right = np.minimum.reduceat(left, starts), np.maximum.reduceat(right, starts)
        else:
            inked = inks.max(axis=1) > _FAINT
            is_blank = ~inked.any(axis=1)
            left = np.where(is_blank, width, inked.argmax(axis=1))
            right = np.where(is_blank, 0, width - inked[:, ::-1].argmax(axis=1))
        self.counts["left"].update(left.tolist())
        self.counts["right"].update((width - right).tolist())


def _sum(images: Pixels, axis: int) -> Array:
    """Add ink up, in 16 bits where they hold it: that takes half the time."""
    dtype = np.uint16 if images.shape[axis] <= _MOST_IN_16_BITS else np.uint32
    return np.asarray(images.sum(axis=axis, dtype=dtype))


class EvenSample:
    """Keeps evenly spaced samples, those whose places are multiples of a step that grows."""

    def __init__(self, n_most: int) -> None:
        self._n_most = n_most
        self._step = 1
        self._kept: dict[int, LoadedSample] = {}  # by their places

    def add(self, samples: list[LoadedSample], start: int) -> None:
        """Take consecutive samples of the dataset, from its sample `start` on."""
        if self._n_most:
            places = range(start + -start % self._step, start + len(samples), self._step)
            self._kept |= {place: copy_sample(samples[place - start]) for place in places}
            self._thin_out(self._step)

    def merge(self, other: EvenSample) -> None:
        """Add what was kept of other samples."""
        self._kept |= other._kept
        self._thin_out(max(self._step, other._step))

    def choose(self) -> list[LoadedSample]:
        """Return those to show, in order."""
        return pick_evenly([self._kept[place] for place in sorted(self._kept)], self._n_most)

    def _thin_out(self, step: int) -> None:
        while True:
            self._step = step
            self._kept = {at: sample for at, sample in self._kept.items() if at % step == 0}
            n_bytes = sum(sample.image.nbytes for sample in self._kept.values())
            n_kept = len(self._kept)
            if n_kept <= 1 or (n_kept <= 2 * self._n_most and n_bytes <= _KEPT_BYTES):
                return
            step *= 2
