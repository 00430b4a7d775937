"""Parquet files that Hugging Face ``datasets`` decodes; the extra ``parquet``.

The features in the metadata of the schema, and images as a struct of bytes and path, are as
``datasets`` writes them (``datasets/features``, ``datasets/arrow_writer.py``).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import is_store, naming_damage
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.base import Encoded, LoadedSample, PartWriter, Wanted, list_files
from mnistseq_cli.formats.fields import FIELDS, Values, find_known
from mnistseq_cli.formats.images import decode_grey
from mnistseq_cli.formats.read_labels import row_from_record
from mnistseq_cli.formats.tables import TEXT_KEYS

_ROWS_TOGETHER = 256  # when read
_BATCH_LIMIT_BYTES = 2**28
_VALUE_LIMIT_BYTES = 2**28  # an image of 2^26 pixels that is not packed
_BLOCKS_TOGETHER = 8  # in a row group: one is read as a whole
_NUMBER = {"dtype": "int64", "_type": "Value"}
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURES: dict[str, Any] = {
    "text": _TEXT,
    "texts": {"feature": _TEXT, "_type": "Sequence"},
    "numbers": {"feature": _NUMBER, "_type": "Sequence"},
    "boxes": {
        "feature": {"feature": _NUMBER, "length": 4, "_type": "Sequence"},
        "_type": "Sequence",
    },
}


class Parquet(Encoded):
    """``part-00000.parquet`` and so on, with `image`, `text`, `objects`, `glyphs` and `gaps`."""

    marks = ("*.parquet",)
    needs = ("pyarrow",)

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._arrow = import_extra("pyarrow", "parquet")
        self._parquet = import_extra("pyarrow.parquet", "parquet")

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:
        """Write the file of a part."""
        path = writer.path(f"part-{number:05d}.parquet")
        rest = iter(blocks)
        first = self._to_table(next(rest))
        batches = chain([first], map(self._to_table, rest))
        # A file of our own is closed even where its last bytes find the disk full.
        with (
            self._arrow.OSFile(str(path), "wb") as file,
            self._parquet.ParquetWriter(
                file, first.schema, use_dictionary=False, write_statistics=False
            ) as parquet,
        ):
            while together := [*islice(batches, _BLOCKS_TOGETHER)]:
                parquet.write_table(self._arrow.concat_tables(together))

    def _to_table(self, block: Block) -> Any:  # noqa: ANN401 - pyarrow has no types
        names = [f"{block.start + place:09d}.{self._ending}" for place in range(len(block))]
        images = {"bytes": self._encode(block.images, block.widths_px), "path": names}
        columns: dict[str, Any] = {"image": images}
        features: dict[str, Any] = {"image": {"_type": "Image"}}
        for name, values in find_known(block).items():
            above, _, key = name.rpartition(".")
            column = self._to_array(FIELDS[name].kind, values)
            (columns.setdefault(above, {}) if above else columns)[key] = column
            feature: dict[str, Any] = _FEATURES[FIELDS[name].kind]
            if name == "objects.category":
                classes = {"names": [*block.alphabet], "_type": "ClassLabel"}
                feature = feature | {"feature": classes}
            (features.setdefault(above, {}) if above else features)[key] = feature
        for name, inside in columns.items():
            if type(inside) is dict:
                arrays = map(self._arrow.array, inside.values())
                columns[name] = self._arrow.StructArray.from_arrays([*arrays], [*inside])
        info: dict[str, Any] = {"features": features}
        if self._licence:
            info |= {"license": self._licence["license"]}
        metadata = {"huggingface": json.dumps({"info": info}), **self._licence}
        return self._arrow.table(columns, metadata=metadata)

    def _to_array(self, kind: str, values: Values) -> Any:  # noqa: ANN401 - as above
        """Return a column, with a value or a list for each row."""
        arrow, flat = self._arrow, values.flat.ravel()
        if kind == "text":
            texts = iter(flat.tolist())
            column = [next(texts) if n else None for n in values.counts.tolist()]
            return arrow.array(column, arrow.string())
        array = arrow.array(flat.tolist() if kind == "texts" else flat.astype(np.int64))
        if kind == "boxes":
            array = arrow.FixedSizeListArray.from_arrays(array, 4)
        ends = np.concatenate([[0], np.cumsum(values.counts)]).astype(np.int32)
        return arrow.ListArray.from_arrays(ends, array)

    def read_split(self, split: str, folder: Path, wanted: Wanted) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        for path in list_files(folder, "*.parquet"):
            source = path.open("rb") if is_store(path) else path
            with naming_damage(path), self._parquet.ParquetFile(source) as file:
                for number, record in self._iterate_rows(file, path.stem, wanted):
                    with naming_damage(path, part=f"row {number}"):
                        sample = _load(f"{path.stem}/{number}", split, record)
                    yield sample

    def _iterate_rows(
        self,
        file: Any,  # noqa: ANN401 - as above
        stem: str,
        wanted: Wanted,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield numbers and records of rows; of those not wanted the name alone is read."""
        # A few at a time: a dictionary may give each row a value as large as all of a row group.
        read = ("image", *(name.partition(".")[0] for name in FIELDS), *TEXT_KEYS)
        columns = [name for name in file.schema_arrow.names if name in read]
        first = 1
        for place in range(file.num_row_groups):
            group = file.metadata.row_group(place)
            chunks = [group.column(number) for number in range(group.num_columns)]
            largest = max((chunk.total_uncompressed_size for chunk in chunks), default=0)
            if largest > _VALUE_LIMIT_BYTES * max(1, group.num_rows):
                raise ValueError(f"{group.num_rows} rows of it unpack to {largest:,} bytes")
            n_rows = max(1, min(_ROWS_TOGETHER, _BATCH_LIMIT_BYTES // max(1, largest)))
            iterate = partial(file.iter_batches, n_rows, row_groups=[place])
            paths: Iterator[Any] = repeat(None, group.num_rows)
            if any(chunk.path_in_schema == "image.path" for chunk in chunks):
                batches = iterate(columns=["image.path"])
                paths = chain.from_iterable(it.column(0).field(0).to_pylist() for it in batches)
            chosen = [
                number
                for number, name in enumerate(paths, first)
                if wanted(name if isinstance(name, str) else f"{stem}/{number}")
            ]
            start = first
            for batch in iterate(columns=columns) if chosen else ():
                own = chosen[bisect_left(chosen, start) : bisect_left(chosen, start + len(batch))]
                rows = batch.take(self._arrow.array([number - start for number in own], "int64"))
                yield from zip(own, rows.to_pylist(), strict=True)
                start += len(batch)
            first += group.num_rows


def _load(name: str, split: str, record: dict[str, Any]) -> LoadedSample:
    image = record.pop("image", None)
    data = image.get("bytes") if isinstance(image, dict) else None
    if data is None:
        raise ValueError("it has no image: expected a struct of bytes and path")
    name = image["path"] if isinstance(image.get("path"), str) else name
    return row_from_record(record, name).with_image(split, decode_grey(data))
