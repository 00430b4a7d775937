"""What all formats share: what each must do, where parts go, what is read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.card import Licence
from mnistseq_cli.formats.images import check_size, open_encoder
from mnistseq_cli.pixels import Instances, Ints, Pixels
from mnistseq_cli.recipe import Recipe

Buffer: TypeAlias = "bytes | memoryview"
Append: TypeAlias = "Callable[[Buffer], object]"
Wanted: TypeAlias = "Callable[[str], bool]"  # of the name of a sample


class PartWriter(Protocol):
    """Takes the files of one part, or those that span all parts.

    Names are relative to the dataset (while parts are written, to the folder of their split),
    with ``/`` on every system.
    """

    def write(self, names: Sequence[str], contents: Sequence[bytes]) -> None:
        """Write whole files."""

    def path(self, name: str) -> Path:
        """Return a path to write a file at, for what is large or written by a library."""

    def open(self, name: str) -> AbstractContextManager[Append]:
        """Open a file that is written from its start to its end; what is given appends to it."""

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to this part's fragment of a file that spans parts; see `Format.join`."""


@dataclass(frozen=True)
class Fragments:
    """What the parts of one split have written of the files that span parts."""

    folder: str  # of the split, with a / at its end; "" where there are no splits
    root: Path  # holds a folder of fragments for each part
    parts: Sequence[str]  # names of these folders, in the order of parts
    n_samples: int  # of them all
    wait: Callable[[str], None] = lambda _: None  # returns when a part is there

    @property
    def name(self) -> str:
        """What the split is called; "" where there are none."""
        return self.folder.removesuffix("/")

    def has(self, name: str) -> bool:
        """Whether there are fragments of a name."""
        self.wait(self.parts[0])
        return (self.root / self.parts[0] / name).exists()

    def size_bytes(self, name: str) -> int:
        """Return how large the fragments of a name are together."""
        for part in self.parts:
            self.wait(part)
        return sum((self.root / part / name).stat().st_size for part in self.parts)

    def read(self, name: str, most_bytes: int = -1) -> Iterator[bytes]:
        """Read the fragments of a name, each as a whole or in pieces of so many bytes."""
        for part in self.parts:
            self.wait(part)
            with (self.root / part / name).open("rb") as file:
                yield file.read(most_bytes)
                while data := file.read(most_bytes):
                    yield data


FIRST_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test")


@dataclass  # not frozen, nor is `LabelRow`: that takes four times as long, of each image
class LoadedSample:
    """A sample as a dataset holds it; what its container does not hold is None."""

    # What its label file or container calls it; in arrays and LMDB its number or key, after the
    # split and a / where there are splits. Arrays count from 0 in each split.
    name: str
    split: str  # "" where there are none
    image: Pixels  # (height, width), as stored: black on white, or white on black
    text: str
    boxes: Ints | None = None  # (digits, 4), of ink: x, y, width, height in pixels
    gaps: Ints | None = None  # pixels, (digits - 1,); with edges (digits + 1,)
    glyphs: Ints | None = None  # ids, (digits,)
    written: str | None = None  # what stands on the paper, where characters are left unlabelled
    mark_boxes: Ints | None = None  # (marks, 4), of what is written and not read
    writers: tuple[str, ...] | None = None  # who wrote each digit
    # (height, width): which character a pixel belongs to, from 1, the text's first; 0 is paper.
    mask: Instances | None = None


def find_splits(folder: Path, holds: Callable[[Path], bool]) -> list[tuple[str, Path]]:
    """Find names and folders of splits: [("", folder)] where samples lie in the folder itself."""
    with naming_damage(folder):
        if holds(folder):
            return [("", folder)]
        inside = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        found = {path.name: path for path in inside if holds(path)}
    return [(name, found[name]) for name in sorted(found, key=rank_split)]


def rank_split(name: str) -> tuple[int, str]:
    """Return a key that sorts splits: train, val and test first, others by their names."""
    return (FIRST_SPLITS.index(name) if name in FIRST_SPLITS else len(FIRST_SPLITS), name)


def list_files(folder: Path, mark: str) -> list[Path]:
    """List the files of a folder that a pattern names, in the order of their names."""
    return sorted(path for path in folder.glob(mark) if path.is_file())


def want_all(_: str) -> bool:
    """Return True: all samples are wanted."""
    return True


class ChosenPlaces:
    """Whether samples are wanted, by their places in what is read, which ascend."""

    def __init__(self, places: Iterable[int]) -> None:
        self.n_seen = 0
        self._places = iter(places)
        self._next = next(self._places, None)

    def __call__(self, _: str) -> bool:
        """Whether the next sample is."""
        is_chosen = self.n_seen == self._next
        self.n_seen += 1
        if is_chosen:
            self._next = next(self._places, None)
        return is_chosen

    def pass_over(self, n_samples: int) -> bool:
        """Whether none of the next samples is; then they count as seen."""
        is_free = self._next is None or self.n_seen + n_samples <= self._next
        self.n_seen += n_samples * is_free
        return is_free


class Format(ABC):
    """One way for samples to lie on disk; made with an `Output`, which it checks."""

    marks: ClassVar[tuple[str, ...]] = ()  # patterns of files, one of which a folder has
    # Distributions whose version decides the bytes, beside NumPy.
    libraries: tuple[str, ...] = ()
    needs_masks: bool = False  # whether blocks must have `inks`

    def __init__(self, output: Output) -> None:
        self._licence = Licence.of(output.dataset).to_dict() if output.dataset else {}

    @abstractmethod
    def check(self, recipe: Recipe, largest_px: tuple[int, int] | None = None) -> None:
        """Raise an error for a recipe whose samples this format cannot hold, before any is made.

        `largest_px` is height and width of the largest image that it can make, where known.
        """

    @abstractmethod
    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:
        """Write the samples of a part, whose number counts from 0 in each split.

        The bytes are a pure function of the samples: they hold no time, host or path.
        """

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:  # noqa: B027 - most need none
        """Write the files that span parts, from what the parts have kept.

        It is called in a thread while parts are still made: what it reads waits for them.
        """

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether samples in this format lie in a folder, not in sub-folders."""
        return any(list_files(folder, mark) for mark in cls.marks)

    def read(self, folder: Path, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read the samples of a dataset back in order, split by split.

        Needs nothing but the files of samples; of the output only the format counts. Images may
        be views of arrays that hold others too. Samples whose names are not wanted are left out,
        and their images are not decoded.
        """
        for split, path in find_splits(folder, self.holds):
            yield from self.read_split(split, path, wanted or want_all)

    @abstractmethod
    def read_split(self, split: str, folder: Path, wanted: Wanted) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""


class Encoded(Format):
    """A container of encoded images; see `Format`."""

    needs: ClassVar[tuple[str, ...]] = ()  # libraries of an extra

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._ending = output.image_format
        self._encode = open_encoder(output.image_format)
        self.libraries = (*self.needs, "zlib-ng" if output.image_format == "png" else "pillow")

    def check(self, recipe: Recipe, largest_px: tuple[int, int] | None = None) -> None:
        """Raise an error for images that are larger than the image format can hold."""
        del recipe
        if largest_px:
            check_size(*largest_px, self._ending)
