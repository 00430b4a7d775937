from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.bulk.estimate import count_left, estimate
from mnistseq_cli.bulk.events import Event, Started
from mnistseq_cli.bulk.plan import Plan, choose_part_size
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.workers import _find_quotas, count_cores
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import UsageError
from mnistseq_cli.files import spell_size
from mnistseq_cli.formats import FORMATS, LABEL_STYLES, Output
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import Case, check_installed
from tests.helpers.program import Result

OUTPUT = Output(folder=Path("out"))


@given(st.integers(1, 5000), st.integers(1, 700))
def test_parts_cover_every_sample_once_and_in_order(count: int, part_size: int) -> None:
    plan = Plan(Recipe(digits="1", count=count), OUTPUT, part_size)
    parts = list(plan.parts())
    assert [index for part in parts for index in range(part.start, part.stop)] == list(
        range(count)
    )
    assert [part.number for part in parts] == list(range(plan.n_parts))
    assert {len(part) for part in parts[:-1]} <= {part_size}


@pytest.mark.parametrize("part_size", [0, -1, 100_001])
def test_part_sizes_out_of_range_are_refused(part_size: int) -> None:
    with pytest.raises(UsageError, match=f"{part_size}; expected"):
        Plan(Recipe(digits="1"), OUTPUT, part_size)


def test_what_decides_files_is_described_and_nothing_else() -> None:
    plan = Plan(Recipe(digits="1"), OUTPUT)
    assert plan.to_dict() == replace(plan, output=Output(folder=Path("else"))).to_dict()
    assert plan.to_dict() != replace(plan, part_size=7).to_dict()
    assert plan.to_dict() != replace(plan, output=Output(folder=Path("out"), labels=())).to_dict()


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
    made = run(plan, workers=0)
    assert found.n_files == made.n_files
    assert found.size_bytes == pytest.approx(made.size_bytes, rel=0.25)
    assert found.disk_bytes >= made.size_bytes
    assert found.seconds > 0
    assert count_left(plan) == 0
    assert estimate(plan, n_left=0).disk_bytes == 0


def test_sizes_have_the_unit_that_suits_them() -> None:
    words = {
        0: "0 bytes",
        1: "1 byte",
        999: "999 bytes",
        1000: "1.0 kB",
        12_345: "12.3 kB",
        999_949: "999.9 kB",
        999_950: "1.0 MB",
        66_822_700_000: "66.8 GB",
        2 * 10**12: "2.0 TB",
        12 * 10**15: "12,000.0 TB",
    }
    assert {size_bytes: spell_size(size_bytes) for size_bytes in words} == words


def test_a_run_that_fits_needs_no_room_for_a_trial(
    small_disk: Path, run: Callable[..., Result]
) -> None:
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
        run(plan, workers=0, check_space=True, report=events.append)
        started = [event for event in events if isinstance(event, Started)]
        assert started[-1].n_samples_at_risk == at_risk


def test_there_is_a_core() -> None:
    assert count_cores() >= 1


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
