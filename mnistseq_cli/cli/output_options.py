"""Options that `phone` and `batch` share: where samples go, and how."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.errors import UsageError
from mnistseq_cli.validation import check_local, check_number

if TYPE_CHECKING:
    from mnistseq_cli.formats import Output

FOLDER = "folder"
ENCODED = (FOLDER, "webdataset", "parquet", "lmdb")  # formats that hold encoded images


@dataclass(kw_only=True, eq=False, repr=False)  # as `Picture`
class OutputOptions:
    """Where and how; a field is None where the user said nothing."""

    count: int | None = None
    out: Path | None = None
    to: str | None = None
    labels: list[str] | None = None
    image_format: str | None = None
    name: str | None = None
    workers: int | None = None
    dask: str | None = None
    part_size: int | None = None
    share: str | None = None
    start: int | None = None
    resume: bool = False
    overwrite: bool = False
    splits: list[str] | None = None
    more_splits: list[str] | None = None  # what follows the first value of --splits
    sheet: Path | None = None
    show: bool = False
    dry_run: bool = False
    force: bool = False
    log_json: Path | None = None

    def check(self, folder: Path) -> None:
        """Raise early if something could not be done in a folder, or would be ignored."""
        from mnistseq_cli.bulk.plan import PART_SIZE_LIMIT
        from mnistseq_cli.bulk.workers import WORKERS_LIMIT
        from mnistseq_cli.recipe import COUNT_LIMIT

        self._check_goes_together()
        for field, low, high in (
            ("workers", 0, WORKERS_LIMIT),
            ("part_size", 1, PART_SIZE_LIMIT),
            ("start", 0, COUNT_LIMIT),
        ):
            if (number := getattr(self, field)) is not None:
                check_number(field, number, low, high)
        for path, name in ((self.sheet, "--sheet"), (self.log_json, "--log-json")):
            if path is not None:
                _check_outside(path, name, folder)
        if self.sheet is not None:
            check_image_file(self.sheet, "--sheet")

    @property
    def is_stream(self) -> bool:
        """Whether samples go to stdout."""
        return self.out == Path("-")

    def _check_goes_together(self) -> None:
        """Raise for options that contradict each other."""
        to = self.to or FOLDER
        for option, is_said, others in (
            ("--resume", self.resume, ("overwrite",)),
            ("--share", self.share, ("overwrite", "dask")),
            ("-o -", self.is_stream, ("resume", "overwrite", "dask", "share", "splits")),
        ):
            wrong = [f"--{name}" for name in others if is_said and getattr(self, name)]
            if wrong:
                raise UsageError(f"{option} does not go with {wrong[0]}", f"Leave {wrong[0]} out")
        if self.is_stream and (sys.stdout is None or sys.stdout.isatty()):
            raise UsageError(
                "-o - writes a tar, and stdout is a terminal", "Pipe it: mnistseq … -o - | tar t"
            )
        if self.is_stream and to != "webdataset":
            raise UsageError(
                f"-o - writes one tar to stdout, which {to} is not", "Add --to webdataset"
            )
        for name, value, formats, why in (
            ("--labels", self.labels, (FOLDER,), "labels lie beside the images"),
            ("--name", self.name, (FOLDER,), "images are not files of their own"),
            ("--image-format", self.image_format, ENCODED, "images are arrays"),
        ):
            if value and to not in formats:
                raise UsageError(
                    f"{name} goes with --to {', '.join(formats)}; in {to} {why}",
                    f"Leave {name} out",
                )

    def list_splits(self, command: str) -> tuple[str, ...] | None:
        """Return what was said after --splits, in one option or in several."""
        if self.more_splits and not self.splits:
            raise UsageError(
                f"unexpected value {self.more_splits[0]!r}: every value belongs to an option",
                f"See mnistseq {command} --help",
            )
        said = [*(self.splits or []), *(self.more_splits or [])]
        if not said:
            return None
        from mnistseq_cli.compose.splits import parse_weights

        splits = tuple(word for text in said for word in text.split(","))
        parse_weights(splits)  # what is wrong is said before glyphs are looked for
        return splits

    def make_output(self, folder: str) -> Output:
        """Return the output, in a folder of this name where the user gave none."""
        from mnistseq_cli.bulk.storage import open_folder
        from mnistseq_cli.formats import Output

        said: dict[str, Any] = {"to": self.to, "image_format": self.image_format}
        said |= {"name": self.name, "labels": self.labels and tuple(self.labels)}
        said = {name: value for name, value in said.items() if value is not None}
        return Output(folder=open_folder(self.out or folder), **said)


def check_image_file(path: Path, option: str) -> None:
    """Raise if a picture cannot be written, for its ending or its place, before any work."""
    from mnistseq_cli.files import check_place

    check_ending(path, option)
    check_place(path)


def check_ending(path: Path, option: str) -> None:
    """Raise if the name of an image has an ending that names no format that can be written."""
    from mnistseq_cli.formats import IMAGE_FORMATS
    from mnistseq_cli.formats.images import open_encoder

    check_local(option, path)
    try:
        open_encoder(path.suffix.removeprefix(".").lower())
    except UsageError as error:
        endings = ", ".join(f".{name}" for name in IMAGE_FORMATS)
        raise UsageError(
            f"{option} is {str(path)!r}; the ending names the format: expected {endings}",
            f"For example: {option} {suggest_name(path, option.strip('-') + '.png')}",
        ) from error


def suggest_name(path: Path, name: str) -> Path:
    """Return a path with its right ending, or with a name behind what can only be a folder."""
    if path.name in {"", ".."}:
        return path / name
    return path.with_suffix(name[name.index(".") :])


def _check_outside(path: Path, option: str, folder: Path) -> None:
    """Raise if a file is inside the folder of a dataset, where `verify` would find it extra."""
    if path.resolve().is_relative_to(folder.resolve()):
        beside = os.path.normpath(folder / ".." / path.name)
        raise UsageError(
            f"{option} is {str(path)!r}, inside the dataset {folder}, which holds only its own "
            "files",
            f"Write it beside the dataset: {option} {beside}",
        )
