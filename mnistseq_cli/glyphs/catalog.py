"""The data sets that are known by name: files, mirrors, licences; `checksums.txt` has the hashes.

Folders are named as torchvision names them, so that either program can use the other's files.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Literal

SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")
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
    sha256: str = ""  # of the glyphs, where it is not made from the hashes of the packed files

    @property
    def n_glyphs(self) -> int:
        """Number of glyphs."""
        return self.images.shape[0]

    @property
    def known_sha256(self) -> str:
        """Hash of the glyphs; "" where those of the files are not known."""
        both = f"{self.images.sha256}{self.labels.sha256}".encode()
        return self.sha256 or (sha256(both).hexdigest() if self.images.is_known else "")


@dataclass(frozen=True)
class Dataset:
    """A data set that is known by name."""

    name: str
    folder: str  # that of torchvision: the files are in `<data dir>/<folder>/raw/`
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
        self, splits: tuple[SplitName, ...] = SPLITS, *, only_labels: bool = False
    ) -> tuple[DataFile, ...]:
        """Return the files of some splits, each once."""
        files = []
        for split in map(self.split, splits):
            files += [split.labels] if only_labels else [split.images, split.labels]
        return tuple(dict.fromkeys(files))


# Size and SHA-256 of each packed file, and SHA-256 of it unpacked, by where that lies.
_CHECKSUMS = {
    place.removesuffix(".gz").removesuffix(".xz"): (int(size_bytes), packed, unpacked)
    for place, size_bytes, packed, unpacked in (
        line.replace(" -", " ").split(" ")
        for line in Path(__file__).with_name("checksums.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    )
}


def _split(
    place: str, n_glyphs: int, sha256: str = "", *, has_rows: bool = False, packing: str = ".gz"
) -> SplitFiles:
    """Return the two files of a split; `place` is their folder and what their names begin with.

    Labels may be rows of eight numbers: the class, where the glyph comes from, its writer.
    """

    def file(kind: str, *shape: int, item_bytes: int = 1) -> DataFile:
        known = _CHECKSUMS.get(f"{place}-{kind}", (0, "", ""))
        name = Path(f"{place}-{kind}").name
        return DataFile(name, (n_glyphs, *shape), *known, item_bytes, packing)

    labels = file("labels-idx2-int", 8, item_bytes=4) if has_rows else file("labels-idx1-ubyte")
    return SplitFiles(file("images-idx3-ubyte", 28, 28), labels, sha256)


def _mnist_like(
    name: str, folder: str, mirrors: tuple[str, ...], licence: str, writers_from: str = ""
) -> Dataset:
    """Return a data set of as many glyphs as MNIST, in files that are called as MNIST's."""
    train, test = _split(f"{folder}/train", 60_000), _split(f"{folder}/t10k", 10_000)
    return Dataset(name, folder, train, test, mirrors, licence, writers_from=writers_from)


MNIST = _mnist_like(
    "mnist",
    "MNIST",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "CC BY-SA 3.0",
    writers_from="qmnist",
)
FASHION_MNIST = _mnist_like(
    "fashion-mnist",
    "FashionMNIST",
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    "MIT",
)
KMNIST = _mnist_like(
    "kmnist",
    "KMNIST",
    (
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
    "CC BY-SA 4.0",
)
QMNIST = Dataset(
    "qmnist",
    "QMNIST",
    _split("QMNIST/qmnist-train", 60_000, has_rows=True),
    _split("QMNIST/qmnist-test", 60_000, has_rows=True),
    ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
    "BSD 3-Clause",
    writers_from="qmnist",
)
# All digits of NIST Special Database 19, as QMNIST has them: one pair of files for both splits.
# To test with are those of the writers of QMNIST's 60,000 test digits.
NIST = Dataset(
    "nist",
    "QMNIST",
    _split("QMNIST/xnist", 402_953, has_rows=True, packing=".xz"),
    _split("QMNIST/xnist", 402_953, has_rows=True, packing=".xz"),
    QMNIST.mirrors,
    "BSD 3-Clause",
    writers_from="nist",
    test_writers=(range(326, 611), range(2350, 2600)),
)
# The built-in pen; the hash of a split is of all its images, then all its labels.
STROKES = Dataset(
    "strokes",
    "Strokes2",  # the pen of 0.1 left its files in "Strokes"
    _split(
        "Strokes2/train",
        20_000,
        "55e6b57d98c141dbd7c3058e00554f0a42a8043edfa2a7c12b24240a5bf2c503",
    ),
    _split(
        "Strokes2/t10k",
        4_000,
        "93832c27f256854d518fab7d4c24754d73625ecb2fafe72f4d5172b0d3b19df6",
    ),
    (),
    "none needed",
    is_drawn=True,
    glyphs_per_writer=20,
)


def _emnist(kind: str, n_train: int, n_test: int) -> Dataset:
    """Return a part of EMNIST: one archive holds all, so that no mirror has files and hashes."""
    name = f"emnist-{kind}"
    alphabet, first_label = EMNIST_CLASSES[name]
    return Dataset(
        name,
        "EMNIST",
        _split(f"EMNIST/{name}-train", n_train),
        _split(f"EMNIST/{name}-test", n_test),
        (),
        "not stated (NIST Special Database 19)",
        alphabet=alphabet,
        first_label=first_label,
        is_transposed=True,
    )


_EMNIST = (
    _emnist("digits", 240_000, 40_000),
    _emnist("letters", 124_800, 20_800),
    _emnist("balanced", 112_800, 18_800),
)
DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (MNIST, FASHION_MNIST, KMNIST, QMNIST, NIST, *_EMNIST, STROKES)
}
