"""LMDB, as readers of text take it; the extra ``lmdb``.

The layout is that of deep-text-recognition-benchmark (``create_lmdb_dataset.py``), which PARSeq,
MMOCR and PaddleOCR read too: ``num-samples``, ``image-%09d`` and ``label-%09d``, counted from 1.
"""

from __future__ import annotations

import struct
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

from mnistseq_cli.formats.extras import import_extra
from mnistseq_cli.formats.folder import open_encoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Fragments, Output, Sink

_LENGTH = struct.Struct("<I")
_FIRST_MAP_BYTES = 1 << 26
_KINDS = ("image", "label")  # in the order of their keys


class Lmdb:
    """``lmdb/data.mdb`` in each split; open the folder ``lmdb``.

    It lies in a folder of its own because some readers search only folders without sub-folders.

    Parameters
    ----------
    output : Output

    Raises
    ------
    UsageError
        lmdb is not installed, or the image format cannot be used.
    """

    def __init__(self, output: Output) -> None:
        self._lmdb = import_extra("lmdb", "lmdb")
        self._encode = open_encoder(output.image_format)

    def write(self, number: int, blocks: Iterable[Block], sink: Sink) -> None:  # noqa: ARG002 - as the protocol says
        """Keep images and labels of a part."""
        for block in blocks:
            images = self._encode(block.images, block.widths_px)
            labels = [text.encode() for text in block.texts.tolist()]
            for kind, values in zip(_KINDS, (images, labels), strict=True):
                lengths = [_LENGTH.pack(len(value)) for value in values]
                pairs = zip(lengths, values, strict=True)
                sink.keep(kind, b"".join([piece for pair in pairs for piece in pair]))

    def join(self, splits: Sequence[Fragments], sink: Sink) -> None:
        """Write the databases."""
        for split in splits:
            path = sink.path(f"{split.folder}lmdb/data.mdb")
            environment = self._lmdb.open(
                str(path), subdir=False, lock=False, map_size=_FIRST_MAP_BYTES
            )
            with closing(environment):
                self._fill(environment, split)

    def _fill(self, environment: Any, split: Fragments) -> None:  # noqa: ANN401 - lmdb has no types
        n_samples = 0
        for kind in _KINDS:
            numbers = count(1)
            for data in split.read(kind):
                pairs = [(b"%b-%09d" % (kind.encode(), next(numbers)), v) for v in _unpack(data)]
                self._put(environment, pairs)
            n_samples = next(numbers) - 1
        self._put(environment, [(b"num-samples", b"%d" % n_samples)])

    def _put(self, environment: Any, pairs: list[tuple[bytes, bytes]]) -> None:  # noqa: ANN401 - as above
        """Append in the order of keys; the map grows when it is full."""
        while True:
            try:
                with environment.begin(write=True) as transaction:
                    transaction.cursor().putmulti(pairs, append=True)
            except self._lmdb.MapFullError:
                environment.set_mapsize(2 * environment.info()["map_size"])
            else:
                return


def _unpack(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
        yield data[at + _LENGTH.size : end]
        at = end
