"""What lies in a folder: a dataset of ours, finished or not, or images and labels of others."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mnistseq_cli.bulk.manifest import DATASET_FILE, check_folder, load_plan
from mnistseq_cli.bulk.remake import ASPECTS, Remaker
from mnistseq_cli.errors import MnistseqError, OutputError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats import FORMATS, Output, find_format, open_format
from mnistseq_cli.formats.base import LoadedSample, Wanted
from mnistseq_cli.formats.read_labels import LABEL_FILES, find_label_file

_MOST_LISTED = 5


@dataclass(frozen=True)
class StoredDataset:
    """A dataset that can be read."""

    folder: Path
    format_name: str  # of `mnistseq_cli.formats.FORMATS`
    manifest: dict[str, Any] | None = None  # None where no run of this program wrote it
    is_finished: bool | None = None  # whether that run has ended

    @property
    def recipe(self) -> dict[str, Any] | None:
        """What it was made with, as plain values, where that is known."""
        return self.manifest["recipe"] if self.manifest else None

    @property
    def n_samples(self) -> int | None:
        """How many samples there are meant to be, where that is known."""
        return self.recipe["count"] if self.recipe else None

    def read(self, wanted: Wanted | None = None) -> Iterator[LoadedSample]:
        """Read its samples in order, split by split; see `Format.read`."""
        output = Output(folder=self.folder, to=self.format_name)
        return open_format(output).read(self.folder, wanted)


def open_dataset(folder: Path) -> StoredDataset:
    """Find out what lies in a folder."""
    check_folder(folder)
    if not folder.is_dir():
        raise OutputError(f"{folder} does not exist; expected the folder of a dataset")
    plan = load_plan(folder)
    is_finished = (folder / DATASET_FILE).exists() if plan else None
    if plan is None:
        _check_subfolders(folder)
    format_name = find_format(folder)
    if format_name is None:
        if is_finished is False:
            raise OutputError(
                f"{folder} is unfinished, and nothing in it can be read yet",
                "Run the command that began it again, with --resume.",
            )
        listings = [name for name in LABEL_FILES if "." in name and "/" not in name]
        raise OutputError(
            f"{folder} holds nothing that can be read: no {', '.join(list(FORMATS)[1:])} and no "
            "images with a label file",
            f"Label files that are read: {', '.join(listings)}.",
        )
    if plan is None:
        return StoredDataset(folder, format_name)
    with naming_damage(f"what {folder} says of itself"):
        return StoredDataset(folder, plan["output"]["to"], plan, is_finished)


def _check_subfolders(folder: Path) -> None:
    """Raise if there are several datasets, which would be taken for splits of one."""
    found = sorted(path.parent.name for path in folder.glob(f"*/{DATASET_FILE}"))
    if not found or find_label_file(folder) is not None:
        return
    listed = ", ".join(found[:_MOST_LISTED]) + (", …" if len(found) > _MOST_LISTED else "")
    holds = "one dataset" if len(found) == 1 else f"{len(found):,} datasets"
    raise OutputError(
        f"{folder} is not a dataset itself but holds {holds}: {listed}",
        f"Name one: mnistseq inspect {shlex.quote(str(folder / found[0]))}",
    )


@dataclass
class Filler:
    """Fills in from recipe and glyphs at hand what samples of ours lack, until that fails."""

    dataset: StoredDataset
    data_dir: Path | None = None
    why_not: str = ""  # samples are left as they are, from one of them on

    def fill(self, samples: list[LoadedSample], *, boxes: bool = False) -> list[LoadedSample]:
        """Return samples with what they lack, or all as they are; see `Remaker.fill`."""
        is_whole = count_known(samples).total() == len(samples) * len(ASPECTS)
        if is_whole or self.why_not or self.dataset.manifest is None:
            return samples
        try:
            return self._remaker.fill(samples, boxes=boxes)
        except MnistseqError as error:
            self.why_not = ". ".join(filter(None, (error.message, error.hint)))
            return samples

    @cached_property
    def _remaker(self) -> Remaker:
        manifest = self.dataset.manifest or {}
        return Remaker(manifest, self.dataset.folder, self.data_dir, download=False)


def count_known(samples: list[LoadedSample]) -> Counter[str]:
    """Count the samples of which each of `ASPECTS` is known."""
    return Counter({one: sum(getattr(it, one) is not None for it in samples) for one in ASPECTS})
