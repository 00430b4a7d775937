"""Parquet files that Hugging Face ``datasets`` decodes; the extra ``parquet``.

The features in the metadata of the schema, and images as a struct of bytes and path, are as
``datasets`` writes them (``datasets/features``, ``datasets/arrow_writer.py``).
"""

from __future__ import annotations

import json
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.base import import_extra, list_files
from mnistseq_cli.formats.images import Encoded, decode_grey
from mnistseq_cli.formats.read_labels import TEXT_KEYS, row_from_record
from mnistseq_cli.formats.sample_json import find_boxes, find_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Output
    from mnistseq_cli.formats.base import LoadedSample, PartWriter, Wanted

_ROWS_TOGETHER = 256  # when read
_BATCH_LIMIT_BYTES = 2**28
_VALUE_LIMIT_BYTES = 2**28  # an image of 2^26 pixels that is not packed
_BLOCKS_TOGETHER = 8  # in a row group: one is read as a whole
_NUMBER = {"dtype": "int64", "_type": "Value"}
_NUMBERS = {"feature": _NUMBER, "_type": "Sequence"}
_BOX = {"feature": _NUMBER, "length": 4, "_type": "Sequence"}
_FEATURES = {
    "image": {"_type": "Image"},
    "text": {"dtype": "string", "_type": "Value"},
    "objects": {"bbox": {"feature": _BOX, "_type": "Sequence"}, "category": _NUMBERS},
    "glyphs": _NUMBERS,
    "gaps": _NUMBERS,
}


class Parquet(Encoded):
    """``part-00000.parquet`` and so on, with `image`, `text`, `objects`, `glyphs` and `gaps`."""

    marks = ("*.parquet",)
    needs = ("pyarrow",)

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._arrow = import_extra("pyarrow", "parquet")
        self._parquet = import_extra("pyarrow.parquet", "parquet")
        self._schema = self._make_schema()

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:
        """Write the file of a part."""
        path = writer.path(f"part-{number:05d}.parquet")
        rest = iter(blocks)
        # A file of our own is closed even where its last bytes find the disk full.
        with (
            self._arrow.OSFile(str(path), "wb") as file,
            self._parquet.ParquetWriter(
                file, self._schema, use_dictionary=False, write_statistics=False
            ) as parquet,
        ):
            while together := [self._to_batch(block) for block in islice(rest, _BLOCKS_TOGETHER)]:
                parquet.write_table(self._arrow.Table.from_batches(together))

    def _make_schema(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        arrow = self._arrow
        numbers = arrow.list_(arrow.int64())
        boxes = arrow.list_(arrow.list_(arrow.int64(), 4))
        fields = {
            "image": arrow.struct({"bytes": arrow.binary(), "path": arrow.string()}),
            "text": arrow.string(),
            "objects": arrow.struct({"bbox": boxes, "category": numbers}),
            "glyphs": numbers,
            "gaps": numbers,
        }
        info = json.dumps({"info": {"features": _FEATURES}})
        return arrow.schema(fields, metadata={"huggingface": info})

    def _to_batch(self, block: Block) -> Any:  # noqa: ANN401 - as above
        arrow = self._arrow
        is_digit, is_gap = find_values(block)
        boxes = arrow.FixedSizeListArray.from_arrays(find_boxes(block).reshape(-1), 4)
        columns = [
            self._to_images(block),
            arrow.array(block.texts.tolist(), arrow.string()),
            arrow.StructArray.from_arrays(
                [
                    self._to_lists(is_digit, boxes),
                    self._to_lists(is_digit, block.classes[is_digit]),
                ],
                fields=list(self._schema.field("objects").type),
            ),
            self._to_lists(is_digit, block.glyphs[is_digit]),
            self._to_lists(is_gap, block.gaps[is_gap]),
        ]
        return arrow.RecordBatch.from_arrays(columns, schema=self._schema)

    def _to_images(self, block: Block) -> Any:  # noqa: ANN401 - as above
        arrow = self._arrow
        images = self._encode(block.images, block.widths_px)
        names = [f"{block.start + place:09d}.{self._ending}" for place in range(len(block))]
        return arrow.StructArray.from_arrays(
            [arrow.array(images, arrow.binary()), arrow.array(names, arrow.string())],
            fields=list(self._schema.field("image").type),
        )

    def _to_lists(self, chosen: Any, values: Any) -> Any:  # noqa: ANN401 - as above
        ends = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int32)
        if isinstance(values, np.ndarray):
            values = self._arrow.array(values.astype(np.int64))
        return self._arrow.ListArray.from_arrays(ends, values)

    def _iterate_batches(self, file: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        """Yield rows a few at a time, however small a file packs however large values.

        A dictionary may give every row the largest value, as large as all of a row group.
        """
        read = ("image", "objects", "glyphs", "gaps", *TEXT_KEYS)
        names = [name for name in file.schema_arrow.names if name in read]
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            chunks = [group.column(place) for place in range(group.num_columns)]
            largest = max((chunk.total_uncompressed_size for chunk in chunks), default=0)
            if largest > _VALUE_LIMIT_BYTES * max(1, group.num_rows):
                raise ValueError(f"{group.num_rows} rows of it unpack to {largest:,} bytes")
            n_rows = max(1, min(_ROWS_TOGETHER, _BATCH_LIMIT_BYTES // max(1, largest)))
            yield from file.iter_batches(n_rows, row_groups=[number], columns=names)

    def read_split(
        self, split: str, folder: Path, wanted: Wanted | None
    ) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        for path in list_files(folder, "*.parquet"):
            numbers = count(1)
            with naming_damage(path), self._parquet.ParquetFile(path) as file:
                for batch in self._iterate_batches(file):
                    for record, number in zip(batch.to_pylist(), numbers, strict=False):
                        name = _find_name(record) or f"{path.stem}/{number}"
                        if wanted and not wanted(name):
                            continue
                        with naming_damage(path, part=f"row {number}"):
                            sample = _load(name, split, record)
                        yield sample


def _find_name(record: dict[str, Any]) -> str | None:
    image = record.get("image")
    path = image.get("path") if isinstance(image, dict) else None
    return path if isinstance(path, str) else None


def _load(name: str, split: str, record: dict[str, Any]) -> LoadedSample:
    image = record.pop("image", None)
    data = image.get("bytes") if isinstance(image, dict) else None
    if data is None:
        raise ValueError("it has no image: expected a struct of bytes and path")
    return row_from_record(record, name).with_image(split, decode_grey(data))
