"""How samples lie on disk: the formats and label styles, and what each must do.

A new format or label style is one file and one line in its table.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from mnistseq_cli.validation import check_choice, check_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Fragments, LoadedSample, PartWriter, Wanted
    from mnistseq_cli.recipe import Recipe

FORMATS: dict[str, str] = {
    "folder": "mnistseq_cli.formats.folder:Folder",
    "webdataset": "mnistseq_cli.formats.webdataset:WebDataset",
    "parquet": "mnistseq_cli.formats.parquet:Parquet",
    "lmdb": "mnistseq_cli.formats.lmdb:Lmdb",
    "hdf5": "mnistseq_cli.formats.hdf5:Hdf5",
    "npz": "mnistseq_cli.formats.npy:Npz",
    "npy": "mnistseq_cli.formats.npy:Npy",
    "idx": "mnistseq_cli.formats.mnist_idx:Idx",
}
LABEL_STYLES: dict[str, str] = {
    "csv": "mnistseq_cli.formats.labels:Csv",
    "jsonl": "mnistseq_cli.formats.labels:JsonLines",
    "coco": "mnistseq_cli.formats.labels:Coco",
    "yolo": "mnistseq_cli.formats.labels:Yolo",
    "paddleocr": "mnistseq_cli.formats.labels:PaddleOcr",
    "easyocr": "mnistseq_cli.formats.labels:EasyOcr",
    "mmocr": "mnistseq_cli.formats.labels:MmOcr",
    "doctr": "mnistseq_cli.formats.labels:DocTr",
}
IMAGE_FORMATS = ("png", "jpg", "bmp", "jp2", "pgm", "tga", "tiff")  # others that work are taken
# A Path makes s3:/ of s3://; a drive of Windows has one letter.
NAME_TEMPLATE = "images/{shard:05d}/{index:08d}"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where samples go, and in which form.

    Parameters
    ----------
    folder : Path
        The folder of the dataset.
    to : str
        A name of `FORMATS`.
    labels : tuple of str
        Names of `LABEL_STYLES`; for formats whose labels lie in files of their own.
    image_format : str
        Such as "png"; for formats that hold encoded images.
    name : str
        Template of image names without their ending; see `formats.names`.
    """

    folder: Path
    to: str = "folder"
    labels: tuple[str, ...] = ("csv", "jsonl")
    image_format: str = "png"
    name: str = NAME_TEMPLATE

    def __post_init__(self) -> None:
        check_local("the output folder", self.folder)
        check_choice("to", self.to, [*FORMATS])
        for style in self.labels:
            check_choice("labels", style, [*LABEL_STYLES])
        object.__setattr__(self, "labels", tuple(dict.fromkeys(self.labels)))
        open_format(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the files, as plain values: all but the folder."""
        values = asdict(self) | {"labels": list(self.labels)}
        return {key: value for key, value in values.items() if key != "folder"}


class Format(Protocol):
    """One way for samples to lie on disk; made with an `Output`, which it checks."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions whose version decides the bytes, beside NumPy."""
        ...

    def check(self, recipe: Recipe, largest_px: tuple[int, int] | None = None) -> None:
        """Raise an error for a recipe whose samples this format cannot hold, before any is made.

        Parameters
        ----------
        recipe : Recipe
        largest_px : (int, int), optional
            Height and width of the largest image that it can make, where that is known.
        """
        ...

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:
        """Write the samples of a part.

        The bytes are a pure function of the samples: they hold no time, host or path.

        Parameters
        ----------
        number : int
            Of the part, counted from 0 in each split.
        blocks : iterable of Block
        writer : PartWriter
        """
        ...

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files that span parts, from what the parts have kept."""
        ...

    @staticmethod
    def holds(folder: Path) -> bool:
        """Whether samples in this format lie in a folder, not in sub-folders."""
        ...

    def read(self, folder: Path, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read the samples of a dataset back in order, split by split.

        Needs nothing but the files of samples; of the output only the format counts. Images may
        be views of arrays that hold others too. Samples whose names are not wanted are left out,
        and their images are not decoded.
        """
        ...


class LabelStyle(Protocol):
    """One way to write labels beside images."""

    def check(self, template: str) -> None:
        """Raise an error for a template of names that this style cannot hold."""
        ...

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        """Write or keep the labels of a block, whose images have these names."""
        ...

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the files that span parts."""
        ...


def open_format(output: Output) -> Format:
    """Make the format of an output."""
    opened: Format = _load(FORMATS[output.to])(output)
    return opened


def open_label_style(name: str) -> LabelStyle:
    """Make a label style by its name."""
    style: LabelStyle = _load(LABEL_STYLES[name])()
    return style


def find_format(folder: Path) -> str | None:
    """Find the format of the samples that lie in a folder or in its sub-folders, if any."""
    from mnistseq_cli.formats.base import find_splits  # noqa: PLC0415 - completion needs none

    for name, path in FORMATS.items():
        if find_splits(folder, _load(path).holds):
            return name
    return None


def _load(path: str) -> Any:  # noqa: ANN401 - whatever the table names
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
