"""Label files of detectors: COCO and YOLO."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats.entries import keep_entries, write_entries
from mnistseq_cli.formats.records import find_boxes, find_values, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Sink

ID_FACTOR = 1000  # digits of the longest text there can be
_ALPHABET = "alphabet"
_SEPARATOR = ",\n"
_ANNOTATION = (
    '{{"id": {}, "image_id": {}, "category_id": {}, "bbox": [{}, {}, {}, {}], '
    '"area": {}, "iscrowd": 0}}'
)
_SHARES = "{} {:.6f} {:.6f} {:.6f} {:.6f}\n"


class Coco:
    """``instances.json`` of each split (COCO, "Data format", object detection).

    The id of an image is its index, that of a category its class plus 1, as many detectors take
    0 for the background; that of an annotation is 1000 times its image's, plus its place from 1.
    """

    file_name = "instances.json"

    def write(self, names: Sequence[str], block: Block, sink: Sink) -> None:
        """Keep images and annotations of a block."""
        height = block.images.shape[1]
        rows = zip(quote(names), block.widths_px.tolist(), strict=True)
        images = [
            f'{{"id": {index}, "file_name": {name}, "width": {width}, "height": {height}}}'
            for index, (name, width) in enumerate(rows, block.start)
        ]
        keep_entries(images, "coco-images", sink, _SEPARATOR)
        keep_entries(_annotate(block), "coco-annotations", sink, _SEPARATOR)
        _keep_alphabet(block, sink)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write a file for each split."""
        categories = [
            {"id": number + 1, "name": name, "supercategory": "character"}
            for number, name in enumerate(_read_alphabet(splits[0]))
        ]
        for split in splits:
            with sink.path(split.folder + self.file_name).open("wb") as file:
                file.write(b'{"categories": ' + json.dumps(categories).encode())
                for name in ("images", "annotations"):
                    file.write(f',\n"{name}": [\n'.encode())
                    write_entries(split, f"coco-{name}", file, _SEPARATOR)
                    file.write(b"\n]")
                file.write(b"}\n")


class Yolo:
    """``labels/….txt`` beside ``images/…``, and ``data.yaml``, as Ultralytics reads them.

    A line is the class, then x and y of the middle of the box, its width and height, as shares
    of the image's (``verify_image_label`` in ``ultralytics/data/utils.py``, which also leaves out
    images under 10 pixels wide). ``img2label_paths`` puts ``labels`` for the last ``images`` in a
    path, so names of images begin with ``images/`` and have no other. ``check_det_dataset`` takes
    paths in ``data.yaml`` from where that file is.
    """

    def write(self, names: Sequence[str], block: Block, sink: Sink) -> None:
        """Write a file for each image.

        Raises
        ------
        UsageError
            The names of images do not begin with ``images/``, or hold it twice.
        """
        if not names[0].startswith("images/") or "/images/" in names[0]:
            raise UsageError(
                f"an image is called {names[0]!r}, but with the labels yolo names begin with "
                "images/ and have no other",
                "Leave --name out, or begin it with images/",
            )
        for name, lines in zip(names, _write_shares(block), strict=True):
            stem = name.removeprefix("images/").rpartition(".")[0]
            sink.write(f"labels/{stem}.txt", lines.encode())
        _keep_alphabet(block, sink)

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write ``data.yaml``; what is used to validate is val, or else test, or else train."""
        folders = {split.folder.removesuffix("/") or "train": split.folder for split in splits}
        train = folders.get("train", splits[0].folder)
        folders["train"] = train
        folders.setdefault("val", folders.get("test", train))
        lines = [f"{name}: {json.dumps(folder + 'images')}" for name, folder in folders.items()]
        names = enumerate(_read_alphabet(splits[0]))
        lines += ["names:", *(f"  {number}: {json.dumps(name)}" for number, name in names)]
        sink.write("data.yaml", ("\n".join(lines) + "\n").encode())


def _annotate(block: Block) -> list[str]:
    is_digit, _ = find_values(block)
    sample, place = np.nonzero(is_digit)
    image_id = sample + block.start
    x, y, width, height = find_boxes(block).T
    category = block.classes[is_digit].astype(np.int64) + 1
    numbers = np.stack(
        [
            image_id * ID_FACTOR + place + 1,
            image_id,
            category,
            *(x, y, width, height),
            width * height,
        ],
        axis=1,
    )
    return [_ANNOTATION.format(*row) for row in numbers.tolist()]


def _write_shares(block: Block) -> list[str]:
    """Write the lines of each image."""
    is_digit, _ = find_values(block)
    corners, spans = np.split(find_boxes(block), 2, axis=1)
    widths_px = np.repeat(block.widths_px, block.lengths)
    size_px = np.stack([widths_px, np.full_like(widths_px, block.images.shape[1])], axis=1)
    shares = np.concatenate([(corners + spans / 2) / size_px, spans / size_px], axis=1)
    rows = zip(block.classes[is_digit].tolist(), shares.tolist(), strict=True)
    lines = [_SHARES.format(number, *box) for number, box in rows]
    ends = np.cumsum(block.lengths).tolist()
    return ["".join(lines[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _keep_alphabet(block: Block, sink: Sink) -> None:
    sink.keep(_ALPHABET, f"{block.alphabet}\n".encode())


def _read_alphabet(split: Fragments) -> str:
    """Give the character of each class: the first of the lines, which are all the same."""
    return next(split.read(_ALPHABET)).decode().partition("\n")[0]
