from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.bulk.events import (
    Event,
    Finished,
    PartFinished,
    Progressed,
    Started,
)
from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import GlyphError, LayoutError, OutputError, UsageError
from mnistseq_cli.formats import FORMATS
from mnistseq_cli.formats.images import decode_grey
from tests.helpers.bulk_cases import Case, check_installed, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet


def test_a_folder_holds_each_sample_of_the_recipe_once(case: Case, tmp_path: Path) -> None:
    plan = case.plan(tmp_path / "out")
    summary = run(plan, workers=0)
    tree = read_tree(tmp_path / "out")
    labels = tree["labels.csv"].decode().splitlines()[1:]
    assert summary.n_samples == len(labels) == 95
    assert len([name for name in tree if name.endswith(".png")]) == 95
    for sample, line in zip(SequenceGenerator(plan.recipe), labels, strict=True):
        name, text = line.split(",")
        assert text == sample.text
        assert (decode_grey(tree[name]) == sample.image).all()
    assert summary.n_files == len([name for name in tree if not name.startswith(".")]) - 2
    assert summary.size_bytes == sum(
        len(data)
        for name, data in tree.items()
        if not name.startswith(".") and name not in {"dataset.json", "README.md"}
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_change_nothing(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes], workers: int
) -> None:
    run(case.plan(tmp_path / "out"), workers=workers)
    assert read_tree(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("part_size", [1, 7, 94, 95, 1000])
def test_part_sizes_change_records_alone(
    glyph_folder: Path, tmp_path: Path, undisturbed: dict[str, bytes], part_size: int
) -> None:
    run(Case(glyph_folder, part_size=part_size).plan(tmp_path / "out"), workers=0)
    for name, data in read_tree(tmp_path / "out").items():
        if not name.startswith(".mnistseq/") and name != "dataset.json":
            assert data == undisturbed[name]


@pytest.mark.parametrize("to", FORMATS)
def test_a_second_run_is_equal_byte_for_byte(glyph_folder: Path, tmp_path: Path, to: str) -> None:
    check_installed(to)
    case = Case(glyph_folder, output={"to": to})
    for name in ("one", "two"):
        run(case.plan(tmp_path / name), workers=0)
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two")


def test_events_count_up_to_the_end(case: Case, tmp_path: Path) -> None:
    events: list[Event] = []
    run(case.plan(tmp_path / "out"), workers=2, report=events.append)
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
            run(case.plan(tmp_path / "out"), workers=0, resume=resume)
    assert read_tree(tmp_path / "out") == {"notes.txt": b"mine"}


def test_resume_begins_where_nothing_is_and_changes_nothing_that_is_finished(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    run(case.plan(out), workers=0, resume=True)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    with pytest.raises(OutputError, match="holds a dataset") as caught:
        run(case.plan(out), workers=0)
    assert "--resume" in caught.value.hint
    assert "--overwrite" in caught.value.hint
    run(case.plan(out), workers=0, resume=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before
    assert read_tree(out) == undisturbed


def test_resume_mends_what_is_gone_or_cut_short(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    run(case.plan(tmp_path / "out"), workers=0)
    names = ("images/00000/00000042.png", "labels.csv", "metadata.jsonl", "recipe.toml")
    for name in (*names, ".mnistseq/parts/00000003.json"):
        os.truncate(tmp_path / "out" / name, 3)
        run(case.plan(tmp_path / "out"), workers=0, resume=True)
        assert read_tree(tmp_path / "out") == undisturbed
        (tmp_path / "out" / name).unlink()
        run(case.plan(tmp_path / "out"), workers=0, resume=True)
        assert read_tree(tmp_path / "out") == undisturbed


def test_resume_reads_every_file_that_it_keeps(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """A power failure can leave a file that has its name and size but not its contents."""
    out = tmp_path / "out"
    case.stop(out, 4)
    for path in (out / "images/00000/00000012.png", out / ".mnistseq/kept/00000002/labels.csv"):
        path.write_bytes(bytes(path.stat().st_size))
    run(case.plan(out), workers=0, resume=True)
    assert read_tree(out) == undisturbed


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
            run(plan, workers=0, resume=True)
        assert words in caught.value.message
    assert read_tree(out) == before


def test_resume_keeps_finished_parts(
    case: Case, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    case.stop(tmp_path / "out", 4)
    assert not (tmp_path / "out" / "dataset.json").exists()
    events: list[Event] = []
    run(case.plan(tmp_path / "out"), workers=0, resume=True, report=events.append)
    assert Started(95, 10, 40, 4, 0) in events
    assert len([event for event in events if isinstance(event, PartFinished)]) == 6
    assert read_tree(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("n_parts", [0, 3, 10])
def test_overwrite_removes_what_was_written_and_leaves_strangers(
    case: Case, tmp_path: Path, n_parts: int, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    older = {"count": 300, "seed": 9, "texts": ("12", "7"), "length": None}
    other = Case(case.dataset, recipe=older, output={"name": "old/{index}"}, part_size=30)
    other.stop(out, n_parts)
    strangers = {"notes.txt": b"mine", "old/notes.txt": b"mine too"}
    (out / "old").mkdir(exist_ok=True)
    for name, data in strangers.items():
        (out / name).write_bytes(data)
    run(case.plan(out), workers=0, overwrite=True)
    assert read_tree(out) == undisturbed | strangers


@pytest.mark.parametrize("name", ["labels.csv", "images/00000/00000042.png", "recipe.toml"])
def test_a_file_of_a_stranger_is_never_replaced(case: Case, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    choices: list[dict[str, Any]] = [{"overwrite": True}, {"resume": True}]
    for options in choices:
        with pytest.raises(OutputError) as caught:
            run(case.plan(out), workers=0, **options)
        assert (out / name).read_text() == "mine"
    assert name in caught.value.message
    (out / name).unlink()
    run(case.plan(out), workers=0, overwrite=True)
    assert (out / "dataset.json").exists()


def test_what_cannot_be_made_is_told_before_anything_is_written(
    case: Case, tmp_path: Path
) -> None:
    with pytest.raises(LayoutError):
        run(case.plan(tmp_path / "out", width_px=1), workers=2)
    with pytest.raises(GlyphError):
        run(case.plan(tmp_path / "out", glyphs_sha256="0" * 64), workers=2)
    with pytest.raises(UsageError, match="workers is -1"):
        run(case.plan(tmp_path / "out"), workers=-1)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_worker_is_told_as_it_is(case: Case, tmp_path: Path) -> None:
    texts = ("1",) * 60 + ("1234567890" * 5,)
    plan = case.plan(tmp_path / "out", length=None, texts=texts, width_px=100)
    for workers in (2, 0):
        with pytest.raises(LayoutError, match="sample 60 needs"):
            run(plan, workers=workers, resume=True)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_glyphs_at_hand_need_no_cache(case: Case, tmp_path: Path, glyphs: GlyphSet) -> None:
    run(case.plan(tmp_path / "out", dataset="blots"), workers=0, glyphs=glyphs)
    assert b'"licence": "none"' in (tmp_path / "out" / "dataset.json").read_bytes()
