from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.bulk.estimate import count_left, estimate
from mnistseq_cli.bulk.events import Event, Finished, PartFinished, Progressed, Started
from mnistseq_cli.bulk.plan import choose_part_size
from mnistseq_cli.bulk.run import run as make
from mnistseq_cli.bulk.workers import _find_quotas
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import LayoutError, OutputError
from mnistseq_cli.files import spell_size
from mnistseq_cli.formats import FORMATS, LABEL_STYLES
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import Case, Files, check_installed, read_tree
from tests.helpers.program import Run


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_are_equal(case: Case, tmp_path: Path, undisturbed: Files, workers: int) -> None:
    make(case.plan(tmp_path / "out"), workers=workers)
    assert read_tree(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("part_size", [1, 7, 94, 95, 1000])
def test_part_sizes_change_records_alone(
    glyph_folder: Path, tmp_path: Path, undisturbed: Files, part_size: int
) -> None:
    make(Case(glyph_folder, part_size=part_size).plan(tmp_path / "out"), workers=0)
    for name, data in read_tree(tmp_path / "out").items():
        if not name.startswith(".mnistseq/") and name != "dataset.json":
            assert data == undisturbed[name]


def test_events_count_up_to_the_end(case: Case, tmp_path: Path) -> None:
    events: list[Event] = []
    summary = make(case.plan(tmp_path / "out"), workers=2, report=events.append)
    assert (summary.n_samples, summary.n_files) == (95, 99)
    assert events[0] == Started(95, 10, 0, 0, 2)
    assert isinstance(events[-1], Finished)
    finished = [event for event in events if isinstance(event, PartFinished)]
    assert sorted(event.part for event in finished) == [f"{n:08d}" for n in range(10)]
    progress = [event.n_samples for event in events if isinstance(event, Progressed)]
    assert progress[-1] == 95
    assert max(progress) == 95


def test_a_folder_that_is_not_empty_is_refused(case: Case, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match=r"did not make, such as notes\.txt"):
            make(case.plan(tmp_path / "out"), workers=0, resume=resume)
    assert read_tree(tmp_path / "out") == {"notes.txt": b"mine"}


def test_resume_begins_where_nothing_is_and_changes_nothing_that_is_finished(
    case: Case, tmp_path: Path, undisturbed: Files
) -> None:
    out = tmp_path / "out"
    make(case.plan(out), workers=0, resume=True)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    with pytest.raises(OutputError, match="holds a dataset") as caught:
        make(case.plan(out), workers=0)
    assert "--resume" in caught.value.hint
    assert "--overwrite" in caught.value.hint
    make(case.plan(out), workers=0, resume=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before
    assert read_tree(out) == undisturbed


def test_resume_mends_what_is_gone_or_cut(case: Case, tmp_path: Path, undisturbed: Files) -> None:
    make(case.plan(tmp_path / "out"), workers=0)
    names = ("images/00000/00000042.png", "labels.csv", "metadata.jsonl", "recipe.toml")
    for name in (*names, ".mnistseq/parts/00000003.json"):
        for spoil in (lambda path: os.truncate(path, 3), os.unlink):
            spoil(tmp_path / "out" / name)
            make(case.plan(tmp_path / "out"), workers=0, resume=True)
            assert read_tree(tmp_path / "out") == undisturbed


def test_resume_refuses_another_plan_and_names_the_difference(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    case.stop(out, 2)
    before = read_tree(out)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"seed": 6}, "seed is 5 there, 6 here"),
        ({"count": 94}, "count is 95 there, 94 here"),
        ({"length": None, "digits": "350"}, "digits is None there, '350' here"),
        ({"spacing_px": (1, 2)}, "spacing_px is"),
    ]
    plans = [(case.plan(out, **change), words) for change, words in changes]
    other = Case(case.dataset, output={"labels": ("csv",)}, part_size=20).plan(out)
    plans.append((other, "part_size is 10 there, 20 here"))
    plans.append((other, "labels is ['csv', 'jsonl'] there, ['csv'] here"))
    for plan, words in plans:
        with pytest.raises(OutputError, match="holds another dataset") as caught:
            make(plan, workers=0, resume=True)
        assert words in caught.value.message
    assert read_tree(out) == before


