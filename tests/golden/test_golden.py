"""What was made once is made again, to the pixel and to the byte.

``python -m tests.golden.renew`` renews the records, where that is meant.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.digests import Missing, is_of_version
from tests.golden.renew import GOLDENS, load_records

RECORDS = load_records()


def test_every_golden_has_a_record_and_every_record_a_golden() -> None:
    assert sorted(RECORDS) == sorted(GOLDENS)


@pytest.mark.parametrize("name", GOLDENS)
def test_is_as_it_was(name: str, pen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows the version of a library is compared where that version has a record."""
    monkeypatch.setenv("MNISTSEQ_DATA_DIR", str(pen_dir))
    try:
        made = GOLDENS[name]()
    except Missing as missing:
        pytest.skip(str(missing))
    known = RECORDS[name]
    unknown = [what for what in made.keys() - known.keys() if is_of_version(what)]
    others = {what for what in known.keys() - made.keys() if is_of_version(what)}
    assert {what: made[what] for what in made if what not in unknown} == {
        what: known[what] for what in known if what not in others
    }
    if unknown:
        pytest.skip(f"all else is as it was; there is no record of {unknown[0]}")
