"""Figures, and how they are measured: works in turn, the least time of each."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Figure:
    """One figure; its ratio is to what cannot be done without, in the same run."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    to: str = ""  # what the ratio is to
    goal: str = ""  # such as "≤ 1.4"

    def write(self) -> tuple[str, str, str]:
        """Return the figure, its ratio and the goal as text."""
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2  # noqa: PLR2004
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} × {self.to}"
        return f"{self.value:,.{digits}f} {self.unit}", ratio, self.goal


def read_processor() -> float:
    """Return the seconds of processor that this process took, and those it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def take_turns(
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
    prepare: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Return the least seconds that each work takes: what else a machine does only adds to them.

    `prepare` is done before each, untimed. Works that start processes need the clock
    `read_processor`, which other programs do not disturb, or `time.perf_counter`.
    """
    least = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            prepare()
            start = clock()
            work()
            least[name] = min(least[name], clock() - start)
    return least
