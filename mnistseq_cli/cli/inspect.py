"""``mnistseq inspect``: what is in a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import get_console, print_result, say, warn
from mnistseq_cli.cli.output_options import check_image_file, suggest_name
from mnistseq_cli.errors import UsageError
from mnistseq_cli.recipe import COUNT_LIMIT
from mnistseq_cli.validation import check_number, count

if TYPE_CHECKING:
    from mnistseq_cli.formats.base import LoadedSample
    from mnistseq_cli.inspection.figures import Survey
    from mnistseq_cli.inspection.predictions import ReaderFigures

SHEET_SAMPLES = 24


def inspect(
    folder: Path,
    *,
    sheet: Path | None = None,
    report: Path | None = None,
    samples: int | None = None,
    json_: bool = False,
    predictions: Path | None = None,
    workers: int | None = None,
    data_dir: Path | None = None,
) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    from mnistseq_cli.bulk.storage import open_folder
    from mnistseq_cli.bulk.workers import WORKERS_LIMIT
    from mnistseq_cli.inspection.survey import pick_samples

    folder = open_folder(folder)
    if samples is not None:
        check_number("samples", samples, 1, COUNT_LIMIT)
    if workers is not None:
        check_number("workers", workers, 0, WORKERS_LIMIT)
    if sheet is not None:
        check_image_file(sheet, "--sheet")
    if report is not None:
        _check_report(report)
    if sheet is not None and not (report or json_ or predictions):
        _write_sheet(sheet, pick_samples(folder, SHEET_SAMPLES, data_dir))
        return
    if samples is not None and predictions is not None:
        raise UsageError("--samples looks at some images, and --predictions at all; expected one")
    survey, reader = _look(folder, predictions, samples, data_dir=data_dir, workers=workers)
    # Files go before the summary: who reads that may not read to its end.
    if sheet is not None:
        _write_sheet(sheet, survey.choose(SHEET_SAMPLES))
    if report is not None:
        from mnistseq_cli.inspection.report import write_report

        write_report(report, survey, reader)
    _print_findings(survey, reader, as_json=json_)
    if report is not None:
        say(f"The page is {report}: open it in a browser.")


def _look(
    folder: Path, predictions: Path | None, n_samples: int | None, **how: Any
) -> tuple[Survey, ReaderFigures | None]:
    """Read the dataset once, with a bar where there is a terminal."""
    from mnistseq_cli.cli.progress import Display
    from mnistseq_cli.inspection.dataset import open_dataset
    from mnistseq_cli.inspection.predictions import ReaderTally, read_predictions
    from mnistseq_cli.inspection.survey import survey

    tally = ReaderTally(read_predictions(predictions)) if predictions else None
    n_all = n_samples or open_dataset(folder).n_samples
    with Display("samples", after_s=1.0) as display:
        found = survey(
            folder,
            lambda n_read: display.show("Samples", n_read, n_all),
            reader=tally,
            n_samples=n_samples,
            **how,
        )
    return found, tally.figures() if tally else None


def _check_report(path: Path) -> None:
    """Raise an error for a report that cannot be written, before the dataset is read."""
    from mnistseq_cli.extras import import_extra
    from mnistseq_cli.files import check_place

    if path.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(
            f"--report is {str(path)!r}; expected a name that ends with .html",
            f"For example: --report {suggest_name(path, 'report.html')}",
        )
    import_extra("jinja2", "report", "a report")
    check_place(path)


def _write_sheet(path: Path, samples: list[LoadedSample]) -> None:
    from mnistseq_cli.formats.images import write_image
    from mnistseq_cli.sheet import make_labelled_sheet

    write_image(path, make_labelled_sheet(samples))
    say(f"{count(len(samples), 'sample')} drawn on {path}.")


def _print_findings(survey: Survey, reader: ReaderFigures | None, *, as_json: bool) -> None:
    import json

    from mnistseq_cli.inspection.figures import to_dict
    from mnistseq_cli.inspection.wording import describe_warnings

    if as_json:
        values = to_dict(survey) | ({"reader": reader.to_dict()} if reader else {})
        print_result(json.dumps(values, ensure_ascii=False, allow_nan=False))
    else:
        _show(survey, reader)
    for message, hint in describe_warnings(survey, reader):
        warn(message, hint)


def _show(survey: Survey, reader: ReaderFigures | None) -> None:
    from rich.text import Text

    from mnistseq_cli.cli import summary
    from mnistseq_cli.cli.terminal_images import find_hindrance, show_images

    console = get_console(stderr=False)
    page = summary.TextPage(console.width, is_unicode=console.encoding.lower().startswith("utf"))
    sections = summary.write_summary(survey, page)
    if reader is not None:
        sections += summary.write_accuracy(survey, reader, page)
    samples = summary.list_samples(survey, page)
    is_drawn = console.is_terminal and not find_hindrance(console)
    named = [] if is_drawn else [line for lines, _ in samples for line in lines]
    for title, lines in [*sections, ("Some samples", named)]:
        console.print(Text(page.show(title), "bold"), *map(Text, lines), sep="\n", soft_wrap=True)
        if title != "Some samples":
            console.print()
    if is_drawn:
        show_images(("\n".join(lines), sample.image) for lines, sample in samples)
