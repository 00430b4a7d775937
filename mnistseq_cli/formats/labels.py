"""Label files, one entry or class a style."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mnistseq_cli.compose.samples import Block, Sample
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats.base import Append, Fragments, PartWriter
from mnistseq_cli.formats.fields import MARK, find_known, quote, write_lines
from mnistseq_cli.formats.masks import encode_instances, encode_runs
from mnistseq_cli.pixels import Ints


class LabelStyle(ABC):
    """One way to write labels beside images."""

    needs_masks = False
    names: str = ""  # a pattern that templates of names must match, and what it says
    rule: str = ""

    def check(self, template: str) -> None:
        """Raise an error for names of images by which a reader would be misled."""
        if not re.match(self.names, template):
            raise UsageError(
                f"the name template is {template!r}; with these labels {self.rule}",
                "Leave --name out: the names that it gives by default suit all readers",
            )

    @abstractmethod
    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        """Write or keep the labels of a block, whose images have these names."""

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:  # noqa: B027 - some need none
        """Write the files that span parts."""


@dataclass(frozen=True)
class Listing(LabelStyle):
    """A file for each split: a header, an entry for each sample, a footer."""

    file_name: str
    fragment: str
    entry: str = ""  # with places for name and text
    header: str = ""
    separator: str = ""
    footer: str = ""
    quote: Callable[[Sequence[str]], Iterable[str]] = iter  # names, or texts
    is_inside: bool = False  # whether names leave the folder ``images`` out
    names: str = ""
    rule: str = ""

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        """Keep the entries of a block."""
        names = _name_inside(names) if self.is_inside else names
        rows = zip(self.quote(names), self.quote(block.texts.tolist()), strict=True)
        _keep_entries(map(self.entry.__mod__, rows), self.fragment, writer, self.separator)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write a file for each split."""
        for split in splits:
            name = self.file_name.format(split.name or "default")
            with writer.open(split.folder + name) as append:
                append(self.header.encode())
                _write_entries(split, self.fragment, append, self.separator)
                append(self.footer.encode())


def _keep_entries(
    entries: Iterable[str], fragment: str, writer: PartWriter, separator: str
) -> None:
    """Keep entries, each after a separator."""
    writer.append(fragment, "".join([separator + entry for entry in entries]).encode())


def _write_entries(split: Fragments, fragment: str, append: Append, separator: str) -> None:
    """Write what was kept, without the separator before the first entry."""
    n_cut = len(separator)
    for data in split.read(fragment):
        append(memoryview(data)[n_cut:])
        n_cut = 0


@dataclass(frozen=True)
class _Records(Listing):
    """Lines of JSON: file_name, and `fields.FIELDS`."""

    name_mask: bool = False

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        """Keep the lines of a block."""
        more = {"mask_file_name": _name_masks(names)} if self.name_mask else {}
        writer.append(self.fragment, write_lines(block, file_name=names, **more))


def _name_inside(names: Sequence[str]) -> list[str]:
    """Return names as they are in the folder ``images``, where programs look for images."""
    return [name.removeprefix("images/") for name in names]


def _quote_cells(cells: Sequence[str]) -> Sequence[str]:
    """Quote what could not stand in CSV as it is; see RFC 4180."""
    signs, joined = {*',"\r\n'}, "".join(cells)
    if not any(sign in joined for sign in signs):
        return cells
    doubled = [cell.replace('"', '""') for cell in cells]
    return [cell if signs.isdisjoint(cell) else f'"{cell}"' for cell in doubled]


def _name_masks(names: Sequence[str]) -> list[str]:
    return [f"masks/{name.rpartition('.')[0]}.png" for name in _name_inside(names)]


CSV = Listing("labels.csv", "labels.csv", "%s,%s\n", header="file_name,text\n", quote=_quote_cells)
# As the imagefolder loader of Hugging Face datasets reads it; beside masks it gives `mask`.
JSONL = _Records("metadata.jsonl", "metadata.jsonl")
# `ppocr/data/simple_dataset.py` of PaddleOCR cuts a line at each tab and puts `data_dir` before
# the path: give it the folder of the split.
PADDLEOCR = Listing("rec_gt.txt", "paddleocr", "%s\t%s\n")
# `trainer/dataset.py` of EasyOCR looks only into folders without sub-folders, so the file has one
# of its own and its paths begin with ../. pandas cuts a line at the first comma
# (`sep='^([^,]+),'`): nothing is quoted. It takes a column of digits for numbers, and the trainer
# fails with "numpy.int64 has no attribute lower"
# (https://github.com/JaidedAI/EasyOCR/issues/936). So the first line has words that are none,
# longer than the trainer takes (`batch_max_length` is 34): it leaves that line out, and reads all
# others as text, with their leading zeros.
EASYOCR_BLANK = "-"  # the image of the line that is none
EASYOCR = Listing(
    "easyocr/labels.csv",
    "easyocr",
    "../%s,%s\n",
    header="filename,words\n"
    f"{EASYOCR_BLANK},this line is no image: it keeps pandas from taking digits for numbers\n",
    names="[^,]*$",
    rule="names hold no ','",
)
# For `OCRDataset` of MMOCR 1.x. `load_data_list` in `mmengine/dataset/base_dataset.py` takes
# metainfo and data_list, and puts `data_root` before each path: give it the folder of the split.
MMOCR = Listing(
    "textrecog.json",
    "mmocr",
    '{"img_path": %s, "instances": [{"text": %s}]}',
    header='{"metainfo": {"dataset_type": "TextRecogDataset", "task_name": "textrecog"},\n'
    '"data_list": [\n',
    separator=",\n",
    footer="\n]}\n",
    quote=quote,
)
# `doctr/datasets/recognition.py` of docTR puts `img_folder` before each path, and its
# `references/recognition/train_pytorch.py` gives it `images` beside the file: paths leave images/
# out.
DOCTR = Listing(
    "labels.json",
    "doctr",
    "%s: %s",
    header="{\n",
    separator=",\n",
    footer="\n}\n",
    quote=quote,
    is_inside=True,
)


