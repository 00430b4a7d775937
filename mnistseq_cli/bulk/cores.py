"""How many cores this process may use."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def count_cores() -> int:
    """Count the cores that affinity and cgroup limits leave, 1 or more."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limits = [*_quotas(_CGROUPS, _read(_OWN_CGROUP)), float(n_cores)]
    return max(1, int(min(limits)))


def _quotas(root: Path, own: str) -> list[float]:
    """Give the limits of a process's cgroup and of those above it, in cores."""
    quotas = []
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        if number == "0":
            texts = [_read(root / step / "cpu.max") for step in (group, *group.parents)]
        elif "cpu" in controllers.split(","):
            folders = [root / "cpu" / step for step in (group, *group.parents)]
            texts = [
                f"{_read(at / 'cpu.cfs_quota_us')} {_read(at / 'cpu.cfs_period_us')}"
                for at in folders
            ]
        else:
            continue
        quotas += [_parse(text) for text in texts]
    return quotas


def _parse(text: str) -> float:
    """Parse quota and period in microseconds; "max" and -1 are no limit."""
    numbers = [*takewhile(str.isdigit, text.split())]
    if len(numbers) != 2:  # noqa: PLR2004 - quota and period
        return float("inf")
    return int(numbers[0]) / int(numbers[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
