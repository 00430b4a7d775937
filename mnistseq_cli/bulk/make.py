"""The work of a worker: make the samples of a part and write them, with a record."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from secrets import token_hex
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.bulk.deal import open_splits
from mnistseq_cli.bulk.manifest import STAGING, open_shared_folder
from mnistseq_cli.bulk.proof import Proof
from mnistseq_cli.bulk.records import PartRecord, dump_record
from mnistseq_cli.bulk.staging import FileEntry, Staging
from mnistseq_cli.compose.render import SequenceGenerator
from mnistseq_cli.formats import open_format
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.glyphs.glyphset import SIDE_PX
from mnistseq_cli.randomness import draw_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.plan import Part, Plan
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats import Format, Output, Sink
    from mnistseq_cli.glyphs.glyphset import GlyphSet

ODD_ENCODER = 70  # exit status
_SAMPLE_WIDTH_PX = 200
_PAPER_SHARE = 200  # of 256
BLOCK_SIZE = 128  # the fastest: its arrays stay in the processor's cache


@dataclass(frozen=True)
class Making:
    """How far a part is."""

    part: Part
    n_samples: int


@dataclass(frozen=True)
class Made:
    """A part that is complete but has not yet its final names.

    Parameters
    ----------
    part : Part
    staging : Path
        Where its files are.
    n_files, size_bytes : int
    record : FileEntry
        Of its record.
    """

    part: Part
    staging: Path
    n_files: int
    size_bytes: int
    record: FileEntry


class PartMaker:
    """Makes parts; a `Job`.

    Parameters
    ----------
    plan : Plan
    data_dir : Path, optional
        Where glyphs are cached.
    glyphs : GlyphSet, optional
        The glyphs, if they are at hand in this process.
    staging : Path, optional
        Folder to write in, instead of that of the dataset.
    sample : bytes, optional
        What `encode_sample` gave in the process that started this one. An encoder that gives
        other bytes for the same pixels would spoil the dataset: this process ends, and another
        takes its place.
    shared : Path, optional
        Folder for files that all parts write together; only for workers of one machine, as a
        network file system may mix up bytes that lie side by side.
    widest_px : int, optional
        Width of the images, if it is known: to find it takes as long as a thousand of them.
    """

    def __init__(
        self,
        plan: Plan,
        data_dir: Path | None = None,
        glyphs: GlyphSet | None = None,
        staging: Path | None = None,
        *,
        sample: bytes | None = None,
        shared: Path | None = None,
        widest_px: int | None = None,
    ) -> None:
        if sample not in (None, encode_sample()):
            sys.exit(ODD_ENCODER)
        self._generators = (
            open_splits(plan.recipe, plan.splits, data_dir, widest_px)
            if plan.weights or glyphs is None
            else {"": SequenceGenerator(plan.recipe, glyphs, widest_px=widest_px)}
        )
        self._format = open_format(plan.output)
        self._staging = staging or plan.output.folder / STAGING
        self._versions = find_versions(plan.output)
        self._shared = shared
        self._part_size = plan.part_size

    def __call__(self, part: Part, tell: Callable[[Making], None]) -> Made:
        """Write a part into a folder of its own."""
        folder = self._staging / f"{part.name}.{os.getpid()}.{token_hex(4)}"
        staging = Staging(folder, part.folder, part.number * self._part_size, self._shared)
        proof = write_part(self._format, self._generators[part.split], part, staging, tell)
        record = PartRecord(
            part.name,
            part.start,
            part.stop,
            self._versions,
            staging.kept_entries(),
            staging.entries(),
            proof.to_dict() if part.split else {},
        )
        entry = dump_record(record, staging.folder)
        return Made(part, staging.folder, len(record.files), record.size_bytes, entry)


def prepare_makers(
    plan: Plan, data_dir: Path | None, glyphs: GlyphSet | None, widest_px: int | None
) -> Callable[[], PartMaker]:
    """Give what makes a `PartMaker` in a process of this machine; see there."""
    shared = open_shared_folder(plan)
    return partial(
        PartMaker,
        plan,
        data_dir,
        glyphs,
        sample=encode_sample(),
        shared=shared,
        widest_px=widest_px,
    )


def encode_sample() -> bytes:
    """Encode an image of noise on paper that is always the same."""
    noise = (draw_words(0, 0, 0, SIDE_PX, _SAMPLE_WIDTH_PX) >> np.uint64(56)).astype(np.uint8)
    noise[noise < _PAPER_SHARE] = 0
    return encode_pngs(noise[None], np.array([_SAMPLE_WIDTH_PX]))[0]


def write_part(
    form: Format,
    generator: SequenceGenerator,
    part: Part,
    sink: Sink,
    tell: Callable[[Making], None],
) -> Proof:
    """Make the samples of a part and give them to a format; give what they use, with splits."""
    proof = Proof()

    def blocks() -> Iterator[Block]:
        for start in range(part.start, part.stop, BLOCK_SIZE):
            stop = min(start + BLOCK_SIZE, part.stop)
            block = generator.block(start, stop)
            if part.split:
                proof.add(block)
            yield block
            tell(Making(part, stop - part.start))

    form.write(part.number, blocks(), sink)
    return proof


def find_versions(output: Output) -> dict[str, str]:
    """Give the versions of all that decides bytes."""
    names = ("mnistseq", "numpy", *open_format(output).libraries)
    return {name: _find_version(name) for name in names}


@cache  # reading it takes as long as ten images
def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
