"""Makes all goldens again and writes them into ``records.json``.

Run it from anywhere, in the environment of the project:

    python -m tests.golden.renew

Do so only where pixels, labels or files are meant to change, and look at the diff. What cannot be
made here, because a library or the official files of MNIST are missing (MNISTSEQ_TEST_MNIST names
their folder), stays as it is, and so does what was made with other versions of a library, unless
the same golden changed in what follows no version: then those are removed, since nobody knows what
they would be now.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from tests.golden.calls import CALLS
from tests.golden.digests import Digests, Missing, is_of_version, without_version
from tests.golden.recipes import MNIST, PEN, make_mnist_recipe, make_pen_recipe
from tests.golden.runs import RUNS, make_run

RECORDS = Path(__file__).with_name("records.json")
GOLDENS: Mapping[str, Callable[[], Digests]] = (
    {f"recipe {name}": partial(make_pen_recipe, name) for name in PEN}
    | {f"recipe {name}": partial(make_mnist_recipe, name) for name in MNIST}
    | {f"call {name}": call for name, call in CALLS.items()}
    | {f"run {name}": partial(make_run, name) for name in RUNS}
)


def load_records() -> dict[str, Digests]:
    records: dict[str, Digests] = json.loads(RECORDS.read_text(encoding="utf-8"))
    return records


def main() -> None:
    old = load_records()
    new = {}
    with TemporaryDirectory() as data_dir, patch.dict(os.environ, {"MNISTSEQ_DATA_DIR": data_dir}):
        for name, make in GOLDENS.items():
            known = old.get(name, {})
            try:
                new[name] = merge(known, make())
            except Missing as missing:
                say(f"{name}: {'kept' if known else 'NOT MADE'}, not made here: {missing}")
                new |= {name: known} if known else {}
    for name in old.keys() - new.keys():
        say(f"{name}: removed, there is no such golden")
    text = json.dumps(new, indent=1, sort_keys=True, ensure_ascii=False)
    RECORDS.write_text(f"{text}\n", encoding="utf-8")
    say(f"{len(new)} goldens in {RECORDS}")


def merge(known: Digests, made: Digests) -> Digests:
    """Add records of other versions to what was made, if nothing else changed."""
    if any(known.get(what) != made[what] for what in made if not is_of_version(what)):
        return made
    kinds = {without_version(what) for what in made if is_of_version(what)}
    others = {what: known[what] for what in known if is_of_version(what)}
    return {what: others[what] for what in others if without_version(what) in kinds} | made


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
