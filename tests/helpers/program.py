"""What a run of the program left behind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str
