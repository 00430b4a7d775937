from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mnistseq_cli.bulk.events import Event, PartFinished
from mnistseq_cli.bulk.manifest import dump_plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.storage import open_folder
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats import FORMATS, PARTED, Output
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case, check_installed
from tests.helpers.store import BUCKET, SECRET, Faulty, make_here, read_there

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers.program import Result

pytest.importorskip("upath")
STORES = ("memory", "s3")


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a new folder in a store of the kind that a test names."""
    if request.param == "s3":
        request.getfixturevalue("server").fault = lambda _, __: None
    return open_folder(f"{request.param}://{BUCKET}/{tmp_path.name}/out")


@pytest.mark.parametrize("to", PARTED)
@pytest.mark.parametrize("place", STORES, indirect=True)
def test_a_store_holds_what_a_folder_would(
    place: Path, to: str, glyph_folder: Path, tmp_path: Path
) -> None:
    check_installed(to)
    for splits in ((), ("train=3", "val=1")):
        case = Case(glyph_folder, recipe={"splits": splits}, output={"to": to})
        here = make_here(case, tmp_path / f"here{len(splits)}")
        there = place / f"out{len(splits)}"
        summary = run(case.plan(there), workers=0)
        assert summary.n_samples == 95
        assert read_there(there) == here
        assert verify(there, deep=None, workers=0).problems == ()
        assert survey(there).n_samples == 95
        names = {path.name for path in (there / ".mnistseq").iterdir()}
        assert names == {"parts", "preview.jpg"}


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_resume_makes_what_is_missing_and_nothing_else(
    place: Path, case: Case, tmp_path: Path
) -> None:
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
    other = Case(case.dataset, recipe={"count": 150}, output={"name": "old/{index}"})
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
    for _ in range(8):
        with case.start(place, workers=2, resume=True) as process:
            time.sleep(moments.uniform(1.0, 4.0))
            process.kill()
    assert case.make(place, workers=2, resume=True) == (0, "")
    assert read_there(place) == make_here(case, tmp_path / "here")


@pytest.mark.slow
def test_shares_and_a_cluster_write_into_one_store(
    server: Faulty, glyph_folder: Path, tmp_path: Path
) -> None:
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
    case = Case(glyph_folder, recipe={"count": 60}, output={"to": "webdataset"})
    place = open_folder(f"s3://{BUCKET}/{tmp_path.name}/out")
    server.requests.clear()
    server.fault = lambda _, __: fault if len(server.requests) % 3 == 0 else None
    run(case.plan(place), workers=0)
    server.fault = lambda _, __: None
    assert read_there(place) == make_here(case, tmp_path / "here")


def test_what_cannot_be_written_is_named(
    server: Faulty, tmp_path: Path, run: Callable[..., Result]
) -> None:
    server.requests.clear()
    server.fault = lambda method, path: (
        "500 Error" if method == "PUT" and path.endswith("data-000001.tar") else None
    )
    url = f"s3://{BUCKET}/{tmp_path.name}/out"
    words = f"batch -n 30 --part-size 10 --length 2 --to webdataset --seed 1 --workers 0 -o {url}"
    result = run(*words.split(), "--log-json", "log.jsonl")
    assert result.status == 1
    assert f"{url}/data-000001.tar" in "".join(result.err.split())
    assert "Traceback" not in result.err
    assert SECRET not in result.err + result.out
    n_tries = sum(path.endswith("data-000001.tar") for _, path in server.requests)
    assert 3 <= n_tries <= 100
    server.fault = lambda _, __: None
    assert run(*words.split(), "--resume").status == 0


def test_addresses_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> None:
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
