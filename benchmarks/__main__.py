"""Measures how fast the program is: ``python -m benchmarks [NAME…]``.

Every figure is printed with its ratio to what cannot be done without, in the same run, and written
as JSON. ``--page`` writes the tables of docs/performance.md from that file.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.distortions import measure_distortions
from benchmarks.figures import Figure
from benchmarks.files import (
    measure_containers,
    measure_folder,
    measure_million,
    measure_tall_folders,
)
from benchmarks.samples import measure_heights, measure_memory, measure_presets, measure_rows
from benchmarks.start import measure_start
from benchmarks.streams import measure_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEASUREMENTS: dict[str, Callable[[str], Iterator[Figure]]] = {
    "rows": measure_rows,
    "heights": measure_heights,
    "tall": measure_tall_folders,
    "presets": measure_presets,
    "distortions": measure_distortions,
    "memory": measure_memory,
    "start": measure_start,
    "folder": measure_folder,
    "containers": measure_containers,
    "streams": measure_streams,
    "million": measure_million,
}
BY_DEFAULT = [name for name in MEASUREMENTS if name != "million"]  # under five minutes
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def measure(names: list[str], dataset: str) -> dict[str, list[Figure]]:
    """Measure and print."""
    found: dict[str, list[Figure]] = {}
    for name in names:
        print(f"\n{name}", flush=True)
        found[name] = []
        try:
            for figure in MEASUREMENTS[name](dataset):
                found[name].append(figure)
                value, ratio, goal = figure.write()
                print(
                    f"  {figure.what:44} {value:>18}  {ratio} {goal and f'({goal})'}", flush=True
                )
        except ModuleNotFoundError as error:
            print(f"  left out: {error}")
    return found


def write_page(found: dict[str, list[Figure]], page: Path = PAGE) -> None:
    """Put tables between the marks of a page, such as ``<!-- rows -->``."""
    text = page.read_text(encoding="utf-8")
    for name, figures in found.items():
        mark, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(mark)
        rows = [f"| {one.what} | {' | '.join(one.write())} |\n" for one in figures]
        head = "| what | figure | ratio | goal |\n|---|---|---|---|\n"
        text = f"{before}{mark}\n{head}{''.join(rows)}\n{end}{rest.partition(end)[2]}"
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Read what is asked for."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks.json"))
    parser.add_argument(
        "--page", action="store_true", help="write docs/performance.md from the JSON, too"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(
            f"there is no {', '.join(sorted(unknown))}; expected {', '.join(MEASUREMENTS)}"
        )
    kept = json.loads(arguments.json.read_text("utf-8")) if arguments.json.exists() else {}
    found = measure(arguments.names or BY_DEFAULT, arguments.dataset)
    kept |= {name: [asdict(one) for one in figures] for name, figures in found.items()}
    kept["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    arguments.json.parent.mkdir(exist_ok=True)
    arguments.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False), "utf-8")
    if arguments.page:
        names = [name for name in MEASUREMENTS if name in kept]
        write_page({name: [Figure(**one) for one in kept[name]] for name in names})


if __name__ == "__main__":
    main()
