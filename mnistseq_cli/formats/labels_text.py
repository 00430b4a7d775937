"""Label files of readers of text: PaddleOCR, EasyOCR, MMOCR and docTR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnistseq_cli.formats.entries import Entries
from mnistseq_cli.formats.records import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnistseq_cli.compose.samples import Block

EASYOCR_BLANK = "-"  # the image of the line that is none


class PaddleOcr(Entries):
    """``rec_gt.txt``: path, tab, text.

    ``ppocr/data/simple_dataset.py`` of PaddleOCR cuts a line at each tab and puts `data_dir`
    before the path: give it the folder of the split.
    """

    file_name = "rec_gt.txt"
    fragment = "paddleocr"

    def entries(self, names: Sequence[str], block: Block) -> Iterator[str]:
        """Write a line for each sample."""
        return (f"{name}\t{text}\n" for name, text in _pair(names, block))


class EasyOcr(Entries):
    """``easyocr/labels.csv`` with ``filename,words``.

    ``trainer/dataset.py`` of EasyOCR looks only into folders without sub-folders, so the file has
    one of its own and its paths begin with ``../``. pandas cuts a line at the first comma
    (``sep='^([^,]+),'``): nothing is quoted. It takes a column of digits for numbers, and the
    trainer fails with "numpy.int64 has no attribute lower"
    (https://github.com/JaidedAI/EasyOCR/issues/936). So the first line has words that are none,
    longer than the trainer takes (`batch_max_length` is 34): it leaves that line out, and reads
    all others as text, with their leading zeros.
    """

    file_name = "easyocr/labels.csv"
    fragment = "easyocr"
    header = (
        "filename,words\n"
        f"{EASYOCR_BLANK},this line is no image: it keeps pandas from taking digits for numbers\n"
    )

    def entries(self, names: Sequence[str], block: Block) -> Iterator[str]:
        """Write a line for each sample."""
        return (f"../{name},{text}\n" for name, text in _pair(names, block))


class MmOcr(Entries):
    """``textrecog.json`` for `OCRDataset` of MMOCR 1.x.

    ``load_data_list`` in ``mmengine/dataset/base_dataset.py`` takes ``metainfo`` and
    ``data_list``, and puts `data_root` before each path: give it the folder of the split.
    """

    file_name = "textrecog.json"
    fragment = "mmocr"
    header = (
        '{"metainfo": {"dataset_type": "TextRecogDataset", "task_name": "textrecog"},\n'
        '"data_list": [\n'
    )
    separator = ",\n"
    footer = "\n]}\n"

    def entries(self, names: Sequence[str], block: Block) -> Iterator[str]:
        """Write an entry for each sample."""
        return (
            f'{{"img_path": {name}, "instances": [{{"text": {text}}}]}}'
            for name, text in _pair_quoted(names, block)
        )


class DocTr(Entries):
    """``labels.json``: path to text.

    ``doctr/datasets/recognition.py`` of docTR puts `img_folder` before each path: give it the
    folder of the split.
    """

    file_name = "labels.json"
    fragment = "doctr"
    header = "{\n"
    separator = ",\n"
    footer = "\n}\n"

    def entries(self, names: Sequence[str], block: Block) -> Iterator[str]:
        """Write an entry for each sample."""
        return (f"{name}: {text}" for name, text in _pair_quoted(names, block))


def _pair(names: Sequence[str], block: Block) -> Iterator[tuple[str, str]]:
    return zip(names, block.texts.tolist(), strict=True)


def _pair_quoted(names: Sequence[str], block: Block) -> Iterator[tuple[str, str]]:
    return zip(quote(names), quote(block.texts.tolist()), strict=True)
