"""What `phone` and `batch` do: make a dataset, or say what would be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import count, get_console, print_result, say, warn
from mnistseq_cli.cli.early import check_ending
from mnistseq_cli.cli.output import BulkOptions, given_only

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.bulk.estimate import Estimate
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.bulk.run import Summary
    from mnistseq_cli.cli.options import Picture
    from mnistseq_cli.compose.render import SequenceGenerator

SHOWN_SAMPLES = 6
SHEET_SAMPLES = 24
CTC_STRIDE_PX = 4  # of CRNN and its successors


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

    if bulk.sheet:
        check_ending(bulk.sheet, "--sheet")
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
            dask=bulk.dask,
            glyphs=generator.glyphs,
            report=progress,
        )
    print_result(str(summary.folder))
    _write_sheet(generator, bulk.sheet)
    if bulk.show:
        _show_first(generator)
    _say_summary(generator, summary)


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
        f"{count(summary.n_samples, 'image')}, {width}, {summary.size_bytes / 1e6:,.1f} MB, "
        f"{glyphs.name} {glyphs.split}, seed {generator.recipe.seed}",
        "dim",
    )


def _show_dry_run(generator: SequenceGenerator, plan: Plan, expected: Estimate) -> None:
    """Show the recipe, what it would take, and a few samples."""
    import json
    from datetime import timedelta

    for key, value in plan.to_dict()["recipe"].items():
        print_result(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    time_left = timedelta(seconds=max(1, round(expected.seconds)))
    say(f"folder   {plan.output.folder}")
    say(f"images   {expected.n_samples:,} in {count(expected.n_parts, 'part')}")
    say(f"files    {expected.n_files:,}")
    say(f"size     {expected.size_bytes / 1e6:,.1f} MB")
    say(f"on disk  {expected.disk_bytes / 1e6:,.1f} MB")
    say(f"free     {expected.free_bytes / 1e6:,.1f} MB")
    say(f"time     {time_left} h:mm:ss, about")
    _warn_of_ctc(generator)
    _show_first(generator)


def _show_first(generator: SequenceGenerator) -> None:
    """Say what the first samples are, and show them where there is a terminal."""
    from mnistseq_cli.cli.show import show_images

    samples = list(generator.block(0, min(SHOWN_SAMPLES, len(generator))))
    say(f"first    {', '.join(sample.text for sample in samples)}")
    show_images(sample.image for sample in samples)


def _warn_of_ctc(generator: SequenceGenerator) -> None:
    """Warn when a text may have more steps than a CTC reader of usual stride sees in the width."""
    if generator.width_px is None:
        return
    n_steps, n_needed = generator.width_px // CTC_STRIDE_PX, 2 * generator.longest - 1
    if n_steps < n_needed:
        warn(
            f"A CTC reader of stride {CTC_STRIDE_PX} has {n_steps} steps in "
            f"{generator.width_px} px; {generator.longest} digits can need {n_needed}, with a "
            "blank between equal ones.",
            "Use a larger --width, or a reader of a smaller stride",
        )
