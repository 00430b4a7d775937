"""Files that parts write together, each its own bytes: they come out the same, come what may."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.bulk.estimate import estimate
from mnistseq_cli.bulk.events import Event, Joining, PartFinished
from mnistseq_cli.bulk.parts import KEPT, PartMaker
from mnistseq_cli.bulk.run import run
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS
from tests.helpers.bulk_cases import Case, check_installed, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistseq_cli.bulk.plan import Plan

FORMATS_IN_PLACE = ("npy", "idx")
SPLITS = ("train=6", "val=1", "test=1")


@pytest.fixture(params=FORMATS_IN_PLACE)
def case(request: pytest.FixtureRequest, glyph_folder: Path) -> Case:
    return Case(glyph_folder, recipe={"splits": SPLITS}, output={"to": request.param})


@pytest.fixture
def undisturbed(case: Case, tmp_path: Path) -> dict[str, bytes]:
    return make(case.plan(tmp_path / "undisturbed"))


def make(plan: Plan, **options: Any) -> dict[str, bytes]:
    run(plan, workers=options.pop("workers", 0), **options)
    return read_tree(plan.output.folder)


def stop_after_parts(plan: Plan, n_parts: int) -> Path:
    """Give the folder in which finished parts have put their bytes."""
    finished = 0

    def interrupt(event: Event) -> None:
        nonlocal finished
        finished += isinstance(event, PartFinished)
        if finished == n_parts:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, workers=0, resume=True, report=interrupt)
    (shared,) = (plan.output.folder / ".mnistseq" / "kept").glob("shared-*")
    return shared


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_workers_change_nothing(case: Case, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    made = make(case.plan(tmp_path / "out"), workers=3, start_method="fork")
    assert made == undisturbed


def test_bytes_that_are_lost_or_altered_are_made_again(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    for number, rebooted in enumerate((False, True)):
        out = tmp_path / f"out{number}"
        shared = stop_after_parts(case.plan(out), 4) / "train" / "images"
        if rebooted:  # then only the bytes themselves prove anything
            size_bytes = shared.stat().st_size
            with shared.open("r+b") as file:
                file.seek(size_bytes // 2)
                file.write(b"\x01\x02\x03")
            (out / ".mnistseq" / "boot_id").write_text("an earlier one\n")
        else:
            os.truncate(shared, shared.stat().st_size - 1)
        assert make(case.plan(out), resume=True) == undisturbed


def test_bytes_that_change_unnoticed_are_found_when_they_are_joined(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """Sizes are as they were, and so is the machine: a check of sizes alone sees nothing."""
    out = tmp_path / "out"
    shared = stop_after_parts(case.plan(out), 4) / "train" / "images"
    size_bytes = shared.stat().st_size
    with shared.open("r+b") as file:
        for place in (size_bytes // 2 - 1, size_bytes - 1):  # of the second part and the fourth
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
    with pytest.raises(OutputError, match=r"part train-00000001 .* and 1 more have") as caught:
        run(case.plan(out), workers=0, resume=True)
    assert "--resume" in caught.value.hint
    assert not (out / "dataset.json").exists()
    made: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, PartFinished):
            made.append(event.part)

    assert make(case.plan(out), resume=True, report=note) == undisturbed
    assert made == ["train-00000001", "train-00000003"]


@pytest.mark.parametrize("to", FORMATS)
def test_fragments_that_change_unnoticed_are_found_when_they_are_joined(
    to: str, glyph_folder: Path, tmp_path: Path
) -> None:
    """Then the run goes on, or another one takes its place, with nothing left behind."""
    check_installed(to)
    output = {"to": to, "labels": ("csv", "coco")}
    case = Case(glyph_folder, recipe={"count": 25}, output=output)
    other = Case(glyph_folder, recipe={"count": 5}, output={"to": to})
    others = make(other.plan(tmp_path / "other"))
    names: list[str] = []
    undisturbed = make(
        case.plan(tmp_path / "undisturbed"),
        report=before_joining(lambda: names.extend(list_first(tmp_path / "undisturbed"))),
    )
    assert bool(names) == (to not in {"webdataset", "parquet"})
    for name in names:
        if (to, name) == ("idx", "boxes"):
            continue  # which these files have no place for
        for spoil in (flip, Path.unlink):
            out = tmp_path / f"{name}-{spoil.__name__}"
            act = partial(spoil, out / KEPT / "00000000" / name)
            with pytest.raises(OutputError, match=r"part 00000000 .* has changed") as caught:
                make(case.plan(out), report=before_joining(act))
            assert "--resume" in caught.value.hint
            copytree(out, f"{out}-again")
            assert make(case.plan(out), resume=True) == undisturbed
            assert make(other.plan(Path(f"{out}-again")), overwrite=True) == others


def list_first(folder: Path) -> list[str]:
    """Name what the first part has kept to itself."""
    return sorted(path.name for path in (folder / KEPT / "00000000").iterdir())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def before_joining(act: Callable[[], object]) -> Callable[[Event], None]:
    """Do something when all parts are made."""

    def hear(event: Event) -> None:
        if isinstance(event, Joining):
            act()

    return hear


def test_parts_may_keep_their_bytes_to_themselves(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the workers of a cluster do; here the first parts have not."""

    def open_job(*given: Any, shared: Path, **named: Any) -> PartMaker:
        assert shared.is_dir()
        return PartMaker(*given, **named)

    stop_after_parts(case.plan(tmp_path / "out"), 3)
    monkeypatch.setattr("mnistseq_cli.bulk.parts.PartMaker", open_job)
    assert make(case.plan(tmp_path / "out"), resume=True) == undisturbed
    assert make(case.plan(tmp_path / "alone")) == undisturbed


