"""What `phone` and `batch` do: make a dataset, or say what would be made."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import print_result, say, warn
from mnistseq_cli.cli.picture_options import Picture, name_glyphs, say_writers_unknown
from mnistseq_cli.cli.share import parse_share
from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import spell_size
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from mnistseq_cli.bulk.plan import Plan
    from mnistseq_cli.bulk.run import Summary
    from mnistseq_cli.cli.output_options import OutputOptions
    from mnistseq_cli.compose.generator import SequenceGenerator

SHOWN_SAMPLES = 6
SHEET_SAMPLES = 24
_MOST_MINUTES = 10  # up to which seconds say something
_CARDS = {
    "edited": "README.md was edited and is kept: its figures may be old.",
    "of others": "There is a README.md already, so no card was written.",
}
_FEW_SHARDS = 8  # loaders often have four to eight workers


def make_dataset(
    picture: Picture,
    output: OutputOptions,
    given: dict[str, Any],  # the values of the command's own options
    *,
    command: str,
    folder: str,  # this and the others are what holds where the user says nothing
    **defaults: Any,
) -> None:
    """Make a dataset, or say what would be made."""
    from mnistseq_cli.bulk.run import run, stream
    from mnistseq_cli.cli.progress import RunProgress

    output.check(output.out or Path(folder))
    given["splits"] = output.list_splits(command)
    if output.share is not None and picture.seed is None and picture.recipe is None:
        raise UsageError("--share needs a seed, the same for all shares", "Add --seed N")
    share = None if output.share is None else parse_share(output.share)
    generator, plan = _plan(picture, output, given, {"count": 10} | defaults, folder)
    _warn_of_plan(plan, len(generator.glyphs.alphabet), is_stream=output.is_stream)
    say_writers_unknown(generator)
    asked = (generator, plan, output, picture.data_dir)
    if output.dry_run:
        _show_dry_run(*asked)
        _show_first(*asked)
        return
    with RunProgress(output.log_json) as progress:
        how: dict[str, Any] = {"workers": output.workers, "data_dir": picture.data_dir}
        how |= {"glyphs": generator.glyphs, "report": progress}
        if output.is_stream:
            stream(plan, sys.stdout.buffer, **how)
            return
        how |= {"share": share, "resume": output.resume, "dask": output.dask}
        how |= {"overwrite": output.overwrite, "check_space": not output.force}
        summary = run(plan, **how)
    print_result(str(summary.folder))
    _show_first(*asked)
    _say_summary(generator, plan, summary)


def _plan(
    picture: Picture,
    output: OutputOptions,
    given: dict[str, Any],
    defaults: dict[str, Any],
    folder: str,
) -> tuple[SequenceGenerator, Plan]:
    """Return what makes the samples, which all fit, and what is to be made of them."""
    from mnistseq_cli.bulk.plan import Plan, choose_part_size
    from mnistseq_cli.cli.progress import Display
    from mnistseq_cli.formats import open_format

    place = output.make_output(folder)
    if output.resume:
        drawn, rules = _read_drawn(place.folder, picture, given)
        defaults, given = defaults | drawn, given | rules
    if picture.glyphs not in {None, "all"} and picture.make_recipe(defaults, given).splits:
        raise UsageError(
            f"--glyphs is {picture.glyphs!r}, which does not go with --splits: the split test is "
            "written with the test glyphs, the others with training glyphs",
            "Leave --glyphs out",
        )
    generator = picture.open_generator(defaults, given)
    open_format(place).check(generator.recipe, generator.largest_px)
    with Display("samples", after_s=1.0) as display:
        generator.check(lambda n: display.show("Checking that all fit", n, len(generator)))
    part_size = output.part_size or choose_part_size(generator)
    return generator, Plan(generator.recipe, place, part_size, start=output.start or 0)


def _read_drawn(
    folder: Path, picture: Picture, given: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return seed and data set of the run to be resumed, and rules that writers decided."""
    from mnistseq_cli.bulk.manifest import load_plan

    saved = load_plan(folder)
    if not saved:
        return {}, {}
    recipe, rules = saved["recipe"], {}
    hand = recipe.get("hand", "alike" if recipe.get("one_hand") else "any")  # of version 2 or 1
    if picture.one_hand and hand != "any":
        rules["hand"] = hand
    if given["splits"]:
        rules["splits_by"] = recipe.get("splits_by", "glyph")
    return {key: recipe[key] for key in ("seed", "dataset")}, rules


