"""``mnistseq verify``: whether a dataset is complete and unchanged."""

from __future__ import annotations

import re
from pathlib import Path

from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.validation import check_number, count

SHOWN_OTHERS = 5
_CARDS = {
    "missing": "It has no card: the command that made it, with --resume, writes README.md.",
    "edited": "Its card, README.md, was edited.",
}


def verify(
    folder: Path,
    samples: str = "",
    *,
    deep: bool = False,
    workers: int | None = None,
    data_dir: Path | None = None,
) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    from mnistseq_cli.bulk.storage import open_folder
    from mnistseq_cli.bulk.verify import VerifyProgress
    from mnistseq_cli.bulk.verify import verify as check
    from mnistseq_cli.bulk.workers import WORKERS_LIMIT
    from mnistseq_cli.cli.console import print_result, say
    from mnistseq_cli.cli.progress import Display

    if workers is not None:
        check_number("workers", workers, 0, WORKERS_LIMIT)
    folder = open_folder(folder)
    if samples and not deep:
        raise UsageError(f"unexpected value {samples!r} after DIR", "Check folders one by one.")
    n_deep = _parse_samples(samples) if deep else 0
    with Display("files") as display:

        def show(checking: VerifyProgress) -> None:
            display.show("Files", checking.n_files, checking.n_files_all)
            if checking.n_made_all:
                display.show("Samples", checking.n_made, checking.n_made_all)

        found = check(folder, deep=n_deep, workers=workers, data_dir=data_dir, report=show)
    for problem in found.problems:
        print_result(str(problem))
    if others := found.also_there:
        more = f" and {len(others) - SHOWN_OTHERS:,} more" if others[SHOWN_OTHERS:] else ""
        say(f"Also there, from other programs: {', '.join(others[:SHOWN_OTHERS])}{more}")
    if found.problems:
        raise OutputError(
            f"{folder} is not as it was written: {count(len(found.problems), 'file')}",
            "Move away those that are extra, remove those that are altered; the command that made "
            "it, with --resume, makes what is missing again.",
        )
    again = f"; re-rendered {count(found.n_made, 'sample')}: identical" if found.n_made else ""
    say(
        f"{folder} is complete: {count(found.n_files, 'file')}, "
        f"{count(found.n_samples, 'sample')}; checksums match{again}."
    )
    if found.card in _CARDS:
        say(_CARDS[found.card])
    if found.overlap:
        say(f"{found.overlap[0].upper()}{found.overlap[1:]}.")


def _parse_samples(text: str) -> int | None:
    """Return how many samples to make again; None for all."""
    from mnistseq_cli.bulk.verify import DEEP_SAMPLES

    if not re.fullmatch(r"([1-9]\d{0,17}|all)?", text, re.ASCII):
        raise UsageError(f"--deep is {text!r}; expected a number of samples from 1 on, or all")
    return None if text == "all" else int(text or DEEP_SAMPLES)
