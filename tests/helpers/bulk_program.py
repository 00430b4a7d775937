"""Makes a dataset in a process of its own, to be killed, starved and interrupted by tests.

It prints a line for each part that is finished, so that a test knows how far it is.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.events import Event, PartFinished, PartRetried, Started, Stopped
from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.storage import open_folder
from mnistseq_cli.errors import MnistseqError
from mnistseq_cli.formats import Output
from mnistseq_cli.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path


def plan_of(folder: Path, recipe: dict[str, Any], output: dict[str, Any], part_size: int) -> Plan:
    return Plan(Recipe(**recipe), Output(folder=folder, **output), part_size)


def say(event: Event) -> None:
    if isinstance(event, PartFinished | PartRetried | Started | Stopped):
        # In one piece: print writes the end of a line apart, and a signal may come between.
        os.write(sys.stdout.fileno(), f"{event}\n".encode())


def main() -> None:
    values = json.loads(sys.argv[1])
    for name, limit in values.pop("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    folder = open_folder(values.pop("folder"))
    plan = plan_of(folder, values.pop("recipe"), values.pop("output"), values.pop("part_size"))
    try:
        run(plan, report=say, **values)
    except MnistseqError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as the command line does
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
