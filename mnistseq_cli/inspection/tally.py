"""What is counted in the samples of a dataset: ink, margins, duplicates, damaged labels."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from mnistseq_cli.inspection.figures import INK_BINS, Damage, Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.formats.base import LoadedSample

Ink = Literal["black", "white"]
_FULL = 255  # ink
_SHARE_UNIT = 1 << 52  # shares are whole numbers of it, whose sums are exact in any order
_HALF = 128
_FAINT = 32  # ink of at most an eighth is taken for noise where there are no boxes
_HEAT_LIMIT_PX = 1 << 22
_HASH_BYTES = 8  # a million images give two equal hashes by chance once in 30 million datasets
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+\d+")  # 9.33787E+11
_DECIMAL = re.compile(r"\d+\.0")  # 47922.0
_MOSTLY = 0.8  # of texts have the same length: of numbers up to 99999, 90 % have five digits


class SpreadTally:
    """Finds least, mean and most of whole numbers."""

    def __init__(self) -> None:
        self._least: float = np.inf
        self._most: float = -np.inf
        self._sum = self._n = 0

    def add(self, numbers: NDArray[np.int64]) -> None:
        """Take some numbers, at least one."""
        self._least = min(self._least, int(numbers.min()))
        self._most = max(self._most, int(numbers.max()))
        self._sum += int(numbers.sum())
        self._n += numbers.size

    def spread(self, unit: float = 1) -> Spread:
        """Return what was found, in another unit."""
        if not self._n:
            return Spread(0, 0, 0)
        return Spread(self._least / unit, self._sum / self._n / unit, self._most / unit)


class EqualTally:
    """Counts what equals something earlier, by hashes."""

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, data: bytes | memoryview) -> bytes:
        """Take one more; return its hash."""
        found = hashlib.sha256(data).digest()[:_HASH_BYTES]
        self._hashes.frombytes(found)
        return found

    def count(self) -> int:
        """Return how many equal an earlier one."""
        return len(self._hashes) - np.unique(np.array(self._hashes)).size


class PictureTally:
    """Looks at images, chunk by chunk; the borders of the first decide an `ink` of None."""

    def __init__(self, ink: Ink | None) -> None:
        self._ink = ink
        self._sum = np.zeros((0, 0), np.uint64)
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.left_px, self.right_px, self._share = SpreadTally(), SpreadTally(), SpreadTally()
        self.histogram = np.zeros(INK_BINS, np.int64)
        self.equal = EqualTally()
        self.equal_pairs = EqualTally()  # of image and text

    @property
    def ink(self) -> Ink:
        """Black on white, or white on black."""
        return self._ink or "black"

    def ink_share(self) -> Spread:
        """Return the mean ink of an image, 0 to 1."""
        return self._share.spread(_SHARE_UNIT)

    def add(self, samples: list[LoadedSample]) -> None:
        """Look at some images."""
        self._ink = self._ink or _guess_ink(samples)
        alike: defaultdict[tuple[int, ...], list[LoadedSample]] = defaultdict(list)
        for seen in samples:
            alike[seen.image.shape].append(seen)
        for shape, group in alike.items():
            images = np.concatenate([seen.image for seen in group]).reshape(-1, *shape)
            self.sizes[shape[1], shape[0]] += len(group)
            for image, sample in zip(images, group, strict=True):
                self.equal_pairs.add(self.equal.add(image) + sample.text.encode())
            self._add_ink(images if self._ink == "white" else np.invert(images))
            self._add_margins(images, group)

    def heat_map(self) -> NDArray[np.float64]:
        """Return the mean ink of each pixel, 0 to 1.

        Smaller images count as paper beyond their right and lower edges; of images wider than
        anybody could look at, it is the left part.
        """
        return self._sum / (_FULL * max(1, self.sizes.total()))

    def _add_ink(self, inks: NDArray[np.uint8]) -> None:
        n, height, width = inks.shape
        shown = inks[:, :, : max(1, _HEAT_LIMIT_PX // height)]
        grown = np.maximum(self._sum.shape, shown.shape[1:]) - self._sum.shape
        if grown.any():
            self._sum = np.pad(self._sum, [(0, more) for more in grown.tolist()])
        self._sum[:height, : shown.shape[2]] += shown.sum(axis=0, dtype=np.uint32)
        shares = inks.reshape(n, -1).sum(axis=1, dtype=np.uint32) / (_FULL * height * width)
        self._share.add((shares * _SHARE_UNIT).astype(np.int64))
        bins = np.minimum((shares * INK_BINS).astype(np.int64), INK_BINS - 1)
        self.histogram += np.bincount(bins, minlength=INK_BINS)

    def _add_margins(self, images: NDArray[np.uint8], group: list[LoadedSample]) -> None:
        width = images.shape[2]
        boxed = [seen.boxes for seen in group if seen.boxes is not None and len(seen.boxes)]
        if len(boxed) == len(group):
            starts = np.cumsum([0, *map(len, boxed)])[:-1]
            boxes = np.concatenate(boxed)
            left = np.minimum.reduceat(boxes[:, 0], starts)
            right = width - np.maximum.reduceat(boxes[:, 0] + boxes[:, 2], starts)
        else:
            most = (_FULL - images.min(axis=1)) if self._ink == "black" else images.max(axis=1)
            inked = most > _FAINT
            is_blank = ~inked.any(axis=1)
            left = np.where(is_blank, width, inked.argmax(axis=1))
            right = np.where(is_blank, width, inked[:, ::-1].argmax(axis=1))
        self.left_px.add(left)
        self.right_px.add(right)


def _guess_ink(samples: list[LoadedSample]) -> Ink:
    borders = [np.concatenate([seen.image[0], seen.image[-1]]) for seen in samples]
    return "black" if np.median(np.concatenate(borders)) >= _HALF else "white"


class LabelTally:
    """Counts what spreadsheets and slips do to labels: lost zeros, lost digits, empty cells.

    In datasets of ours nothing is guessed from texts alone.
    """

    def __init__(self, *, is_ours: bool) -> None:
        self._is_ours = is_ours
        self._found: dict[str, Damage] = {}
        self._lengths: Counter[int] = Counter()
        self._may_lack_zeros = not is_ours

    def add(self, samples: list[LoadedSample]) -> None:
        """Look at the texts of some samples."""
        for sample in samples:
            text = sample.text
            kind = ""
            if not text:
                kind = "empty"
            elif sample.boxes is not None and len(sample.boxes) > len(text):
                kind = "short"
            elif not text.isdecimal() and self._is_spoiled(text):
                kind = "spoiled"
            if kind:
                first = self._found.get(kind, Damage(0, sample.name, sample.text))
                self._found[kind] = Damage(first.n + 1, first.name, first.text)
        if self._may_lack_zeros:
            texts = [sample.text for sample in samples]
            self._lengths.update(map(len, texts))
            self._may_lack_zeros = all(text.isdecimal() and text[0] != "0" for text in texts)

    def find(self, n_contradicting: int) -> dict[str, Damage]:
        """Return what was found, by kind, with images that equal another but for the text."""
        found = dict(self._found)
        if n_contradicting:
            found["contradicting"] = Damage(n_contradicting)
        n_all, longest = self._lengths.total(), max(self._lengths, default=0)
        n_longest = self._lengths[longest]
        if self._may_lack_zeros and _MOSTLY * n_all <= n_longest < n_all:
            found["zeros"] = Damage(n_all - n_longest)
        return found

    def _is_spoiled(self, text: str) -> bool:
        is_decimal = not self._is_ours and _DECIMAL.fullmatch(text)
        return bool(is_decimal or _SCIENTIFIC.fullmatch(text))
