"""LMDB, as readers of text take it; the extra ``lmdb``.

The layout is that of deep-text-recognition-benchmark (``create_lmdb_dataset.py``), which PARSeq,
MMOCR and PaddleOCR read too: ``num-samples``, ``image-%09d`` and ``label-%09d``, counted from 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.base import Encoded, Fragments, LoadedSample, PartWriter, Wanted
from mnistseq_cli.formats.images import decode_grey

_LENGTH = struct.Struct("<I")
_LEAST_MAP_BYTES = 1 << 24
_N_MAPPED = 20_000  # samples after which the file is opened anew, so that its pages are let go
_KINDS = ("image", "label")  # in the order of their keys


class Lmdb(Encoded):
    """``lmdb/data.mdb`` in each split: some readers look only into folders without sub-folders."""

    marks = ("lmdb/data.mdb", "data.mdb")
    needs = ("lmdb",)

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._lmdb = import_extra("lmdb", "lmdb")

    def write(self, number: int, blocks: Iterable[Block], writer: PartWriter) -> None:  # noqa: ARG002 - as the protocol says
        """Keep images and labels of a part."""
        for block in blocks:
            images = self._encode(block.images, block.widths_px)
            labels = [text.encode() for text in block.texts.tolist()]
            for kind, values in zip(_KINDS, (images, labels), strict=True):
                writer.append(kind, b"".join([_LENGTH.pack(len(it)) + it for it in values]))

    def join(self, splits: Sequence[Fragments], writer: PartWriter) -> None:
        """Write the databases."""
        for split in splits:
            path = writer.path(f"{split.folder}lmdb/data.mdb")
            # A value takes at most twice its size, in pages of its own; of the rest none is used.
            map_size = 4 * sum(map(split.size_bytes, _KINDS)) + _LEAST_MAP_BYTES
            with self._open(path, map_size=map_size) as environment:
                for kind in _KINDS:
                    numbers = count(1)
                    for data in split.read(kind):
                        key = f"{kind}-%09d".encode()
                        pairs = [(key % next(numbers), value) for value in _unpack(data)]
                        with environment.begin(write=True) as transaction:
                            transaction.cursor().putmulti(pairs, append=True)
                with environment.begin(write=True) as transaction:
                    transaction.put(b"num-samples", b"%d" % (next(numbers) - 1))

    def read_split(self, split: str, folder: Path, wanted: Wanted) -> Iterator[LoadedSample]:
        """Read the samples that lie in a folder."""
        path = folder / "lmdb" / "data.mdb"
        path = path if path.exists() else folder / "data.mdb"
        prefix = f"{split}/" if split else ""
        first = n_samples = 1
        while first <= n_samples:
            with naming_damage(path), self._open(path, readonly=True) as environment:
                _check_size(environment, path)
                with environment.begin() as found:
                    n_samples = int(_get(found, b"num-samples"))
                    for number in range(first, min(first + _N_MAPPED, n_samples + 1)):
                        name = f"{prefix}image-{number:09d}"
                        if wanted(name):
                            image = decode_grey(_get(found, b"image-%09d" % number))
                            text = _get(found, b"label-%09d" % number).decode()
                            yield LoadedSample(name, split, image, text)
            first += _N_MAPPED

    @contextmanager
    def _open(self, path: Path, **options: int) -> Iterator[Any]:
        try:
            environment = self._lmdb.open(str(path), subdir=False, lock=False, **options)
            with closing(environment):
                yield environment
        except self._lmdb.Error as error:
            raise ValueError(str(error)) from error


def _check_size(environment: Any, path: Path) -> None:  # noqa: ANN401 - lmdb has no types
    """Raise an error for a file that lacks pages: reading them would end the process."""
    pages_bytes = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if path.stat().st_size < pages_bytes:
        raise ValueError(f"it has {path.stat().st_size:,} bytes of {pages_bytes:,}")


def _get(found: Any, key: bytes) -> bytes:  # noqa: ANN401 - lmdb has no types
    value: bytes | None = found.get(key)
    if value is None:
        raise ValueError(f"it lacks {key.decode()}")
    return value


def _unpack(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
        yield data[at + _LENGTH.size : end]
        at = end
