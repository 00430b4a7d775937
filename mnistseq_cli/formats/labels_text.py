"""Label files of readers of text: PaddleOCR, EasyOCR, MMOCR and docTR.

A list of images and texts, in one file for each split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mnistseq_cli.formats.records import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Sink


class _Listing:
    """A header, an entry for each sample, a footer."""

    file_name: ClassVar[str]
    header: ClassVar[str] = ""
    separator: ClassVar[str] = ""
    footer: ClassVar[str] = ""

    def entries(self, names: Sequence[str], texts: list[str]) -> Iterator[str]:
        """Write an entry for each sample."""
        raise NotImplementedError

    def write(self, names: Sequence[str], block: Block, sink: Sink) -> None:
        """Keep the entries of a block, each after a separator."""
        entries = self.entries(names, block.texts.tolist())
        kept = "".join([self.separator + entry for entry in entries])
        sink.keep(self._fragment, kept.encode())

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write a file for each split."""
        for split in splits:
            with sink.path(split.folder + self.file_name).open("wb") as file:
                file.write(self.header.encode())
                n_cut = len(self.separator)  # none before the first
                for fragment in split.read(self._fragment):
                    file.write(memoryview(fragment)[n_cut:])
                    n_cut = 0
                file.write(self.footer.encode())

    @property
    def _fragment(self) -> str:
        return type(self).__name__.lower()


class PaddleOcr(_Listing):
    """``rec_gt.txt``: path, tab, text (PaddleOCR, "Text recognition", data preparation)."""

    file_name = "rec_gt.txt"

    def entries(self, names: Sequence[str], texts: list[str]) -> Iterator[str]:
        """Write an entry for each sample."""
        return (f"{name}\t{text}\n" for name, text in zip(names, texts, strict=True))


class EasyOcr(_Listing):
    r"""``easyocr/labels.csv`` with ``filename,words`` (EasyOCR, ``trainer/dataset.py``).

    The trainer looks only into folders without sub-folders, so the file has one of its own and
    its paths begin with ``../``. It splits a line at the first comma: nothing is quoted.
    """

    file_name = "easyocr/labels.csv"
    header = "filename,words\n"

    def entries(self, names: Sequence[str], texts: list[str]) -> Iterator[str]:
        """Write an entry for each sample."""
        return (f"../{name},{text}\n" for name, text in zip(names, texts, strict=True))


class MmOcr(_Listing):
    """``textrecog.json`` (MMOCR 1.x, "Dataset", TextRecogDataset)."""

    file_name = "textrecog.json"
    header = (
        '{"metainfo": {"dataset_type": "TextRecogDataset", "task_name": "textrecog"},\n'
        '"data_list": [\n'
    )
    separator = ",\n"
    footer = "\n]}\n"

    def entries(self, names: Sequence[str], texts: list[str]) -> Iterator[str]:
        """Write an entry for each sample."""
        return (
            f'{{"img_path": {name}, "instances": [{{"text": {text}}}]}}'
            for name, text in zip(quote(names), quote(texts), strict=True)
        )


class DocTr(_Listing):
    """``labels.json``: path to text (docTR, ``doctr.datasets.RecognitionDataset``)."""

    file_name = "labels.json"
    header = "{\n"
    separator = ",\n"
    footer = "\n}\n"

    def entries(self, names: Sequence[str], texts: list[str]) -> Iterator[str]:
        """Write an entry for each sample."""
        return (f"{name}: {text}" for name, text in zip(quote(names), quote(texts), strict=True))