@pytest.mark.parametrize("n_damaged", [0, 2])
def test_resume_keeps_finished_parts_whose_files_are_as_they_were(
    case: Case, tmp_path: Path, undisturbed: Files, n_damaged: int
) -> None:
    """A power failure can leave a file that has its name and size but not its contents."""
    out, events = tmp_path / "out", list[Event]()
    case.stop(out, 4)
    assert not (out / "dataset.json").exists()
    for name in ("images/00000/00000012.png", ".mnistseq/kept/00000002/labels.csv")[:n_damaged]:
        (out / name).write_bytes(bytes((out / name).stat().st_size))
    make(case.plan(out), workers=0, resume=True, report=events.append)
    assert len([event for event in events if isinstance(event, PartFinished)]) == 6 + n_damaged
    assert n_damaged or Started(95, 10, 40, 4, 0) in events
    assert read_tree(out) == undisturbed


def test_fragments_with_hashes_of_version_0_1_are_kept(case: Case, tmp_path: Path) -> None:
    out, events = tmp_path / "out", list[Event]()
    case.stop(out, 4)
    for record in (out / ".mnistseq/parts").glob("*.json"):
        values = json.loads(record.read_bytes())
        for entry in values["kept"]:
            data = (out / ".mnistseq/kept" / values["part"] / entry[0]).read_bytes()
            entry[2] = hashlib.sha256(data).hexdigest()
        record.write_text(json.dumps(values))
    make(case.plan(out), workers=0, resume=True, report=events.append)
    assert Started(95, 10, 40, 4, 0) in events


def test_workers_do_not_run_the_program_that_starts_them(case: Case, tmp_path: Path) -> None:
    plan = f"Plan({case.plan(tmp_path / 'out').recipe!r}, Output(folder='out'), part_size=50)"
    lines = ["from mnistseq_cli import Recipe", "from mnistseq_cli.bulk.plan import Plan"]
    lines += ["from mnistseq_cli.bulk.run import run", "from mnistseq_cli.formats import Output"]
    script = tmp_path / "script.py"
    script.write_text("\n".join([*lines, f"run({plan}, workers=2)", "print('once')"]))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.split() == [b"once"]


@pytest.mark.parametrize("n_parts", [0, 3, 10])
def test_overwrite_removes_what_was_written_and_leaves_strangers(
    case: Case, tmp_path: Path, n_parts: int, undisturbed: Files
) -> None:
    out = tmp_path / "out"
    older = {"count": 300, "seed": 9, "texts": ("12", "7"), "length": None}
    other = Case(case.dataset, recipe=older, output={"name": "old/{index}"}, part_size=30)
    other.stop(out, n_parts)
    strangers = {"notes.txt": b"mine", "old/notes.txt": b"mine too"}
    (out / "old").mkdir(exist_ok=True)
    for name, data in strangers.items():
        (out / name).write_bytes(data)
    make(case.plan(out), workers=0, overwrite=True)
    assert read_tree(out) == undisturbed | strangers


