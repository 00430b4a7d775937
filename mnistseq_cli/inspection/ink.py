"""What images look like: ink, margins, duplicates."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from mnistseq_cli.inspection.figures import INK_BINS, Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistseq_cli.formats.base import LoadedSample

_FULL = 255  # ink
_HALF = 128
_FAINT = 32  # ink of at most an eighth is taken for noise where there are no boxes
_HEAT_LIMIT_PX = 1 << 22
_HASH_BYTES = 8  # a million images give two equal hashes by chance once in 30 million datasets


class SpreadTally:
    """Finds least, mean and most."""

    def __init__(self) -> None:
        self._least, self._most = np.inf, -np.inf
        self._sum, self._n = 0.0, 0

    def add(self, numbers: NDArray[np.number]) -> None:
        """Take some numbers, at least one."""
        self._least = min(self._least, float(numbers.min()))
        self._most = max(self._most, float(numbers.max()))
        self._sum += float(numbers.sum())
        self._n += numbers.size

    def spread(self) -> Spread:
        """Return what was found."""
        return Spread(self._least, self._sum / self._n, self._most) if self._n else Spread(0, 0, 0)


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
        hashes = np.sort(np.frombuffer(self._hashes, np.uint64)) if self._hashes else np.zeros(0)
        return int((hashes[1:] == hashes[:-1]).sum())


class PictureTally:
    """Looks at images, chunk by chunk; the borders of the first decide an `ink` of None."""

    def __init__(self, ink: Literal["black", "white"] | None) -> None:
        self._ink = ink
        self._sum = np.zeros((0, 0), np.float64)
        self._n = 0
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.share, self.left_px, self.right_px = SpreadTally(), SpreadTally(), SpreadTally()
        self.histogram = np.zeros(INK_BINS, np.int64)
        self.equal = EqualTally()
        self.equal_pairs = EqualTally()  # of image and text

    @property
    def ink(self) -> Literal["black", "white"]:
        """Black on white, or white on black."""
        return self._ink or "black"

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
        return self._sum / (_FULL * max(1, self._n))

    def _add_ink(self, inks: NDArray[np.uint8]) -> None:
        n, height, width = inks.shape
        shown = inks[:, :, : max(1, _HEAT_LIMIT_PX // height)]
        grown = np.maximum(self._sum.shape, shown.shape[1:]) - self._sum.shape
        if grown.any():
            self._sum = np.pad(self._sum, [(0, more) for more in grown.tolist()])
        self._sum[:height, : shown.shape[2]] += shown.sum(axis=0, dtype=np.uint32)
        self._n += n
        totals = inks.reshape(n, -1).sum(axis=1, dtype=np.uint32).astype(np.float64)
        shares = totals / (_FULL * height * width)
        self.share.add(shares)
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
            left = np.where(inked.any(axis=1), inked.argmax(axis=1), width)
            right = np.where(inked.any(axis=1), inked[:, ::-1].argmax(axis=1), width)
        self.left_px.add(left)
        self.right_px.add(right)


def _guess_ink(samples: list[LoadedSample]) -> Literal["black", "white"]:
    borders = [np.concatenate([seen.image[0], seen.image[-1]]) for seen in samples]
    return "black" if np.median(np.concatenate(borders)) >= _HALF else "white"
