"""All that is kept: how it is made, and the records of what it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests.golden.calls import CALLS, make_call
from tests.golden.digests import Digests
from tests.golden.recipes import MNIST, PEN, make_mnist_recipe, make_pen_recipe
from tests.golden.runs import RUNS, make_run

RECORDS = Path(__file__).with_name("records.json")
RENEW = "python -m tests.golden.renew"
Records = dict[str, Digests]

GOLDENS: Mapping[str, Callable[[], Digests]] = (
    {f"recipe {name}": partial(make_pen_recipe, name) for name in PEN}
    | {f"recipe {name}": partial(make_mnist_recipe, name) for name in MNIST}
    | {f"call {name}": partial(make_call, name) for name in CALLS}
    | {f"run {name}": partial(make_run, name) for name in RUNS}
)


def load_records() -> Records:
    records: Records = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}
    return records


def save_records(records: Records) -> None:
    text = json.dumps(records, indent=1, sort_keys=True, ensure_ascii=False)
    RECORDS.write_text(f"{text}\n", encoding="utf-8")
