"""The data sets that are known by name; ``datasets.json`` has their files, mirrors and licences.

Folders are named as torchvision names them, so that either program can use the other's files.
Sizes and SHA-256 of packed files are those of tensorflow_datasets (``url_checksums/*.txt``), those
of MNIST and QMNIST also those of torchvision. EMNIST comes as one archive, so that no mirror has
its files and no source their hashes. NIST are all digits of its Special Database 19, as QMNIST has
them: one pair of files, where to test with are the writers of QMNIST's 60,000 test digits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from mnistseq_cli.errors import GlyphError

# Is told the name of a file, how many of its bytes have come, and how many there are.
Progress = Callable[[str, int, int], None]
Warn = Callable[[GlyphError], None]  # is given an error that did not matter
SplitName = Literal["train", "test"]
SplitNames = tuple[SplitName, ...]
SPLITS: SplitNames = ("train", "test")
DIGITS = "0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Classes of EMNIST's files, and what labels call the first (Cohen et al., "EMNIST: an extension
# of MNIST to handwritten letters", 2017; emnist-*-mapping.txt). Letters that look alike as
# capitals and small are one class, here the capital.
_MERGED = DIGITS + _CAPITALS + "abdefghnqrt"
EMNIST_CLASSES = {
    "emnist-digits": (DIGITS, 0),
    "emnist-mnist": (DIGITS, 0),
    "emnist-letters": (_CAPITALS, 1),
    "emnist-balanced": (_MERGED, 0),
    "emnist-bymerge": (_MERGED, 0),
    "emnist-byclass": (DIGITS + _CAPITALS + _CAPITALS.lower(), 0),
}


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try."""

    timeout_s: float = 20  # for a connection, and between two blocks
    deadline_s: float = 1200  # for all files, from all mirrors
    rounds: int = 4  # how many times to go round the mirrors


PATIENT = Patience()
HASTY = Patience(timeout_s=4, deadline_s=60, rounds=1)


@dataclass(frozen=True)
class DataFile:
    """One IDX file of a data set."""

    name: str  # of the unpacked file
    shape: tuple[int, ...]
    size_bytes: int = 0  # of the packed file; 0 where that is not known
    sha256: str = ""  # of the packed file, where it is known
    unpacked_sha256: str = ""
    item_bytes: int = 1
    packing: str = ".gz"  # or ".xz"

    @property
    def packed_name(self) -> str:
        """Name of the packed file."""
        return f"{self.name}{self.packing}"

    @property
    def is_known(self) -> bool:
        """Whether the bytes of the file are known: there is a hash to compare with."""
        return bool(self.sha256 or self.unpacked_sha256)

    @property
    def unpacked_size_bytes(self) -> int:
        """Size of the unpacked file: four bytes, four for each axis, the items."""
        return 4 + 4 * len(self.shape) + self.item_bytes * prod(self.shape)


@dataclass(frozen=True)
class SplitFiles:
    """The two files of a split."""

    images: DataFile
    labels: DataFile
    sha256: str = ""  # of the glyphs, where it is known

    @property
    def n_glyphs(self) -> int:
        """Number of glyphs."""
        return self.images.shape[0]


@dataclass(frozen=True)
class Dataset:
    """A data set that is known by name."""

    name: str
    folder: str  # the files are in `<data dir>/<folder>/raw/`
    train: SplitFiles
    test: SplitFiles
    mirrors: tuple[str, ...]  # folders with the packed files; drawn or brought without any
    licence: str
    alphabet: str = DIGITS  # the character of each class; of no digits, the class number
    first_label: int = 0  # what labels call the first class
    is_transposed: bool = False  # rows and columns are exchanged in the files
    is_drawn: bool = False  # the built-in pen makes the files
    # Consecutive ones, of which each split holds a multiple; 0 where writers are not known.
    glyphs_per_writer: int = 0
    # The data set whose labels are rows that name the writer of each glyph, in the same order.
    writers_from: str = ""
    test_writers: tuple[range, ...] = ()  # where one pair of files holds both splits

    @property
    def n_glyphs(self) -> int:
        """Number of glyphs in both splits."""
        return sum(file.shape[0] for file in self.files() if len(file.shape) == 3)  # noqa: PLR2004

    def split(self, name: SplitName) -> SplitFiles:
        """Return a split by its name."""
        return self.train if name == "train" else self.test

    def files(
        self, splits: SplitNames = SPLITS, *, only_labels: bool = False
    ) -> tuple[DataFile, ...]:
        """Return the files of some splits, each once."""
        files = []
        for split in map(self.split, splits):
            files += [split.labels] if only_labels else [split.images, split.labels]
        return tuple(dict.fromkeys(files))


def _read_dataset(name: str, entry: dict[str, Any]) -> Dataset:
    train, test = _read_split(**entry.pop("train")), entry.pop("test", None)
    alphabet, first_label = EMNIST_CLASSES.get(name, (DIGITS, 0))
    return Dataset(
        name=name,
        train=train,
        test=_read_split(**test) if test else train,
        alphabet=alphabet,
        first_label=first_label,
        test_writers=tuple(range(*ends) for ends in entry.pop("test_writers", ())),
        mirrors=tuple(entry.pop("mirrors")),
        **entry,
    )


def _read_split(images: dict[str, Any], labels: dict[str, Any], sha256: str = "") -> SplitFiles:
    for file in (images, labels):
        file["shape"] = tuple(file["shape"])
    if "sha256" in images:  # of the packed files
        sha256 = hashlib.sha256(f"{images['sha256']}{labels['sha256']}".encode()).hexdigest()
    return SplitFiles(DataFile(**images), DataFile(**labels), sha256)


DATASETS: dict[str, Dataset] = {
    name: _read_dataset(name, entry)
    for name, entry in json.loads(
        Path(__file__).with_name("datasets.json").read_text("utf-8")
    ).items()
}
MNIST, STROKES = DATASETS["mnist"], DATASETS["strokes"]