def _warn_of_plan(plan: Plan, n_classes: int, *, is_stream: bool) -> None:
    """Warn of what can be made, but not quite as it was meant, or not so that all can read it."""
    from mnistseq_cli.compose.splits import can_repeat, find_shared
    from mnistseq_cli.formats.names import SPLIT_WORDS

    shared = find_shared(plan.recipe, plan.splits, n_classes)
    if can_repeat(plan.recipe):
        and_splits = f", and splits share {shared}" if shared else ""
        warn(f"Numbers of this pattern can come more than once{and_splits}.")
    elif shared:
        warn(f"There are too few texts to keep splits apart: all splits share {shared}.")
    if unknown := [it.name for it in plan.splits if it.name and it.name not in SPLIT_WORDS]:
        warn(
            f"Hugging Face datasets knows no split called {unknown[0]} and would read it as "
            "train; use train, val and test if it is to be read with load_dataset."
        )
    n_fewest = min(-((split.start - split.stop) // plan.part_size) for split in plan.splits)
    if plan.output.to == "webdataset" and n_fewest < _FEW_SHARDS and not is_stream:
        warn(
            f"WebDataset is written in {count(n_fewest, 'part')}: its reader needs at least one "
            "shard for each of its workers.",
            "A smaller --part-size makes more",
        )


def _show_first(
    generator: SequenceGenerator, plan: Plan, output: OutputOptions, data_dir: Path | None
) -> None:
    """Draw the first samples of the dataset where that is asked for, each as its split has it."""
    is_shown = output.show or output.dry_run
    if not is_shown and output.sheet is None:
        return
    from mnistseq_cli.cli.terminal_images import show_images
    from mnistseq_cli.compose.splits import open_splits
    from mnistseq_cli.formats.images import write_image
    from mnistseq_cli.sheet import make_sheet

    has_splits = bool(plan.weights)
    generators = open_splits(plan.recipe, plan.splits, data_dir) if has_splits else {"": generator}
    stop = plan.start + SHEET_SAMPLES
    samples = [
        sample
        for split in plan.splits
        if split.start < stop
        for sample in generators[split.name].block(split.start, min(split.stop, stop))
    ]
    if output.sheet is not None:
        write_image(output.sheet, make_sheet([sample.image for sample in samples]))
        print_result(str(output.sheet))
    if is_shown:
        samples = samples[:SHOWN_SAMPLES]
        say(f"first    {', '.join(sample.text for sample in samples)}")
        show_images((sample.text, sample.image) for sample in samples)


def _say_summary(generator: SequenceGenerator, plan: Plan, summary: Summary) -> None:
    from mnistseq_cli.formats.card import Licence

    images, recipe = count(summary.n_samples, "image"), generator.recipe
    if not summary.is_whole:
        say(f"This share is made: {images}. The share that is last finishes the dataset.")
        return
    split = plan.recipe.glyphs if plan.weights else generator.glyphs.split
    width_px = generator.width_px
    width = f"{width_px} x {recipe.height_px} px" if width_px else "natural width"
    say(
        f"{images}, {width}, {spell_size(summary.size_bytes)}, "
        f"{name_glyphs(generator.glyphs.name, split)}, seed {recipe.seed}, "
        f"licence {Licence.of(recipe.dataset).spdx or 'not known'}",
        "dim",
    )
    if summary.card in _CARDS:
        say(_CARDS[summary.card])
    folder = shlex.quote(str(summary.folder))
    say(f"  mnistseq inspect {folder} shows what is in it", "dim")
    if plan.output.to == "folder" and "csv" in plan.output.labels:
        table = summary.folder / plan.splits[0].name / "labels.csv"
        say(f"  pd.read_csv({str(table)!r}, dtype=str) keeps zeros such as those of 007", "dim")
    say(f"  hf upload USER/NAME {folder} --repo-type dataset publishes it", "dim")


def _show_dry_run(
    generator: SequenceGenerator, plan: Plan, output: OutputOptions, data_dir: Path | None
) -> None:
    """Show the recipe and what it would take."""
    import json

    from mnistseq_cli.bulk.estimate import count_left, estimate
    from mnistseq_cli.bulk.workers import count_cores

    n_left = count_left(plan) if output.resume else None
    expected = estimate(plan, generator, n_left, data_dir)
    for key, value in plan.to_dict()["recipe"].items():
        print_result(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    n_workers = count_cores() if output.workers is None else max(1, output.workers)
    free = expected.free_bytes
    for name, text in {
        "folder": str(plan.output.folder),
        "images": f"{plan.recipe.count:,} in {count(plan.n_parts, 'part')}",
        "files": f"{expected.n_files:,}",
        "size": spell_size(expected.size_bytes),
        "on disk": spell_size(expected.disk_bytes),
        "free": "" if free is None else spell_size(free),
        "time": f"about {_spell_time(expected.seconds / n_workers)}",
    }.items():
        if text:
            say(f"{name:<8} {text}")


def _spell_time(seconds: float) -> str:
    """Write a time in the units that suit it: 1 s, 12 min, 3 h 20 min."""
    minutes, whole_s = divmod(max(1, round(seconds)), 60)
    if minutes < _MOST_MINUTES:
        return f"{minutes} min {whole_s} s" if minutes else f"{whole_s} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"
