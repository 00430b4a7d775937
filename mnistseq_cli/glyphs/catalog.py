"""The data sets that are known by name: files, sizes, hashes, mirrors, licences. Data only.

Sizes and SHA-256 of the gzip files are those of tensorflow_datasets (`url_checksums/*.txt`),
those of MNIST and QMNIST also torchvision's (`prototype/datasets/_builtin/mnist.py`). Folders are
named as torchvision names them, so that either program can use the other's files.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
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

    name: str  # of the unpacked file; the gzip file has `.gz` added
    shape: tuple[int, ...]
    size_bytes: int = 0  # of the gzip file; 0 where that is not known
    sha256: str = ""  # of the gzip file, where it is known
    unpacked_sha256: str = ""
    item_bytes: int = 1

    @property
    def gzip_name(self) -> str:
        """Name of the gzip file."""
        return f"{self.name}.gz"

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
    sha256: str = ""  # of the glyphs, where it is not made from the hashes of the gzip files

    @property
    def n_glyphs(self) -> int:
        """Number of glyphs."""
        return self.images.shape[0]


@dataclass(frozen=True)
class Dataset:
    """A data set that is known by name."""

    name: str
    folder: str  # that of torchvision: the files are in `<data dir>/<folder>/raw/`
    train: SplitFiles
    test: SplitFiles
    mirrors: tuple[str, ...]  # folders with the gzip files; drawn or brought without any
    licence: str
    alphabet: str = DIGITS  # the character of each class; of no digits, the class number
    first_label: int = 0  # what labels call the first class
    is_transposed: bool = False  # rows and columns are exchanged in the files
    is_drawn: bool = False  # the built-in pen makes the files
    # Consecutive ones, of which each split holds a multiple; 0 where writers are not known.
    glyphs_per_writer: int = 0

    @property
    def n_glyphs(self) -> int:
        """Number of glyphs in both splits."""
        return self.train.n_glyphs + self.test.n_glyphs

    @property
    def size_bytes(self) -> int:
        """Size of all gzip files: what a download costs."""
        return sum(file.size_bytes for file in self.files())

    def split(self, name: SplitName) -> SplitFiles:
        """Return a split by its name."""
        return self.train if name == "train" else self.test

    def files(self, splits: tuple[SplitName, ...] = SPLITS) -> tuple[DataFile, ...]:
        """Return the files of some splits."""
        chosen = [self.split(name) for name in splits]
        return tuple(file for split in chosen for file in (split.images, split.labels))


_FileFacts = tuple[int, str, str]  # size in bytes and SHA-256 of the gzip file, SHA-256 unpacked
_NOT_KNOWN: _FileFacts = (0, "", "")


def _split(
    prefix: str,
    n_glyphs: int,
    images: _FileFacts = _NOT_KNOWN,
    labels: _FileFacts = _NOT_KNOWN,
    sha256: str = "",
) -> SplitFiles:
    return SplitFiles(
        DataFile(f"{prefix}-images-idx3-ubyte", (n_glyphs, 28, 28), *images),
        DataFile(f"{prefix}-labels-idx1-ubyte", (n_glyphs,), *labels),
        sha256,
    )


def _qmnist_split(prefix: str, images: _FileFacts, labels: _FileFacts) -> SplitFiles:
    """Return a split whose labels are eight numbers each: the class, and where it comes from."""
    return SplitFiles(
        DataFile(f"{prefix}-images-idx3-ubyte", (60_000, 28, 28), *images),
        DataFile(f"{prefix}-labels-idx2-int", (60_000, 8), *labels, item_bytes=4),
    )


MNIST = Dataset(
    name="mnist",
    folder="MNIST",
    train=_split(
        "train",
        60_000,
        (
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    test=_split(
        "t10k",
        10_000,
        (
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    licence="CC BY-SA 3.0",
)

FASHION_MNIST = Dataset(
    name="fashion-mnist",
    folder="FashionMNIST",
    train=_split(
        "train",
        60_000,
        (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", ""),
        (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", ""),
    ),
    test=_split(
        "t10k",
        10_000,
        (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", ""),
        (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", ""),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    licence="MIT",
)

KMNIST = Dataset(
    name="kmnist",
    folder="KMNIST",
    train=_split(
        "train",
        60_000,
        (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", ""),
        (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", ""),
    ),
    test=_split(
        "t10k",
        10_000,
        (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", ""),
        (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", ""),
    ),
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
    licence="CC BY-SA 4.0",
)

QMNIST = Dataset(
    name="qmnist",
    folder="QMNIST",
    train=_qmnist_split(
        "qmnist-train",
        (9_704_059, "9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d", ""),
        (463_024, "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f", ""),
    ),
    test=_qmnist_split(
        "qmnist-test",
        (9_742_279, "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375", ""),
        (526_800, "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06", ""),
    ),
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
    licence="BSD 3-Clause",
)

# The built-in pen; the hash of a split is of all its images, then all its labels.
STROKES = Dataset(
    name="strokes",
    folder="Strokes",
    train=_split(
        "train",
        20_000,
        (0, "", "25a9bc8494557440ca2d89d914463a05e5f18dbc3b5dfe2e0d0fc5bf440fe3f7"),
        (0, "", "a08ec8612f1e9754131045a4b360f271068042c79bc9d0fe801ac8eebdc3b1bc"),
        "97a57db5296a9588e688358c96ed19108d930b953d8094ac519f45fa72697a92",
    ),
    test=_split(
        "t10k",
        4_000,
        (0, "", "9090c97eaf9a8ff6175e69597e6fb510ab5d26460a5dc3a510673923c2050f31"),
        (0, "", "5dbd7686910cb66a8a6303f16940c2fae43896243c187897cd3976aab00f4817"),
        "69735aa99442cb902e67062942b7bfb2b2df4356114f73363ed2cefd3daa67b3",
    ),
    mirrors=(),
    licence="none needed",
    is_drawn=True,
    glyphs_per_writer=20,
)


def _emnist(kind: str, n_train: int, n_test: int) -> Dataset:
    """Return a part of EMNIST: one archive holds all, so that no mirror has files and hashes."""
    name = f"emnist-{kind}"
    alphabet, first_label = EMNIST_CLASSES[name]
    return Dataset(
        name=name,
        folder="EMNIST",
        train=_split(f"{name}-train", n_train),
        test=_split(f"{name}-test", n_test),
        mirrors=(),
        licence="not stated (NIST Special Database 19)",
        alphabet=alphabet,
        first_label=first_label,
        is_transposed=True,
    )


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        MNIST,
        FASHION_MNIST,
        KMNIST,
        QMNIST,
        _emnist("digits", 240_000, 40_000),
        _emnist("letters", 124_800, 20_800),
        _emnist("balanced", 112_800, 18_800),
        STROKES,
    )
}
