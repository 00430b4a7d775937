"""Runs of many machines: shares, growing, streams, and stores to write into."""

from __future__ import annotations

import asyncio
import io
import random
import sys
import tarfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished, Started
from mnistseq_cli.bulk.manifest import dump_plan
from mnistseq_cli.bulk.run import run, stream
from mnistseq_cli.bulk.storage import open_folder
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.cli.share import parse_share
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import FORMATS, PARTED, Output
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case, check_installed, read_own, read_tree
from tests.helpers.program import Run, run_program
from tests.helpers.store import BUCKET, SECRET, Faulty, make_here, read_there

STORES = ("memory", "s3")


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


def test_a_share_is_made_by_one_process_not_beside_a_whole_run(case: Case, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("to", PARTED)
@pytest.mark.parametrize("n_before", [35, 40])
def test_growing_adds_samples(glyph_folder: Path, tmp_path: Path, to: str, n_before: int) -> None:
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
def test_a_stream_is_one_tar_of_samples(glyph_folder: Path, tmp_path: Path, workers: int) -> None:
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


def test_a_stream_that_nobody_reads(glyph_folder: Path, tmp_path: Path, closed_pipe: int) -> None:
    words = f"batch -n 2000 --length 2 --to webdataset --seed 1 --dataset {glyph_folder} -o -"
    result = run_program(*words.split(), folder=tmp_path, stdout=closed_pipe)
    assert result.status == 1
    assert "what reads the tar has ended" in " ".join(result.err.split())


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a new folder in a store of the kind that a test names."""
    pytest.importorskip("upath")
    if request.param == "s3":
        request.getfixturevalue("server").fault = lambda _, __: None
    return open_folder(f"{request.param}://{BUCKET}/{tmp_path.name}/out")


@pytest.mark.parametrize("to", PARTED)
@pytest.mark.parametrize("place", STORES, indirect=True)
def test_stores_are_like_folders(place: Path, to: str, glyph_folder: Path, tmp_path: Path) -> None:
    check_installed(to)
    for splits in ((), ("train=3", "val=1")):
        case = Case(glyph_folder, recipe={"splits": splits, "count": 15}, output={"to": to})
        here = make_here(case, tmp_path / f"here{len(splits)}")
        there = place / f"out{len(splits)}"
        assert run(case.plan(there), workers=0).n_samples == 15
        assert read_there(there) == here
        assert verify(there, deep=None, workers=0).problems == ()
        assert survey(there).n_samples == 15
        names = {path.name for path in (there / ".mnistseq").iterdir()}
        assert names == {"parts", "preview.jpg"}


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_resume_makes_what_is_missing_alone(place: Path, case: Case, tmp_path: Path) -> None:
    case.stop(place, 4)
    assert not (place / "dataset.json").exists()
    with pytest.raises(OutputError, match="holds an unfinished dataset"):
        run(case.plan(place), workers=0)
    with pytest.raises(OutputError, match="seed is 5 there, 6 here"):
        run(case.plan(place, seed=6), workers=0, resume=True)
    (place / "images/00000/00000003.png").unlink()
    (place / "images/00000/00000013.png").write_bytes(b"short")
    image = place / "images/00000/00000023.png"
    if str(place).startswith("s3"):
        image.write_bytes(bytes(image.stat().st_size))  # it lists checksums
    events: list[Event] = []
    run(case.plan(place), workers=0, resume=True, report=events.append)
    n_made = sum(isinstance(event, PartFinished) for event in events)
    assert n_made == (9 if "s3" in str(place) else 8)
    assert read_there(place) == make_here(case, tmp_path / "here")


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_overwrite_removes_what_is_listed(place: Path, case: Case, tmp_path: Path) -> None:
    case = Case(case.dataset, recipe={"count": 15})
    other = Case(case.dataset, recipe={"count": 25}, output={"name": "old/{index}"})
    (place / "old/notes.txt").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"did not make, such as old"):
        run(case.plan(place), workers=0)
    run(other.plan(place), workers=0, overwrite=True)
    with pytest.raises(OutputError, match="holds a dataset"):
        run(case.plan(place), workers=0)
    run(case.plan(place), workers=0, overwrite=True)
    strangers = {"old/notes.txt": b"mine"}
    assert read_there(place) == make_here(case, tmp_path / "here") | strangers
    assert [str(problem) for problem in verify(place).problems] == ["extra: old/notes.txt"]
    (place / "labels.csv").write_bytes(b"edited")
    with pytest.raises(OutputError, match="not as mnistseq wrote it"):
        run(other.plan(place), workers=0, overwrite=True)
    assert (place / "labels.csv").read_bytes() == b"edited"


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_the_first_plan_wins(place: Path, case: Case, server: Faulty, tmp_path: Path) -> None:
    """A run that sees no plan and writes one too late finds that of the other."""
    plan, key = ".mnistseq/plan.json", f"/{BUCKET}/{tmp_path.name}/out/.mnistseq/plan.json"
    other = dump_plan(case.plan(place, seed=6))

    def write_other(method: str, path: str) -> None:
        if method == "PUT" and path == key:
            server.fault = lambda _, __: None
            (place / plan).write_bytes(other)

    server.fault = write_other
    with pytest.raises(OutputError, match="seed is 6 there, 5 here"):
        run(case.plan(place), workers=0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_at_random_moments(server: Faulty, glyph_folder: Path, tmp_path: Path) -> None:
    server.fault = lambda _, __: None
    case = Case(glyph_folder, recipe={"count": 600}, output={"to": "webdataset"})
    place = open_folder(f"s3://{BUCKET}/{tmp_path.name}/out")
    moments = random.Random(3)  # noqa: S311 - when to kill
    for _ in range(7):
        with case.start(place, workers=2, resume=True) as process:
            time.sleep(moments.uniform(0.8, 3.0))
            process.kill()
    assert case.make(place, workers=2, resume=True) == (0, "")
    assert read_there(place) == make_here(case, tmp_path / "here")


@pytest.mark.slow
def test_shares_and_dask_in_one_store(server: Faulty, glyph_folder: Path, tmp_path: Path) -> None:
    """Two processes make the same share at once; a cluster makes the rest."""
    pytest.importorskip("distributed")
    server.fault = lambda _, __: None
    case = Case(glyph_folder, output={"to": "webdataset"})
    place = open_folder(f"s3://{BUCKET}/{tmp_path.name}/out")
    with case.start(place, share=[1, 2]) as one, case.start(place, share=[1, 2]) as other:
        assert [process.communicate(timeout=60)[1] for process in (one, other)] == ["", ""]
    assert not (place / "dataset.json").exists()
    events: list[Event] = []
    run(case.plan(place), dask="local", workers=2, resume=True, report=events.append)
    assert sum(isinstance(event, PartFinished) for event in events) == 5
    assert read_there(place) == make_here(case, tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500 Error", "503 Slow Down", "cut"])
def test_requests_that_fail_are_made_again(
    fault: str, server: Faulty, glyph_folder: Path, tmp_path: Path
) -> None:
    """Every third request of each kind fails."""
    case = Case(glyph_folder, recipe={"count": 30}, output={"to": "webdataset"})
    place = open_folder(f"s3://{BUCKET}/{tmp_path.name}/out")
    server.requests.clear()
    server.fault = lambda _, __: fault if len(server.requests) % 3 == 0 else None
    run(case.plan(place), workers=0)
    server.fault = lambda _, __: None
    assert read_there(place) == make_here(case, tmp_path / "here")


def test_what_cannot_be_written_is_named(
    server: Faulty, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda delay_s: sleep(delay_s / 100))  # between tries
    server.requests.clear()
    key = f"/{BUCKET}/{tmp_path.name}/out/data-000001.tar"
    server.fault = lambda *request: "500 Error" if request == ("PUT", key) else None
    url = f"s3://{BUCKET}/{tmp_path.name}/out"
    words = f"batch -n 30 --part-size 10 --length 2 --to webdataset --seed 1 --workers 0 -o {url}"
    result = run(*words.split(), "--log-json", "log.jsonl")
    assert result.status == 1
    assert f"{url}/data-000001.tar" in "".join(result.err.split())
    assert "Traceback" not in result.err
    assert SECRET not in result.err + result.out
    assert 3 <= server.requests.count(("PUT", key)) <= 100
    server.fault = lambda _, __: None
    assert run(*words.split(), "--resume").status == 0


def test_addresses_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    pytest.importorskip("upath")
    with pytest.raises(UsageError, match="holds a password") as caught:
        open_folder(f"s3://me:{SECRET}@bucket/x")
    assert SECRET not in str(caught.value)
    for to in set(FORMATS) - set(PARTED):
        check_installed(to)
        with pytest.raises(UsageError, match="takes no"):
            Output(folder=open_folder("memory://x"), to=to)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "upath", None)
    result = run("batch", "--length", "2", "-o", "s3://bucket/x")
    assert result.status == 2
    assert "mnistseq[cloud]" in result.err
    assert not (tmp_path / "s3:").exists()
