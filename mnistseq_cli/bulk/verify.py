"""Whether a dataset is complete and unchanged, and whether its recipe still makes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from mnistseq_cli.bulk.manifest import (
    DATASET_FILE,
    Manifest,
    check_card,
    list_recorded,
    load_manifest,
    record_name,
    suggest_anew,
)
from mnistseq_cli.bulk.output_folder import find_files, is_litter
from mnistseq_cli.bulk.parts import Problem, check_files, check_part
from mnistseq_cli.bulk.plan import Part, cut_parts
from mnistseq_cli.bulk.remake import Remaker
from mnistseq_cli.bulk.split_overlap import OverlapTally, describe_overlaps
from mnistseq_cli.bulk.workers import Work, count_cores, map_unordered
from mnistseq_cli.compose.splits import Split, cut
from mnistseq_cli.errors import MnistseqError, OutputError, UsageError
from mnistseq_cli.formats import Output, open_format
from mnistseq_cli.formats.base import ChosenPlaces, LoadedSample, Wanted, rank_split
from mnistseq_cli.formats.card import CARD_FILE, CROISSANT_FILE
from mnistseq_cli.formats.read_labels import OWN_LABEL_FILES, find_label_file, read_labels
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE, Recipe

# By the label file that samples are read from; None where each lies in one with its labels.
_Reads = dict[Path | None, Callable[[Wanted], Iterator[LoadedSample]]]

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

DEEP_SAMPLES = 1000
_FEW_FILES = 4000  # read before workers have started
_TASK_SAMPLES = 10_000
_NO_IMAGE = np.zeros((0, 0), np.uint8)
# By the aspect of a sample: part of the name of the file that holds it, where it has its own.
_STEMS = {"image": "images", "text": "labels", "boxes": "boxes"}


@dataclass(frozen=True)
class VerifyProgress:
    """How many files were looked at, of all, and how many samples made again."""

    n_files: int
    n_files_all: int
    n_made: int
    n_made_all: int


@dataclass(frozen=True)
class Report:
    """What was found."""

    n_files: int  # in the dataset
    n_samples: int
    n_made: int  # samples made again and compared
    problems: tuple[Problem, ...]  # in the order of names
    also_there: tuple[str, ...] = ()  # what others left, which is no problem; see `is_litter`
    overlap: str = ""  # what the splits share, in words; "" where there are none, or problems
    card: str = "own"  # whose its ``README.md`` is; see `check_card`


def verify(
    folder: Path,
    *,
    deep: int | None = 0,  # how many samples, at least, to make again; None makes all
    workers: int | None = None,  # 0: this process; else as many as usable cores, if there is much
    data_dir: Path | None = None,  # where glyphs are cached
    report: Callable[[VerifyProgress], None] = lambda _: None,
) -> Report:
    """Check a dataset against its manifest, and `deep` samples against its recipe."""
    manifest = load_manifest(folder)
    if workers is None:
        workers = count_cores() if manifest.n_files > _FEW_FILES else 0
    check = _Check(folder, manifest, workers, report)
    problems = check.read()
    chosen = check.choose(deep)
    overlap = ""
    if not any(problem.name in {RECIPE_FILE, TEXTS_FILE} for problem in problems):
        try:
            problems += check.compare(chosen, problems, data_dir) if chosen else []
            if manifest.plan["splits"] and not problems:
                overlap, leaks = check.count_overlap(data_dir)
                problems += leaks
        except OutputError as error:
            raise OutputError(error.message, error.hint or suggest_anew(folder)) from error
    unique = {problem.name: problem for problem in reversed(problems)}
    return Report(
        n_files=manifest.n_files,
        n_samples=manifest.n_samples,
        n_made=sum(map(len, chosen)),
        problems=tuple(unique[name] for name in sorted(unique)),
        also_there=tuple(sorted(check.also_there)),
        overlap=overlap,
        card=check_card(folder, manifest.card),
    )


@dataclass
class _Check:
    """How far a check is."""

    folder: Path
    manifest: Manifest
    n_workers: int
    report: Callable[[VerifyProgress], None]

    def __post_init__(self) -> None:
        self._parts = _list_parts(self.folder, self.manifest)
        self.also_there: list[str] = []
        self._n_files_all = self.manifest.n_files
        self._n_files = self._n_made = self._n_made_all = 0

    def read(self) -> list[Problem]:
        """Read every file and look for others."""
        problems = check_files(self.folder, self.manifest.files)
        self._n_files = len(self.manifest.files)
        intact = True
        all_listed = dict(zip(self._parts, self.manifest.parts, strict=True))
        for written in self._work(partial(partial, check_part, self.folder), self._parts):
            listed = all_listed[written.part]
            problems += written.problems
            if written.summary != listed:
                intact = False
                problems += [] if written.problems else [Problem("altered", listed.record)]
            self._n_files += listed.n_files
            self._tell()
        return problems + (self._find_others(problems) if intact else [])

    def choose(self, deep: int | None) -> list[Part]:
        """Choose parts that hold so many samples, evenly spread, the first and last among them."""
        parts, n_all = self._parts, self.manifest.n_samples
        n_samples = n_all if deep is None else min(deep, n_all)
        n_chosen = -(-n_samples // self.manifest.plan["part_size"])
        while True:
            places = np.linspace(0, len(parts) - 1, n_chosen).round().astype(int)
            chosen = [parts[place] for place in places]
            if sum(map(len, chosen)) >= n_samples:
                return chosen
            n_chosen += 1  # the last part of a split may hold fewer samples than others

    def compare(
        self, parts: list[Part], known: list[Problem], data_dir: Path | None
    ) -> list[Problem]:
        """Make parts again and compare; files with problems that are known are left out."""
        self._n_made_all = sum(map(len, parts))
        skip = frozenset(problem.name for problem in known)
        open_job = partial(_Comparer, self.manifest, self.folder, skip, data_dir)
        problems = open_job().check_recipe()
        # Each task reads the label files from their beginning.
        n_tasks = min(max(1, self.n_workers), -(-self._n_made_all // _TASK_SAMPLES))
        tasks = [tuple(parts[start::n_tasks]) for start in range(n_tasks)]
        for n_made, found in self._work(open_job, tasks):
            problems += found
            self._n_made += n_made
            self._tell()
        return problems

    def count_overlap(self, data_dir: Path | None) -> tuple[str, list[Problem]]:
        """Count what splits share, in samples made again: words for it, and what is wrong."""
        tally = OverlapTally()
        try:
            remaker = Remaker(self.manifest.plan, self.folder, data_dir, download=False)
            for split, block in remaker.blocks():
                inside = np.arange(block.glyphs.shape[1]) < block.lengths[:, None]
                used = {
                    kind: None if ids is None else np.unique(ids[inside]).tolist()
                    for kind, ids in (("glyphs", block.glyphs), ("writers", block.writers))
                }
                tally.add(split.name, block.texts.tolist(), **used)
        except MnistseqError as error:
            return f"what the splits share was not counted, for {error.message}", []
        overlaps = tally.overlaps()
        never_shared = ["n_glyphs"]
        if self.manifest.plan["recipe"].get("splits_by") == "writer":
            never_shared.append("n_writers")
        if not self.manifest.shared_texts:
            never_shared.append("n_texts")
        wrong = [it for it in overlaps if any(getattr(it, name) for name in never_shared)]
        leaks = [Problem("altered", DATASET_FILE, describe_overlaps(wrong))] if wrong else []
        return describe_overlaps(overlaps), leaks

    def _find_others(self, problems: list[Problem]) -> list[Problem]:
        """Find files that are not listed; names are gathered only if there must be some."""
        n_missing = sum(problem.kind == "missing" for problem in problems)
        listed = {DATASET_FILE}  # which lists others
        if self.manifest.card and (self.folder / CARD_FILE).exists():
            listed.add(CARD_FILE)
        n_found = sum(1 for _ in find_files(self.folder)) - len(listed)
        if n_found == self._n_files - n_missing:
            return []
        listed.update(entry.name for entry in self.manifest.files)
        for summary in self.manifest.parts:
            listed.update(entry.name for entry in list_recorded(self.folder / summary.record))
        others = [name for name in find_files(self.folder) if name not in listed]
        self.also_there = [name for name in others if is_litter(name)]
        return [Problem("extra", name) for name in others if not is_litter(name)]

    def _work(
        self, make_work: Callable[[], Work[TaskT, ResultT]], tasks: list[TaskT]
    ) -> Iterator[ResultT]:
        n_workers = self.n_workers if len(tasks) > 1 else 0  # to start some takes longer than most
        with closing(map_unordered(make_work, tasks, n_workers)) as results:
            yield from results

    def _tell(self) -> None:
        of_files = (self._n_files, self._n_files_all)
        self.report(VerifyProgress(*of_files, self._n_made, self._n_made_all))


def _list_parts(folder: Path, manifest: Manifest) -> list[Part]:
    """Return the parts of the plan; raise an error for a manifest that lists others."""
    plan = manifest.plan
    n_samples = plan["recipe"]["count"]
    splits = cut(plan["splits"].items(), n_samples, plan.get("start", 0))
    parts = (part for split in splits for part in cut_parts(split, plan["part_size"]))
    # One more than are listed shows that some are not, however many they are.
    found = list(islice(parts, len(manifest.parts) + 1))
    expected = [(part.start, part.stop) for part in found]
    listed = [(summary.start, summary.stop) for summary in manifest.parts]
    # A sample takes a byte at least: nobody is kept waiting by a number alone.
    if listed != expected or n_samples > manifest.size_bytes:
        raise OutputError(
            f"{folder / DATASET_FILE} is damaged: its parts are not the whole",
            suggest_anew(folder),
        )
    return found


class _Comparer:
    """Compares the samples of some parts with what the recipe makes; a `Work`."""

    def __init__(
        self, manifest: Manifest, folder: Path, skip: frozenset[str], data_dir: Path | None
    ) -> None:
        self._folder = folder
        self._skip = skip
        self._remaker = Remaker(manifest.plan, folder, data_dir)
        self._to = self._remaker.output.to
        own = {RECIPE_FILE, TEXTS_FILE, CROISSANT_FILE}
        self._joined = [entry.name for entry in manifest.files if entry.name not in own]

    def check_recipe(self) -> list[Problem]:
        """Compare ``recipe.toml`` with the recipe in the manifest."""
        path = self._folder / RECIPE_FILE
        try:
            recipe = Recipe.load(path)
        except UsageError as error:
            raise OutputError(f"{path} cannot be used: {error.message}", error.hint) from error
        if recipe == self._remaker.recipe:
            return []
        return [Problem("altered", RECIPE_FILE, f"not the recipe in {DATASET_FILE}")]

    def __call__(
        self, parts: tuple[Part, ...], tell: Callable[[int], None]
    ) -> tuple[int, list[Problem]]:
        """Compare; return how many samples, and the first problem of each file."""
        del tell
        problems: dict[str, Problem] = {}
        try:
            for problem in self._compare(parts):
                problems.setdefault(problem.name, problem)
        except OutputError as error:
            names = self._joined or [name for part in parts for name in self._list_files(part)]
            named = (name for name in names if str(self._folder / name) in error.message)
            problem = Problem("unreadable", next(named, DATASET_FILE), error.message)
            problems.setdefault(problem.name, problem)
        return sum(map(len, parts)), list(problems.values())

    def _compare(self, parts: tuple[Part, ...]) -> Iterator[Problem]:
        """Compare samples as the reader of the format gives them, then other label files."""
        reader = open_format(Output(folder=self._folder, to=self._to))
        splits = sorted(self._remaker.splits, key=lambda split: rank_split(split.name))
        if self._to != "folder":
            reads: _Reads = {None: partial(reader.read, self._folder)}
            yield from self._compare_all(reads, splits, parts)
            return
        for split in splits:
            folder = self._folder / split.name
            first = find_label_file(folder, own=True)
            reads = {first: partial(reader.read_split, split.name, folder)}
            for listing in chain.from_iterable(map(folder.glob, OWN_LABEL_FILES)):
                reads.setdefault(listing, partial(_read_rows, split.name, listing))
            yield from self._compare_all(reads, [split], parts)

    def _compare_all(
        self, reads: _Reads, splits: list[Split], parts: tuple[Part, ...]
    ) -> Iterator[Problem]:
        """Compare the samples of some parts in what is read: that of some splits, in order."""
        chosen = {listing: ChosenPlaces(_list_places(splits, parts)) for listing in reads}
        wanted = {
            listing: partial(self._is_unskipped, it) if self._skip else it
            for listing, it in chosen.items()
        }
        streams = {listing: read(wanted[listing]) for listing, read in reads.items()}
        for listing, difference in self._remaker.differences(streams):
            sample, aspect = difference.sample, difference.aspect
            if self._to == "folder" and aspect == "image":
                name = self._name(sample.name, sample.split)
                yield Problem("altered", name, "not what the recipe makes")
            else:
                name = self._find_file(sample, aspect, parts, listing)
                yield Problem("altered", name, str(difference))
        n_all = sum(split.stop - split.start for split in splits)
        for listing, it in chosen.items():
            if it.n_seen != n_all and not self._skip:
                none = LoadedSample("", splits[0].name, _NO_IMAGE, "")
                name = self._find_file(none, "image", parts, listing)
                yield Problem("altered", name, f"{it.n_seen} samples instead of {n_all}")

    def _find_file(
        self, sample: LoadedSample, aspect: str, parts: tuple[Part, ...], listing: Path | None
    ) -> str:
        """Return the name of the file that holds an aspect of a sample, but for its own image."""
        if listing is not None:
            return listing.relative_to(self._folder).as_posix()
        if not self._joined:
            index = self._remaker.find_index(sample.name) or 0
            part = next((part for part in parts if part.start <= index < part.stop), parts[0])
            return self._list_files(part)[0]
        prefix = f"{sample.split}/"
        own = [name for name in self._joined if name.startswith(prefix)] or self._joined
        stems = {name: name.rpartition("/")[2].removeprefix(f"{sample.split}-") for name in own}
        stem = _STEMS.get(aspect, "images")
        return next((name for name in own if stem in stems[name]), own[0])

    def _is_unskipped(self, chosen: ChosenPlaces, name: str) -> bool:
        names = (self._name(name, split.name) for split in self._remaker.splits)
        return chosen(name) and self._skip.isdisjoint(names)

    def _name(self, name: str, split: str) -> str:
        """Return the name of an image in the dataset; some label files leave ``images`` out."""
        if self._remaker.output.name.startswith("images/"):
            name = re.sub(r"^(\.\./)*(images/)?", "images/", name)
        return f"{split}/{name}" if split else name

    def _list_files(self, part: Part) -> list[str]:
        record = record_name(part.name)
        return [entry.name for entry in list_recorded(self._folder / record)] or [record]


def _list_places(splits: list[Split], parts: tuple[Part, ...]) -> Iterator[int]:
    """Yield the places of the samples of some parts, where the splits are read in order."""
    n_before = 0
    for split in splits:
        for part in parts:
            if part.split == split.name:
                shift = n_before - split.start
                yield from range(part.start + shift, part.stop + shift)
        n_before += split.stop - split.start


def _read_rows(split: str, listing: Path, wanted: Wanted) -> Iterator[LoadedSample]:
    for row in read_labels(listing, wanted):
        yield LoadedSample(row.name, split, _NO_IMAGE, row.text, **row.known)
