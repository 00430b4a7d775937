"""What a run reports while it goes on; whoever starts it decides what to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Checking:
    """Parts of an earlier run are being looked at."""

    n_parts: int


@dataclass(frozen=True)
class Started:
    """Work begins; what an earlier run finished is counted as done."""

    n_samples: int
    n_parts: int
    n_samples_done: int
    n_parts_done: int
    n_workers: int
    # That stopping can lose, where parts take long; 0 where they do not, or that is not measured.
    n_samples_at_risk: int = 0


@dataclass(frozen=True)
class Progressed:
    """Samples were made in this run; the bytes are those of parts that are finished."""

    n_samples: int
    size_bytes: int


@dataclass(frozen=True)
class PartFinished:
    """All files of a part have their final names, and its record is in place."""

    part: str
    n_samples: int
    n_files: int
    size_bytes: int


@dataclass(frozen=True)
class PartRetried:
    """A worker died; the part it was at is made again."""

    part: str
    attempt: int
    exit_code: int | None


@dataclass(frozen=True)
class Joining:
    """Files that span all parts are being written."""


@dataclass(frozen=True)
class Stopped:
    """The run was interrupted or failed; its finished parts are kept."""

    n_samples_done: int
    n_parts_done: int


@dataclass(frozen=True)
class Finished:
    """The dataset is complete."""

    n_samples: int
    n_files: int
    size_bytes: int


Event = Checking | Started | Progressed | PartFinished | PartRetried | Joining | Stopped | Finished
Report = Callable[[Event], None]
