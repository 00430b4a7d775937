"""What `phone` and `batch` share: options of the output, and the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistseq_cli.cli.complete import complete_formats, complete_image_formats, complete_labels
from mnistseq_cli.cli.console import get_console, print_result, say, warn
from mnistseq_cli.cli.options import option
from mnistseq_cli.errors import UsageError

if TYPE_CHECKING:
    from mnistseq_cli.bulk.estimate import Estimate
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.bulk.run import Summary
    from mnistseq_cli.cli.options import Picture
    from mnistseq_cli.compose.render import SequenceGenerator
    from mnistseq_cli.formats import Output

DRY_RUN_SAMPLES = 6
SHEET_SAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """Where and how; a field is None where the user said nothing."""

    count: Annotated[
        int | None,
        option("How many images.", "Output", "-n", "--count", default="10", metavar="N"),
    ] = None
    out: Annotated[
        Path | None,
        option(
            "Folder to write, new or empty.",
            "Output",
            "-o",
            "--out",
            default="named after the command",
            metavar="DIR",
        ),
    ] = None
    to: Annotated[
        str | None,
        option(
            "How the samples lie on disk.",
            "Output",
            "--to",
            default="folder",
            metavar="FORMAT",
            autocompletion=complete_formats,
        ),
    ] = None
    labels: Annotated[
        list[str] | None,
        option(
            "Label files of a folder; can be given several times.",
            "Output",
            "--labels",
            default="csv and jsonl",
            metavar="STYLE",
            autocompletion=complete_labels,
        ),
    ] = None
    image_format: Annotated[
        str | None,
        option(
            "Format of the images: png, jpg, or another that imageio writes in grey.",
            "Output",
            "--image-format",
            default="png",
            metavar="FORMAT",
            autocompletion=complete_image_formats,
        ),
    ] = None
    name: Annotated[
        str | None,
        option(
            "Names of the images, from {index}, {shard} (thousands) and {text}.",
            "Output",
            "--name",
            default="images/{shard:05d}/{index:08d}",
            metavar="TEMPLATE",
        ),
    ] = None
    workers: Annotated[
        int | None,
        option(
            "Processes that work at once; 0 stays in this one.",
            "Running",
            "--workers",
            default="the cores there are",
            metavar="N",
        ),
    ] = None
    part_size: Annotated[
        int | None,
        option(
            "Samples that are written and committed together.",
            "Running",
            "--part-size",
            default="1000",
            metavar="N",
        ),
    ] = None
    resume: Annotated[
        bool,
        option("Finish a run that was interrupted.", "Running", "--resume"),
    ] = False
    overwrite: Annotated[
        bool,
        option("Replace a dataset in the folder; other files stay.", "Running", "--overwrite"),
    ] = False
    splits: Annotated[
        list[str] | None,
        option(
            "Cut the dataset into splits that share no glyph and no text: "
            "--splits train=80 val=10 test=10.",
            "Output",
            "--splits",
            metavar="NAME=WEIGHT...",
        ),
    ] = None
    more_splits: Annotated[
        list[str] | None, typer.Argument(hidden=True, metavar="NAME=WEIGHT...")
    ] = None
    sheet: Annotated[
        Path | None,
        option(
            "Also write a contact sheet of the first 24 images.",
            "Output",
            "--sheet",
            metavar="FILE",
        ),
    ] = None
    dry_run: Annotated[
        bool,
        option("Say what would be made, and make nothing.", "Running", "--dry-run"),
    ] = False
    force: Annotated[
        bool,
        option("Start also when the disk seems too small.", "Running", "--force"),
    ] = False
    log_json: Annotated[
        Path | None,
        option(
            "Write what happens to a file, one event a line.",
            "Running",
            "--log-json",
            metavar="FILE",
        ),
    ] = None

    def list_splits(self) -> tuple[str, ...] | None:
        """Give what was said after --splits, in one option or in several."""
        if self.more_splits and not self.splits:
            raise UsageError(
                f"there is no place for {self.more_splits[0]!r}: all values belong to options",
                "See what there is: mnistseq batch --help",
            )
        said = [*(self.splits or []), *(self.more_splits or [])]
        return tuple(word for text in said for word in text.split(",")) or None

    def make_output(self, folder: str) -> Output:
        """Make the output, in a folder of this name where the user gave none."""
        from mnistseq_cli.formats import Output

        if self.labels and self.to not in (None, "folder"):
            raise UsageError(
                f"--labels goes with --to folder; in {self.to} labels lie beside the images",
                "Leave --labels out",
            )
        labels = None if self.labels is None else tuple(self.labels)
        return Output(
            folder=self.out or Path(folder),
            **given_only(
                to=self.to, labels=labels, image_format=self.image_format, name=self.name
            ),
        )


def make_dataset(
    picture: Picture,
    bulk: BulkOptions,
    *,
    defaults: dict[str, Any],
    given: dict[str, Any],
    folder: str,
) -> None:
    """Make a dataset, or say what would be made.

    Parameters
    ----------
    picture, bulk
        What the user said.
    defaults, given : dict
        See `Picture.make_recipe`.
    folder : str
        Name of the folder where the user gave none.
    """
    from mnistseq_cli.bulk.deal import find_shared
    from mnistseq_cli.bulk.estimate import estimate
    from mnistseq_cli.bulk.plan import make_plan
    from mnistseq_cli.bulk.run import run
    from mnistseq_cli.cli.bulk_progress import RunProgress

    given["splits"] = bulk.list_splits()
    generator = picture.open_generator(defaults, given)
    with get_console().status("Checking that all digits fit"):
        generator.check()
    plan = make_plan(
        generator.recipe, bulk.make_output(folder), **given_only(part_size=bulk.part_size)
    )
    if shared := find_shared(plan.recipe, plan.splits, len(generator.glyphs.alphabet)):
        warn(f"There are too few texts to keep splits apart: all splits share {shared}.")
    where: dict[str, Any] = {"workers": bulk.workers, "data_dir": picture.data_dir}
    expected = estimate(plan, **where, glyphs=generator.glyphs)
    if bulk.dry_run:
        _show_dry_run(generator, plan, expected)
        _write_sheet(generator, bulk.sheet)
        return
    if not bulk.force:
        expected.check_space(plan.output.folder)
    with RunProgress(bulk.log_json) as progress:
        summary = run(
            plan,
            **where,
            resume=bulk.resume,
            overwrite=bulk.overwrite,
            glyphs=generator.glyphs,
            report=progress,
        )
    print_result(str(summary.folder))
    _write_sheet(generator, bulk.sheet)
    _say_summary(generator, summary)


def given_only(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever options hold
    """Keep what the user gave, so that defaults stand in one place."""
    return {name: value for name, value in values.items() if value is not None}


def _write_sheet(generator: SequenceGenerator, path: Path | None) -> None:
    if path is None:
        return
    from mnistseq_cli.formats.image import write_image
    from mnistseq_cli.formats.sheet import make_sheet

    block = generator.block(0, min(SHEET_SAMPLES, len(generator)))
    write_image(path, make_sheet([sample.image for sample in block]))
    print_result(str(path))


def _say_summary(generator: SequenceGenerator, summary: Summary) -> None:
    glyphs = generator.glyphs
    width = "natural width" if generator.width_px is None else f"{generator.width_px} x 28 px"
    say(
        f"{summary.n_samples:,} images, {width}, {summary.size_bytes / 1e6:,.1f} MB, "
        f"{glyphs.name} {glyphs.split}, seed {generator.recipe.seed}",
        "dim",
    )


def _show_dry_run(generator: SequenceGenerator, plan: Plan, expected: Estimate) -> None:
    """Show the recipe, what it would take, and a few samples."""
    import json
    from datetime import timedelta

    from mnistseq_cli.cli.show import show_image

    for key, value in plan.to_dict()["recipe"].items():
        print_result(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    time_left = timedelta(seconds=max(1, round(expected.seconds)))
    say(f"folder   {plan.output.folder}")
    say(f"images   {expected.n_samples:,} in {expected.n_parts:,} parts")
    say(f"files    {expected.n_files:,}")
    say(f"size     {expected.size_bytes / 1e6:,.1f} MB")
    say(f"on disk  {expected.disk_bytes / 1e6:,.1f} MB")
    say(f"free     {expected.free_bytes / 1e6:,.1f} MB")
    say(f"time     {time_left} h:mm:ss, about")
    for sample in generator.block(0, min(DRY_RUN_SAMPLES, len(generator))):
        say(sample.text)
        show_image(sample.image)
