"""Whether a dataset is complete and unchanged, and whether its recipe still makes it."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, TypeVar

from mnistseq_cli.bulk.check import PartChecker, Problem, check_files
from mnistseq_cli.bulk.events import ignore
from mnistseq_cli.bulk.manifest import DATASET_FILE, load_dataset, suggest_anew
from mnistseq_cli.bulk.output_folder import find_files
from mnistseq_cli.bulk.parts import load_record
from mnistseq_cli.bulk.plan import cut_parts, make_plan
from mnistseq_cli.bulk.proof import find_leaks
from mnistseq_cli.bulk.remake import (
    JoinedComparer,
    LabelComparer,
    PartComparer,
    has_listings,
    spans_parts,
)
from mnistseq_cli.bulk.workers import (
    DEFAULT_START_METHOD,
    Crew,
    Job,
    StartMethod,
    count_cores,
    work,
)
from mnistseq_cli.compose.splits import cut
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import Output
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE, Recipe
from mnistseq_cli.validation import check_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mnistseq_cli.bulk.manifest import PartSummary
    from mnistseq_cli.bulk.plan import Part, Plan

ResultT = TypeVar("ResultT")

DEEP_SAMPLES = 1000
_FEW_FILES = 4000  # read before workers have started


@dataclass(frozen=True)
class Checking:
    """How far a check is.

    Parameters
    ----------
    n_files, n_files_all : int
        Files looked at, of all.
    n_made, n_made_all : int
        Samples made again, of all that are to be.
    """

    n_files: int
    n_files_all: int
    n_made: int
    n_made_all: int


@dataclass(frozen=True)
class Report:
    """What was found.

    Parameters
    ----------
    n_files, n_samples : int
        In the dataset.
    n_made : int
        Samples made again and compared.
    problems : tuple of Problem
        In the order of names.
    """

    n_files: int
    n_samples: int
    n_made: int
    problems: tuple[Problem, ...]


def verify(
    folder: Path,
    *,
    deep: int | None = 0,
    workers: int | None = None,
    start_method: StartMethod = DEFAULT_START_METHOD,
    data_dir: Path | None = None,
    report: Callable[[Checking], None] = lambda _: None,
) -> Report:
    """Check a dataset against its manifest.

    Parameters
    ----------
    folder : Path
    deep : int or None
        How many samples, at least, to make again and compare; None makes all of them.
    workers : int, optional
        Worker processes; 0 works in this process. By default as many as there are usable cores,
        but none for a few files.
    start_method : "fork", "forkserver" or "spawn"
    data_dir : Path, optional
        Where glyphs are cached, for `deep`.
    report : callable
        Is told how far the check is.

    Raises
    ------
    OutputError
        The folder is no finished dataset.
    GlyphError
        With `deep`: the glyphs cannot be had, or are not those of the dataset.
    """
    values = load_dataset(folder)
    if workers is None:
        workers = count_cores() if values["n_files"] > _FEW_FILES else 0
    check = _Check(folder, values, Crew(workers, start_method), report)
    problems = check.read()
    chosen = check.choose(deep)
    if chosen and not any(problem.name in {RECIPE_FILE, TEXTS_FILE} for problem in problems):
        problems += check.make(chosen, data_dir)
    unique = {problem.name: problem for problem in reversed(problems)}
    return Report(
        n_files=values["n_files"],
        n_samples=values["n_samples"],
        n_made=sum(len(part) for part in chosen),
        problems=tuple(unique[name] for name in sorted(unique)),
    )


class _Check:
    def __init__(
        self,
        folder: Path,
        values: dict[str, Any],
        crew: Crew,
        report: Callable[[Checking], None],
    ) -> None:
        self._folder = folder
        self._values = values
        self._summaries: list[PartSummary] = values["parts"]
        weights = tuple(values["splits"].items())
        splits = cut(weights, values["recipe"]["count"])
        parts = (part for split in splits for part in cut_parts(split, values["part_size"]))
        # One more than are listed shows that some are not, however many they are.
        self._parts = list(islice(parts, len(self._summaries) + 1))
        self._places = {part: place for place, part in enumerate(self._parts)}
        self._check_sums()
        self._crew = crew
        self._report = report
        # The sizes of fragments, by the name of the joined file and the number of the part.
        self._kept_bytes: dict[str, dict[int, int]] = defaultdict(dict)
        self._n_files = 0
        self._n_made = 0
        self._n_made_all = 0
        self._n_passes = 1

    def _check_sums(self) -> None:
        """Refuse a manifest whose parts are not what it says of the whole."""
        values = self._values
        n_files = sum(summary.n_files for summary in self._summaries) + len(values["files"])
        listed = [(summary.start, summary.stop) for summary in self._summaries]
        expected = [(part.start, part.stop) for part in self._parts]
        listed += [(values["n_samples"], values["n_files"])]
        if listed != [*expected, (values["recipe"]["count"], n_files)]:
            raise OutputError(
                f"{self._folder / DATASET_FILE} is damaged: its parts are not the whole",
                suggest_anew(self._folder),
            )

    def read(self) -> list[Problem]:
        """Read every file and look for others."""
        problems = check_files(self._folder, self._values["files"], read=True)
        self._n_files = len(self._values["files"])
        intact, proofs = True, []
        open_job = partial(PartChecker, self._folder, read=True, kept=False)
        for checked in self._work(open_job, self._parts):
            listed = self._summaries[self._places[checked.part]]
            problems += checked.problems
            if checked.summary != listed:
                intact = False
                problems += [] if checked.problems else [Problem("altered", listed.record.name)]
            if checked.proof:
                proofs.append((checked.part.split, checked.proof))
            for entry in checked.kept:
                joined = checked.part.folder + entry.name
                self._kept_bytes[joined][checked.part.number] = entry.size_bytes
            self._n_files += listed.n_files
            self._tell()
        leaks = find_leaks(proofs, with_texts=not self._values["shared_texts"])
        problems += [Problem("altered", DATASET_FILE, leak) for leak in leaks]
        return problems + (self._find_strangers(problems) if intact else [])

    def choose(self, deep: int | None) -> list[Part]:
        """Choose parts that hold so many samples, evenly spread, the first and last among them."""
        n_all = sum(map(len, self._parts))
        n_samples = n_all if deep is None else min(deep, n_all)
        n_chosen = -(-n_samples // max(1, self._values["part_size"]))
        # The last part of a split may hold fewer samples than others.
        while sum(map(len, chosen := self._spread(n_chosen))) < n_samples:
            n_chosen += 1
        return chosen

    def _spread(self, n_chosen: int) -> list[Part]:
        if n_chosen < 2:  # noqa: PLR2004 - first and last
            return self._parts[:n_chosen]
        step = (len(self._parts) - 1) / (n_chosen - 1)
        return [self._parts[round(place * step)] for place in range(n_chosen)]

    def make(self, parts: list[Part], data_dir: Path | None) -> list[Problem]:
        """Make parts again and compare."""
        plan = self._plan()
        self._n_made_all = sum(len(part) for part in parts)
        self._n_passes = 2 if spans_parts(plan.output) else 1
        open_job = partial(PartComparer, plan, self._find_offsets(), data_dir)
        problems = []
        for part, found in self._work(open_job, parts):
            problems += found
            self._count_made(len(part))
        return problems + self._read_back(plan, parts, data_dir)

    def _plan(self) -> Plan:
        values, path = self._values, self._folder / RECIPE_FILE
        try:
            recipe = Recipe.load(path)
            path = self._folder / DATASET_FILE
            for key in values["output"]:
                check_choice("key of the output", key, [*Output(folder=path).to_dict()])
            output = Output(folder=self._folder, **values["output"])
            return make_plan(recipe, output, values["part_size"], values["splits"].items())
        except UsageError as error:
            message = error.message.removeprefix(f"{path}: ")
            hint = error.hint or suggest_anew(self._folder)
            raise OutputError(f"{path} cannot be used: {message}", hint) from error

    def _read_back(self, plan: Plan, parts: list[Part], data_dir: Path | None) -> list[Problem]:
        if has_listings(plan.output):
            return LabelComparer(plan, data_dir).compare(parts)
        own = (RECIPE_FILE, TEXTS_FILE)
        names = [entry.name for entry in self._values["files"] if entry.name not in own]
        if not spans_parts(plan.output) or not names:
            return []
        return JoinedComparer(plan, names, data_dir).compare(parts, self._count_made)

    def _count_made(self, n_samples: int) -> None:
        self._n_made += n_samples
        self._tell()

    def _find_strangers(self, problems: list[Problem]) -> list[Problem]:
        """Find files that are not listed; names are gathered only if there must be some."""
        n_missing = sum(problem.kind == "missing" for problem in problems)
        n_found = sum(1 for _ in find_files(self._folder)) - 1  # dataset.json lists others
        if n_found == self._n_files - n_missing:
            return []
        listed = {DATASET_FILE, *(entry.name for entry in self._values["files"])}
        for summary in self._summaries:
            record = load_record((self._folder / summary.record.name).read_bytes())
            listed.update(entry.name for entry in record.files)
        return [Problem("extra", name) for name in find_files(self._folder) if name not in listed]

    def _find_offsets(self) -> dict[str, dict[int, int]]:
        """Give where in each joined file, which ends with them, the fragment of a part begins."""
        offsets = {}
        for entry in self._values["files"]:
            sizes = self._kept_bytes.get(entry.name, {})
            ordered = [sizes[number] for number in sorted(sizes)]
            head_bytes = entry.size_bytes - sum(ordered)
            offsets[entry.name] = dict(
                zip(sorted(sizes), accumulate(ordered, initial=head_bytes), strict=False)
            )
        return offsets

    def _work(
        self, open_job: Callable[[], Job[Part, ResultT]], parts: list[Part]
    ) -> Iterator[ResultT]:
        with closing(work(open_job, parts, self._crew, ignore)) as results:
            yield from results

    def _tell(self) -> None:
        n_made = self._n_made // self._n_passes
        self._report(Checking(self._n_files, self._values["n_files"], n_made, self._n_made_all))
