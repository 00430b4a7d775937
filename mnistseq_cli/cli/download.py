"""``mnistseq download``: bring data sets into the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import print_result, print_table, say, warn
from mnistseq_cli.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from mnistseq_cli.glyphs.catalog import Dataset


def download(
    names: list[str] | None = None,
    *,
    list_: bool = False,
    from_: Path | None = None,
    mirror: list[str] | None = None,
    verify: bool = False,
    force: bool = False,
    data_dir: Path | None = None,
) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    from mnistseq_cli.glyphs.catalog import DATASETS
    from mnistseq_cli.glyphs.download import check_mirrors
    from mnistseq_cli.glyphs.load import unknown_dataset

    chosen = names or ["mnist"]
    for name in chosen:
        if name not in DATASETS:
            raise unknown_dataset(name)
    check_mirrors(mirror or ())
    if from_ and (mirror or force):
        raise UsageError("--from takes files from this machine: leave out --mirror and --force")
    if list_:
        head = ("name", "classes", "glyphs", "size", "licence", "cached")
        print_table([head, *_list_rows(data_dir)], figures=(1, 2, 3))
        return
    how = {"mirrors": tuple(mirror or ()), "verify": verify, "force": force}
    for name in chosen:
        if from_:
            _adopt(DATASETS[name], from_, data_dir)
        else:
            _download(DATASETS[name], data_dir, how)


def _download(dataset: Dataset, data_dir: Path | None, how: dict[str, Any]) -> None:
    from mnistseq_cli.cli.progress import Display
    from mnistseq_cli.glyphs.cache import Action, ensure_cached, ensure_writers, find_raw_dir

    name = dataset.name
    with Display("bytes") as display:
        done = ensure_cached(dataset, data_dir, **how, progress=display.show)
        try:
            done |= ensure_writers(dataset, data_dir, **how, progress=display.show)
        except DownloadError as error:
            warn(f"Who wrote the glyphs of {name} stays unknown: {error.message}", error.hint)
    for file, action in done.items():
        if action is not Action.USED:
            say(f"{name}: {file} {action}")
    if {*done.values()} == {Action.USED}:
        is_checked = how["verify"] and all(file.is_known for file in dataset.files())
        say(f"{name}: {'checksums match' if is_checked else 'already in the cache'}")
    print_result(str(find_raw_dir(dataset, data_dir)))


def _adopt(dataset: Dataset, source: Path, data_dir: Path | None) -> None:
    from mnistseq_cli.glyphs.adopt import adopt

    name = dataset.name
    if dataset.is_drawn:
        raise UsageError(
            f"{name} has no files to bring: mnistseq draws it", f"mnistseq download {name}"
        )
    placed = adopt(dataset, source.expanduser(), data_dir)
    is_checked = all(file.is_known for file in dataset.files())
    say(f"{name}: copied from {source}, {'checksums match' if is_checked else 'unchecked'}")
    if placed[0].parent != placed[-1].parent or "labels" in placed[0].name:
        say(f"{name}: with who wrote each glyph")
    print_result(str(placed[0].parent))


def _list_rows(data_dir: Path | None) -> Iterator[tuple[str, ...]]:
    from mnistseq_cli.files import spell_size
    from mnistseq_cli.glyphs.cache import is_cached
    from mnistseq_cli.glyphs.catalog import DATASETS

    for name, dataset in DATASETS.items():
        sizes_bytes = [file.size_bytes for file in dataset.files()]
        size = spell_size(sum(sizes_bytes)) if all(sizes_bytes) else "unknown"
        if not dataset.mirrors:  # where files come from instead
            size = "drawn" if dataset.is_drawn else "--from"
        cached = "yes" if is_cached(dataset, data_dir) else "no"
        n_classes, n_glyphs = str(len(dataset.alphabet)), f"{dataset.n_glyphs:,}"
        yield name, n_classes, n_glyphs, size, dataset.licence, cached