ID_FACTOR = 1000  # digits of the longest text there can be
_ALPHABET = "alphabet"
_SEPARATOR = ",\n"
_ANNOTATION = (
    '{{"id": {}, "image_id": {}, "category_id": {}, "bbox": [{}, {}, {}, {}], '
    '"segmentation": {{"size": [{}, {}], "counts": {}}}, "area": {}, "iscrowd": 0{}}}'
)
_SHARES = "{} {:.9f} {:.9f} {:.9f} {:.9f}\n"
_NANO = 10**9  # as many decimals


@dataclass(frozen=True)
class _Coco(LabelStyle):
    """``annotations/instances_default.json``, or ``instances_train.json`` of the split train.

    COCO, "Data format", object detection, laid out as Datumaro and CVAT look for it: names of
    images leave ``images/`` out. The id of an image is its index, that of a category its class
    plus 1, as many detectors take 0 for the background; that of an annotation is 1000 times its
    image's, plus its place from 1. Characters that are not read have the last category, `MARK`.
    ``segmentation`` is the ink as compressed run lengths.
    """

    needs_masks = True
    licence: Mapping[str, str] = field(default_factory=dict)  # see `Licence.to_dict`

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        height = block.images.shape[1]
        rows = zip(quote(_name_inside(names)), block.widths_px.tolist(), strict=True)
        images = [
            f'{{"id": {index}, "file_name": {name}, "width": {width}, "height": {height}}}'
            for index, (name, width) in enumerate(rows, block.start)
        ]
        _keep_entries(images, "coco-images", writer, _SEPARATOR)
        _keep_entries(_annotate(block), "coco-annotations", writer, _SEPARATOR)
        _keep_alphabet(block, writer)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        head: dict[str, Any] = {}
        if licence := self.licence:
            about = f"Handwritten numbers, made from {licence['attribution']}"
            one = {"id": 1, "name": licence["license"], "url": licence["license_url"]}
            head = {"info": {"description": about}, "licenses": [one]}
        head["categories"] = [
            {"id": number, "name": name, "supercategory": "character"}
            for number, name in enumerate(_read_classes(splits[0]), 1)
        ]
        for split in splits:
            name = f"annotations/instances_{split.name or 'default'}.json"
            with writer.open(split.folder + name) as append:
                lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
                append(f"{{{_SEPARATOR.join(lines)}".encode())
                for key in ("images", "annotations"):
                    append(f',\n"{key}": [\n'.encode())
                    _write_entries(split, f"coco-{key}", append, _SEPARATOR)
                    append(b"\n]")
                append(b"}\n")