def test_a_disk_that_has_no_hard_links_is_no_hindrance(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert make(case.plan(tmp_path / "out")) == undisturbed


def make_and_die(plan: Plan, nth: int, **options: Any) -> None:
    """Make a dataset, but be killed when a file is opened or a folder changed for the nth time."""
    left, folder = nth, str(plan.output.folder)

    def die(event: str, given: tuple[Any, ...]) -> None:
        nonlocal left
        if event in {"open", "os.rename", "os.link", "os.rmdir", "os.mkdir", "os.remove"}:
            left -= str(given[0]).startswith(folder)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    run(plan, workers=0, **options)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("to", FORMATS_IN_PLACE)
def test_killed_at_every_step(to: str, glyph_folder: Path, tmp_path: Path) -> None:
    """Afterwards the run goes on, or another one takes its place."""
    case = Case(glyph_folder, recipe={"count": 15}, output={"to": to})
    other = Case(glyph_folder, recipe={"count": 17, "width_px": 300}, output={"to": to})
    undisturbed = make(case.plan(tmp_path / "undisturbed"))
    others = make(other.plan(tmp_path / "other"))
    start = mp.get_context("fork").Process
    nth, exit_code = 0, -signal.SIGKILL
    while exit_code == -signal.SIGKILL:
        nth += 1
        out = tmp_path / f"out{nth}"
        process = start(target=make_and_die, args=(case.plan(out), nth))
        process.start()
        process.join()
        exit_code = process.exitcode or 0
        if nth % 2:
            assert make(case.plan(out), resume=True) == undisturbed
        else:
            assert make(other.plan(out), overwrite=True) == others
    assert exit_code == 0
    assert nth > 20


def test_space_is_not_counted_twice(case: Case, tmp_path: Path) -> None:
    expected = estimate(case.plan(tmp_path / "out"), workers=0)
    made = make(case.plan(tmp_path / "out"))
    images_bytes = sum(len(data) for name, data in made.items() if "images" in name)
    assert images_bytes < expected.disk_bytes < 1.5 * images_bytes
