"""``mnistseq download``: bring data sets into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli.cli.completion import complete
from mnistseq_cli.cli.console import print_result, print_table, say, warn
from mnistseq_cli.cli.options import DATA_DIR, argument, flag, option
from mnistseq_cli.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.glyphs.catalog import Dataset

FIGURES = (1, 2, 3)  # the columns that are numbers

EXAMPLES = """\
mnistseq download
mnistseq download --from ~/Downloads
mnistseq download kmnist --mirror https://example.org/kmnist/
mnistseq download mnist --verify
"""


def download(
    names: list[str] | None = argument(
        "DATASET...",
        "Names of data sets. [default: mnist]",
        autocompletion=complete("glyphs.catalog.DATASETS"),
    ),
    *,
    list_all: bool = flag("Options", "--list", "Show the data sets there are, and stop."),
    source: Path | None = option(
        "Options",
        "--from PATH",
        "Bring files that are on this machine: a folder, zip or tar archive with the gzip or the "
        "plain IDX files, a Keras mnist.npz.",
    ),
    mirrors: list[str] | None = option(
        "Options",
        "--mirror URL",
        "A folder with the gzip files, tried first. Can be given several times.",
    ),
    verify: bool = flag(
        "Options", "--verify", "Read and check every byte; what is damaged is made again."
    ),
    force: bool = flag("Options", "--force", "Download also what is in the cache."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Bring data sets of handwriting into the cache.

    Each file is checked by its SHA-256 and lies where torchvision puts it.
    """
    from mnistseq_cli.glyphs.catalog import DATASETS
    from mnistseq_cli.glyphs.download import check_mirrors
    from mnistseq_cli.glyphs.load import unknown_dataset

    chosen = names or ["mnist"]
    for name in chosen:
        if name not in DATASETS:
            raise unknown_dataset(name)
    check_mirrors(mirrors or ())
    if source and (mirrors or force):
        raise UsageError("--from takes files from this machine: leave out --mirror and --force")
    if list_all:
        head = ("name", "classes", "glyphs", "size", "licence", "cached")
        print_table([head, *_list_rows(data_dir)], FIGURES)
        return
    for name in chosen:
        if source:
            _adopt(name, source, data_dir)
        else:
            _download(name, data_dir, tuple(mirrors or ()), verify=verify, force=force)


def _download(
    name: str, data_dir: Path | None, mirrors: tuple[str, ...], *, verify: bool, force: bool
) -> None:
    from mnistseq_cli.cli.progress import DownloadProgress
    from mnistseq_cli.glyphs.cache import Action, ensure_cached, ensure_writers, find_raw_dir
    from mnistseq_cli.glyphs.catalog import DATASETS

    dataset = DATASETS[name]
    failed: DownloadError | None = None
    with DownloadProgress() as bars:
        done = ensure_cached(
            dataset, data_dir, mirrors=mirrors, progress=bars, verify=verify, force=force
        )
        try:
            done |= ensure_writers(
                dataset, data_dir, mirrors=mirrors, progress=bars, verify=verify, force=force
            )
        except DownloadError as error:
            failed = error
    if failed:
        warn(f"Who wrote the glyphs of {name} stays unknown: {failed.message}", failed.hint)
    for file, action in done.items():
        if action is not Action.USED:
            say(f"{name}: {file} {action}")
    if all(action is Action.USED for action in done.values()):
        is_checked = verify and all(file.is_known for file in dataset.files())
        say(f"{name}: {'checksums match' if is_checked else 'already in the cache'}")
    print_result(str(find_raw_dir(dataset, data_dir)))


def _adopt(name: str, source: Path, data_dir: Path | None) -> None:
    from mnistseq_cli.glyphs.adopt import adopt
    from mnistseq_cli.glyphs.catalog import DATASETS

    if DATASETS[name].is_drawn:
        raise UsageError(
            f"{name} has no files to bring: mnistseq draws it", f"mnistseq download {name}"
        )
    placed = adopt(DATASETS[name], source.expanduser(), data_dir)
    is_checked = all(file.is_known for file in DATASETS[name].files())
    say(f"{name}: copied from {source}, {'checksums match' if is_checked else 'unchecked'}")
    if placed[0].parent != placed[-1].parent or "labels" in placed[0].name:
        say(f"{name}: with who wrote each glyph")
    print_result(str(placed[0].parent))


def _list_rows(data_dir: Path | None) -> Iterator[tuple[str, ...]]:
    from mnistseq_cli.glyphs.cache import is_cached
    from mnistseq_cli.glyphs.catalog import DATASETS

    for name, dataset in DATASETS.items():
        yield (
            name,
            str(len(dataset.alphabet)),
            f"{dataset.n_glyphs:,}",
            _name_size(dataset),
            dataset.licence,
            "yes" if is_cached(dataset, data_dir) else "no",
        )


def _name_size(dataset: Dataset) -> str:
    """Return what a download costs, or where files come from instead."""
    from mnistseq_cli.files import spell_size

    if not dataset.mirrors:
        return "drawn" if dataset.is_drawn else "--from"
    is_known = all(file.size_bytes for file in dataset.files())
    return spell_size(dataset.size_bytes) if is_known else "unknown"