class _Yolo(LabelStyle):
    """``labels/….txt`` beside ``images/…``, and ``data.yaml``, as Ultralytics reads them.

    A line is the class, then x and y of the middle of the box, its width and height, as shares
    of the image's (``verify_image_label`` in ``ultralytics/data/utils.py``, which also leaves out
    images under 10 pixels wide). ``img2label_paths`` puts ``labels`` for the last ``images`` in a
    path, so names of images begin with ``images/`` and have no other. ``check_det_dataset`` takes
    paths in ``data.yaml`` from where that file is.
    """

    names = "images/(?!.*/images/)(?!images/)"
    rule = "names begin with images/ and have no other"

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        own = [f"labels/{name.rpartition('.')[0]}.txt" for name in _name_inside(names)]
        writer.write(own, [lines.encode() for lines in _write_shares(block)])
        _keep_alphabet(block, writer)

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write ``data.yaml``; what is used to validate is val, or else test, or nothing."""
        folders = {split.name or "train": split.folder for split in splits}
        folders.setdefault("train", splits[0].folder)
        if "test" in folders:
            folders.setdefault("val", folders["test"])
        lines = [f"{name}: {json.dumps(folder + 'images')}" for name, folder in folders.items()]
        if "val" not in folders:  # the same images would measure what they have taught
            lines.append("# val: none here; --splits train=80 val=20 makes it")
        names = enumerate(_read_classes(splits[0]))
        lines += ["names:", *(f"  {number}: {json.dumps(name)}" for number, name in names)]
        writer.write(["data.yaml"], [("\n".join(lines) + "\n").encode()])


class _Masks(LabelStyle):
    """``masks/….png`` beside ``images/…``: the number of the character that each pixel belongs to.

    See `masks.number_instances`. Images hold no texts: metadata.jsonl is written, too.
    """

    needs_masks = True
    names = "(?!masks/)"
    rule = "no image lies in masks"

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        writer.write(_name_masks(names), encode_instances(block))


class _Voc(Listing):
    """``Annotations/….xml`` beside ``images/…``, and lists of names in ``ImageSets/Main``.

    "The PASCAL Visual Object Classes Challenge 2012 Development Kit": corners are pixels that
    belong to the box, and count from 1.
    """

    def write(self, names: Sequence[str], block: Block, writer: PartWriter) -> None:
        stems = [name.rpartition(".")[0] for name in _name_inside(names)]
        _keep_entries([f"{stem}\n" for stem in stems], self.fragment, writer, self.separator)
        pages = [_write_annotation(*pair).encode() for pair in zip(names, block, strict=True)]
        writer.write([f"Annotations/{stem}.xml" for stem in stems], pages)


def _write_annotation(name: str, sample: Sample) -> str:
    from html import escape  # noqa: PLC0415 - its tables are large

    height, width = sample.image.shape
    folder, _, file_name = name.rpartition("/")
    named = zip(sample.text, sample.boxes.tolist(), strict=True)
    objects = [
        f"<object><name>{escape(character)}</name><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>\n"
        for character, (x, y, w, h) in [*named, *((MARK, mark.box) for mark in sample.marks)]
    ]
    return (
        f"<annotation>\n<folder>{escape(folder)}</folder>\n"
        f"<filename>{escape(file_name)}</filename>\n"
        f"<size><width>{width}</width><height>{height}</height><depth>1</depth></size>\n"
        f"<segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    )


def _list_boxes(block: Block) -> tuple[Ints, Ints, Ints]:
    """Return the sample of each box, its class and itself, sample by sample, marks at the end."""
    known, rows = find_known(block), np.arange(len(block))
    samples = [np.repeat(rows, block.lengths)]
    classes = [known["objects.category"].flat.astype(np.int64)]
    boxes = [known["objects.bbox"].flat]
    if block.marks:
        samples.append(np.repeat(rows, block.marks.lengths))
        classes.append(np.full_like(samples[1], len(block.alphabet)))
        boxes.append(block.marks.boxes)
    sample = np.concatenate(samples)
    order = np.argsort(sample, kind="stable")
    return sample[order], np.concatenate(classes)[order], np.concatenate(boxes)[order]


def _annotate(block: Block) -> list[str]:
    sample, number, boxes = _list_boxes(block)
    place = np.arange(len(sample)) - np.searchsorted(sample, sample)
    image_id = sample + block.start
    runs, areas_px = encode_runs(block)
    columns = [
        *(image_id * ID_FACTOR + place + 1, image_id, number + 1),
        *boxes.T,
        np.full_like(sample, block.images.shape[1]),
        block.widths_px[sample],
    ]
    more = np.full(len(sample), "", object)
    if block.writers is not None:  # where CVAT keeps what else is known
        names = quote(find_known(block)["writers"].flat.tolist())
        attributes = [f', "attributes": {{"writer": {name}}}' for name in names]
        more[number < len(block.alphabet)] = attributes
    rows = zip(*(column.tolist() for column in columns), quote(runs), areas_px, more, strict=True)
    return [_ANNOTATION.format(*row) for row in rows]


def _write_shares(block: Block) -> list[str]:
    """Return the lines of each image, with edges rounded inwards to nine decimals."""
    # Readers such as Albumentations refuse boxes that leave the picture by rounding.
    sample, number, boxes = _list_boxes(block)
    corners, spans = np.split(boxes, 2, axis=1)
    widths_px = block.widths_px[sample]
    size_px = np.stack([widths_px, np.full_like(widths_px, block.images.shape[1])], axis=1)
    starts = -(-corners * _NANO // size_px)
    ends = (corners + spans) * _NANO // size_px
    ends -= (ends - starts) % 2
    shares = np.concatenate([(starts + ends) // 2, ends - starts], axis=1) / _NANO
    rows = zip(number.tolist(), shares.tolist(), strict=True)
    lines = [_SHARES.format(one, *box) for one, box in rows]
    stops = np.searchsorted(sample, np.arange(1, len(block) + 1)).tolist()
    return ["".join(lines[start:stop]) for start, stop in zip([0, *stops], stops, strict=False)]


def _keep_alphabet(block: Block, writer: PartWriter) -> None:
    more = f"\t{MARK}" if block.marks else ""
    writer.append(_ALPHABET, f"{block.alphabet}{more}\n".encode())


def _read_classes(split: Fragments) -> list[str]:
    """Return the name of each class: from the first of the lines, which are all the same."""
    alphabet, _, more = next(split.read(_ALPHABET)).decode().partition("\n")[0].partition("\t")
    return [*alphabet, more] if more else [*alphabet]


COCO, YOLO, MASKS = _Coco(), _Yolo(), _Masks()
VOC = _Voc("ImageSets/Main/{}.txt", "voc")
