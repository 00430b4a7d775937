"""How samples lie on disk: the tables of formats and of label styles."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import is_store
from mnistseq_cli.validation import check_choice, check_local

if TYPE_CHECKING:
    from mnistseq_cli.formats.base import Format

FORMATS: dict[str, str] = {
    "folder": "mnistseq_cli.formats.folder:Folder",
    "webdataset": "mnistseq_cli.formats.webdataset:WebDataset",
    "parquet": "mnistseq_cli.formats.parquet:Parquet",
    "lmdb": "mnistseq_cli.formats.lmdb:Lmdb",
    "hdf5": "mnistseq_cli.formats.arrays:Hdf5",
    "npz": "mnistseq_cli.formats.arrays:Npz",
    "npy": "mnistseq_cli.formats.arrays:Npy",
    "idx": "mnistseq_cli.formats.arrays:Idx",
}
PARTED = ("folder", "webdataset", "parquet")  # their samples lie in files of one part each
# The constants in capitals of `formats.labels`.
LABEL_STYLES = (
    *("csv", "jsonl", "coco", "yolo", "paddleocr", "easyocr", "mmocr", "doctr", "voc", "masks"),
)
IMAGE_FORMATS = ("png", "jpg", "bmp", "jp2", "pgm", "tga", "tiff")  # others that work are taken
NAME_TEMPLATE = "images/{shard:05d}/{index:08d}"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where samples go, and in which form."""

    folder: Path  # of the dataset
    to: str = "folder"  # a name of `FORMATS`
    # Names of `LABEL_STYLES`; for formats whose labels lie in files of their own.
    labels: tuple[str, ...] = ("csv", "jsonl")
    image_format: str = "png"  # for formats that hold encoded images
    name: str = NAME_TEMPLATE  # of images without their ending; see `formats.names`
    dataset: str = ""  # whose licence files name, where they have a place for it; "" names none

    def __post_init__(self) -> None:
        if is_store(self.folder):
            if self.to in FORMATS and self.to not in PARTED:
                raise UsageError(
                    f"{self.folder} is in a store, which takes no {self.to}: that is one file, "
                    f"which grows; expected {', '.join(PARTED)}",
                    "Or write it into a folder of this machine, then copy it there",
                )
        else:
            check_local("the output folder", self.folder)
        check_choice("to", self.to, [*FORMATS])
        for style in self.labels:
            check_choice("labels", style, LABEL_STYLES)
        # Masks say no texts.
        labels = ("jsonl", *self.labels) if "masks" in self.labels else self.labels
        object.__setattr__(self, "labels", tuple(dict.fromkeys(labels)))
        open_format(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what the user chose of the files, as plain values."""
        values = asdict(self) | {"labels": list(self.labels)}
        return {key: value for key, value in values.items() if key not in {"folder", "dataset"}}


def open_format(output: Output) -> Format:
    """Make the format of an output."""
    opened: Format = _load(FORMATS[output.to])(output)
    return opened


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
