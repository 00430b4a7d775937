from __future__ import annotations

from tests.golden.renew import compare, merge

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