@pytest.mark.parametrize("name", ["labels.csv", "images/00000/00000042.png", "recipe.toml"])
def test_a_file_of_a_stranger_is_never_replaced(case: Case, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    choices: list[dict[str, Any]] = [{"overwrite": True}, {"resume": True}]
    for options in choices:
        with pytest.raises(OutputError, match=name):
            make(case.plan(out), workers=0, **options)
        assert (out / name).read_text() == "mine"
    (out / name).unlink()
    make(case.plan(out), workers=0, overwrite=True)
    assert (out / "dataset.json").exists()


def test_an_error_in_a_worker_is_told_as_it_is(case: Case, tmp_path: Path) -> None:
    texts = ("1",) * 60 + ("1234567890" * 5,)
    plan = case.plan(tmp_path / "out", length=None, texts=texts, width_px=100)
    for workers in (2, 0):
        with pytest.raises(LayoutError, match="sample 60 needs"):
            make(plan, workers=workers, resume=True)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_glyphs_at_hand_need_no_cache(case: Case, tmp_path: Path, glyphs: GlyphSet) -> None:
    make(case.plan(tmp_path / "out", dataset="blots"), workers=0, glyphs=glyphs)
    assert b'"licence": "none"' in (tmp_path / "out" / "dataset.json").read_bytes()


@pytest.mark.parametrize("splits", [(), ("train=7", "val=1", "test=2")])
@pytest.mark.parametrize("to", FORMATS)
def test_an_estimate_counts_the_files_of_every_format(
    to: str, splits: tuple[str, ...], tmp_path: Path, glyph_folder: Path
) -> None:
    check_installed(to)
    output = {"to": to, "labels": tuple(LABEL_STYLES)} if to == "folder" else {"to": to}
    recipe = {"count": 2500, "length": (3, 5), "splits": splits}
    plan = Case(glyph_folder, recipe=recipe, output=output, part_size=1000).plan(tmp_path / "out")
    found = estimate(plan)
    assert not list(tmp_path.iterdir())  # it leaves nothing behind
    found.check_space(plan.output.folder)
    made = make(plan, workers=0)
    assert found.n_files == made.n_files
    assert found.size_bytes == pytest.approx(made.size_bytes, rel=0.25)
    assert found.disk_bytes >= made.size_bytes
    assert found.seconds > 0
    assert count_left(plan) == 0
    assert estimate(plan, n_left=0).disk_bytes == 0


def test_sizes_have_the_unit_that_suits_them() -> None:
    words = {1: "1 byte", 999: "999 bytes", 999_949: "999.9 kB", 999_950: "1.0 MB"}
    words |= {66_822_700_000: "66.8 GB", 12 * 10**15: "12,000.0 TB"}
    assert {size_bytes: spell_size(size_bytes) for size_bytes in words} == words


def test_a_run_that_fits_needs_no_room_for_a_trial(small_disk: Path, run: Run) -> None:
    words = ["batch", "--length", 3, 3, "-n", 150, "-o", small_disk / "out"]
    assert run(*words).status == 0
    (small_disk / "more").write_bytes(bytes(100_000))
    again = run(*words, "--overwrite", "--force")
    assert (again.status, "150 images" in again.err) == (0, True)


@pytest.mark.parametrize(("width_px", "expected"), [(100, 1000), (4000, 1000), (30_000, 159)])
def test_parts_of_large_images_are_small(glyphs: GlyphSet, width_px: int, expected: int) -> None:
    recipe = Recipe(digits="12", width_px=width_px)
    assert choose_part_size(SequenceGenerator(recipe, glyphs)) == expected


def test_what_stopping_can_lose_is_reported_where_parts_take_long(
    tmp_path: Path, glyph_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    case = Case(glyph_folder, recipe={"count": 100}, part_size=20)
    for limit_s, at_risk in ((10.0, 0), (0.0, 20)):
        monkeypatch.setattr("mnistseq_cli.bulk.run._LONG_S", limit_s)
        plan = case.plan(tmp_path / f"{limit_s}")
        make(plan, workers=0, check_space=True, report=events.append)
        assert [it.n_samples_at_risk for it in events if isinstance(it, Started)][-1] == at_risk


@pytest.mark.parametrize(
    ("files", "own", "quotas"),
    [
        ({"a/b/cpu.max": "150000 100000", "a/cpu.max": "max 100000"}, "0::/a/b", [1.5]),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, "0::/a/b", [0.5]),
        (
            {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"},
            "4:cpu,cpuacct:/a\n3:memory:/",
            [2.0],
        ),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", []),
        ({}, "", []),
    ],
)
def test_limits_of_containers_are_seen(
    tmp_path: Path, files: dict[str, str], own: str, quotas: list[float]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    found = _find_quotas(tmp_path, own)
    assert [quota for quota in found if quota != float("inf")] == quotas
