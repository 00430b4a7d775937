from __future__ import annotations

from mnistseq_cli.inspection.predictions import Share
from mnistseq_cli.inspection.wording import merge_neighbours, merge_shares


def test_neighbours_are_merged_when_there_are_many() -> None:
    assert merge_neighbours([], 20) == []
    assert merge_neighbours({5, 3}, 20) == [range(3, 4), range(4, 5), range(5, 6)]
    ranges = merge_neighbours(range(-5, 295), 60)
    assert (len(ranges), ranges[0], ranges[-1]) == (60, range(-5, 0), range(290, 295))


def test_shares_of_neighbours_are_added() -> None:
    shares = {gap: Share(4, gap % 5) for gap in (*range(0, 20, 2), 99)}
    merged = merge_shares(shares, 20)
    assert merged[0] == ("0 to 4", Share(12, 6))  # gaps 0, 2 and 4
    assert [name for name, _ in merged] == ["0 to 4", "5 to 9", "10 to 14", "15 to 19", "95 to 99"]
