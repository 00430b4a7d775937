from __future__ import annotations

import io
import random
import subprocess
import sys
import tarfile
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished, Started
from mnistseq_cli.bulk.run import run, stream
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.cli.share import parse_share
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import FORMATS, PARTED
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case, check_installed, read_own, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers.program import Result


# Shares


@pytest.mark.parametrize("recipe", [{}, {"splits": ("train=3", "val=1", "test=1")}])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shares_in_any_order_make_what_one_run_makes(
    glyph_folder: Path, tmp_path: Path, recipe: dict[str, Any], order: tuple[int, ...]
) -> None:
    case = Case(glyph_folder, recipe=recipe)
    out = tmp_path / "out"
    summaries = [run(case.plan(out), workers=0, share=(number, 3)) for number in order]
    assert [summary.is_whole for summary in summaries] == [False, False, True]
    assert sum(summary.n_samples for summary in summaries[:2]) < 95 == summaries[2].n_samples
    assert read_tree(out) == case.tree(tmp_path / "whole")
    again = run(case.plan(out), workers=0, share=(2, 3))  # a task that is run once more
    assert again.n_samples == 95
    assert read_tree(out) == read_tree(tmp_path / "whole")


def test_more_shares_than_parts_and_a_run_that_finishes(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(1, 20):
        run(case.plan(out), workers=0, share=(number, 20))
    assert not (out / "dataset.json").exists()
    with pytest.raises(OutputError, match="holds an unfinished dataset"):
        run(case.plan(out), workers=0)
    with pytest.raises(OutputError, match="holds another dataset"):
        run(case.plan(out, seed=6), workers=0, share=(20, 20))
    run(case.plan(out), workers=0, resume=True)
    assert read_tree(out) == case.tree(tmp_path / "whole")


def test_a_share_is_made_by_one_process_and_not_beside_a_whole_run(
    case: Case, tmp_path: Path
) -> None:
    out, refused = tmp_path / "out", []

    def try_others(event: Event) -> None:
        if isinstance(event, Started):
            tries: list[dict[str, Any]] = [{"share": (1, 2)}, {"resume": True}]
            for options in tries:
                with pytest.raises(OutputError, match="another run is writing") as caught:
                    run(case.plan(out), workers=0, **options)
                refused.append(caught.value.message)
            run(case.plan(out), workers=0, share=(2, 2))

    run(case.plan(out), workers=0, share=(1, 2), report=try_others)
    assert len(refused) == 2
    assert read_tree(out) == case.tree(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_four_processes_that_are_killed_now_and_then(glyph_folder: Path, tmp_path: Path) -> None:
    case = Case(glyph_folder, recipe={"count": 1200}, part_size=20)
    out, moments = tmp_path / "out", random.Random(5)  # noqa: S311 - when to kill
    for turn in range(5):
        with ExitStack() as stack:
            running = [
                stack.enter_context(case.start(out, workers=0, share=[number, 4]))
                for number in (1, 2, 3, 4, 2)
            ]
            if turn < 3:
                for process in running:
                    time.sleep(moments.uniform(0.1, 0.6))
                    process.kill()
            messages = [process.communicate(timeout=60)[1] for process in running]
        assert "Traceback" not in "".join(messages)
    assert (out / "dataset.json").exists()
    assert read_tree(out) == case.tree(tmp_path / "whole")


@pytest.mark.parametrize(
    ("text", "environment", "share"),
    [
        ("3/8", {}, (3, 8)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"}, (3, 8)),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}, (1, 8)),
        ("auto", {"SGE_TASK_ID": "8", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "8"}, (8, 8)),
        ("auto/8", {"SGE_TASK_ID": "undefined", "PBS_ARRAY_INDEX": "2"}, (2, 8)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (8, 8)),
        ("auto/8", {"PARALLEL_SEQ": "1"}, (1, 8)),
        # A task that is run again alone is not numbered as before.
        ("auto", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"}, None),
        ("auto", {"SGE_TASK_ID": "3", "SGE_TASK_FIRST": "3", "SGE_TASK_LAST": "3"}, None),
        ("auto/8", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"}, (3, 8)),
        ("auto/8", {"SLURM_ARRAY_TASK_ID": "0"}, None),
        ("auto", {"PARALLEL_SEQ": "1"}, None),
        ("auto/8", {}, None),
        *((text, {}, None) for text in ("0/8", "9/8", "3", "3/", "/8", "x/8", "-1/8", "1/0")),
    ],
)
def test_which_share_a_process_is_told_to_make(
    text: str, environment: dict[str, str], share: tuple[int, int] | None
) -> None:
    if share:
        assert parse_share(text, environment) == share
    else:
        with pytest.raises(UsageError):
            parse_share(text, environment)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--share 1/2", "--share needs a seed"),
        ("--share 3/2 --seed 1", "expected 1/N to N/N"),
        ("--share 1/2 --seed 1 --overwrite", "--share does not go with --overwrite"),
        ("--share 1/2 --seed 1 --dask local", "--share does not go with --dask"),
        ("-o -", "-o - writes one tar"),
        ("-o - --to webdataset --splits a=1 b=1", "-o - does not go with --splits"),
        ("--start 5 --splits a=1 b=1", "--start is 5"),
        ("--start -1", "--start is -1"),
    ],
)
def test_options_that_do_not_go_together(
    words: str, message: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run("batch", "--length", "2", *words.split())
    assert result.status == 2
    assert message in " ".join(result.err.split())
    assert not list(tmp_path.glob("*/dataset.json"))


# Growing


@pytest.mark.parametrize("to", PARTED)
@pytest.mark.parametrize("n_before", [35, 40])
def test_a_larger_count_adds_samples(
    glyph_folder: Path, tmp_path: Path, to: str, n_before: int
) -> None:
    check_installed(to)
    case = Case(glyph_folder, output={"to": to})
    out, events = tmp_path / "out", list[Event]()
    run(case.plan(out, count=n_before), workers=0)
    case.stop(out, 2, resume=True)
    with pytest.raises(OutputError, match="is unfinished"):
        verify(out)
    run(case.plan(out), workers=0, resume=True, report=events.append)
    assert read_tree(out) == case.tree(tmp_path / "whole")
    made = [event.part for event in events if isinstance(event, PartFinished)]
    if to != "folder":  # whose labels of old samples are gone into the label files
        assert made[0] == f"{n_before // 10 + 2:08d}"


@pytest.mark.parametrize("to", ["splits", *(to for to in FORMATS if to not in PARTED)])
def test_what_cannot_grow_says_why(glyph_folder: Path, tmp_path: Path, to: str) -> None:
    case = Case(glyph_folder, recipe={"splits": ("a=1", "b=1")})
    if to != "splits":
        check_installed(to)
        case = Case(glyph_folder, output={"to": to})
    before = case.tree(tmp_path / "out")
    with pytest.raises(OutputError, match="cannot grow from 95 images to 120"):
        run(case.plan(tmp_path / "out", count=120), workers=0, resume=True)
    assert read_tree(tmp_path / "out") == before


# A start, and a stream


@pytest.mark.parametrize("to", FORMATS)
def test_a_start_makes_the_later_samples(glyph_folder: Path, tmp_path: Path, to: str) -> None:
    check_installed(to)
    case = Case(glyph_folder, output={"to": to})
    run(case.plan(tmp_path / "whole"), workers=0)
    run(replace(case.plan(tmp_path / "l", count=25), start=70), workers=0)
    assert verify(tmp_path / "l", deep=None, workers=0).problems == ()
    assert survey(tmp_path / "l").n_samples == 25
    if to == "folder":
        there, here = read_own(tmp_path / "l"), read_own(tmp_path / "whole")
        images = {name for name in there if name.endswith(".png")} - {".mnistseq/preview.png"}
        assert len(images) == 25
        assert all(there[name] == here[name] for name in images)
        assert there["labels.csv"].splitlines()[1:] == here["labels.csv"].splitlines()[71:]
        assert b"--start 70" in there["recipe.toml"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_is_one_tar_of_all_samples(
    glyph_folder: Path, tmp_path: Path, workers: int
) -> None:
    plan = Case(glyph_folder, output={"to": "webdataset"}).plan(tmp_path / "out")
    file = io.BytesIO()
    stream(plan, file, workers=workers)
    run(plan, workers=0)
    expected = []
    for shard in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(shard) as tar:
            expected += [(it.name, tar.extractfile(it).read()) for it in tar]  # type: ignore[union-attr]
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as tar:
        assert [(it.name, tar.extractfile(it).read()) for it in tar] == expected  # type: ignore[union-attr]
    assert len(file.getvalue()) % 10_240 == 0


def test_a_stream_that_nobody_reads_to_its_end(glyph_folder: Path, tmp_path: Path) -> None:
    words = f"batch -n 2000 --length 2 --to webdataset --seed 1 --dataset {glyph_folder} -o -"
    command = [sys.executable, "-m", "mnistseq_cli", *words.split()]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr
        message = process.stderr.read().decode()
    assert process.returncode == 1
    assert "what reads the tar has ended" in " ".join(message.split())
