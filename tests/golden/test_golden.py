"""What was made once is made again, to the pixel and to the byte.

``python -m tests.golden.renew`` renews the records, where that is meant.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.golden.digests import Digests, Missing, is_of_version
from tests.golden.goldens import GOLDENS, RENEW, load_records
from tests.golden.renew import compare, merge

RECORDS = load_records()
OF_VERSION = [name for name in RECORDS if any(map(is_of_version, RECORDS[name]))]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("glyphs")


@pytest.fixture(autouse=True)
def _own_cache(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(data_dir))


@cache
def make(name: str) -> Digests:
    return GOLDENS[name]()


def make_or_skip(name: str) -> Digests:
    try:
        return make(name)
    except Missing as missing:
        pytest.skip(str(missing))


def pick(digests: Digests, *, of_version: bool) -> Digests:
    return {what: digests[what] for what in digests if is_of_version(what) is of_version}


def test_every_golden_has_a_record_and_every_record_a_golden() -> None:
    assert sorted(RECORDS) == sorted(GOLDENS), f"renew them: {RENEW}"


@pytest.mark.parametrize("name", GOLDENS)
def test_is_as_it_was(name: str) -> None:
    made = make_or_skip(name)
    assert pick(made, of_version=False) == pick(RECORDS.get(name, {}), of_version=False)


@pytest.mark.parametrize("name", OF_VERSION)
def test_is_as_it_was_with_the_same_versions(name: str) -> None:
    made = pick(make_or_skip(name), of_version=True)
    unknown = sorted(made.keys() - RECORDS[name].keys())
    if unknown:
        pytest.skip(f"no record, {RENEW} adds one: {unknown[0]}")
    assert made == {what: RECORDS[name][what] for what in made}


OLD = {"labels": "1", "pixels, zlib-ng 2.0": "a", "pixels, zlib-ng 2.1": "b", "gone": "c"}


def test_records_of_other_versions_are_kept() -> None:
    made = {"labels": "1", "pixels, zlib-ng 2.2": "d"}
    assert merge(OLD, made) == made | {"pixels, zlib-ng 2.0": "a", "pixels, zlib-ng 2.1": "b"}


def test_records_of_other_versions_go_where_anything_else_changed() -> None:
    made = {"labels": "2", "pixels, zlib-ng 2.1": "b"}
    assert merge(OLD, made) == made


def test_every_change_is_said() -> None:
    made = {"labels": "2", "pixels, zlib-ng 2.0": "a", "new": "e"}
    assert [*compare(OLD, made)] == [
        "removed: gone",
        "CHANGED: labels",
        "new: new",
        "removed: pixels, zlib-ng 2.1",
    ]
